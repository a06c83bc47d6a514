/* slotgate-migrate: moves the data of one Redis into a cluster. Reads the options, runs a command.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/control.h"
#include "migrate/dump.h"
#include "migrate/plan.h"
#include "migrate/restore.h"
#include "migrate/scan.h"
#include "migrate/sync.h"
#include "migrate/verify.h"

enum { EXIT_USAGE = 2 };

static const struct {
    const char *name;
    int (*run)(const struct config *config);
} runs[] = {
    { "restore", restore_run }, { "dump", dump_run },      { "sync", sync_run },
    { "scan", scan_run },       { "verify", verify_run },  { "status", control_run },
    { "metrics", control_run }, { "pause", control_run },  { "resume", control_run },
    { "cutover", control_run }, { "finish", control_run },
};

static int run_command(const struct config *config)
{
    if (config->dry_run)
        return plan_run(config);
    for (size_t i = 0; i < ARRAY_LEN(runs); i++)
        if (strcmp(runs[i].name, config->command->name) == 0)
            return runs[i].run(config);
    return EXIT_USAGE;
}

/* A spool has a file for each 32 MB, and what is kept of a minute comes on top. */
static void want_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("the limit on open files stays as it is", "reason=%s action=%s",
                 log_text(strerror(errno)), log_text(advice_on(ADVICE_OPEN_FILES, NULL)));
}

int main(int argc, char **argv)
{
    static struct config config; /* must not move once it is loaded */
    char error[1024];
    int code = 0;
    if (config_load(&config, argc, argv, error, sizeof(error)) != 0) {
        bool told = strstr(error, "--help") != NULL;
        fprintf(stderr, "slotgate-migrate: %s%s\n", error,
                told ? "" : "; see slotgate-migrate --help");
        code = EXIT_USAGE;
    } else if (config.help) {
        config_write_help(stdout);
    } else if (config.version) {
        printf("slotgate-migrate %s\n", SLOTGATE_VERSION);
    } else {
        log_open((enum log_level)config.log_level);
        log_set_format((enum log_format)config.log_format);
        /* Large values go back to the system at once, not into a heap that stays large. */
        mallopt(M_MMAP_THRESHOLD, CHUNK_READ);
        want_descriptors();
        code = run_command(&config);
        log_flush();
    }
    config_free(&config);
    return code;
}
