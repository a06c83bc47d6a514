#include "proxy/keywatch.h"

#include <stdlib.h>

#include "cluster/keyslot.h"

enum { BUCKETS = 1024 };

/* Asked at most once at a time; lives while somebody wants it or an answer is to come. */
struct watched_key {
    struct list_node in_bucket, in_keys;
    struct list_node wants; /* by order */
    int64_t length;         /* as the answer says */
    uint32_t len;
    uint16_t slot;
    uint16_t database;
    uint8_t kind;
    bool asking;
    char name[];
};

static struct list_node *bucket_of(struct keywatch *k, enum keywatch_kind kind, struct span name)
{
    uint32_t h = 2166136261u + (uint32_t)kind; /* FNV-1a */
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.at[i]) * 16777619u;
    return &k->buckets[h % BUCKETS];
}

static void free_key_if_unused(struct keywatch *k, struct watched_key *key)
{
    if (key->asking || !list_is_empty(&key->wants))
        return;
    list_remove(&key->in_bucket);
    list_remove(&key->in_keys);
    k->count--;
    free(key);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* An error, for example of a wrong type, is nothing found. */
static void read_piece(struct watched_key *key, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.at[i] == ':')
            key->length = 0;
        else if (bytes.at[i] == '-' || bytes.at[i] == '!')
            key->length = -1;
        else if (key->length >= 0 && bytes.at[i] >= '0' && bytes.at[i] <= '9')
            key->length = key->length * 10 + (bytes.at[i] - '0');
    }
}

static void settle(struct keywatch *k, struct request *r)
{
    struct watched_key *key = r->own_context;
    router_release(k->router, r);
    for (; key->length > 0 && !list_is_empty(&key->wants); key->length--) {
        k->pace = KEYWATCH_FASTEST_MS;
        k->on_found(LIST_ENTRY(key->wants.next, struct key_want, in_key)->context);
    }
    key->asking = false;
    free_key_if_unused(k, key);
}

static void on_reply(struct flow *f, struct request *r, struct span bytes, struct chunk *chunk,
                     bool done)
{
    (void)chunk;
    read_piece(r->own_context, bytes);
    if (done && !f->walking)
        settle(CONTAINER_OF(f, struct keywatch, flow), r);
}

static void on_walked(struct flow *f)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->requests, n, safe) {
        struct request *r = LIST_ENTRY(n, struct request, in_flow);
        if (r->state == REQUEST_DONE)
            settle(CONTAINER_OF(f, struct keywatch, flow), r);
    }
}

/* Cannot come: no piece of a reply has left for good. */
static void on_broken(struct flow *f, struct request *r, int why)
{
    (void)f, (void)r, (void)why;
    check_fail("the length of a key cannot break off", __FILE__, __LINE__);
}

static const struct flow_user keywatch_flow_user = {
    .on_reply = on_reply,
    .on_walked = on_walked,
    .on_broken = on_broken,
};

/* --- questions -------------------------------------------------------------------------------- */

static void ask(struct keywatch *k, struct watched_key *key)
{
    const struct command *cmd = k->ask[key->kind];
    struct request *r = router_request(k->router, &k->flow, cmd, key->slot);
    r->own_context = key;
    r->database = key->database;
    key->asking = true;
    key->length = -1;
    writer_clear(&k->out, 2);
    write_array(&k->out, 2);
    write_bulk_text(&k->out, cmd->name);
    write_bulk(&k->out, (struct span){ key->name, key->len });
    router_submit(k->router, r, writer_span(&k->out), NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct keywatch *k = timer->data;
    uint64_t budget = k->pace * KEYWATCH_PER_MS;
    for (uint32_t i = 0; i < k->count && i < budget; i++) {
        struct watched_key *key = LIST_ENTRY(k->keys.next, struct watched_key, in_keys);
        list_remove(&key->in_keys);
        list_append(&k->keys, &key->in_keys);
        if (!key->asking)
            ask(k, key);
    }
    k->pace = k->pace * 2 < KEYWATCH_SLOWEST_MS ? k->pace * 2 : KEYWATCH_SLOWEST_MS;
    k->ticking = k->count > 0;
    if (k->ticking)
        uv_timer_start(&k->timer, on_timer, k->pace, 0);
}

/* --- wants ------------------------------------------------------------------------------------ */

static struct watched_key *find_or_make(struct keywatch *k, enum keywatch_kind kind,
                                        uint16_t database, struct span name)
{
    struct list_node *bucket = bucket_of(k, kind, name);
    for (struct list_node *n = bucket->next; n != bucket; n = n->next) {
        struct watched_key *key = LIST_ENTRY(n, struct watched_key, in_bucket);
        if (key->kind == kind && key->database == database &&
            span_equal((struct span){ key->name, key->len }, name))
            return key;
    }
    struct watched_key *key = calloc(1, sizeof(*key) + name.len);
    REQUIRE(key != NULL);
    memcpy(key->name, name.at, name.len);
    key->len = (uint32_t)name.len;
    key->kind = (uint8_t)kind;
    key->database = database;
    key->slot = keyslot_of(name);
    list_init(&key->wants);
    list_append(bucket, &key->in_bucket);
    list_prepend(&k->keys, &key->in_keys);
    k->count++;
    return key;
}

static void make_buckets(struct keywatch *k)
{
    k->buckets = malloc(BUCKETS * sizeof(k->buckets[0]));
    REQUIRE(k->buckets != NULL);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&k->buckets[i]);
}

void keywatch_want(struct keywatch *k, struct key_want *want, enum keywatch_kind kind,
                   uint16_t database, struct span key, uint64_t order, void *context)
{
    if (k->buckets == NULL)
        make_buckets(k);
    struct watched_key *w = find_or_make(k, kind, database, key);
    *want = (struct key_want){ .key = w, .order = order, .context = context };
    struct list_node *before = &w->wants;
    while (before->prev != &w->wants &&
           LIST_ENTRY(before->prev, struct key_want, in_key)->order > order)
        before = before->prev;
    list_insert_before(before, &want->in_key);
    if (k->ticking)
        return;
    k->ticking = true;
    k->pace = KEYWATCH_FASTEST_MS;
    uv_timer_start(&k->timer, on_timer, k->pace, 0);
}

void keywatch_drop(struct keywatch *k, struct key_want *want)
{
    if (want->key == NULL)
        return;
    list_remove(&want->in_key);
    free_key_if_unused(k, want->key);
    want->key = NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

void keywatch_open(struct keywatch *k, struct router *rt, void (*on_found)(void *context))
{
    *k = (struct keywatch){ .router = rt, .on_found = on_found };
    k->ask[KEYWATCH_LIST] = command_find(rt->commands, SPAN("llen"));
    k->ask[KEYWATCH_ZSET] = command_find(rt->commands, SPAN("zcard"));
    flow_init(&k->flow, &keywatch_flow_user, 0);
    list_init(&k->keys);
    writer_init(&k->out, 2);
    uv_timer_init(rt->net->loop, &k->timer);
    k->timer.data = k;
}

void keywatch_close(struct keywatch *k)
{
    uv_close((uv_handle_t *)&k->timer, NULL);
    k->ticking = true; /* for good: it is never started again */
    flow_abandon(k->router, &k->flow);
    struct list_node *n, *safe;
    LIST_EACH (&k->keys, n, safe) {
        struct watched_key *key = LIST_ENTRY(n, struct watched_key, in_keys);
        REQUIRE(list_is_empty(&key->wants));
        key->asking = false;
        free_key_if_unused(k, key);
    }
}

void keywatch_free(struct keywatch *k)
{
    free(k->buckets);
    writer_close(&k->out);
}
