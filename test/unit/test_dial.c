#include "net/dial.h"

#include <stdatomic.h>

#include "base/error.h"
#include "test/unit/loop.h"

struct
try {
    struct loop *loop;
    struct stream s;
    unsigned done, closed;
    int status, why;
};

static void on_data(struct stream *s, struct chunk *chunk, const char *at, size_t len)
{
    (void)s, (void)chunk, (void)at, (void)len;
}

static void on_closed(struct stream *s, int why)
{
    struct try *t = (struct try *)((char *)s - offsetof(struct try, s));
    t->closed++;
    t->why = why;
}

static const struct stream_user user = { .on_data = on_data, .on_closed = on_closed };

static void on_done(void *context, int status)
{
    struct try *t = context;
    t->done++;
    t->status = status;
    if (status == 0)
        stream_start(&t->s, 60);
    else
        memset(&t->s, 0x5a, sizeof(t->s)); /* its memory is the caller's again */
}

static struct dial *start(struct try *t, struct loop *l, const char *host, uint16_t port,
                          uint64_t timeout)
{
    *t = (struct try){ .loop = l };
    struct endpoint to = loop_endpoint(host, port);
    struct dial *d = dial_start(&l->net, &to, timeout, NULL, &t->s, &user, on_done, t);
    assert_int_equal(t->done, 0);
    return d;
}

static void end_connected(struct try *t)
{
    char peer[80], local[80];
    assert_int_equal(t->status, 0);
    stream_peer_text(&t->s, peer, sizeof(peer));
    stream_local_text(&t->s, local, sizeof(local));
    assert_memory_equal(peer, "127.0.0.1:", 10);
    assert_memory_equal(local, "127.0.0.1:", 10);
    stream_close(&t->s, ERR_SHUTDOWN);
    LOOP_UNTIL(t->loop, t->closed == 1);
    assert_int_equal(t->done, 1);
}

static void test_success(void **state)
{
    (void)state;
    struct loop l;
    struct try t;
    uint16_t port;
    loop_begin(&l, NULL, NULL);
    int server = loop_listen(5, &port);
    start(&t, &l, "127.0.0.1", port, 3000);
    LOOP_UNTIL(&l, t.done);
    end_connected(&t);
    /* By name; where ::1 is tried first, it is refused and 127.0.0.1 is the next address. */
    start(&t, &l, "localhost", port, 3000);
    LOOP_UNTIL(&l, t.done);
    end_connected(&t);
    close(server);
    loop_end(&l);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const hosts[] = { "127.0.0.1", "localhost", "::1" };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct loop l;
        struct try t;
        uint16_t port;
        loop_begin(&l, NULL, NULL);
        int deaf = loop_deaf_port(&port);
        start(&t, &l, hosts[i], port, 3000);
        LOOP_UNTIL(&l, t.done);
        assert_true(t.status == ERR_CONNECT || t.status == ERR_UNREACHABLE);
        close(deaf);
        loop_end(&l);
        assert_int_equal(t.done, 1);
        assert_int_equal(t.closed, 0);
    }
}

/* A listener whose backlog is full swallows what comes. */
static uint16_t swallow(int *server, int held[8])
{
    uint16_t port;
    *server = loop_listen(0, &port);
    for (int i = 0; i < 8; i++)
        held[i] = loop_connect(port);
    return port;
}

static void release(int server, const int held[8])
{
    close(server);
    for (int i = 0; i < 8; i++)
        close(held[i]);
}

static void test_timeout(void **state)
{
    (void)state;
    struct loop l;
    struct try t;
    int server, held[8];
    loop_begin(&l, NULL, NULL);
    uint16_t port = swallow(&server, held);
    uv_update_time(&l.uv);
    uint64_t begun = uv_now(&l.uv);
    start(&t, &l, "127.0.0.1", port, 100);
    LOOP_UNTIL(&l, t.done);
    assert_int_equal(t.status, ERR_TIMEOUT);
    assert_in_range(uv_now(&l.uv) - begun, 100, 1000);
    release(server, held);
    loop_end(&l);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.closed, 0);
}

static void test_resolve_fails(void **state)
{
    (void)state;
    static const char *const hosts[] = { "no-such-name.invalid", "", "..", "256.1.1.1" };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct loop l;
        struct try t;
        loop_begin(&l, NULL, NULL);
        start(&t, &l, hosts[i], 1, 5000);
        LOOP_UNTIL(&l, t.done);
        assert_true(t.status == ERR_RESOLVE || t.status == ERR_TIMEOUT || t.status == ERR_CONNECT);
        loop_end(&l);
        assert_int_equal(t.done, 1);
        assert_int_equal(t.closed, 0);
    }
}

/* At every stage: in the same turn, while resolving or connecting, and when it is connected but
   done has not been called yet. There is never a stream that the caller would not know of. */
static void test_cancel(void **state)
{
    (void)state;
    static const char *const hosts[] = { "127.0.0.1", "localhost", "no-such-name.invalid" };
    for (size_t host = 0; host < ARRAY_LEN(hosts); host++) {
        for (int turns = 0; turns < 6; turns++) {
            struct loop l;
            struct try t;
            uint16_t port;
            loop_begin(&l, NULL, NULL);
            int server = loop_listen(5, &port);
            struct dial *d = start(&t, &l, hosts[host], port, 5000);
            for (int i = 0; i < turns && t.done == 0; i++)
                uv_run(&l.uv, UV_RUN_NOWAIT);
            if (t.done == 0) {
                dial_cancel(d);
                dial_cancel(d);
                assert_int_equal(t.done, 0);
                LOOP_UNTIL(&l, t.done);
                assert_true(t.status == ERR_SHUTDOWN || t.status == ERR_RESOLVE);
            } else if (t.status == 0) {
                end_connected(&t);
            }
            close(server);
            loop_end(&l);
            assert_int_equal(t.done, 1);
        }
    }
}

struct canceller {
    uv_check_t check; /* runs behind the poll phase, before handles are closed */
    struct dial *dial;
    struct try *t;
};

static void cancel_when_connected(uv_check_t *check)
{
    struct canceller *c = check->data;
    struct pollfd p = { .fd = stream_fd(&c->t->s), .events = POLLOUT };
    if (c->dial == NULL || c->t->done > 0 || poll(&p, 1, 0) <= 0)
        return;
    dial_cancel(c->dial);
    c->dial = NULL;
}

/* libuv has said "connected" and the timer is being closed: the one turn in which both are true. */
static void test_cancel_when_just_connected(void **state)
{
    (void)state;
    struct loop l;
    struct try t;
    uint16_t port;
    loop_begin(&l, NULL, NULL);
    int server = loop_listen(5, &port);
    struct canceller c = { .t = &t };
    uv_check_init(&l.uv, &c.check);
    c.check.data = &c;
    c.dial = start(&t, &l, "127.0.0.1", port, 5000);
    uv_check_start(&c.check, cancel_when_connected);
    LOOP_UNTIL(&l, t.done);
    assert_int_equal(t.status, ERR_SHUTDOWN);
    uv_close((uv_handle_t *)&c.check, NULL);
    close(server);
    loop_end(&l);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.closed, 0);
}

static atomic_uint asleep;
static uv_sem_t wake;

static void sleep_till_woken(uv_work_t *work)
{
    (void)work;
    atomic_fetch_add(&asleep, 1);
    uv_sem_wait(&wake);
}

static void on_slept(uv_work_t *work, int status)
{
    (void)work, (void)status;
}

/* Names that nobody answers for keep no one waiting beyond the time limit, in the queue or in the
   resolver. Here the queue: each of the four threads of libuv's pool is busy. */
static void test_timeout_while_resolving(void **state)
{
    (void)state;
    struct loop l;
    struct try t;
    loop_begin(&l, NULL, NULL);
    uv_work_t work[16];
    assert_int_equal(uv_sem_init(&wake, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(work); i++)
        uv_queue_work(&l.uv, &work[i], sleep_till_woken, on_slept);
    LOOP_UNTIL(&l, atomic_load(&asleep) >= 4);
    uv_update_time(&l.uv);
    uint64_t begun = uv_now(&l.uv);
    start(&t, &l, "localhost", 1, 50);
    LOOP_UNTIL(&l, t.done);
    assert_int_equal(t.status, ERR_TIMEOUT);
    assert_in_range(uv_now(&l.uv) - begun, 50, 1000);
    for (size_t i = 0; i < ARRAY_LEN(work); i++)
        if (uv_cancel((uv_req_t *)&work[i]) != 0)
            uv_sem_post(&wake);
    loop_end(&l);
    uv_sem_destroy(&wake);
    assert_int_equal(t.done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_resolve_fails),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_when_just_connected),
        cmocka_unit_test(test_timeout_while_resolving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
