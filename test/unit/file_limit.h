/*
 * file_limit.h: a file system without room, for tests of what is written.
 */
#ifndef TEST_UNIT_FILE_LIMIT_H
#define TEST_UNIT_FILE_LIMIT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

/* No file may grow beyond that; 0: as before. */
static inline void file_limit_set(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes > 0 ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
