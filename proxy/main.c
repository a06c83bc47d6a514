/* slotgate: one Redis in front of a Redis Cluster. Reads the options and starts the workers. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/check.h"
#include "proxy/supervisor.h"

enum { EXIT_USAGE = 2 };

int main(int argc, char **argv)
{
    static struct worker worker; /* its config must not move once it is loaded */
    char error[1024];
    if (config_load(&worker.config, argc, argv, error, sizeof(error)) != 0) {
        fprintf(stderr, "slotgate: %s\n", error);
        config_free(&worker.config);
        return EXIT_USAGE;
    }
    int code = 0;
    if (worker.config.help) {
        config_write_help(stdout);
    } else if (worker.config.version) {
        printf("slotgate %s\n", SLOTGATE_VERSION);
    } else if (worker.config.check) {
        code = check_run(&worker.config);
    } else {
        log_open((enum log_level)worker.config.log_level);
        worker_prepare(&worker);
        code = worker.config.workers > 1 ? supervisor_run(&worker) : worker_run(&worker, 0);
    }
    config_free(&worker.config);
    return code;
}
