/* Turns of the loop that take long: what is told, and that sleep is not in it. */
#include "net/turn_watch.h"

#include <string.h>

#include "test/unit/loop.h"

struct seen {
    uint32_t turns, us; /* the last one's */
};

static void on_long_turn(void *context, uint32_t us)
{
    struct seen *s = context;
    s->turns++;
    s->us = us;
}

static void be_busy(uint32_t ms)
{
    uint64_t until = uv_hrtime() + ms * UINT64_C(1000000);
    while (uv_hrtime() < until)
        ;
}

static bool fired;

static void on_timer(uv_timer_t *timer)
{
    uint32_t *ms = timer->data;
    be_busy(*ms);
    fired = true;
}

static void on_turn_end(void *context)
{
    uint32_t *ms = context;
    be_busy(*ms);
    *ms = 0;
}

/* After a sleep of 20 ms, a timer that takes so long. */
static void run_timer(struct loop *l, uint32_t ms)
{
    uv_timer_t timer;
    fired = false;
    uv_timer_init(&l->uv, &timer);
    timer.data = &ms;
    uv_timer_start(&timer, on_timer, 20, 0);
    LOOP_UNTIL(l, fired);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    uv_run(&l->uv, UV_RUN_NOWAIT);
}

static void test_timers(void **state)
{
    struct loop l;
    struct seen seen = { 0 };
    struct turn_watch watch;
    (void)state;
    loop_begin(&l, NULL, NULL);
    turn_watch_open(&watch, &l.net, on_long_turn, &seen);
    run_timer(&l, 30);
    assert_int_equal(seen.turns, 0); /* not started */
    turn_watch_set(&watch, 25000);
    run_timer(&l, 30);
    assert_true(seen.turns >= 1);
    assert_true(seen.us >= 25000);
    turn_watch_set(&watch, 3600 * 1000000u);
    seen.turns = 0;
    run_timer(&l, 30);
    assert_int_equal(seen.turns, 0);
    turn_watch_set(&watch, UINT32_MAX);
    run_timer(&l, 30);
    assert_int_equal(seen.turns, 0);
    turn_watch_close(&watch);
    loop_end(&l);
}

/* 20 ms asleep are no long turn; of a machine under load the shortest of some tries counts. */
static void test_sleep(void **state)
{
    struct loop l;
    struct seen seen = { 0 };
    struct turn_watch watch;
    uint32_t quiet = 0;
    (void)state;
    loop_begin(&l, NULL, NULL);
    turn_watch_open(&watch, &l.net, on_long_turn, &seen);
    turn_watch_set(&watch, 15000);
    for (int i = 0; i < 20 && quiet == 0; i++) {
        seen.turns = 0;
        run_timer(&l, 0);
        quiet += seen.turns == 0;
    }
    assert_int_equal(quiet, 1);
    turn_watch_close(&watch);
    loop_end(&l);
}

/* The work at the end of a turn is in it. */
static void test_turn_end(void **state)
{
    struct loop l;
    struct seen seen = { 0 };
    struct turn_watch watch;
    uint32_t ms = 0;
    (void)state;
    loop_begin(&l, on_turn_end, &ms);
    turn_watch_open(&watch, &l.net, on_long_turn, &seen);
    turn_watch_set(&watch, 25000);
    run_timer(&l, 0);
    seen.turns = 0;
    ms = 30;
    run_timer(&l, 0);
    assert_true(seen.turns >= 1);
    assert_true(seen.us >= 25000);
    turn_watch_close(&watch);
    loop_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_turn_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
