/* migrate/replay.h: which commands may be executed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "migrate/replay.h"

static bool absolute(const char *text)
{
    struct span words[16];
    size_t count = 0;
    while (*text != '\0' && count < ARRAY_LEN(words)) {
        size_t len = strcspn(text, " ");
        words[count++] = (struct span){ text, len };
        text += len + (text[len] == ' ');
    }
    return replay_is_absolute(words, count);
}

static void test_absolute(void **state)
{
    static const char *const yes[] = {
        "SET k v",
        "set k v PXAT 1",
        "DEL k",
        "HSET h f v",
        "ZADD z 1 m",
        "zadd z CH 1 m",
        "XTRIM s MINID 5",
        "RESTORE k 0 payload REPLACE",
        "PEXPIREAT k 1",
        "HPEXPIREAT k 1 FIELDS 1 a",
        "hsetex k PXAT 1 FIELDS 1 a b",
    };
    static const char *const no[] = {
        "INCR k",
        "APPEND k v",
        "RPUSH k v",
        "ZADD z NX 1 m",
        "ZADD z INCR 1 m",
        "ZADD z GT CH 1 m",
        "XADD s 1-1 f v",
        "XADD s MAXLEN 5 * f v",
        "XTRIM s MAXLEN 5",
        "RESTORE k 0 payload",
        "RENAME a b",
        "EVAL x 0",
        "UNHEARD-OF k",
        "SINTERSTORE a b c",
        "HPEXPIREAT k 1 GT FIELDS 2 a b",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (!absolute(yes[i]))
            fail_msg("%s", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (absolute(no[i]))
            fail_msg("%s", no[i]);
}

static void test_errors(void **state)
{
    (void)state;
    assert_true(replay_is_needed("ERR slotgate: no answer from node 10.0.0.1:1: timeout"));
    assert_true(replay_is_needed("ERR slotgate: x while waiting for node y; the command may have "
                                 "been executed"));
    assert_true(replay_is_needed("CLUSTERDOWN The cluster is down"));
    assert_true(replay_is_needed("OOM command not allowed when used memory > 'maxmemory'."));
    assert_true(replay_is_needed("EXECABORT Transaction discarded because of: OOM command not "
                                 "allowed when used memory > 'maxmemory'."));
    assert_false(replay_is_needed("EXECABORT Transaction discarded because of: NOPERM this user"));
    assert_false(replay_is_needed(""));
    assert_false(replay_is_needed("WRONGTYPE Operation against a key"));
    assert_false(replay_is_needed("ERR slotgate: LATENCY is refused: ..."));
    assert_true(replay_is_expected("ERR Library not found"));
    assert_true(replay_is_expected("WRONGTYPE Operation against a key"));
    assert_true(replay_is_expected("ERR The ID specified in XADD is equal or smaller than the"));
    assert_false(replay_is_expected("ERR unknown command 'x'"));
    assert_false(replay_is_expected(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absolute),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
