#include "net/pipe.h"

#include <stdlib.h>

#include "base/error.h"
#include "test/unit/loop.h"

enum { CALLS = 8 };

struct call {
    struct pipe_call call;
    char text[256];
    size_t len;
    uint64_t bytes;
    unsigned pieces, done;
    char first;
};

/* A pipe and the plain socket of the node at its other end. */
struct side {
    struct loop loop;
    struct pipe p;
    int server, fd;
    unsigned opened, closed, answered, leads, left;
    int why, close_on_reply;
    char pushes[64];
    struct call calls[CALLS];
    unsigned order[CALLS];
    bool wrote[CALLS];
};

static struct side *side_of(struct pipe *p)
{
    return (struct side *)((char *)p - offsetof(struct side, p));
}

static void on_open(struct pipe *p)
{
    side_of(p)->opened++;
}

static void on_reply(struct pipe *p, struct pipe_call *call, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct side *side = side_of(p);
    struct call *c = (struct call *)(void *)call;
    c->pieces++;
    c->bytes += bytes.len;
    c->first = first;
    if (chunk != NULL)
        assert_true(bytes.at >= chunk->bytes && bytes.at + bytes.len <= chunk->bytes + chunk->used);
    if (c->len + bytes.len < sizeof(c->text)) {
        memcpy(c->text + c->len, bytes.at, bytes.len);
        c->len += bytes.len;
    }
    assert_int_equal(c->done, 0);
    if (!done)
        return;
    c->done++;
    assert_false(list_is_linked(&call->link));
    side->order[side->answered++] = (unsigned)(c - side->calls);
    if (side->close_on_reply != 0)
        pipe_close(p, side->close_on_reply);
}

static void on_lead(struct pipe *p, struct pipe_call *call, struct span bytes, char first,
                    bool done)
{
    struct side *side = side_of(p);
    assert_ptr_equal(LIST_ENTRY(p->calls.next, struct pipe_call, link), call);
    if (done && first == '-')
        assert_memory_equal(bytes.at, "-ERR whole\r\n", bytes.len); /* errors come whole */
    side->leads += done;
}

static void on_push(struct pipe *p, struct span bytes, bool done)
{
    (void)done;
    strncat(side_of(p)->pushes, bytes.at, bytes.len);
}

/* What was never answered is still in calls, oldest first, and says whether it has left. */
static void on_closed(struct pipe *p, int why)
{
    struct side *side = side_of(p);
    side->closed++;
    side->why = why;
    struct list_node *n, *safe;
    LIST_EACH (&p->calls, n, safe) {
        struct call *c = (struct call *)(void *)LIST_ENTRY(n, struct pipe_call, link);
        assert_int_equal(c - side->calls, side->answered + side->left);
        side->wrote[c - side->calls] = pipe_wrote(p, &c->call);
        side->left++;
        list_remove(n);
    }
}

static const struct pipe_user user = {
    .on_open = on_open,
    .on_reply = on_reply,
    .on_lead = on_lead,
    .on_push = on_push,
    .on_closed = on_closed,
};

static void begin(struct side *side)
{
    uint16_t port;
    memset(side, 0, sizeof(*side));
    loop_begin(&side->loop, NULL, NULL);
    side->server = loop_listen(5, &port);
    struct endpoint to = loop_endpoint("127.0.0.1", port);
    pipe_dial(&side->p, &side->loop.net, &to, 3000, NULL, &user);
    assert_int_equal(side->opened, 0);
    LOOP_UNTIL(&side->loop, side->opened);
    side->fd = accept(side->server, NULL, NULL);
    assert_true(side->fd >= 0);
    fcntl(side->fd, F_SETFL, O_NONBLOCK);
}

static void call(struct side *side, unsigned i, const char *text)
{
    struct span bytes = { text, strlen(text) };
    const char *place = pipe_send(&side->p, &side->calls[i].call, bytes);
    assert_memory_equal(place, text, bytes.len);
}

static void say(struct side *side, const char *text)
{
    assert_int_equal(write(side->fd, text, strlen(text)), strlen(text));
}

static void end(struct side *side)
{
    pipe_close(&side->p, ERR_SHUTDOWN);
    pipe_close(&side->p, ERR_IDLE);
    LOOP_UNTIL(&side->loop, side->closed);
    if (side->fd >= 0)
        close(side->fd);
    close(side->server);
    loop_end(&side->loop);
    assert_int_equal(side->closed, 1);
}

/* Replies in one read, cut at every place and byte by byte: each call gets its own. */
static void test_order(void **state)
{
    (void)state;
    static const char *const replies[] = { "+one\r\n", "$3\r\ntwo\r\n", "*2\r\n:1\r\n$-1\r\n",
                                           "-ERR four\r\n", "!5\r\nEfive\r\n" };
    char all[200] = "";
    for (size_t i = 0; i < ARRAY_LEN(replies); i++)
        strcat(all, replies[i]);
    size_t len = strlen(all);
    for (size_t cut = 0; cut <= len; cut++) {
        struct side side;
        begin(&side);
        for (unsigned i = 0; i < ARRAY_LEN(replies); i++)
            call(&side, i, "*1\r\n$4\r\nPING\r\n");
        for (size_t at = 0; at < len;) {
            size_t n = cut == len ? 1 : at == 0 && cut > 0 ? cut : len - at;
            assert_int_equal(write(side.fd, all + at, n), n);
            at += n;
            loop_run_ms(&side.loop, cut == len ? 1 : 0);
            uint64_t got = at;
            LOOP_UNTIL(&side.loop, side.p.stream.received == got);
        }
        assert_int_equal(side.answered, ARRAY_LEN(replies));
        for (unsigned i = 0; i < ARRAY_LEN(replies); i++) {
            assert_int_equal(side.order[i], i);
            assert_int_equal(side.calls[i].len, strlen(replies[i]));
            assert_memory_equal(side.calls[i].text, replies[i], side.calls[i].len);
            assert_int_equal(side.calls[i].first, replies[i][0]);
        }
        assert_int_equal(side.calls[3].pieces, 1); /* errors come whole */
        assert_int_equal(side.calls[4].pieces, 1);
        end(&side);
    }
}

/* A call that owes several replies, between two that owe one: the last is its own. */
static void test_leading_replies(void **state)
{
    (void)state;
    static const char all[] =
        "+one\r\n+OK\r\n-ERR whole\r\n*1\r\n$1\r\na\r\n*1\r\n:2\r\n+three\r\n";
    size_t len = sizeof(all) - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        struct side side;
        begin(&side);
        call(&side, 0, "x");
        side.calls[1].call.lead = 3;
        call(&side, 1, "xxxx");
        call(&side, 2, "x");
        for (size_t at = 0; at < len;) {
            size_t n = cut == len ? 1 : at == 0 && cut > 0 ? cut : len - at;
            assert_int_equal(write(side.fd, all + at, n), n);
            at += n;
            loop_run_ms(&side.loop, cut == len ? 1 : 0);
            uint64_t got = at;
            LOOP_UNTIL(&side.loop, side.p.stream.received == got);
        }
        assert_int_equal(side.leads, 3);
        assert_int_equal(side.answered, 3);
        assert_int_equal(side.calls[1].len, 8);
        assert_memory_equal(side.calls[1].text, "*1\r\n:2\r\n", 8);
        assert_memory_equal(side.calls[2].text, "+three\r\n", 8);
        end(&side);
    }
}

/* An error without end is not collected for ever: past the limit it comes in pieces, and no more as
   an error that somebody could take for a short one. */
static void test_long_error(void **state)
{
    (void)state;
    struct side side;
    begin(&side);
    call(&side, 0, "x");
    call(&side, 1, "x");
    enum { LEN = 5 * PIPE_ERROR_MAX };
    char *text = malloc(LEN);
    assert_non_null(text);
    memset(text, 'e', LEN);
    text[0] = '-';
    memcpy(text + LEN - 2, "\r\n", 2);
    size_t held = 0;
    for (size_t at = 0; at < LEN;) {
        ssize_t n = write(side.fd, text + at, LEN - at);
        at += n > 0 ? (size_t)n : 0;
        uv_run(&side.loop.uv, UV_RUN_ONCE);
        held = side.p.error.len > held ? side.p.error.len : held;
    }
    say(&side, "-ERR short\r\n");
    LOOP_UNTIL(&side.loop, side.answered == 2);
    assert_int_equal(side.calls[0].bytes, LEN);
    assert_true(side.calls[0].pieces > 1);
    assert_int_equal(side.calls[0].first, '\0');
    assert_true(held <= PIPE_ERROR_MAX);
    assert_int_equal(side.calls[1].first, '-');
    assert_memory_equal(side.calls[1].text, "-ERR short\r\n", 12);
    free(text);
    end(&side);
}

static void test_pushes(void **state)
{
    (void)state;
    struct side side;
    begin(&side);
    say(&side, ">1\r\n+a\r\n");
    call(&side, 0, "x");
    say(&side, ">1\r\n+b\r\n+mine\r\n>1\r\n+c\r\n");
    LOOP_UNTIL(&side.loop, strlen(side.pushes) == 24);
    assert_string_equal(side.pushes, ">1\r\n+a\r\n>1\r\n+b\r\n>1\r\n+c\r\n");
    assert_memory_equal(side.calls[0].text, "+mine\r\n", 7);
    end(&side);
}

/* A reply that nobody asked for and bytes that are no RESP end the connection; what was answered
   before stays answered. */
static void test_garbage(void **state)
{
    (void)state;
    static const char *const bad[] = { "+mine\r\n+whose\r\n", "+mine\r\nHTTP/1.1 400\r\n",
                                       "+mine\r\n$5\r\nabcdefg\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct side side;
        begin(&side);
        call(&side, 0, "x");
        if (i > 0)
            call(&side, 1, "x");
        say(&side, bad[i]);
        LOOP_UNTIL(&side.loop, side.closed);
        assert_int_equal(side.why, ERR_PROTOCOL);
        assert_int_equal(side.calls[0].done, 1);
        assert_int_equal(side.left, i > 0 ? 1 : 0);
        assert_int_equal(side.calls[1].done, 0);
        end(&side);
    }
}

/* Closed from inside on_reply: what else the node has said is not heard. */
static void test_close_inside(void **state)
{
    (void)state;
    struct side side;
    begin(&side);
    side.close_on_reply = ERR_LIMIT;
    call(&side, 0, "x");
    call(&side, 1, "x");
    say(&side, "+a\r\n+b\r\n");
    LOOP_UNTIL(&side.loop, side.closed);
    assert_int_equal(side.why, ERR_LIMIT);
    assert_int_equal(side.answered, 1);
    assert_int_equal(side.left, 1);
    end(&side);
}

/* The node goes: of the calls left over those that did not leave are known. */
static void test_left_over(void **state)
{
    (void)state;
    struct side side;
    begin(&side);
    call(&side, 0, "*1\r\n$4\r\nPING\r\n");
    LOOP_UNTIL(&side.loop, pipe_unsent(&side.p) == 0);
    assert_true(pipe_wrote(&side.p, &side.calls[0].call));
    /* The kernel's buffers are full half-way through call 1; call 2 is behind it, shared. */
    struct chunk *big = chunk_try_take(&side.loop.net.store.chunks, 64u << 20);
    assert_non_null(big);
    memset(big->bytes, 'x', big->size);
    pipe_share(&side.p, &side.calls[1].call, big, (struct span){ big->bytes, big->size });
    pipe_share(&side.p, &side.calls[2].call, big, (struct span){ big->bytes, 10 });
    chunk_unref(big);
    loop_run_ms(&side.loop, 50);
    assert_true(pipe_unsent(&side.p) > 0);
    assert_false(pipe_wrote(&side.p, &side.calls[1].call));
    say(&side, "+PONG\r\n");
    close(side.fd);
    side.fd = -1;
    LOOP_UNTIL(&side.loop, side.closed);
    assert_int_equal(side.answered + side.left, 3);
    for (unsigned i = side.answered; i < 3; i++)
        assert_true(side.wrote[i] == (i == 0));
    end(&side);
}

static void test_close_after_write(void **state)
{
    (void)state;
    struct side side;
    begin(&side);
    call(&side, 0, "written");
    LOOP_UNTIL(&side.loop, pipe_unsent(&side.p) == 0);
    call(&side, 1, "queued");
    pipe_close(&side.p, ERR_KILLED);
    call(&side, 2, "after the end");
    LOOP_UNTIL(&side.loop, side.closed);
    assert_int_equal(side.left, 3);
    assert_true(side.wrote[0] && !side.wrote[1] && !side.wrote[2]);
    assert_int_equal(side.why, ERR_KILLED);
    end(&side);
}

/* pipe_close at any moment of a dial, and twice: on_closed comes once, with the reason given. */
static void test_close_while_dialling(void **state)
{
    (void)state;
    static const char *const hosts[] = { "127.0.0.1", "localhost", "no-such-name.invalid" };
    for (size_t host = 0; host < ARRAY_LEN(hosts); host++) {
        for (int turns = 0; turns < 5; turns++) {
            struct side side = { .fd = -1 };
            uint16_t port;
            loop_begin(&side.loop, NULL, NULL);
            side.server = loop_listen(5, &port);
            struct endpoint to = loop_endpoint(hosts[host], port);
            pipe_dial(&side.p, &side.loop.net, &to, 3000, NULL, &user);
            for (int i = 0; i < turns; i++)
                uv_run(&side.loop.uv, UV_RUN_NOWAIT);
            bool early = side.closed == 0;
            pipe_close(&side.p, ERR_KILLED);
            pipe_close(&side.p, ERR_IDLE);
            assert_true(side.closed == !early);
            LOOP_UNTIL(&side.loop, side.closed);
            if (early)
                assert_int_equal(side.why, ERR_KILLED);
            end(&side);
        }
    }
}

static void test_never_connected(void **state)
{
    (void)state;
    struct side side = { .fd = -1 };
    uint16_t port;
    loop_begin(&side.loop, NULL, NULL);
    side.server = loop_deaf_port(&port);
    struct endpoint to = loop_endpoint("127.0.0.1", port);
    pipe_dial(&side.p, &side.loop.net, &to, 3000, NULL, &user);
    LOOP_UNTIL(&side.loop, side.closed);
    assert_int_equal(side.why, ERR_CONNECT);
    assert_int_equal(side.opened, 0);
    end(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_leading_replies),
        cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_pushes),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_close_inside),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_close_after_write),
        cmocka_unit_test(test_close_while_dialling),
        cmocka_unit_test(test_never_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
