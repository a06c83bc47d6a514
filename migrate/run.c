#include "migrate/run.h"

#include <signal.h>

static void on_signal(uv_signal_t *handle, int signum)
{
    struct run *r = handle->data;
    (void)signum;
    r->on_stop(r->context);
}

void run_open(struct run *r, void (*on_turn_end)(void *context), void (*on_stop)(void *context),
              void *context)
{
    static const int numbers[RUN_SIGNALS] = { SIGINT, SIGTERM };
    *r = (struct run){ .on_stop = on_stop, .context = context };
    signal(SIGPIPE, SIG_IGN);
    REQUIRE(uv_loop_init(&r->loop) == 0);
    net_open(&r->net, &r->loop, on_turn_end, context);
    for (int i = 0; i < RUN_SIGNALS; i++) {
        uv_signal_init(&r->loop, &r->signals[i]);
        r->signals[i].data = r;
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
