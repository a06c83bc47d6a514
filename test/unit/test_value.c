#include "resp/value.h"

#include "resp/reply.h"

#include "test/unit/cases.h"

/* Walks all elements; one character per kind, lists and maps with their count. */
static void walk(struct writer *log, struct span bytes)
{
    struct value_cursor c = { bytes.at, bytes.at + bytes.len };
    struct value v;
    while (value_next(&c, &v)) {
        switch (v.kind) {
        case VALUE_STRING:
        case VALUE_ERROR:
            write_raw(log, v.kind == VALUE_STRING ? SPAN("'") : SPAN("-"));
            write_raw(log, v.text);
            write_raw(log, v.kind == VALUE_STRING ? SPAN("' ") : SPAN(" "));
            break;
        case VALUE_INTEGER:
            write_integer(log, v.number);
            log->len -= 2;
            write_raw(log, SPAN(" "));
            break;
        case VALUE_NULL:
            write_raw(log, SPAN("null "));
            break;
        case VALUE_LIST:
            log_format(log, "[%zu] ", v.count);
            break;
        case VALUE_MAP:
            log_format(log, "{%zu} ", v.count);
            break;
        }
    }
    write_raw(log, c.at == c.end ? SPAN("end") : SPAN("bad"));
}

static void expect(struct span bytes, const char *want)
{
    struct writer log;
    writer_init(&log, 2);
    char *copy = malloc(bytes.len + 1);
    memcpy(copy, bytes.at, bytes.len);
    walk(&log, (struct span){ copy, bytes.len });
    write_raw(&log, (struct span){ "", 1 });
    assert_string_equal(log.at, want);
    free(copy);
    writer_close(&log);
}

#define EXPECT(literal, want) expect(SPAN(literal), want)

static void test_scalars(void **state)
{
    (void)state;
    EXPECT("", "end");
    EXPECT("+OK\r\n$3\r\na\r\n\r\n$0\r\n\r\n", "'OK' 'a\r\n' '' end");
    EXPECT("=8\r\ntxt:abcd\r\n,1.5\r\n(123\r\n", "'abcd' '1.5' '123' end");
    EXPECT("-ERR no\r\n!6\r\nERR no\r\n", "-ERR no -ERR no end");
    EXPECT(":-9223372036854775808\r\n:9223372036854775807\r\n#t\r\n#f\r\n",
           ":-9223372036854775808 :9223372036854775807 :1 :0 end");
    EXPECT("$-1\r\n*-1\r\n_\r\n", "null null null end");
    EXPECT("+a\rb\r\r\n", "'a\rb\r' end");
}

static void test_aggregates(void **state)
{
    (void)state;
    EXPECT("*2\r\n:1\r\n*0\r\n", "[2] :1 [0] end");
    EXPECT("%1\r\n+a\r\n~1\r\n:1\r\n>1\r\n:2\r\n", "{1} 'a' [1] :1 [1] :2 end");
}

static void test_attributes(void **state)
{
    (void)state;
    EXPECT("|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", ":1 :2 end");
    EXPECT("|1\r\n|1\r\n+a\r\n+b\r\n+k\r\n*1\r\n%1\r\n:1\r\n:2\r\n$1\r\nx\r\n", "'x' end");
    EXPECT("*2\r\n|0\r\n:1\r\n:2\r\n", "[2] :1 :2 end");
    EXPECT("|1\r\n+a\r\n+b\r\n", "bad");
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x",
        "\r\n",
        "$5\r\nabc\r\n",
        "$3\r\nabcxx",
        "$x\r\n",
        "$-2\r\n",
        "%-1\r\n",
        ":\r\n",
        ":1x\r\n",
        ":99999999999999999999\r\n",
        "#x\r\n",
        "_x\r\n",
        "=3\r\nabc\r\n",
        "+OK\r",
        "+OK",
        "$",
        "*99999999999999\r\n",
        "$18446744073709551615\r\n",
        "$9223372036854775807\r\n",
        "=4\r\nabcd\r\n",
        "$1\r",
        "*1\rx",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect((struct span){ bad[i], strlen(bad[i]) }, "bad");
}

static void test_skip_children(void **state)
{
    (void)state;
    static const char bytes[] = "*3\r\n%2\r\n+a\r\n*2\r\n:1\r\n:2\r\n+b\r\n*0\r\n|1\r\n+x\r\n+y\r\n"
                                "+c\r\n*1\r\n*1\r\n_\r\n+end\r\n";
    struct value_cursor c = { bytes, bytes + sizeof(bytes) - 1 };
    struct value list, v;
    assert_true(value_next(&c, &list));
    struct value_cursor children = c;
    assert_true(value_skip_children(&c, &list));
    assert_true(value_next(&c, &v));
    assert_true(span_equal(v.text, SPAN("end")));
    assert_true(value_skip_children(&c, &v));
    assert_ptr_equal(c.at, c.end);

    assert_true(value_next(&children, &v));
    assert_int_equal(v.kind, VALUE_MAP);
    assert_true(value_skip_children(&children, &v));
    assert_true(value_next(&children, &v));
    assert_true(span_equal(v.text, SPAN("c")));

    /* What fails moves nothing. */
    struct value_cursor cut = { bytes, bytes + 30 };
    assert_true(value_next(&cut, &list));
    const char *before = cut.at;
    assert_false(value_skip_children(&cut, &list));
    assert_ptr_equal(cut.at, before);
}

/* What the writer writes, the scanner delimits and the cursor reads back. */
static void test_writer_round_trip(void **state)
{
    (void)state;
    struct writer w;
    for (int protocol = 2; protocol <= 3; protocol++) {
        writer_init(&w, protocol);
        write_array(&w, 8);
        write_map(&w, 1);
        write_bulk_text(&w, "key");
        write_double(&w, 0.5);
        write_set(&w, 0);
        write_null(&w);
        write_null_array(&w);
        write_bool(&w, true);
        write_verbatim(&w, "txt", SPAN("v"));
        write_error(&w, "ERR %d", 1);
        write_push(&w, 1);
        write_integer(&w, -7);
        expect(writer_span(&w),
               protocol == 2 ? "[8] [2] 'key' '0.5' [0] null null :1 'v' -ERR 1 [1] :-7 end"
                             : "[8] {1} 'key' '0.5' [0] null null :1 'v' -ERR 1 [1] :-7 end");
        struct reply_scanner s = { .missing = 0 };
        size_t used;
        assert_int_equal(reply_scan(&s, w.at, w.len, &used), REPLY_DONE);
        assert_int_equal(used, w.len);
        writer_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),       cmocka_unit_test(test_aggregates),
        cmocka_unit_test(test_attributes),    cmocka_unit_test(test_bad),
        cmocka_unit_test(test_skip_children), cmocka_unit_test(test_writer_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
