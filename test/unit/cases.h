/*
 * cases.h: one sample, cut in every way, has to be understood in one way.
 */
#ifndef TEST_CASES_H
#define TEST_CASES_H

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "test/unit/request_log.h"

typedef void log_fn(struct writer *log, struct span bytes, const void *context, struct cut cut);

static inline void check_cut(log_fn *run, struct span bytes, const void *context, const char *want,
                             struct cut cut)
{
    struct writer log;
    writer_init(&log, 2);
    run(&log, bytes, context, cut);
    write_raw(&log, (struct span){ "", 1 });
    assert_string_equal(log.at, want);
    writer_close(&log);
}

/* Whole, in two pieces at every place, byte by byte, and in random pieces. */
static inline void check_cuts(log_fn *run, struct span bytes, const void *context, const char *want)
{
    check_cut(run, bytes, context, want, (struct cut){ .first = bytes.len, .then = bytes.len });
    for (size_t i = 1; i < bytes.len; i++)
        check_cut(run, bytes, context, want, (struct cut){ .first = i, .then = bytes.len });
    check_cut(run, bytes, context, want, (struct cut){ .first = 1, .then = 1 });
    for (uint32_t seed = 1; seed < 20; seed += 2)
        check_cut(run, bytes, context, want, (struct cut){ .random = seed });
}

#endif
