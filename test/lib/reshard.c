/* The part of redis_cluster.h that moves slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { KEYS_AT_ONCE = 32, MIGRATE_TIMEOUT_MS = 5000 };

void cluster_slot_open(struct redis_cluster *c, int slot, int from, int to)
{
    cluster_do(c, to, "CLUSTER SETSLOT %d IMPORTING %s", slot, c->node[from].id);
    cluster_do(c, from, "CLUSTER SETSLOT %d MIGRATING %s", slot, c->node[to].id);
}

/* MIGRATE of some keys in one command. */
static void migrate(struct redis_cluster *c, int from, int to, size_t count, const char *const *key,
                    const size_t *len)
{
    const char *argv[16 + KEYS_AT_ONCE];
    size_t lens[16 + KEYS_AT_ONCE], n = 0;
    char port[8], timeout[8];

    snprintf(port, sizeof(port), "%d", c->node[to].port);
    snprintf(timeout, sizeof(timeout), "%d", MIGRATE_TIMEOUT_MS);
    const char *const head[] = { "MIGRATE", "127.0.0.1", port, "", "0", timeout };
    for (; n < ARRAY_LEN(head); n++)
        argv[n] = head[n];
    if (c->options.password != NULL) {
        argv[n++] = "AUTH";
        argv[n++] = c->options.password;
    }
    argv[n++] = "KEYS";
    for (size_t i = 0; i < n; i++)
        lens[i] = strlen(argv[i]);
    for (size_t i = 0; i < count; i++, n++) {
        argv[n] = key[i];
        lens[n] = len[i];
    }
    cluster_do(c, from, "PING"); /* sees to it that there is a connection */
    redisReply *reply = redisCommandArgv(c->node[from].admin, (int)n, argv, lens);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        fail_msg("MIGRATE: %s", reply != NULL ? reply->str : "no answer");
    freeReplyObject(reply);
}

int cluster_slot_move_keys(struct redis_cluster *c, int slot, int from, int to, int at_most)
{
    int moved = 0;

    while (moved < at_most) {
        int want = at_most - moved < KEYS_AT_ONCE ? at_most - moved : KEYS_AT_ONCE;
        const char *key[KEYS_AT_ONCE];
        size_t len[KEYS_AT_ONCE], count = 0;

        redisReply *keys = cluster_ask(c, from, "CLUSTER GETKEYSINSLOT %d %d", slot, want);
        assert_non_null(keys);
        assert_int_equal(keys->type, REDIS_REPLY_ARRAY);
        for (; count < keys->elements; count++) {
            key[count] = keys->element[count]->str;
            len[count] = keys->element[count]->len;
        }
        if (count > 0)
            migrate(c, from, to, count, key, len);
        freeReplyObject(keys);
        if (count == 0)
            break;
        moved += (int)count;
    }
    return moved;
}

void cluster_key_move(struct redis_cluster *c, const char *key, int from, int to)
{
    size_t len = strlen(key);

    migrate(c, from, to, 1, &key, &len);
}

void cluster_slot_close(struct redis_cluster *c, int slot, int to)
{
    /* The new owner first: were it last, its importing state could be cleared by gossip, and for a
       moment nobody would own the slot. */
    cluster_do(c, to, "CLUSTER SETSLOT %d NODE %s", slot, c->node[to].id);
    for (int n = 0; n < c->count; n++)
        if (n != to && c->node[n].process.pid != 0 && cluster_is_master(c, n))
            cluster_do(c, n, "CLUSTER SETSLOT %d NODE %s", slot, c->node[to].id);
}

void cluster_slot_move(struct redis_cluster *c, int slot, int to)
{
    int from = cluster_owner(c, slot);

    assert_true(from >= 0);
    if (from == to)
        return;
    cluster_slot_open(c, slot, from, to);
    cluster_slot_move_keys(c, slot, from, to, 1 << 30);
    cluster_slot_close(c, slot, to);
}
