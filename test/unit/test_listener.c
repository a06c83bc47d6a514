#include "net/listener.h"

#include "base/error.h"
#include "test/unit/loop.h"

enum { MANY = 60 };

struct side {
    struct listener listener;
    struct stream streams[MANY];
    unsigned accepted, closed;
};

static void on_data(struct stream *s, struct chunk *chunk, const char *at, size_t len)
{
    (void)chunk;
    stream_send(s, (struct span){ at, len });
}

static struct side sides[2];

static void on_closed(struct stream *s, int why)
{
    (void)why;
    sides[s >= sides[1].streams].closed++;
}

static const struct stream_user user = { .on_data = on_data, .on_closed = on_closed };

static void on_accept(void *context, struct listener *l)
{
    struct side *side = context;
    assert_true(side->accepted < MANY);
    struct stream *s = &side->streams[side->accepted++];
    assert_int_equal(listener_accept(l, s, &user), 0);
    stream_start(s, 0);
}

static uint16_t port_of(const struct listener *l)
{
    struct sockaddr_storage a;
    int len = sizeof(a);
    assert_int_equal(uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&a, &len), 0);
    return ntohs(((struct sockaddr_in *)&a)->sin_port);
}

/* Two listeners share a port, as two workers do: each gets connections, every one is answered. */
static void test_share_a_port(void **state)
{
    (void)state;
    struct loop l;
    loop_begin(&l, NULL, NULL);
    memset(sides, 0, sizeof(sides));
    assert_int_equal(
        listener_open(&sides[0].listener, &l.net, "127.0.0.1", 0, on_accept, &sides[0]), 0);
    uint16_t port = port_of(&sides[0].listener);
    assert_int_equal(
        listener_open(&sides[1].listener, &l.net, "127.0.0.1", port, on_accept, &sides[1]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(listener_start(&sides[i].listener, 100), 0);
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        fds[i] = loop_connect(port);
        char letter = (char)('0' + i);
        LOOP_UNTIL(&l, write(fds[i], &letter, 1) == 1);
    }
    for (int i = 0; i < MANY; i++) {
        char letter = 0;
        LOOP_UNTIL(&l, read(fds[i], &letter, 1) == 1);
        assert_int_equal(letter, '0' + i);
    }
    assert_int_equal(sides[0].accepted + sides[1].accepted, MANY);
    assert_true(sides[0].accepted > 0 && sides[1].accepted > 0);
    /* One closes its listener: its connections live on, new ones go to the other. */
    listener_close(&sides[0].listener);
    listener_close(&sides[0].listener);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    LOOP_UNTIL(&l, sides[0].closed + sides[1].closed == MANY);
    unsigned before = sides[0].accepted;
    sides[1].accepted = 0;
    int fd = loop_connect(port);
    LOOP_UNTIL(&l, sides[1].accepted == 1);
    assert_int_equal(sides[0].accepted, before);
    close(fd);
    listener_close(&sides[1].listener);
    loop_end(&l);
}

static void test_errors(void **state)
{
    (void)state;
    struct loop l;
    struct listener one, two;
    uint16_t port;
    loop_begin(&l, NULL, NULL);
    assert_int_equal(listener_open(&one, &l.net, "localhost", 0, on_accept, NULL), UV_EINVAL);
    listener_close(&one);
    assert_int_equal(listener_open(&one, &l.net, "192.0.2.1", 1, on_accept, NULL),
                     UV_EADDRNOTAVAIL);
    listener_close(&one); /* it has closed itself */
    /* A port that somebody has without sharing it: bind or listen says so. */
    int taken = loop_listen(1, &port);
    int rc = listener_open(&two, &l.net, "127.0.0.1", port, on_accept, NULL);
    if (rc == 0)
        rc = listener_start(&two, 1);
    assert_int_equal(rc, UV_EADDRINUSE);
    listener_close(&two);
    close(taken);
    loop_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_a_port),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
