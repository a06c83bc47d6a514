/*
 * testenv.h: what every integration test program needs before it starts anything: a directory of
 * its own, a clock, the one way to wait for something, and an end that keeps the logs of a failure.
 *
 * Knows nothing of Redis. The directory is /tmp/slotgate-test-XXXXXX; testenv_finish removes it
 * when all went well, and otherwise prints the tail of every log in it and leaves it there.
 */
#ifndef TEST_LIB_TESTENV_H
#define TEST_LIB_TESTENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* Milliseconds of the monotonic clock. */
uint64_t now_ms(void);

/* Whether this build, and so the proxy's, carries AddressSanitizer. */
bool testenv_sanitized(void);

/* A bound on time, made longer where the sanitizers make everything slower. */
int scaled_ms(int ms);

/* Asks holds(arg) again and again until it says true or the time is over; says what it said last.
   This is the only way in which tests wait. */
bool wait_until(bool (*holds)(void *arg), void *arg, int timeout_ms) MUST_USE;

/* The pace of a load, a moment taken at random, or time that is itself what is tested; never in
   place of a condition. */
void rest_us(int us);

/* The directory of this test program; made when first asked for. */
const char *testenv_dir(void);

/* Writes a small file into the directory and gives its path, which lives as long as the program. */
const char *testenv_file(const char *name, const char *text);

/* The whole of a file with a NUL behind it, or NULL. The caller frees it. */
char *file_text(const char *path);
/* Makes the text the whole of that file, or of a setting under /proc. False: it cannot. */
bool file_put(const char *path, const char *text) MUST_USE;

/* Notes something wrong from where no cmocka assertion may stand (a teardown, another thread). */
void testenv_problem(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Takes what cmocka_run_group_tests returned and returns what main has to return. */
int testenv_finish(int failed) MUST_USE;

#endif
