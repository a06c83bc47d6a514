#include "proxy/blocking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/blocked.h"
#include "proxy/blocking_ids.h"

enum { WORDS_MAX = 16 };

/* "XREAD BLOCK 0" as a request's arguments; lent until the next call. */
static struct argv argv_of(const char *words)
{
    static struct arg args[WORDS_MAX];
    struct argv argv = { .base = words, .v = args };

    for (const char *p = words; *p != '\0';) {
        size_t len = strcspn(p, " ");
        args[argv.count++] = (struct arg){ (uint32_t)(p - words), (uint32_t)len };
        p += len + (p[len] == ' ');
    }
    return argv;
}

static struct command_table *commands;

static int start(void **state)
{
    (void)state;
    commands = command_table_new();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    command_table_free(commands);
    return 0;
}

static const struct command *row_of(const struct argv *argv)
{
    const struct command *cmd = command_find(commands, argv_get(argv, 0));
    assert_non_null(cmd);
    return cmd;
}

static void test_deadlines(void **state)
{
    static const struct {
        const char *words;
        uint64_t deadline; /* begun at 1000; 0: for ever */
    } rows[] = {
        { "BLPOP k 1.5", 2500 },
        { "brpop k l 0", 0 },
        { "BLMOVE a b LEFT LEFT 0.0001", 1001 },
        { "BRPOPLPUSH a b 10", 11000 },
        { "BLMPOP 0.25 1 k LEFT", 1250 },
        { "BZMPOP 2 1 k MIN COUNT 7", 3000 },
        { "BZPOPMIN k -1", 0 },
        { "BZPOPMAX k x", 0 },
        { "BLPOP k 1e400", 0 },
        { "XREAD COUNT 5 BLOCK 30 STREAMS k 0", 1030 },
        { "XREAD COUNT 5 STREAMS block 0", 0 },
        { "XREADGROUP GROUP block 7 BLOCK 8 STREAMS k >", 1008 },
        { "WAIT 2 500", 1500 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct argv argv = argv_of(rows[i].words);
        uint64_t wanted = rows[i].deadline == 0 ? BLOCKED_FOR_EVER : rows[i].deadline;
        assert_int_equal(blocking_deadline(row_of(&argv), &argv, 1000), wanted);
    }
}

static void test_waits(void **state)
{
    static const struct {
        const char *words;
        bool waits;
    } rows[] = {
        { "BLPOP k 0", true },
        { "XREAD BLOCK 0 STREAMS k 0", true },
        { "XREAD COUNT 1 block 5 STREAMS k 0", true },
        { "XREAD STREAMS block 0", false },
        { "XREADGROUP GROUP block block STREAMS k >", false },
        { "XREADGROUP GROUP g c NOACK BLOCK 1 STREAMS k >", true },
        { "XREAD COUNT 1 BLOCK", false }, /* the node explains it at once */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct argv argv = argv_of(rows[i].words);
        assert_int_equal(blocking_waits(row_of(&argv), &argv), rows[i].waits);
    }
}

static void expect_text(struct blocking_timeout t, uint64_t deadline, const char *wanted)
{
    char room[BLOCKING_TIMEOUT_MAX];
    struct span text = blocking_timeout_text(t, deadline, 1000, room, sizeof(room));

    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.at, wanted, text.len);
}

/* What is left is never nothing, for that would be for ever. */
static void test_rest_of_the_time(void **state)
{
    struct blocking_timeout seconds = { 2, false }, ms = { 2, true };

    (void)state;
    expect_text(seconds, 3005, "2.005");
    expect_text(seconds, 1000, "0.001");
    expect_text(seconds, 500, "0.001");
    expect_text(seconds, BLOCKED_FOR_EVER, "0");
    expect_text(ms, 3005, "2005");
    expect_text(ms, 999, "1");
    expect_text(ms, BLOCKED_FOR_EVER, "0");
}

static void expect_known(const struct stream_ids *ids, uint32_t arg, const char *wanted)
{
    struct span known = stream_ids_known(ids, arg, argv_get(ids->argv, arg));

    assert_int_equal(known.len, strlen(wanted));
    assert_memory_equal(known.at, wanted, known.len);
}

/* Replies in one piece and byte by byte; an error leaves "$", and is asked again. */
static void test_ids(void **state)
{
    static const char entry[] = "*1\r\n*2\r\n$5\r\n77-01\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n";
    struct argv argv = argv_of("XREAD BLOCK 0 STREAMS a b c d $ 5 $ $");
    struct stream_ids ids;
    struct writer w;

    (void)state;
    for (size_t cut = 1; cut < sizeof(entry); cut++) {
        writer_init(&w, 2);
        stream_ids_open(&ids, row_of(&argv), &argv);
        assert_int_equal(stream_ids_ask(&ids, &w, SPAN("")), 3);
        for (size_t at = 0; at + 1 < sizeof(entry); at += cut) {
            size_t n = sizeof(entry) - 1 - at < cut ? sizeof(entry) - 1 - at : cut;
            stream_ids_take(&ids, (struct span){ entry + at, n }, at + n == sizeof(entry) - 1);
        }
        stream_ids_take(&ids, SPAN("-WRONGTYPE no\r\n"), true);
        stream_ids_take(&ids, SPAN("*0\r\n"), true);
        expect_known(&ids, 8, "77-01");
        expect_known(&ids, 9, "5");
        expect_known(&ids, 10, "$");
        expect_known(&ids, 11, "0-0");
        writer_clear(&w, 2);
        assert_int_equal(stream_ids_ask(&ids, &w, SPAN("prefix")), 2);
        assert_int_equal(w.len, 6 + strlen("*6\r\n$9\r\nXREVRANGE\r\n$1\r\nc\r\n$1\r\n+\r\n"
                                           "$1\r\n-\r\n$5\r\nCOUNT\r\n$1\r\n1\r\n"));
        stream_ids_take(&ids, SPAN("+OK\r\n"), true);
        stream_ids_take(&ids, SPAN(entry), true);
        expect_known(&ids, 10, "77-01");
        stream_ids_close(&ids);
        writer_close(&w);
    }
}

/* Keys and ids that do not come in pairs, and other commands, have none. */
static void test_no_ids(void **state)
{
    static const char *const words[] = { "XREAD BLOCK 0 STREAMS a b $", "XREAD BLOCK 0 STREAMS",
                                         "XREAD BLOCK 0", "XREAD BLOCK 0 STREAMS a 5",
                                         "XREADGROUP GROUP g c BLOCK 0 STREAMS a $" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct argv argv = argv_of(words[i]);
        struct stream_ids ids;
        struct writer w;
        writer_init(&w, 2);
        stream_ids_open(&ids, row_of(&argv), &argv);
        assert_int_equal(stream_ids_ask(&ids, &w, SPAN("")), 0);
        stream_ids_close(&ids);
        writer_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines),        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_rest_of_the_time), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_no_ids),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
