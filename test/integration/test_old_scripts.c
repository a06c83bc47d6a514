/*
 * slotgate-migrate sync from an old source whose stream has scripts: EVAL for the first use and
 * EVALSHA from then on, about keys of other masters too, also in transactions.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/fake_source.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/rdb_writer.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

#define SCRIPT "return(redis.call('incrby',KEYS[1],5))"

static struct redis_cluster cluster;

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static void add_command(struct writer *w, const char *line)
{
    size_t len;
    char *request = request_of_words(line, &len);
    write_raw(w, (struct span){ request, len });
    free(request);
}

static struct writer empty_payload(void)
{
    struct writer w = { 0 };
    rdb_begin(&w, 6, false);
    rdb_end(&w, 6, true);
    return w;
}

struct wait {
    struct fake_source *source;
    uint64_t offset;
};

static bool acknowledged(void *arg)
{
    const struct wait *w = arg;
    return fake_source_acknowledged(w->source) == w->offset;
}

static void run(struct writer *payload, struct writer *stream)
{
    struct fake_source_script script = { .payload = payload->at,
                                         .payload_len = payload->len,
                                         .streams = { stream->at },
                                         .stream_len = { stream->len } };
    char at[32], seeds[512];
    struct migrate m;
    uint16_t port = port_take();
    struct wait w = { fake_source_start(port, &script), FAKE_SOURCE_OFFSET + stream->len };
    snprintf(at, sizeof(at), "127.0.0.1:%d", port);
    migrate_start(&m, (const char *const[]){ "sync", at, "--target-cluster",
                                             cluster_seeds(&cluster, seeds), "--spool-dir",
                                             testenv_dir(), NULL });
    assert_true(wait_until(acknowledged, &w, scaled_ms(20000)));
    migrate_stop(&m, 0);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
    fake_source_stop(w.source);
}

static void test_eval_then_evalsha(void **state)
{
    struct writer payload = empty_payload(), stream = { 0 };
    char key[64], line[256];
    (void)state;
    redisReply *hash = cluster_ask(&cluster, 0, "SCRIPT LOAD " SCRIPT);
    for (int master = 0; master < 3; master++)
        cluster_do(&cluster, master, "SCRIPT FLUSH");
    cluster_key(&cluster, 0, 1, "counter", key);
    snprintf(line, sizeof(line), "EVAL " SCRIPT " 1 %s", key);
    add_command(&stream, "SELECT 0");
    add_command(&stream, line);
    for (int i = 0; i < 6; i++) {
        if (i == 3)
            add_command(&stream, "MULTI");
        cluster_key(&cluster, i % 3, 1, "counter", key);
        snprintf(line, sizeof(line), "EVALSHA %s 1 %s", hash->str, key);
        add_command(&stream, line);
    }
    add_command(&stream, "EXEC");
    freeReplyObject(hash);
    run(&payload, &stream);
    for (int master = 0; master < 3; master++) {
        cluster_key(&cluster, master, 1, "counter", key);
        assert_int_equal(cluster_number(&cluster, master, "GET %s", key), master == 0 ? 15 : 10);
    }
    writer_close(&payload);
    writer_close(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eval_then_evalsha),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
