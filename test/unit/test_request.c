/*
 * The texts of all errors were compared by hand with what redis-server 7.0.15 answers to the same
 * bytes. Where the parser is stricter than Redis, the case says so.
 */
#include "resp/request.h"

#include "test/unit/cases.h"

static void run(struct writer *log, struct span bytes, const void *limits, struct cut cut)
{
    log_requests(log, bytes, limits, cut);
}

static void expect(struct span bytes, const char *want)
{
    check_cuts(run, bytes, &request_limits_default, want);
}

#define EXPECT(literal, want) expect(SPAN(literal), want)
#define BAD(text) "bad ERR Protocol error: " text "\n"

static void test_arrays(void **state)
{
    (void)state;
    EXPECT("*1\r\n$4\r\nPING\r\n", "args 1 used 14: <4:PING>\n");
    EXPECT("*3\r\n$3\r\nSET\r\n$10\r\nkey:000123\r\n$0\r\n\r\n",
           "args 3 used 36: <3:SET> <10:key:000123> <0:>\n");
    EXPECT("*2\r\n$3\r\nGET\r\n$5\r\na\r\n$b\r\n", "args 2 used 24: <3:GET> <5:a\r\n$b>\n");
    EXPECT("*1\r\n$4\r\nPI", "more 4\n");
    EXPECT("*2\r\n$4\r\nECHO\r\n", "more 1\n");
    EXPECT("*2\r\n$4\r\nECHO\r\n$2", "more 1\n");
    EXPECT("*12\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n"
           "$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$1\r\nA\r\n$1\r\nB\r\n",
           "args 12 used 89: <1:0> <1:1> <1:2> <1:3> <1:4> <1:5> <1:6> <1:7> <1:8> <1:9> <1:A> "
           "<1:B>\n");
}

static void test_pipeline(void **state)
{
    (void)state;
    EXPECT(
        "*1\r\n$4\r\nPING\r\nPING\r\n\r\n*0\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n*-1\r\n*1\r\n$1\r\n"
        "q\r\n*1\r\n$100\r\n",
        "args 1 used 14: <4:PING>\ninline used 6: PING\r\n\nempty used 2\nempty used 4\n"
        "args 2 used 21: <4:ECHO> <1:x>\nempty used 5\nargs 1 used 11: <1:q>\nmore 102\n");
}

static void test_inline(void **state)
{
    (void)state;
    EXPECT("PING\n", "inline used 5: PING\n\n");
    EXPECT("SET k \"a b\"\r\n", "inline used 13: SET k \"a b\"\r\n\n");
    EXPECT("\n\r\n \r\n", "empty used 1\nempty used 2\ninline used 3:  \r\n\n");
    EXPECT("$3\r\n", "inline used 4: $3\r\n\n");
    EXPECT("GET k", "more 1\n");
}

/* What Redis skips unseen: the byte behind a length's '\r', the two bytes behind a bulk. */
static void test_skipped_bytes(void **state)
{
    (void)state;
    EXPECT("*1\rX$4\rYPINGZZ", "args 1 used 14: <4:PING>\n");
    EXPECT("*2\r\n$4\r\nECHO$1$1\r\nx\r\n", "args 2 used 21: <4:ECHO> <1:x>\n");
}

static void test_bad_count(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "*\r\n",   "*x\r\n",  "*1x\r\n",      "*+1\r\n", "* 1\r\n",
        "*01\r\n", "*-0\r\n", "*1048577\r\n", "*-\r\n",  "*99999999999999999999999\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect((struct span){ bad[i], strlen(bad[i]) }, BAD("invalid multibulk length"));
    EXPECT("*0\r\n*-5\r\n*-9223372036854775808\r\n", "empty used 4\nempty used 5\nempty used 23\n");
    EXPECT("*1048576\r\n", "more 1\n");
    /* Redis waits here for a '\r' that it cannot see behind the NUL. */
    EXPECT("*1\0\r\n", BAD("invalid multibulk length"));
}

static void test_bad_bulk(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "*1\r\n$\r\n",           "*1\r\n$-1\r\n",
        "*1\r\n$x\r\n",          "*1\r\n$1 \r\n",
        "*1\r\n$00\r\n",         "*1\r\n$+1\r\n",
        "*1\r\n$536870913\r\n",  "*1\r\n$05\r\nhello\r\n",
        "*1\r\n$9999999999\r\n", "*2\r\n$1\r\na\r\n$18446744073709551617\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect((struct span){ bad[i], strlen(bad[i]) }, BAD("invalid bulk length"));
    EXPECT("*1\r\n$536870912\r\n", "more 536870914\n");
    EXPECT("*1\r\n*1\r\n", BAD("expected '$', got '*'"));
    EXPECT("*2\r\n$1\r\na\r\n:5\r\n", BAD("expected '$', got ':'"));
    EXPECT("*1\r\n\r\n", BAD("expected '$', got ' '"));
    EXPECT("*1\r\nPING\r\n", BAD("expected '$', got 'P'"));
}

/* `fill` repeated behind `begin`: Redis's limit of 64 KiB for a line without an end. */
static void expect_long(const char *begin, char fill, size_t len, const char *end, const char *want)
{
    size_t before = strlen(begin), behind = strlen(end);
    char *bytes = malloc(before + len + behind);
    memcpy(bytes, begin, before);
    memset(bytes + before, fill, len);
    memcpy(bytes + before + len, end, behind);
    struct span all = { bytes, before + len + behind };
    check_cut(run, all, &request_limits_default, want, (struct cut){ .first = all.len });
    check_cut(run, all, &request_limits_default, want, (struct cut){ .first = 10, .then = 9999 });
    check_cut(run, all, &request_limits_default, want, (struct cut){ .first = 65535, .then = 1 });
    free(bytes);
}

static void test_long_lines(void **state)
{
    (void)state;
    expect_long("*", '1', 65535, "", "more 1\n");
    expect_long("*", '1', 65535, "\r", "more 1\n");
    expect_long("*", '1', 65535, "\r\n", BAD("invalid multibulk length"));
    expect_long("*", '1', 65536, "", BAD("too big mbulk count string"));
    expect_long("*1\r\n$", '1', 65535, "", "more 1\n");
    expect_long("*1\r\n$", '1', 65535, "\r\n", BAD("invalid bulk length"));
    expect_long("*1\r\n$", '1', 65536, "", BAD("too big bulk count string"));
    expect_long("*1\r\n", 'x', 65537, "", BAD("too big bulk count string"));
    expect_long("", 'x', 65536, "", "more 1\n");
    expect_long("", 'x', 65537, "", BAD("too big inline request"));
    expect_long("", 'x', 65537, "\r\n", BAD("too big inline request"));
}

static void test_limits(void **state)
{
    (void)state;
    static const struct request_limits small = {
        .max_bulk = 5, .max_request = 30, .max_args = 3, .max_inline = 20
    };
    check_cuts(run, SPAN("*4\r\n"), &small, BAD("invalid multibulk length"));
    check_cuts(run, SPAN("*1\r\n$6\r\n"), &small, BAD("invalid bulk length"));
    check_cuts(run, SPAN("*2\r\n$5\r\n12345\r\n$5\r\n12345\r\n"), &small,
               "args 2 used 26: <5:12345> <5:12345>\n");
    check_cuts(run, SPAN("*3\r\n$5\r\n12345\r\n$4\r\n1234\r\n$0\r\n\r\n"), &small,
               BAD("too big request"));
    check_cuts(run, SPAN("*3\r\n$5\r\n12345\r\n$3\r\n123\r\n$0\r\n\r\n"), &small,
               "args 3 used 30: <5:12345> <3:123> <0:>\n");
    check_cuts(run, SPAN("123456789012345678901\r\n"), &small, BAD("too big inline request"));
}

/* A request of many arguments that trickles in costs one pass. Twice over the positions per byte
   would be 10^12 bytes copied here, and the test would run into its time limit. */
static void test_trickle_is_linear(void **state)
{
    (void)state;
    enum { ARGS = 100 * 1000 };
    struct writer w;
    writer_init(&w, 2);
    write_array(&w, ARGS);
    for (int i = 0; i < ARGS; i++)
        write_bulk_format(&w, "%d", i);
    struct request_parser p = { .state = 0 };
    struct arg_room room = { .v = NULL };
    struct argv argv = { .count = 0 };
    size_t used = 0;
    const char *error = NULL;
    for (size_t len = 1; len < w.len; len++)
        assert_int_equal(
            request_parse(&p, &request_limits_default, &room, w.at, len, &argv, &used, &error),
            REQUEST_MORE);
    assert_int_equal(
        request_parse(&p, &request_limits_default, &room, w.at, w.len, &argv, &used, &error),
        REQUEST_ARGS);
    assert_int_equal(used, w.len);
    assert_int_equal(argv.count, ARGS);
    assert_true(span_equal(argv_get(&argv, ARGS - 1), SPAN("99999")));
    assert_true(span_equal(argv_get(&argv, 12345), SPAN("12345")));
    assert_null(p.kept);
    arg_room_close(&room);
    writer_close(&w);
}

/* A header that announces a million arguments costs nothing before they come. */
static void test_announced_costs_nothing(void **state)
{
    (void)state;
    struct request_parser p = { .state = 0 };
    struct arg_room room = { .v = NULL };
    struct argv argv;
    size_t used;
    const char *error, bytes[] = "*1000000\r\n$1\r\na\r\n";
    assert_int_equal(request_parse(&p, &request_limits_default, &room, bytes, sizeof(bytes) - 1,
                                   &argv, &used, &error),
                     REQUEST_MORE);
    assert_true(room.capacity <= 64);
    assert_true(p.kept_capacity <= 64);
    request_parser_reset(&p);
    assert_null(p.kept);
    assert_int_equal(p.state, 0);
    arg_room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_skipped_bytes),
        cmocka_unit_test(test_bad_count),
        cmocka_unit_test(test_bad_bulk),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_trickle_is_linear),
        cmocka_unit_test(test_announced_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
