#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_fail(const char *what, const char *file, int line)
{
    fprintf(stderr, "fatal: %s:%d: this must hold: %s\n", file, line, what);
    abort();
}

bool check_soft_fail(const char *what, const char *file, int line)
{
#ifndef NDEBUG
    check_fail(what, file, line);
#else
    fprintf(stderr, "error: %s:%d: this must hold: %s\n", file, line, what);
    return false;
#endif
}
