/* The part of load.h that compares what the clients believe with the data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/load_private.h"
#include "test/lib/testenv.h"

struct home {
    struct redis_cluster *cluster;
    const char *key;
    int node;
};

/* Right after a failover most may name a node that itself does not know it yet. */
static bool is_found(void *arg)
{
    struct home *h = arg;
    h->node = cluster_owner(h->cluster, cluster_slot(h->key));
    if (h->node < 0)
        return false;
    redisReply *reply = cluster_ask(h->cluster, h->node, "EXISTS %s", h->key);
    bool yes = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
    freeReplyObject(reply);
    return yes;
}

/* The node that has the key; asserts that there is one. */
static int node_of(struct redis_cluster *c, const char *key)
{
    struct home h = { c, key, -1 };
    if (!wait_until(is_found, &h, scaled_ms(10000)))
        fail_msg("nobody serves %s", key);
    return h.node;
}

static void check_counter(struct load *l, struct redis_cluster *c, const char *key,
                          const struct counter_tally *t)
{
    long long value = cluster_number(c, node_of(c, key), "GET %s", key);
    uint64_t v = value < 0 ? 0 : (uint64_t)value;

    if (v > t->acknowledged + t->uncertain)
        load_wrong(l, "%s is %llu: more than %llu acknowledged and %llu uncertain: executed twice",
                   key, (unsigned long long)v, (unsigned long long)t->acknowledged,
                   (unsigned long long)t->uncertain);
    if (v < t->acknowledged && !l->options.lossy)
        load_wrong(l, "%s is %llu: less than %llu acknowledged", key, (unsigned long long)v,
                   (unsigned long long)t->acknowledged);
}

static void check_list(struct load *l, struct redis_cluster *c, const char *key,
                       const struct list_tally *t)
{
    redisReply *list = cluster_ask(c, node_of(c, key), "LRANGE %s 0 -1", key);
    uint32_t next = 0; /* the smallest number that may still come */

    assert_non_null(list);
    assert_int_equal(list->type, REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < list->elements; i++) {
        uint32_t number = (uint32_t)strtoul(list->element[i]->str, NULL, 10);
        if (number < next)
            load_wrong(l, "%s: %u at place %zu, behind %u", key, number, i, next - 1);
        else if (number >= t->count)
            load_wrong(l, "%s: %u was never pushed", key, number);
        else if (t->fate[number] == FATE_REFUSED)
            load_wrong(l, "%s: %u is there, but its push was refused", key, number);
        for (; next < number && next < t->count; next++)
            if (t->fate[next] == FATE_ACKNOWLEDGED && !l->options.lossy)
                load_wrong(l, "%s: %u was acknowledged and is missing", key, next);
        if (number >= next)
            next = number + 1;
    }
    for (; next < t->count; next++)
        if (t->fate[next] == FATE_ACKNOWLEDGED && !l->options.lossy)
            load_wrong(l, "%s: %u was acknowledged and is missing at the end", key, next);
    freeReplyObject(list);
}

void load_check(struct load *l, struct redis_cluster *c)
{
    struct counter_tally shared[LOAD_SHARED] = { { 0 } };
    char key[64];

    load_stop(l);
    for (int i = 0; i < l->options.clients; i++) {
        struct load_client *lc = &l->client[i];
        for (int k = 0; k < l->options.keys; k++) {
            load_key(l, 'c', i, k, key);
            check_counter(l, c, key, &lc->own[k]);
            load_key(l, 'l', i, k, key);
            check_list(l, c, key, &lc->list[k]);
            free(lc->list[k].fate);
        }
        for (int k = 0; k < LOAD_SHARED; k++) {
            shared[k].acknowledged += lc->shared[k].acknowledged;
            shared[k].uncertain += lc->shared[k].uncertain;
        }
    }
    for (int k = 0; k < LOAD_SHARED; k++) {
        load_key(l, 's', -1, k, key);
        check_counter(l, c, key, &shared[k]);
    }
    struct load_tally t = l->tally;
    pthread_mutex_destroy(&l->lock);
    free(l);
    fprintf(stderr, "load: %llu answered, %llu refused, %llu uncertain, slowest %llu ms%s%s",
            (unsigned long long)t.answered, (unsigned long long)t.errors,
            (unsigned long long)t.uncertain, (unsigned long long)t.slowest_ms,
            t.first_error[0] != '\0' ? ", first error " : "\n", t.first_error);
    if (t.wrong != 0)
        fail_msg("%llu broken promises, the first: %s", (unsigned long long)t.wrong, t.first_wrong);
    assert_true(t.answered > 0);
}
