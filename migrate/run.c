#include "migrate/run.h"

#include <signal.h>

static void on_signal(uv_signal_t *handle, int signum)
{
    struct run *r = handle->data;
    /* A closed terminal tells it twice, by the shell and by the system; that is no second wish. */
    if (signum == SIGHUP && r->told)
        return;
    r->told = true;
    r->on_stop(r->context);
}

/* As under nohup. */
static bool is_ignored(int signum)
{
    struct sigaction now;
    return sigaction(signum, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void run_open(struct run *r, void (*on_turn_end)(void *context), void (*on_stop)(void *context),
              void *context)
{
    static const int numbers[RUN_SIGNALS] = { SIGINT, SIGTERM, SIGHUP };
    *r = (struct run){ .on_stop = on_stop, .context = context };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error like a full disk */
    REQUIRE(uv_loop_init(&r->loop) == 0);
    net_open(&r->net, &r->loop, on_turn_end, context);
    for (int i = 0; i < RUN_SIGNALS; i++) {
        uv_signal_init(&r->loop, &r->signals[i]);
        r->signals[i].data = r;
        if (numbers[i] != SIGHUP || !is_ignored(SIGHUP))
            uv_signal_start(&r->signals[i], on_signal, numbers[i]);
    }
}

void run_close(struct run *r)
{
    net_close(&r->net);
    for (int i = 0; i < RUN_SIGNALS; i++)
        uv_close((uv_handle_t *)&r->signals[i], NULL);
}

void run_free(struct run *r)
{
    net_free(&r->net);
    REQUIRE(uv_loop_close(&r->loop) == 0);
}
