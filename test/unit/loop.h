/*
 * loop.h: a libuv loop with a net, for tests that use real sockets on the loopback.
 *
 * LOOP_UNTIL runs the loop until something is true and fails the test after some seconds;
 * loop_end asserts that nothing is left over: no handle, no stream, no chunk.
 */
#ifndef TEST_LOOP_H
#define TEST_LOOP_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/endpoint.h"
#include "net/net.h"

struct loop {
    uv_loop_t uv;
    struct net net;
    uv_timer_t guard; /* wakes the loop, so that LOOP_UNTIL looks again */
};

static inline void loop_on_guard(uv_timer_t *timer)
{
    (void)timer;
}

static inline void loop_begin(struct loop *l, void (*on_turn_end)(void *), void *context)
{
    signal(SIGPIPE, SIG_IGN); /* as every program that uses net/ does */
    assert_int_equal(uv_loop_init(&l->uv), 0);
    net_open(&l->net, &l->uv, on_turn_end, context);
    uv_timer_init(&l->uv, &l->guard);
    uv_timer_start(&l->guard, loop_on_guard, 20, 20);
}

#define LOOP_UNTIL(l, condition)                                                                   \
    do {                                                                                           \
        uint64_t loop_begun = uv_hrtime();                                                         \
        while (!(condition)) {                                                                     \
            uv_run(&(l)->uv, UV_RUN_ONCE);                                                         \
            if (uv_hrtime() - loop_begun > 8000000000ull)                                          \
                fail_msg("waited in vain for %s", #condition);                                     \
        }                                                                                          \
    } while (0)

/* And some turns at least, should a busy machine let the time pass without any. */
static inline void loop_run_ms(struct loop *l, uint64_t ms)
{
    uint64_t begun = uv_hrtime();
    while (uv_hrtime() - begun < ms * 1000000u)
        uv_run(&l->uv, UV_RUN_ONCE);
    for (int turn = 0; turn < 10; turn++)
        uv_run(&l->uv, UV_RUN_NOWAIT);
}

/* Every stream must have been told to close. */
static inline void loop_end(struct loop *l)
{
    LOOP_UNTIL(l, l->net.streams == 0);
    uv_close((uv_handle_t *)&l->guard, NULL);
    net_close(&l->net);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    assert_int_equal(l->net.store.chunks.live, l->net.read_chunk != NULL ? 1 : 0);
    assert_int_equal(l->net.store.pieces.live, 0);
    assert_int_equal(l->net.writes.live, 0);
    assert_true(list_is_empty(&l->net.dirty) && list_is_empty(&l->net.patient));
    assert_true(list_is_empty(&l->net.corked));
    net_free(&l->net);
    assert_int_equal(uv_loop_close(&l->uv), 0);
}

/* A plain socket that listens on a free port of the loopback. */
static inline int loop_listen(int backlog, uint16_t *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

/* A port on which nobody listens: bound, so that nobody else gets it, and silent. */
static inline int loop_deaf_port(uint16_t *port)
{
    return loop_listen(-1, port);
}

static inline int loop_connect(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
    assert_true(rc == 0 || errno == EINPROGRESS);
    return fd;
}

static inline struct endpoint loop_endpoint(const char *host, uint16_t port)
{
    struct endpoint e;
    assert_true(endpoint_set(&e, host, strlen(host), port));
    return e;
}

/* Closes so that the peer sees a reset. */
static inline void loop_reset(int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

#endif
