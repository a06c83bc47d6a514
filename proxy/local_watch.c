/* WATCH and UNWATCH: which keys of which slots; watch.c does the rest. */
#include <stdlib.h>

#include "cluster/group.h"
#include "cluster/keyslot.h"
#include "proxy/local.h"
#include "proxy/watch.h"
#include "proxy/worker.h"

static struct watch *watch_of(struct client *c)
{
    if (c->watch != NULL)
        return c->watch;
    struct watch *wt = calloc(1, sizeof(*wt));
    REQUIRE(wt != NULL);
    wt->client = c;
    list_init(&wt->in_room);
    list_init(&wt->holds);
    list_init(&wt->keys);
    writer_init(&wt->result, 2);
    writer_init(&wt->refusal, 2);
    c->watch = wt;
    c->flow.may_roam = false; /* what it reads has to be as new as what it watches */
    return wt;
}

static struct watched *new_keys(uint16_t slot, struct span first)
{
    struct watched *k = calloc(1, sizeof(*k));
    REQUIRE(k != NULL);
    list_init(&k->in_watch);
    list_init(&k->in_owed);
    k->slot = slot;
    writer_init(&k->request, 2);
    writer_init(&k->check, 2);
    write_array(&k->check, 2);
    write_bulk_text(&k->check, "EXISTS");
    write_bulk(&k->check, first);
    return k;
}

/* Puts "WATCH" before the keys that have been written. */
static void finish_request(struct watched *k)
{
    struct writer keys = k->request;
    writer_init(&k->request, 2);
    write_array(&k->request, 1 + k->count);
    write_bulk_text(&k->request, "WATCH");
    write_raw(&k->request, writer_span(&keys));
    writer_close(&keys);
}

static bool is_watched(const struct watch *wt, const struct watched *k)
{
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next) {
        const struct watched *other = LIST_ENTRY(n, struct watched, in_watch);
        if (other->database == k->database &&
            span_equal(writer_span(&other->request), writer_span(&k->request)))
            return true;
    }
    return false;
}

static void add_keys(struct watch *wt, struct watched *k)
{
    if (!is_watched(wt, k)) {
        wt->bytes += k->request.len;
        list_append(&wt->keys, &k->in_watch);
        return;
    }
    writer_close(&k->request);
    writer_close(&k->check);
    free(k);
}

/* One entry for each slot; gives how many there are in v, which has room for one per key. */
static uint32_t sort_keys(struct router *rt, const struct argv *argv, struct watched **v)
{
    uint32_t count = 0;
    rt->walk++;
    for (uint32_t i = 1; i < argv->count; i++) {
        struct span key = argv_get(argv, i);
        uint16_t slot = keyslot_of(key);
        struct split_mark *m = &rt->split_marks[slot];
        if (m->walk != rt->walk) {
            *m = (struct split_mark){ .walk = rt->walk, .part = count };
            v[count++] = new_keys(slot, key);
        }
        write_bulk(&v[m->part]->request, key);
        v[m->part]->count++;
    }
    return count;
}

static void begin(struct client *c, const struct argv *argv)
{
    struct watch *wt = watch_of(c);
    struct watched **v = malloc(argv->count * sizeof(struct watched *));
    REQUIRE(v != NULL);
    uint32_t count = sort_keys(&c->worker->router, argv, v);
    for (uint32_t i = 0; i < count; i++) {
        finish_request(v[i]);
        v[i]->database = c->flow.database;
        add_keys(wt, v[i]);
    }
    free(v);
    watch_set(wt);
}

static void answer(struct watch *wt, struct writer *w)
{
    write_raw(w, writer_span(&wt->result));
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next)
        LIST_ENTRY(n, struct watched, in_watch)->answered = true;
    wt->state = WATCH_HELD;
}

static bool in_one_slot(const struct argv *argv)
{
    for (uint32_t i = 2; i < argv->count; i++)
        if (keyslot_of(argv_get(argv, i)) != keyslot_of(argv_get(argv, 1)))
            return false;
    return true;
}

bool local_watch(struct client *c, const struct argv *argv, struct writer *w)
{
    bool begun = c->watch != NULL && c->watch->state != WATCH_HELD;
    if (c->transaction != NULL) {
        write_error(w, "ERR WATCH inside MULTI is not allowed");
        return true;
    }
    if (!c->worker->config.enable_cross_slot && !in_one_slot(argv)) {
        write_error(w, "CROSSSLOT Keys in request don't hash to the same slot");
        return true;
    }
    /* What the client has written before must not count as touching. */
    if (!begun && c->flow.count > 0)
        return false;
    if (!begun)
        begin(c, argv);
    if (c->watch->state != WATCH_SET)
        return false;
    answer(c->watch, w);
    return true;
}

bool local_unwatch(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    watch_drop(c);
    write_simple(w, "OK");
    return true;
}
