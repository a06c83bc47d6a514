#include "net/turn_watch.h"

enum { LOOP_TIME_US = 2000 }; /* libuv's time may be so much behind */

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Callbacks of what the kernel had have run; the loop's time is still that of before them. */
static void on_polled(uv_check_t *handle)
{
    struct turn_watch *t = handle->data;
    uint64_t began = t->net->clock_old ? now_us() : t->net->clock;
    t->began = smaller(began, uv_now(t->net->loop) * 1000 + LOOP_TIME_US);
}

void turn_watch_over(struct turn_watch *t)
{
    uint64_t us = t->began != 0 ? now_us() - t->began : 0;
    t->began = 0;
    if (us >= t->least_us)
        t->on_long_turn(t->context, (uint32_t)smaller(us, UINT32_MAX));
}

void turn_watch_open(struct turn_watch *t, struct net *net,
                     void (*on_long_turn)(void *context, uint32_t us), void *context)
{
    *t = (struct turn_watch){
        .net = net, .least_us = UINT32_MAX, .on_long_turn = on_long_turn, .context = context
    };
    REQUIRE(uv_check_init(net->loop, &t->polled) == 0);
    t->polled.data = t;
}

void turn_watch_set(struct turn_watch *t, uint32_t least_us)
{
    t->least_us = least_us;
    t->net->turn_watch = least_us != UINT32_MAX ? t : NULL;
    if (t->net->turn_watch == NULL) {
        uv_check_stop(&t->polled);
        return;
    }
    uv_check_start(&t->polled, on_polled);
    uv_unref((uv_handle_t *)&t->polled); /* it keeps no loop alive */
}

void turn_watch_close(struct turn_watch *t)
{
    t->net->turn_watch = NULL;
    uv_close((uv_handle_t *)&t->polled, NULL);
}
