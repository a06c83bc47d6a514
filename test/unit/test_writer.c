#include "resp/writer.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct writer w;

static int setup(void **state)
{
    (void)state;
    writer_init(&w, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    writer_close(&w);
    return 0;
}

/* What was written since the last time is `want`; the next writes are of `protocol`. */
static void expect(const char *want, int protocol)
{
    write_raw(&w, (struct span){ "", 1 });
    assert_string_equal(writer_span(&w).at, want);
    writer_clear(&w, protocol);
}

static void test_scalars(void **state)
{
    (void)state;
    write_simple(&w, "OK");
    write_integer(&w, 0);
    write_integer(&w, -1);
    write_integer(&w, LLONG_MAX);
    write_integer(&w, LLONG_MIN);
    expect("+OK\r\n:0\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n", 2);
    write_bulk(&w, SPAN("a\r\nb"));
    write_bulk(&w, (struct span){ NULL, 0 });
    write_bulk_text(&w, "hello world");
    write_bulk_format(&w, "%s:%d", "id", 7);
    write_bulk_format(&w, "%s", "");
    expect("$4\r\na\r\nb\r\n$0\r\n\r\n$11\r\nhello world\r\n$4\r\nid:7\r\n$0\r\n\r\n", 2);
    write_raw(&w, (struct span){ NULL, 0 });
    expect("", 2);
}

static void test_error_is_one_line(void **state)
{
    (void)state;
    write_error(&w, "ERR no '%s' at %d", "a\r\nb\n", 5);
    write_error(&w, "%s", "");
    expect("-ERR no 'a  b ' at 5\r\n-\r\n", 2);
}

static void test_what_resp2_lacks(void **state)
{
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        writer_clear(&w, protocol);
        write_null(&w);
        write_null_array(&w);
        write_bool(&w, true);
        write_bool(&w, false);
        write_verbatim(&w, "txt", SPAN("abc"));
        write_array(&w, 3);
        write_map(&w, 2);
        write_set(&w, 1);
        write_push(&w, 4);
        expect(protocol == 2 ? "$-1\r\n*-1\r\n:1\r\n:0\r\n$3\r\nabc\r\n*3\r\n*4\r\n*1\r\n*4\r\n"
                             : "_\r\n_\r\n#t\r\n#f\r\n=7\r\ntxt:abc\r\n*3\r\n%2\r\n~1\r\n>4\r\n",
               2);
    }
}

static void test_double(void **state)
{
    (void)state;
    writer_clear(&w, 3);
    write_double(&w, 1.5);
    write_double(&w, 0.1);
    write_double(&w, 1.0 / 3);
    write_double(&w, -3);
    write_double(&w, 1e300);
    write_double(&w, INFINITY);
    write_double(&w, -INFINITY);
    write_double(&w, NAN);
    expect(",1.5\r\n,0.1\r\n,0.3333333333333333\r\n,-3\r\n,1e+300\r\n,inf\r\n,-inf\r\n,nan\r\n", 2);
    write_double(&w, 2.25);
    write_double(&w, -INFINITY);
    expect("$4\r\n2.25\r\n$4\r\n-inf\r\n", 2);
}

static void test_request(void **state)
{
    (void)state;
    static const char *const args[] = { "SET", "k", "" };
    writer_clear(&w, 3);
    write_request(&w, args, 3);
    expect("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", 2);
}

static void test_growth(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++)
        write_bulk_format(&w, "%06d", i);
    assert_int_equal(w.len, 100000 * 12);
    assert_memory_equal(w.at + 12 * 54321, "$6\r\n054321\r\n", 12);
    size_t capacity = w.capacity;
    writer_clear(&w, 2);
    assert_int_equal(w.len, 0);
    assert_int_equal(w.capacity, capacity);
    char *big = calloc(1, 5000000);
    write_bulk(&w, (struct span){ big, 5000000 });
    assert_int_equal(w.len, 5000000 + 12);
    free(big);
    writer_close(&w);
    writer_close(&w);
    assert_null(w.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_is_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_resp2_lacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_double, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
