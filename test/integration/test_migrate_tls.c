/*
 * slotgate-migrate with rediss://: a source with TLS into a cluster with TLS, straight and through
 * a slotgate that its clients speak TLS to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/certs.h"
#include "test/lib/every_type.h"
#include "test/lib/migrate_process.h"
#include "test/lib/testenv.h"

static const char *dir;
static char ca[320], cert[320], key[320], source_at[48], proxy_at[48], seeds_at[560];

static int start(void **state)
{
    char port[8], seeds[512];
    uint16_t tls_port = port_take();
    (void)state;
    dir = certs_make("certs", "IP:127.0.0.1");
    snprintf(ca, sizeof(ca), "%s", certs_file(dir, "ca.crt"));
    snprintf(cert, sizeof(cert), "%s", certs_file(dir, "server.crt"));
    snprintf(key, sizeof(key), "%s", certs_file(dir, "server.key"));
    snprintf(port, sizeof(port), "%d", tls_port);
    /* clang-format off */
    oracle_start_with(&oracle, (const char *const[]){
        "--tls-port", port, "--tls-ca-cert-file", ca, "--tls-cert-file", cert, "--tls-key-file",
        key, "--tls-auth-clients", "no", "--repl-diskless-sync-delay", "0", NULL });
    cluster_start(&cluster, &(struct cluster_options){
        .masters = 3, .tls_dir = dir,
        .extra = (const char *const[]){ "--tls-auth-clients", "no", NULL } });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), (const char *const[]){
        "--tls-clients", "optional", "--tls-auth-clients", "no", "--tls-cert-file", cert,
        "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-cluster", "yes", NULL });
    /* clang-format on */
    snprintf(source_at, sizeof(source_at), "rediss://127.0.0.1:%d", tls_port);
    snprintf(proxy_at, sizeof(proxy_at), "rediss://127.0.0.1:%d", proxy.port);
    snprintf(seeds_at, sizeof(seeds_at), "rediss://127.0.0.1:%d", cluster.node[0].tls_port);
    redisContext *c = redis_open(oracle.port);
    every_type_fill(c, false);
    redis_do(c, "DEBUG POPULATE 20000");
    redisFree(c);
    return 0;
}

static void test_straight(void **state)
{
    (void)state;
    migrate_expect_good("sync", source_at, "--target-cluster", seeds_at, "--tls-ca-cert-file", ca,
                        "--follow", "no", "--spool-dir", testenv_dir());
    migrate_expect_good("verify", source_at, "--target-cluster", seeds_at, "--tls-ca-cert-file",
                        ca);
}

static void test_through_slotgate(void **state)
{
    (void)state;
    for (int n = 0; n < 3; n++)
        cluster_do(&cluster, n, "FLUSHALL");
    migrate_expect_good("sync", source_at, proxy_at, "--tls-ca-cert-file", ca, "--follow", "no",
                        "--spool-dir", testenv_dir());
    migrate_expect_good("verify", source_at, proxy_at, "--tls-ca-cert-file", ca);
}

static void test_untrusted(void **state)
{
    struct migrate m;
    (void)state;
    migrate_run(&m, "sync", source_at, proxy_at, "--connect-timeout", "1s", NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "event=\"TLS failed\""));
    migrate_free(&m);
    migrate_run(&m, "verify", source_at, "rediss://127.0.0.1:1,127.0.0.1:2", NULL);
    assert_int_equal(m.code, 2);
    assert_non_null(strstr(m.err, "some addresses with TLS (rediss://) and some without"));
    migrate_free(&m);
}

static int end(void **state)
{
    free((char *)dir);
    return beside_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_straight),
        cmocka_unit_test(test_through_slotgate),
        cmocka_unit_test(test_untrusted),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, end));
}
