/* slotgate: one Redis in front of a Redis Cluster. Reads the options and starts the workers. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/baton.h"
#include "proxy/check.h"
#include "proxy/supervisor.h"
#include "proxy/takeover.h"

enum { EXIT_USAGE = 2, LOADS_MAX = 20, LOAD_PAUSE_US = 100 * 1000 };

static bool is_role(const struct baton *b, enum baton_role role)
{
    return b->count > 0 && b->items[0].number == (uint32_t)role;
}

/* baton: NULL, unless this program takes the place of a running one. */
static int run(struct worker *w, struct baton *baton)
{
    if (w->config.help) {
        config_write_help(stdout);
        return 0;
    }
    if (w->config.version) {
        printf("slotgate %s\n", SLOTGATE_VERSION);
        return 0;
    }
    if (w->config.check)
        return check_run(&w->config);
    log_open((enum log_level)w->config.log_level);
    log_set_format((enum log_format)w->config.log_format);
    worker_prepare(w);
    if (baton != NULL && is_role(baton, BATON_LAUNCH))
        return takeover_launch(w, baton);
    return supervisor_run(w, baton);
}

/* A supervisor that takes over finds a config that was good a moment ago. If somebody is writing
   the file just now, it is good again soon. */
static int load(struct worker *w, bool again, char *error, size_t cap)
{
    int rc = config_load(&w->config, w->words.argc, w->words.argv, error, cap);
    for (int i = 0; i < LOADS_MAX && rc != 0 && again; i++) {
        config_free(&w->config);
        usleep(LOAD_PAUSE_US);
        rc = config_load(&w->config, w->words.argc, w->words.argv, error, cap);
    }
    return rc;
}

int main(int argc, char **argv)
{
    static struct worker worker; /* its config must not move once it is loaded */
    char error[1024];
    struct baton baton;
    int code = EXIT_USAGE, inherited = baton_from_environment(&baton);
    worker.words = (struct start_words){ argc, argv };
    worker.path = takeover_path(argv[0]);
    if (inherited < 0)
        fputs("slotgate: cannot take over from a program of another make\n", stderr);
    else if (load(&worker, is_role(&baton, BATON_ADOPT), error, sizeof(error)) != 0)
        fprintf(stderr, "slotgate: %s\n", error);
    else
        code = run(&worker, inherited > 0 ? &baton : NULL);
    config_free(&worker.config);
    baton_free(&baton);
    free(worker.path);
    return code;
}
