#include "cluster/redirect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct redirect read_text(const char *text)
{
    return redirect_read((struct span){ text, strlen(text) });
}

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum verdict verdict;
    } rows[] = {
        { "-TRYAGAIN Multiple keys request during rehashing of slot\r\n", VERDICT_TRY_AGAIN },
        { "-CLUSTERDOWN The cluster is down\r\n", VERDICT_WAIT },
        { "-LOADING Redis is loading the dataset in memory\r\n", VERDICT_WAIT },
        { "-MASTERDOWN Link with MASTER is down\r\n", VERDICT_WAIT },
        { "-READONLY You can't write against a read only replica.\r\n", VERDICT_READ_ONLY },
        { "!20\r\nTRYAGAIN some reason\r\n", VERDICT_TRY_AGAIN },
        { "-ERR MOVED 1 a:1\r\n", VERDICT_PASS },
        { "-moved 1 a:1\r\n", VERDICT_PASS },
        { "-LOADINGS x\r\n", VERDICT_PASS },
        { "-CLUSTERDOWN\r\n", VERDICT_PASS },
        { "-\r\n", VERDICT_PASS },
        { "!0\r\n\r\n", VERDICT_PASS },
        { "!", VERDICT_PASS },
        { "", VERDICT_PASS },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(read_text(rows[i].text).verdict, rows[i].verdict);
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        enum verdict verdict;
        uint16_t slot, port;
    } rows[] = {
        { "-MOVED 3999 127.0.0.1:6381\r\n", "127.0.0.1", VERDICT_MOVED, 3999, 6381 },
        { "-ASK 0 node-b.test:7000\r\n", "node-b.test", VERDICT_ASK, 0, 7000 },
        { "-MOVED 16383 ::1:7000\r\n", "::1", VERDICT_MOVED, 16383, 7000 },
        { "-MOVED 1 [fe80::1]:7000\r\n", "fe80::1", VERDICT_MOVED, 1, 7000 },
        { "-MOVED 1 :7000\r\n", "", VERDICT_MOVED, 1, 7000 },
        { "!20\r\nMOVED 7 1.2.3.4:6379\r\n", "1.2.3.4", VERDICT_MOVED, 7, 6379 },
        { "!12\r\nASK 16383 a:1\r\n", "a", VERDICT_ASK, 16383, 1 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redirect r = read_text(rows[i].text);
        assert_int_equal(r.verdict, rows[i].verdict);
        assert_int_equal(r.slot, rows[i].slot);
        assert_int_equal(r.to.port, rows[i].port);
        assert_string_equal(r.to.host, rows[i].host);
    }
}

/* Redis's documentation of CLUSTER SLOTS: '?' is an unknown node, not the one that answered. */
static void test_unknown_node(void **state)
{
    (void)state;
    assert_int_equal(read_text("-MOVED 1 ?:7000\r\n").verdict, VERDICT_WAIT);
    assert_int_equal(read_text("-ASK 1 ?:7000\r\n").verdict, VERDICT_WAIT);
}

/* Nothing that we could follow: the client's own business. */
static void test_malformed(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "-MOVED \r\n",
        "-MOVED 1\r\n",
        "-MOVED 1 \r\n",
        "-MOVED 1 a\r\n",
        "-MOVED 1 a:\r\n",
        "-MOVED 1 a:0\r\n",
        "-MOVED 1 a:65536\r\n",
        "-MOVED 16384 a:1\r\n",
        "-MOVED 999999999999 a:1\r\n",
        "-MOVED -1 a:1\r\n",
        "-MOVED x a:1\r\n",
        "-MOVED 1 a b:1\r\n",
        "-MOVED 1  a:1\r\n",
        "-ASK 1 a:1 and more\r\n",
        "-ASK 1 ?:0\r\n",
        "-MOVED 1 a@b:1\r\n",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(read_text(rows[i]).verdict, VERDICT_PASS);
    char huge[400] = "-MOVED 1 ";
    memset(huge + 9, 'h', 300);
    strcpy(huge + 309, ":7000\r\n");
    assert_int_equal(read_text(huge).verdict, VERDICT_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_unknown_node),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
