/*
 * check.h: what only a bug in this program can break.
 *
 * REQUIRE  always on; memory or an invariant is in doubt, so abort with file and line.
 * CHECK    aborts in a debug build; in release it logs once per place and yields false, so that
 *          the caller can close the one connection that is in doubt:
 *              if (!CHECK(x->state == OPEN)) { x_close(x, ERR_INTERNAL); return; }
 * BUILD_ASSERT  is checked by the compiler.
 *
 * Bytes from a peer are never asserted, always answered.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>

_Noreturn void check_fail(const char *what, const char *file, int line);
bool check_soft_fail(const char *what, const char *file, int line);

#define REQUIRE(cond) ((cond) ? (void)0 : check_fail(#cond, __FILE__, __LINE__))
#define CHECK(cond) ((cond) ? true : check_soft_fail(#cond, __FILE__, __LINE__))
#define BUILD_ASSERT(cond, text) _Static_assert(cond, text)

/* Says of a result that the caller must look at it. */
#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
