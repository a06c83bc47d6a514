#include "resp/reply.h"

#include "test/unit/cases.h"
#include "test/unit/reply_log.h"

static void run(struct writer *log, struct span bytes, const void *unused, struct cut cut)
{
    (void)unused;
    log_replies(log, bytes, cut);
}

#define EXPECT(literal, want) check_cuts(run, SPAN(literal), NULL, want)

static void test_scalars(void **state)
{
    (void)state;
    EXPECT("+OK\r\n", "reply 5 +\n");
    EXPECT("+\r\n", "reply 3 +\n");
    EXPECT("-MOVED 3999 127.0.0.1:6381\r\n", "reply 28 -\n");
    EXPECT(":0\r\n:-12\r\n:+5\r\n", "reply 4 :\nreply 6 :\nreply 5 :\n");
    EXPECT("$5\r\nhello\r\n", "reply 11 $\n");
    EXPECT("$0\r\n\r\n", "reply 6 $\n");
    EXPECT("$-1\r\n", "reply 5 $\n");
    EXPECT("$12\r\nfoo\r\nbar\r\n\r\n\r\n", "reply 19 $\n");
    EXPECT("_\r\n#t\r\n#f\r\n", "reply 3 _\nreply 4 #\nreply 4 #\n");
    EXPECT(",1.5e-7\r\n,-inf\r\n,nan\r\n", "reply 9 ,\nreply 7 ,\nreply 6 ,\n");
    EXPECT("(3492890328409238509324850943850943825024385\r\n", "reply 46 (\n");
    EXPECT("!9\r\nERR a\r\nbc\r\n", "reply 15 !\n");
    EXPECT("=8\r\ntxt:abcd\r\n", "reply 14 =\n");
}

static void test_aggregates(void **state)
{
    (void)state;
    EXPECT("*0\r\n*-1\r\n%0\r\n~0\r\n", "reply 4 *\nreply 5 *\nreply 4 %\nreply 4 ~\n");
    EXPECT("*2\r\n$1\r\na\r\n$-1\r\n+OK\r\n", "reply 16 *\nreply 5 +\n");
    EXPECT("*2\r\n*2\r\n:1\r\n*0\r\n*1\r\n*1\r\n:2\r\n:9\r\n", "reply 28 *\nreply 4 :\n");
    EXPECT("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n$1\r\nx\r\n", "reply 23 %\nreply 7 $\n");
    EXPECT("~2\r\n#t\r\n#f\r\n", "reply 12 ~\n");
    EXPECT("*2\r\n%1\r\n*0\r\n%0\r\n-ERR\r\n", "reply 22 *\n");
    EXPECT("*3\r\n:1\r\n", "more 8\n");
}

static void test_push(void **state)
{
    (void)state;
    EXPECT(">3\r\n+message\r\n+c\r\n$1\r\nx\r\n:1\r\n", "reply 25 >\nreply 4 :\n");
}

/* An attribute belongs to the reply behind it, whose type is the one that counts. */
static void test_attributes(void **state)
{
    (void)state;
    EXPECT("|1\r\n+ttl\r\n:5\r\n-ERR\r\n:1\r\n", "reply 20 -\nreply 4 :\n");
    EXPECT("|0\r\n:1\r\n", "reply 8 :\n");
    EXPECT("|1\r\n+k\r\n*1\r\n:5\r\n*2\r\n:1\r\n:2\r\n", "reply 28 *\n");
    EXPECT("|1\r\n|1\r\n+a\r\n+b\r\n+k\r\n+v\r\n$1\r\nx\r\n", "reply 31 $\n");
    EXPECT("|0\r\n|0\r\n+x\r\n", "reply 12 +\n");
    EXPECT("*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n:3\r\n", "reply 24 *\nreply 4 :\n");
}

static void test_deep(void **state)
{
    (void)state;
    struct writer w;
    writer_init(&w, 2);
    for (int i = 0; i < 100000; i++)
        write_array(&w, 1);
    write_integer(&w, 1);
    check_cut(run, writer_span(&w), NULL, "reply 400004 *\n", (struct cut){ .first = w.len });
    check_cut(run, writer_span(&w), NULL, "reply 400004 *\n",
              (struct cut){ .first = 3, .then = 7 });
    writer_close(&w);
}

/* A '\r' alone may stand in a line; nothing of ours relies on it, but clients take it. */
static void test_lone_cr(void **state)
{
    (void)state;
    EXPECT("+a\rb\r\r\n:1\r\n", "reply 7 +\nreply 4 :\n");
    EXPECT("-a\nb\r\n", "reply 6 -\n");
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "hello",
        "\r\n",
        "$\r\n",
        "$x\r\n",
        "$-2\r\n",
        "$-\r\n",
        "$-11\r\n",
        "$--1\r\n",
        "$1-\r\n",
        "$+1\r\n",
        "$01\r\n",
        "$1\rx",
        "$-01\r\n",
        "$3\r\nabcd\r",
        "$3\r\nabc\rx",
        "$?\r\n",
        "$4294967297\r\n",
        "*99999999999",
        "*\r\n",
        "*-2\r\n",
        "%-1\r\n",
        "~-1\r\n",
        "=-1\r\n",
        "!-1\r\n",
        ":\r\n",
        ":1x\r\n",
        ":1\r1",
        "_x\r\n",
        "#\r\n",
        "#x\r\n",
        "#tt\r\n",
        ",\r\n",
        ",abc\r\n",
        "(1.5\r\n",
        "(\r\n",
        "*1\r\nx",
        "*2\r\n:1\r\n?",
        "$00000000000000000000",
        "*?\r\n",
        ".\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_cuts(run, (struct span){ bad[i], strlen(bad[i]) }, NULL, "bad\n");
    EXPECT(":1\r\n$1\r\nab\r", "reply 4 :\nbad\n");
    EXPECT("$4294967296\r\nx", "more 14\n");
}

/* Children of children of children: the count is bounded before it can overflow. */
static void test_overflow(void **state)
{
    (void)state;
    struct writer w;
    writer_init(&w, 2);
    for (int i = 0; i < 40000; i++)
        write_raw(&w, SPAN("%9999999999\r\n"));
    check_cut(run, writer_span(&w), NULL, "bad\n", (struct cut){ .first = w.len });
    check_cut(run, writer_span(&w), NULL, "bad\n", (struct cut){ .first = 1, .then = 1 });
    writer_close(&w);
    writer_init(&w, 2);
    for (int i = 0; i < 400000; i++)
        write_raw(&w, SPAN("*999999999\r\n"));
    check_cut(run, writer_span(&w), NULL, "bad\n", (struct cut){ .first = w.len });
    check_cut(run, writer_span(&w), NULL, "bad\n", (struct cut){ .first = 5, .then = 1000 });
    writer_close(&w);
}

static void test_long_line(void **state)
{
    (void)state;
    enum { MOST = 1024 * 1024 };
    char *line = malloc(MOST + 4);
    memset(line, 'x', MOST + 4);
    line[0] = '+';
    struct cut whole = { .first = MOST + 4 }, pieces = { .first = 1, .then = 5000 };
    check_cut(run, (struct span){ line, MOST + 2 }, NULL, "bad\n", whole);
    check_cut(run, (struct span){ line, MOST + 2 }, NULL, "bad\n", pieces);
    memcpy(line + MOST + 1, "\r\n", 2);
    check_cut(run, (struct span){ line, MOST + 3 }, NULL, "reply 1048579 +\n", whole);
    check_cut(run, (struct span){ line, MOST + 3 }, NULL, "reply 1048579 +\n", pieces);
    free(line);
}

static void test_is_error(void **state)
{
    (void)state;
    static const struct {
        struct span bytes;
        bool error;
    } rows[] = {
        { SPAN("-ERR\r\n"), true },
        { SPAN("!3\r\nERR\r\n"), true },
        { SPAN("+OK\r\n"), false },
        { SPAN("*1\r\n-ERR\r\n"), false },
        { SPAN("|1\r\n:1\r\n:2\r\n-E\r\n"), true },
    };
    struct reply_scanner s = { .missing = 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t used;
        assert_int_equal(reply_scan(&s, rows[i].bytes.at, rows[i].bytes.len, &used), REPLY_DONE);
        assert_int_equal(reply_is_error(&s), rows[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),   cmocka_unit_test(test_aggregates),
        cmocka_unit_test(test_push),      cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_deep),      cmocka_unit_test(test_lone_cr),
        cmocka_unit_test(test_bad),       cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_long_line), cmocka_unit_test(test_is_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
