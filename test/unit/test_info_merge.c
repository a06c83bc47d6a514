/* How the INFO texts of several masters become one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/info_merge.h"

static void expect(const char *const *texts, uint32_t count, const char *wanted)
{
    static const struct info_field own[] = { { "process_id", "7" }, { "config_file", "" } };
    struct span in[4];
    struct writer out;

    for (uint32_t i = 0; i < count; i++)
        in[i] = (struct span){ texts[i], strlen(texts[i]) };
    writer_init(&out, 2);
    info_merge(in, count, own, ARRAY_LEN(own), &out);
    write_raw(&out, (struct span){ "", 1 });
    assert_string_equal(out.at, wanted);
    writer_close(&out);
}

static void test_one_node(void **state)
{
    static const char *const text[] = {
        "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_mode:cluster\r\n"
        "os:Linux 6.1 x86_64\r\nprocess_id:1\r\nconfig_file:/etc/redis.conf\r\n\r\n"
        "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"
        "slave0:ip=127.0.0.1,port=7003,state=online,offset=14,lag=1\r\n"
        "master_repl_offset:14\r\n\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n# Keyspace\r\n",
    };
    (void)state;
    expect(
        text, 1,
        "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_mode:standalone\r\n"
        "os:Linux 6.1 x86_64\r\nprocess_id:7\r\nconfig_file:\r\n\r\n"
        "# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n\r\n"
        "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n");
}

static void test_numbers(void **state)
{
    static const char *const texts[] = {
        "# Memory\r\nused_memory:1000\r\nused_memory_human:1000B\r\nused_memory_rss:3072\r\n"
        "used_memory_peak:2000\r\nused_memory_peak_perc:50.00%\r\nmaxmemory:10\r\n"
        "maxmemory_human:10B\r\nmem_fragmentation_ratio:3.07\r\nmem_allocator:jemalloc-5.3.0\r\n"
        "\r\n# Stats\r\ntotal_net_input_bytes:5\r\ninstantaneous_input_kbps:0.50\r\n"
        "latest_fork_usec:9\r\n",
        "# Memory\r\nused_memory:1048\r\nused_memory_human:1.02K\r\nused_memory_rss:1024\r\n"
        "used_memory_peak:2096\r\nused_memory_peak_perc:50.00%\r\nmaxmemory:0\r\n"
        "maxmemory_human:0B\r\nmem_fragmentation_ratio:1.00\r\nmem_allocator:libc\r\n"
        "\r\n# Stats\r\nonly_here:1\r\nlatest_fork_usec:20\r\ntotal_net_input_bytes:6\r\n"
        "instantaneous_input_kbps:0.25\r\n",
    };
    (void)state;
    expect(texts, 2,
           "# Memory\r\nused_memory:2048\r\nused_memory_human:2.00K\r\nused_memory_rss:4096\r\n"
           "used_memory_peak:4096\r\nused_memory_peak_perc:50.00%\r\nmaxmemory:0\r\n"
           "maxmemory_human:0B\r\nmem_fragmentation_ratio:2.00\r\nmem_allocator:jemalloc-5.3.0\r\n"
           "\r\n# Stats\r\ntotal_net_input_bytes:11\r\ninstantaneous_input_kbps:0.75\r\n"
           "latest_fork_usec:20\r\n");
}

static void test_unions(void **state)
{
    static const char *const texts[] = {
        "# Modules\r\nmodule:name=a,ver=1\r\n\r\n"
        "# Commandstats\r\n"
        "cmdstat_get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=1,failed_calls=0\r\n\r\n"
        "# Errorstats\r\nerrorstat_ERR:count=2\r\n\r\n"
        "# Latencystats\r\nlatency_percentiles_usec_get:p50=3.007,p99=9.023\r\n\r\n"
        "# Keyspace\r\n",
        "# Modules\r\nmodule:name=a,ver=1\r\n\r\n"
        "# Commandstats\r\n"
        "cmdstat_config|get:calls=1,usec=7,usec_per_call=7.00,rejected_calls=0,failed_calls=0\r\n"
        "cmdstat_get:calls=1,usec=20,usec_per_call=20.00,rejected_calls=0,failed_calls=3\r\n\r\n"
        "# Errorstats\r\nerrorstat_MOVED:count=1\r\nerrorstat_ERR:count=3\r\n\r\n"
        "# Latencystats\r\nlatency_percentiles_usec_get:p50=2.007,p99=12.031\r\n\r\n"
        "# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=1000\r\n",
        "# Modules\r\n\r\n# Commandstats\r\n\r\n# Errorstats\r\n\r\n# Latencystats\r\n\r\n"
        "# Keyspace\r\ndb0:keys=4,expires=3,avg_ttl=200\r\n",
    };
    (void)state;
    expect(texts, 3,
           "# Modules\r\nmodule:name=a,ver=1\r\n\r\n"
           "# Commandstats\r\n"
           "cmdstat_get:calls=3,usec=30,usec_per_call=10.00,rejected_calls=1,failed_calls=3\r\n"
           "cmdstat_config|get:calls=1,usec=7,usec_per_call=7.00,rejected_calls=0,failed_calls=0"
           "\r\n\r\n"
           "# Errorstats\r\nerrorstat_ERR:count=5\r\nerrorstat_MOVED:count=1\r\n\r\n"
           "# Latencystats\r\nlatency_percentiles_usec_get:p50=3.007,p99=12.031\r\n\r\n"
           "# Keyspace\r\ndb0:keys=7,expires=4,avg_ttl=400\r\n");
}

/* The oldest node says which fields there are. */
static void test_mixed_versions(void **state)
{
    static const char *const texts[] = {
        "# Server\r\nredis_version:7.2.4\r\nnew_field:1\r\nhz:10\r\n",
        "# Server\r\nredis_version:7.0.5\r\nhz:20\r\n",
        "# Server\r\nredis_version:7.0.15\r\nhz:10\r\n",
    };
    (void)state;
    expect(texts, 3, "# Server\r\nredis_version:7.0.5\r\nhz:20\r\n");
    assert_true(info_version_below(SPAN("6.2.14"), SPAN("7.0")));
    assert_true(info_version_below(SPAN("7.0"), SPAN("7.0.1")));
    assert_false(info_version_below(SPAN("7.0.15"), SPAN("7.0.15")));
    assert_false(info_version_below(SPAN("10.0.0"), SPAN("9.9.9")));
}

/* Nothing that a node could say may do harm. */
static void test_odd_texts(void **state)
{
    static const char *const none[] = { "", "" };
    static const char *const odd[] = {
        "#\r\nx\r\n# Keyspace\r\ndb0\r\ndb1:\r\ndb2:x=y,=,z\r\n:\r\n", "# Keyspace"
    };
    (void)state;
    expect(none, 2, "");
    expect(odd, 2, "#\r\n\r\n# Keyspace\r\ndb0\r\ndb1\r\ndb2:x=0,=0\r\n\r\n");
    expect(odd + 1, 1, "# Keyspace\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_node),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unions),         cmocka_unit_test(test_odd_texts),
        cmocka_unit_test(test_mixed_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
