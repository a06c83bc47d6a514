#include "test/lib/namespace.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/testenv.h"

void namespace_enter(int flags)
{
    char map[32];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    assert_int_equal(unshare(uid == 0 ? flags : CLONE_NEWUSER | flags), 0);
    if (uid == 0)
        return;
    assert_true(file_put("/proc/self/setgroups", "deny"));
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
    assert_true(file_put("/proc/self/uid_map", map));
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
    assert_true(file_put("/proc/self/gid_map", map));
}
