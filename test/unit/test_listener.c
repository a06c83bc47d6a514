#include "net/listener.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "net/stream.h"
#include "test/unit/loop.h"

enum { MANY = 60 };

struct side {
    struct listener listener;
    struct stream streams[MANY];
    unsigned accepted, closed;
    int fd;
    struct net *net;
};

static struct side sides[2];
static const struct span refusal = { "-no\r\n", 5 };

static void on_data(struct stream *s, struct chunk *chunk, const char *at, size_t len)
{
    (void)chunk;
    stream_send(s, (struct span){ at, len });
}

static void on_closed(struct stream *s, int why)
{
    (void)why;
    sides[s >= sides[1].streams].closed++;
}

static const struct stream_user stream_user = { .on_data = on_data, .on_closed = on_closed };

static void on_accept(void *context, int fd)
{
    struct side *side = context;
    assert_true(side->accepted < MANY);
    struct stream *s = &side->streams[side->accepted++];
    assert_int_equal(stream_adopt(s, side->net, &stream_user, fd), 0);
    stream_start(s, 0);
}

static const struct listener_user user = { .on_accept = on_accept, .refusal = &refusal };

static uint16_t port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static void begin(struct loop *l)
{
    loop_begin(l, NULL, NULL);
    memset(sides, 0, sizeof(sides));
    sides[0].net = sides[1].net = &l->net;
    sides[0].fd = sides[1].fd = -1;
}

static void start(struct loop *l, struct side *side)
{
    assert_int_equal(listener_start(&side->listener, &l->net, side->fd, 100, &user, side), 0);
}

static void end(struct loop *l)
{
    for (int i = 0; i < 2; i++) {
        listener_close(&sides[i].listener);
        if (sides[i].fd >= 0)
            close(sides[i].fd);
    }
    loop_end(l);
}

/* Says that letter and waits for it to come back. */
static void expect_echo(struct loop *l, int fd, char letter)
{
    char heard = 0;
    LOOP_UNTIL(l, write(fd, &letter, 1) == 1);
    LOOP_UNTIL(l, read(fd, &heard, 1) == 1);
    assert_int_equal(heard, letter);
}

static bool is_refused(int fd)
{
    char byte;
    return write(fd, "x", 1) < 0 && (errno == ECONNREFUSED || errno == ECONNRESET || errno == EPIPE)
               ? true
               : read(fd, &byte, 1) < 0 && (errno == ECONNREFUSED || errno == ECONNRESET);
}

/* Two sockets share a port, as two workers do: each gets connections, every one is answered. */
static void test_share_a_port(void **state)
{
    struct loop l;
    int fds[MANY];
    (void)state;
    begin(&l);
    sides[0].fd = listener_bind("127.0.0.1", 0);
    assert_true(sides[0].fd >= 0);
    uint16_t port = port_of(sides[0].fd);
    sides[1].fd = listener_bind("127.0.0.1", port);
    assert_true(sides[1].fd >= 0);
    for (int i = 0; i < 2; i++)
        start(&l, &sides[i]);
    for (int i = 0; i < MANY; i++)
        fds[i] = loop_connect(port);
    for (int i = 0; i < MANY; i++)
        expect_echo(&l, fds[i], (char)('0' + i));
    assert_int_equal(sides[0].accepted + sides[1].accepted, MANY);
    assert_true(sides[0].accepted > 0 && sides[1].accepted > 0);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    LOOP_UNTIL(&l, sides[0].closed + sides[1].closed == MANY);
    /* One is hushed: new connections all go to the other. */
    listener_close(&sides[0].listener);
    listener_close(&sides[0].listener);
    listener_hush(sides[0].fd);
    unsigned before = sides[0].accepted;
    sides[1].accepted = 0;
    for (int i = 0; i < 8; i++)
        fds[i] = loop_connect(port);
    LOOP_UNTIL(&l, sides[1].accepted == 8);
    assert_int_equal(sides[0].accepted, before);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    LOOP_UNTIL(&l, sides[1].closed + sides[0].closed == MANY + 8);
    end(&l);
}

/* The socket outlives its listener: who connects meanwhile is served by the next one. */
static void test_nobody_accepts_for_a_while(void **state)
{
    struct loop l;
    (void)state;
    begin(&l);
    sides[0].fd = listener_bind("127.0.0.1", 0);
    uint16_t port = port_of(sides[0].fd);
    start(&l, &sides[0]);
    listener_close(&sides[0].listener);
    int fd = loop_connect(port);
    loop_run_ms(&l, 50);
    assert_int_equal(sides[0].accepted, 0);
    sides[1].fd = dup(sides[0].fd);
    start(&l, &sides[1]);
    expect_echo(&l, fd, 'a');
    assert_int_equal(sides[1].accepted, 1);
    close(fd);
    LOOP_UNTIL(&l, sides[1].closed == 1);
    end(&l);
}

/* Bound: refuses. Started: listens. Hushed: refuses, and may be started again. */
static void test_hush(void **state)
{
    struct loop l;
    (void)state;
    begin(&l);
    sides[1].fd = listener_bind("127.0.0.1", 0);
    uint16_t port = port_of(sides[1].fd);
    sides[0].fd = listener_bind("127.0.0.1", port);
    for (int round = 0; round < 2; round++) {
        int fd = loop_connect(port);
        assert_true(is_refused(fd));
        close(fd);
        start(&l, &sides[0]);
        fd = loop_connect(port);
        expect_echo(&l, fd, 'b');
        close(fd);
        LOOP_UNTIL(&l, sides[0].closed == (unsigned)round + 1);
        /* Those who wait are accepted first. */
        int late = loop_connect(port);
        listener_accept_waiting(&sides[0].listener);
        listener_close(&sides[0].listener);
        listener_hush(sides[0].fd);
        expect_echo(&l, late, 'c');
        close(late);
        sides[0].closed = (unsigned)round;
        LOOP_UNTIL(&l, sides[0].closed == (unsigned)round + 1);
        assert_int_equal(port_of(sides[0].fd), port);
    }
    end(&l);
}

/* Without descriptors a client is told so; it is not left waiting, nor closed in silence. */
static void test_out_of_descriptors(void **state)
{
    struct rlimit limit, old;
    struct loop l;
    char text[8] = "";
    (void)state;
    begin(&l);
    sides[0].fd = listener_bind("127.0.0.1", 0);
    start(&l, &sides[0]);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int fd = loop_connect(port_of(sides[0].fd));
    limit = old;
    limit.rlim_cur = (rlim_t)fd + 1; /* none is free below: what is opened gets the lowest number */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    LOOP_UNTIL(&l, read(fd, text, sizeof(text)) == 5);
    assert_memory_equal(text, "-no\r\n", 5);
    LOOP_UNTIL(&l, read(fd, text, sizeof(text)) == 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(sides[0].accepted, 0);
    close(fd);
    fd = loop_connect(port_of(sides[0].fd));
    expect_echo(&l, fd, 'd');
    close(fd);
    LOOP_UNTIL(&l, sides[0].closed == 1);
    end(&l);
}

static void test_errors(void **state)
{
    struct loop l;
    uint16_t port;
    (void)state;
    begin(&l);
    assert_int_equal(listener_bind("localhost", 0), UV_EINVAL);
    assert_int_equal(listener_bind("192.0.2.1", 1), UV_EADDRNOTAVAIL);
    /* A port that somebody has without sharing it: bind or listen says so. */
    int taken = loop_listen(1, &port);
    int rc = listener_bind("127.0.0.1", port);
    if (rc >= 0) {
        sides[0].fd = rc;
        rc = listener_start(&sides[0].listener, &l.net, sides[0].fd, 1, &user, &sides[0]);
    }
    assert_int_equal(rc, UV_EADDRINUSE);
    close(taken);
    end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_a_port), cmocka_unit_test(test_nobody_accepts_for_a_while),
        cmocka_unit_test(test_hush),         cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
