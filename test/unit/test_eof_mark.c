/* The end of a payload with a mark, in all ways of cutting, with payloads that look like it. */
#include "migrate/eof_mark.h"

#include "test/unit/cases.h"

#define MARK "0123456789abcdef0123456789abcdef01234567"

static void put(void *context, struct span bytes)
{
    write_raw(context, bytes);
}

static void find(struct writer *log, struct span bytes, const void *unused, struct cut cut)
{
    struct eof_mark m = { .held_len = 0 };
    size_t used = 0;
    bool found = false;
    (void)unused;
    memcpy(m.mark, MARK, EOF_MARK_LEN);
    while (bytes.len > 0 && !found) {
        size_t n = cut_next(&cut);
        n = n < bytes.len ? n : bytes.len;
        found = eof_mark_find(&m, (struct span){ bytes.at, n }, put, log, &used);
        bytes.at += used;
        bytes.len -= used;
    }
    write_raw(log, found ? SPAN("|") : SPAN("?"));
    write_raw(log, bytes);
}

static void test_mark(void **state)
{
    (void)state;
    check_cuts(find, SPAN("payload" MARK "behind"), NULL, "payload|behind");
    check_cuts(find, SPAN(MARK), NULL, "|");
    check_cuts(find, SPAN(MARK MARK), NULL, "|" MARK);
    check_cuts(find, SPAN("0123" MARK "*1"), NULL, "0123|*1");
    check_cuts(find, SPAN("0123456789abcdefX" MARK "*1"), NULL, "0123456789abcdefX|*1");
    check_cuts(find, SPAN("0123456789abcdef0123456789abcdef0123456x" MARK), NULL,
               "0123456789abcdef0123456789abcdef0123456x|");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_mark) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
