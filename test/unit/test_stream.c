#include "net/stream.h"

#include <stdlib.h>

#include "base/error.h"
#include "net/listener.h"
#include "test/unit/loop.h"

/* A stream of ours and the plain socket at its other end. */
struct pair {
    struct loop *loop;
    struct stream s;
    int fd;
    unsigned data, drained, closed;
    int why;
    size_t got;
    struct chunk *keep; /* take a reference of the next chunk */
    struct span kept;
    bool keep_next, close_on_data;
    void (*on_drained)(struct pair *p);
};

static struct pair *pair_of(struct stream *s)
{
    return (struct pair *)((char *)s - offsetof(struct pair, s));
}

static void on_data(struct stream *s, struct chunk *chunk, const char *at, size_t len)
{
    struct pair *p = pair_of(s);
    p->data++;
    p->got += len;
    if (p->keep_next) {
        p->keep = chunk_ref(chunk);
        p->kept = (struct span){ at, len };
        p->keep_next = false;
    }
    if (p->close_on_data)
        stream_close(s, ERR_KILLED);
}

static void on_drained(struct stream *s)
{
    struct pair *p = pair_of(s);
    p->drained++;
    if (p->on_drained != NULL)
        p->on_drained(p);
}

static void on_closed(struct stream *s, int why)
{
    struct pair *p = pair_of(s);
    p->closed++;
    p->why = why;
    /* The owner may free it now; whoever still names it is seen. */
    memset(s, 0x5a, sizeof(*s));
}

static const struct stream_user user = { .on_data = on_data,
                                         .on_drained = on_drained,
                                         .on_closed = on_closed };

/* packets: each write is one packet for the peer, so that writes can be counted. */
static void open_pair(struct pair *p, struct loop *l, bool packets)
{
    int fds[2], type = packets ? SOCK_SEQPACKET : SOCK_STREAM;
    *p = (struct pair){ .loop = l };
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(stream_init(&p->s, &l->net, &user, AF_UNSPEC), 0);
    assert_int_equal(uv_tcp_open(&p->s.tcp, fds[0]), 0);
    p->fd = fds[1];
    stream_start(&p->s, 0);
}

static void end_pair(struct pair *p)
{
    if (p->closed == 0)
        stream_close(&p->s, ERR_SHUTDOWN);
    LOOP_UNTIL(p->loop, p->closed > 0);
    if (p->fd >= 0)
        close(p->fd);
    assert_int_equal(p->closed, 1);
}

/* The next packet, or 0 when there is none yet. */
static size_t receive(struct pair *p, char *into, size_t size)
{
    ssize_t n = recv(p->fd, into, size, 0);
    return n < 0 ? 0 : (size_t)n;
}

static void one_turn(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_NOWAIT);
}

/* What was sent in one turn is one write at its end, and nothing leaves before. */
static void test_one_write_per_turn(void **state)
{
    (void)state;
    struct loop l;
    struct pair p;
    char in[65536];
    loop_begin(&l, NULL, NULL);
    open_pair(&p, &l, true);
    for (int i = 0; i < 500; i++) {
        const char *at = stream_send(&p.s, SPAN("+PONG\r\n"));
        assert_memory_equal(at, "+PONG\r\n", 7);
        assert_true(at >= p.s.current->bytes && at < p.s.current->bytes + p.s.current->used);
    }
    stream_send(&p.s, (struct span){ NULL, 0 });
    struct chunk *mine = chunk_take(&l.net.store.chunks, CHUNK_READ);
    memset(mine->bytes, 'x', 5000);
    stream_share(&p.s, mine, (struct span){ mine->bytes, 5000 });
    chunk_unref(mine);
    assert_int_equal(receive(&p, in, sizeof(in)), 0);
    assert_int_equal(stream_unsent(&p.s), 8500);
    one_turn(&l);
    assert_int_equal(receive(&p, in, sizeof(in)), 8500);
    assert_int_equal(receive(&p, in, sizeof(in)), 0);
    assert_int_equal(stream_sent(&p.s), 8500);
    assert_int_equal(stream_unsent(&p.s), 0);
    assert_null(p.s.current); /* an idle stream owns no chunk */
    /* More pieces than one writev takes go out in the same turn all the same. */
    for (int i = 0; i < 200; i++) {
        mine = chunk_take(&l.net.store.chunks, CHUNK_SMALL);
        memset(mine->bytes, 'y', 10);
        stream_share(&p.s, mine, (struct span){ mine->bytes, 10 });
        chunk_unref(mine);
    }
    one_turn(&l);
    size_t sum = 0;
    for (size_t n; (n = receive(&p, in, sizeof(in))) > 0;)
        sum += n;
    assert_int_equal(sum, 2000);
    end_pair(&p);
    loop_end(&l);
}

/* A patient stream waits while turns bring bytes, four of them at most, and no longer. */
static void test_quiet(void **state)
{
    (void)state;
    struct loop l;
    struct pair p, noise;
    char in[64];
    loop_begin(&l, NULL, NULL);
    open_pair(&p, &l, true);
    open_pair(&noise, &l, false);
    stream_write_when(&p.s, STREAM_WHEN_QUIET);
    stream_send(&p.s, SPAN("a"));
    one_turn(&l); /* nothing was read: out at once */
    assert_int_equal(receive(&p, in, sizeof(in)), 1);
    assert_int_equal(write(noise.fd, "x", 1), 1);
    one_turn(&l); /* its end comes before the read, which counts for the next one */
    unsigned turns = 0;
    while (stream_unsent(&p.s) > 0 || turns == 0) {
        stream_send(&p.s, SPAN("b"));
        assert_int_equal(write(noise.fd, "x", 1), 1);
        one_turn(&l);
        turns++;
        assert_true(turns < 10);
    }
    assert_int_equal(turns, 5);
    assert_int_equal(receive(&p, in, sizeof(in)), 5);
    /* The last noise has been read, then it is quiet: no timer is needed to get the rest out. */
    stream_send(&p.s, SPAN("c"));
    for (turns = 0; turns < 2 && stream_unsent(&p.s) > 0; turns++)
        one_turn(&l);
    assert_int_equal(stream_unsent(&p.s), 0);
    assert_int_equal(receive(&p, in, sizeof(in)), 1);
    assert_false(uv_is_active((uv_handle_t *)&l.net.hurry) && l.net.reads == 0);
    end_pair(&p);
    end_pair(&noise);
    loop_end(&l);
}

/* Whether it goes out by itself within some milliseconds; a busy machine may take longer for that
   now and then. */
static bool leaves_soon(struct loop *l, struct pair *p)
{
    char in[16];
    stream_write_when(&p->s, STREAM_CORKED);
    stream_send(&p->s, SPAN("alone"));
    uint64_t begun = uv_hrtime();
    LOOP_UNTIL(l, stream_unsent(&p->s) == 0);
    assert_int_equal(receive(p, in, sizeof(in)), 5);
    return uv_hrtime() - begun < 15000000;
}

static void test_corked(void **state)
{
    (void)state;
    struct loop l;
    struct pair p;
    static char in[4 * CORK_BYTES], big[CORK_BYTES];
    loop_begin(&l, NULL, NULL);
    open_pair(&p, &l, true);
    /* Uncorked: with the end of that turn. */
    stream_write_when(&p.s, STREAM_CORKED);
    uv_update_time(&l.uv);
    stream_send(&p.s, SPAN("half"));
    uv_run(&l.uv, UV_RUN_NOWAIT);
    stream_send(&p.s, SPAN(" and half"));
    stream_write_when(&p.s, STREAM_AT_TURN_END);
    one_turn(&l);
    size_t first = receive(&p, in, sizeof(in));
    assert_true(first == 13 || first == 4); /* 4: this machine took a millisecond for a turn */
    one_turn(&l);
    receive(&p, in, sizeof(in));
    /* After CORK_MS, by itself. */
    bool soon = false;
    for (int i = 0; i < 50 && !soon; i++)
        soon = leaves_soon(&l, &p);
    assert_true(soon);
    /* Past CORK_BYTES, at the end of the turn. */
    stream_write_when(&p.s, STREAM_CORKED);
    stream_send(&p.s, SPAN("x"));
    stream_send(&p.s, (struct span){ big, CORK_BYTES - 1 });
    one_turn(&l);
    assert_int_equal(receive(&p, in, sizeof(in)), CORK_BYTES);
    /* Corked bytes of a stream that finishes are not left behind. */
    stream_write_when(&p.s, STREAM_CORKED);
    stream_send(&p.s, SPAN("bye"));
    stream_finish(&p.s, ERR_IDLE);
    LOOP_UNTIL(&l, p.closed > 0);
    assert_int_equal(receive(&p, in, sizeof(in)), 3);
    assert_int_equal(p.why, ERR_IDLE);
    end_pair(&p);
    loop_end(&l);
}

/* Each waits its own time: one that was corked later does not leave with an earlier one. */
static void test_corked_one_by_one(void **state)
{
    (void)state;
    struct loop l;
    struct pair first, second;
    loop_begin(&l, NULL, NULL);
    open_pair(&first, &l, true);
    open_pair(&second, &l, true);
    unsigned apart = 0;
    for (int i = 0; i < 50; i++) {
        stream_write_when(&first.s, STREAM_CORKED);
        stream_write_when(&second.s, STREAM_CORKED);
        uv_update_time(&l.uv);
        stream_send(&first.s, SPAN("early"));
        uint64_t corked = uv_now(&l.uv);
        while (uv_now(&l.uv) == corked)
            uv_update_time(&l.uv);
        stream_send(&second.s, SPAN("late"));
        LOOP_UNTIL(&l, stream_unsent(&first.s) == 0);
        assert_true(uv_now(&l.uv) - corked >= CORK_MS);
        if (uv_now(&l.uv) - second.s.corked_at < CORK_MS) {
            assert_int_equal(stream_unsent(&second.s), 4);
            apart++;
        }
        LOOP_UNTIL(&l, stream_unsent(&second.s) == 0);
    }
    assert_true(apart > 0);
    end_pair(&first);
    end_pair(&second);
    loop_end(&l);
}

/* A closed stream may be sent to until on_closed, which frees it: no list may still hold it then.
 */
static void test_send_after_close(void **state)
{
    (void)state;
    for (int when = STREAM_AT_TURN_END; when <= STREAM_CORKED; when++) {
        struct loop l;
        struct pair p;
        loop_begin(&l, NULL, NULL);
        open_pair(&p, &l, false);
        stream_write_when(&p.s, (enum stream_when)when);
        stream_close(&p.s, ERR_KILLED);
        stream_send(&p.s, SPAN("too late"));
        stream_write_when(&p.s, STREAM_CORKED);
        stream_send(&p.s, SPAN("too late"));
        assert_int_equal(stream_sent(&p.s), 0);
        LOOP_UNTIL(&l, p.closed > 0);
        loop_run_ms(&l, 5);
        end_pair(&p);
        loop_end(&l);
    }
}

static void fill_until_stuck(struct pair *p)
{
    static char block[65536];
    for (int i = 0; i < 200 && !p->s.writing; i++) {
        stream_send(&p->s, (struct span){ block, sizeof(block) });
        one_turn(p->loop);
    }
    assert_true(p->s.writing);
}

static void read_some(struct pair *p, uint64_t *sum)
{
    static char in[65536];
    for (ssize_t n; (n = recv(p->fd, in, sizeof(in), 0)) > 0;)
        *sum += (uint64_t)n;
}

/* A peer that does not read: behind is known at once, also while a write is under way, and drained
   comes once when it has caught up. What is known to be sent is exact. */
static void test_behind(void **state)
{
    (void)state;
    struct loop l;
    struct pair p;
    static char block[1024];
    uint64_t read = 0;
    loop_begin(&l, NULL, NULL);
    open_pair(&p, &l, false);
    fill_until_stuck(&p);
    uint64_t in_kernel = stream_sent(&p.s), more = stream_unsent(&p.s);
    assert_true(in_kernel > 0 && more < STREAM_HIGH);
    assert_false(stream_is_behind(&p.s));
    while (stream_unsent(&p.s) + sizeof(block) < STREAM_HIGH)
        stream_send(&p.s, (struct span){ block, sizeof(block) });
    one_turn(&l);
    assert_false(stream_is_behind(&p.s));
    stream_send(&p.s, (struct span){ block, sizeof(block) });
    stream_send(&p.s, (struct span){ block, sizeof(block) });
    assert_true(stream_is_behind(&p.s));
    loop_run_ms(&l, 30);
    assert_int_equal(p.drained, 0);
    assert_int_equal(stream_sent(&p.s), in_kernel);
    while (stream_unsent(&p.s) > 0) {
        read_some(&p, &read);
        one_turn(&l);
        assert_true(p.drained == (stream_is_behind(&p.s) ? 0 : 1));
    }
    read_some(&p, &read);
    assert_int_equal(read, stream_sent(&p.s));
    assert_int_equal(read, p.s.queued_total);
    assert_int_equal(p.drained, 1);
    end_pair(&p);
    loop_end(&l);
}

static void say_more(struct pair *p)
{
    stream_write_when(&p->s, STREAM_WHEN_QUIET);
    stream_send(&p->s, SPAN("more"));
}

/* A stream that was behind within a turn drains at the end of it. What its user queues then goes
   out without anything else happening. The guard is off, so a loop that sleeps sleeps for ever. */
static void test_drained_at_the_end_of_a_turn(void **state)
{
    (void)state;
    struct loop l;
    struct pair p;
    static char block[STREAM_HIGH];
    int size = 4 * STREAM_HIGH;
    loop_begin(&l, NULL, NULL);
    open_pair(&p, &l, false);
    int fd = stream_fd(&p.s);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    p.on_drained = say_more;
    uv_timer_stop(&l.guard);
    stream_send(&p.s, (struct span){ block, 100000 });
    stream_send(&p.s, (struct span){ block, STREAM_HIGH - 100000 });
    assert_true(stream_is_behind(&p.s));
    uint64_t read = 0;
    while (p.drained == 0) {
        one_turn(&l);
        if (p.s.writing)
            read_some(&p, &read);
    }
    assert_int_equal(uv_backend_timeout(&l.uv), 0);
    uv_run(&l.uv, UV_RUN_ONCE);
    one_turn(&l);
    assert_int_equal(stream_unsent(&p.s), 0);
    assert_int_equal(uv_backend_timeout(&l.uv), -1);
    end_pair(&p);
    uv_timer_start(&l.guard, loop_on_guard, 20, 20);
    loop_end(&l);
}

/* At turn 0, 1 and 2, twice, with bytes queued and with a write under way: on_closed comes once,
   with the first reason, and never from inside. */
static void test_close(void **state)
{
    (void)state;
    for (int turn = 0; turn <= 2; turn++) {
        for (int stuck = 0; stuck <= 1; stuck++) {
            struct loop l;
            struct pair p;
            loop_begin(&l, NULL, NULL);
            open_pair(&p, &l, false);
            if (stuck)
                fill_until_stuck(&p);
            for (int i = 0; i < turn; i++)
                one_turn(&l);
            stream_send(&p.s, SPAN("never leaves"));
            uint64_t sent = stream_sent(&p.s);
            stream_close(&p.s, ERR_KILLED);
            stream_close(&p.s, ERR_IDLE);
            stream_finish(&p.s, ERR_IDLE);
            assert_int_equal(stream_sent(&p.s), sent);
            assert_int_equal(p.closed, 0);
            LOOP_UNTIL(&l, p.closed > 0);
            assert_int_equal(p.why, ERR_KILLED);
            end_pair(&p);
            loop_end(&l);
        }
    }
}

/* The peer's end of file or reset, and a close in the very turn of it. */
static void test_close_in_the_turn_of_a_failure(void **state)
{
    (void)state;
    for (int reset = 0; reset <= 1; reset++) {
        for (int mine = 0; mine <= 1; mine++) {
            struct loop l;
            uint16_t port;
            loop_begin(&l, NULL, NULL);
            int server = loop_listen(1, &port), fd = loop_connect(port);
            struct pair p = { .loop = &l, .fd = -1, .close_on_data = mine };
            int other;
            LOOP_UNTIL(&l, (other = accept(server, NULL, NULL)) >= 0);
            assert_int_equal(stream_init(&p.s, &l.net, &user, AF_UNSPEC), 0);
            assert_int_equal(uv_tcp_open(&p.s.tcp, other), 0);
            stream_start(&p.s, 10);
            stream_send(&p.s, SPAN("to nobody"));
            if (mine)
                assert_int_equal(write(fd, "x", 1), 1);
            reset ? loop_reset(fd) : (void)close(fd);
            LOOP_UNTIL(&l, p.closed > 0);
            if (!mine)
                assert_int_equal(p.why, reset ? ERR_RESET : ERR_CLOSED_BY_PEER);
            else
                assert_true(p.why == ERR_KILLED || p.why == ERR_RESET);
            close(server);
            end_pair(&p);
            loop_end(&l);
        }
    }
}

/* finish writes everything first, also to a peer that reads late, and gives up when that one goes.
 */
static void test_finish(void **state)
{
    (void)state;
    for (int leaves = 0; leaves <= 1; leaves++) {
        struct loop l;
        struct pair p;
        uint64_t read = 0;
        loop_begin(&l, NULL, NULL);
        open_pair(&p, &l, false);
        fill_until_stuck(&p);
        stream_send(&p.s, SPAN("last words"));
        uint64_t all = p.s.queued_total;
        stream_finish(&p.s, ERR_SHUTDOWN);
        stream_finish(&p.s, ERR_IDLE);
        loop_run_ms(&l, 30);
        assert_int_equal(p.closed, 0);
        if (leaves) {
            close(p.fd);
            p.fd = -1;
        }
        while (p.closed == 0) {
            if (p.fd >= 0)
                read_some(&p, &read);
            uv_run(&l.uv, UV_RUN_ONCE);
        }
        if (p.fd >= 0)
            read_some(&p, &read);
        assert_int_equal(p.why, ERR_SHUTDOWN);
        assert_true(leaves || read == all);
        end_pair(&p);
        loop_end(&l);
    }
}

/* Bytes that were kept stay as they were while others arrive; an idle stream holds nothing. */
static void test_keep_chunk(void **state)
{
    (void)state;
    struct loop l;
    struct pair p;
    loop_begin(&l, NULL, NULL);
    open_pair(&p, &l, false);
    p.keep_next = true;
    assert_int_equal(write(p.fd, "precious", 8), 8);
    LOOP_UNTIL(&l, p.data == 1);
    assert_int_equal(write(p.fd, "overwritten", 11), 11);
    LOOP_UNTIL(&l, p.data == 2);
    assert_int_equal(p.kept.len, 8);
    assert_memory_equal(p.kept.at, "precious", 8);
    assert_int_equal(l.net.store.chunks.live, 2);
    chunk_unref(p.keep);
    assert_int_equal(l.net.store.chunks.live, 1);
    assert_int_equal(p.s.received, 19);
    end_pair(&p);
    loop_end(&l);
}

static void test_read_into(void **state)
{
    (void)state;
    struct loop l;
    struct pair p;
    loop_begin(&l, NULL, NULL);
    open_pair(&p, &l, false);
    struct chunk *mine = NULL;
    struct rope begun = { 0 };
    rope_copy(&begun, &l.net.store, &mine, SPAN("begun "));
    rope_clear(&begun, &l.net.store);
    stream_read_into(&p.s, mine);
    assert_int_equal(write(p.fd, "and ended", 9), 9);
    LOOP_UNTIL(&l, p.got == 9);
    assert_int_equal(mine->used, 15);
    assert_memory_equal(mine->bytes, "begun and ended", 15);
    /* Back to the shared one; what is paused stays in the kernel until it is resumed. */
    stream_read_into(&p.s, NULL);
    stream_pause(&p.s);
    stream_pause(&p.s);
    assert_int_equal(write(p.fd, "later", 5), 5);
    loop_run_ms(&l, 30);
    assert_int_equal(p.got, 9);
    stream_resume(&p.s);
    stream_resume(&p.s);
    LOOP_UNTIL(&l, p.got == 14);
    assert_int_equal(mine->used, 15);
    chunk_unref(mine);
    end_pair(&p);
    loop_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_write_per_turn),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_corked),
        cmocka_unit_test(test_corked_one_by_one),
        cmocka_unit_test(test_send_after_close),
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_drained_at_the_end_of_a_turn),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_in_the_turn_of_a_failure),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_keep_chunk),
        cmocka_unit_test(test_read_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
