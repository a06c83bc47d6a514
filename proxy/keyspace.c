/* Commands about all keys, or about the database that they are in. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/scan_cursor.h"
#include "proxy/visible_names.h"
#include "proxy/worker.h"

/* --- SCAN: see scan_cursor.h ------------------------------------------------------------------ */

/* The shards of the present map in the order in which they are scanned. */
struct order {
    uint32_t shards;
    uint16_t slot[SLOTMAP_SHARDS_MAX];
};

static void read_order(struct router *rt, struct order *o)
{
    BUILD_ASSERT((int)SLOTMAP_SHARDS_MAX <= (int)SCAN_SHARDS_MAX, "a cursor can name each shard");
    o->shards = group_shard_slots(rt, o->slot, SLOTMAP_SHARDS_MAX);
}

static uint32_t node_at(const struct router *rt, const struct order *o, uint32_t shard)
{
    return rt->masters[rt->map->shard_of[o->slot[shard]]]->fingerprint;
}

/* The check of the first n shards' masters. */
static uint32_t check_of(const struct router *rt, const struct order *o, uint32_t n)
{
    uint32_t check = SCAN_CHECK_NONE;
    for (uint32_t i = 0; i < n; i++)
        check = scan_check_add(check, node_at(rt, o, i));
    return check;
}

/* Where a client's cursor stands in the present order: at the very beginning when it does not fit.
 */
static struct scan_cursor find_place(const struct router *rt, const struct order *o,
                                     uint64_t number)
{
    struct scan_cursor c;
    if (scan_cursor_unpack(number, &c) && c.shard < o->shards &&
        scan_cursor_fits(&c, check_of(rt, o, c.shard + (c.at != 0))))
        return c;
    return (struct scan_cursor){ .shard = 0 };
}

enum { SCAN_START = 0 };

/* The cursor behind a node's reply; *fits false: there is no number for it. */
static uint64_t next_place(struct client *c, uint32_t shard, uint32_t asked, uint32_t node,
                           uint64_t at, bool *fits)
{
    struct router *rt = &c->worker->router;
    struct order o;
    read_order(rt, &o);
    *fits = true;
    /* Not the node that its cursor was meant for, or not in its place any more: begin again. What
       it gave are keys all the same. */
    if (shard >= o.shards || scan_check_add(check_of(rt, &o, shard), node) != asked ||
        (at == 0 && node_at(rt, &o, shard) != node))
        return scan_cursor_pack(SCAN_START, SCAN_CHECK_NONE, 0);
    if (at != 0) {
        uint64_t next = scan_cursor_pack(shard, asked, at);
        *fits = next != 0;
        return next;
    }
    if (shard + 1 == o.shards)
        return 0;
    return scan_cursor_pack(shard + 1, check_of(rt, &o, shard + 1), 0);
}

/* group->note: the shard's place above, the check with its master below. */
static void send_scan(struct client *c, const struct group *g, struct replies *all)
{
    struct part_reply *p = &all->part[0];
    struct value v;
    uint64_t at;
    bool fits;
    struct visible_names names;
    if (!value_next(&p->at, &v) || v.kind != VALUE_LIST || v.count != 2 ||
        !value_next(&p->at, &v) || v.kind != VALUE_STRING ||
        !text_to_u64(v.text.at, v.text.len, &at) || !visible_names_enter(p, &names)) {
        merge_odd_reply(c);
        return;
    }
    uint64_t next = next_place(c, (uint32_t)(g->note >> 32), (uint32_t)g->note, p->node, at, &fits);
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    if (!fits) {
        write_error(w,
                    "ERR slotgate: a node's cursor has more than 32 bits and cannot be handed on");
        stream_send(&c->stream, writer_span(w));
        return;
    }
    write_array(w, 2);
    write_bulk_format(w, "%llu", (unsigned long long)next);
    write_array(w, names.count);
    stream_send(&c->stream, writer_span(w));
    visible_names_send(c, p, &names);
}

bool local_scan(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_scan };
    struct router *rt = &c->worker->router;
    uint64_t number;
    if (!scan_cursor_parse(argv_get(argv, 1), &number)) {
        write_error(w, "ERR invalid cursor");
        return true;
    }
    struct order o;
    read_order(rt, &o);
    if (o.shards == 0) {
        write_error(w, "CLUSTERDOWN Hash slot not served");
        return true;
    }
    struct scan_cursor at = find_place(rt, &o, number);
    struct writer request;
    writer_init(&request, 2);
    write_array(&request, argv->count);
    write_bulk(&request, argv_get(argv, 0));
    write_bulk_format(&request, "%llu", (unsigned long long)at.at);
    for (uint32_t i = 2; i < argv->count; i++)
        write_bulk(&request, argv_get(argv, i));
    struct group *g = group_one(rt, &c->flow, c->last_command, NULL, o.slot[at.shard],
                                writer_span(&request), c->reply_mode != REPLY_ON);
    g->rule = &rule;
    g->note = (uint64_t)at.shard << 32 | check_of(rt, &o, at.shard + 1);
    writer_close(&request);
    return true;
}

/* --- KEYS ------------------------------------------------------------------------------------- */

static void send_keys(struct client *c, const struct group *g, struct replies *all)
{
    uint64_t total = 0;
    struct visible_names *names = malloc(all->count * sizeof(names[0]));
    (void)g;
    REQUIRE(names != NULL);
    bool sound = true;
    for (uint32_t i = 0; i < all->count && sound; i++) {
        sound = visible_names_enter(&all->part[i], &names[i]);
        total += sound ? names[i].count : 0;
    }
    if (!sound) {
        merge_odd_reply(c);
    } else {
        struct writer *w = worker_writer(c->worker, c->flow.protocol);
        write_array(w, total);
        stream_send(&c->stream, writer_span(w));
        for (uint32_t i = 0; i < all->count; i++)
            visible_names_send(c, &all->part[i], &names[i]);
    }
    free(names);
}

static const struct merge_rule keys_rule = { .send = send_keys };

bool local_keys(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)w;
    return local_broadcast(c, local_request(argv), &keys_rule) != NULL;
}

void local_route_names(struct client *c, const struct argv *argv, uint16_t slot)
{
    struct group *g = group_one(&c->worker->router, &c->flow, c->last_command, NULL, slot,
                                local_request(argv), c->reply_mode != REPLY_ON);
    g->rule = &keys_rule;
}

/* --- one database: texts as of redis-server --databases 1 ---------------------------------- */

/* Of a cluster that has several databases the node moves it, whose slot is the same in each. */
bool local_move(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t db;
    struct span text = argv_get(argv, 2);
    if (c->worker->learner.databases > 1) {
        (void)group_one(&c->worker->router, &c->flow, c->last_command, NULL,
                        keyslot_of(argv_get(argv, 1)), local_request(argv),
                        c->reply_mode != REPLY_ON);
        return true;
    }
    if (!text_to_i64(text.at, text.len, &db))
        write_error(w, "ERR value is not an integer or out of range");
    else if (db < INT32_MIN || db > INT32_MAX)
        write_error(w, "ERR value is out of range, value must between %d and %d", INT32_MIN,
                    INT32_MAX);
    else if (db != 0)
        write_error(w, "ERR DB index is out of range");
    else
        write_error(w, "ERR source and destination objects are the same");
    return true;
}

bool local_swapdb(struct client *c, const struct argv *argv, struct writer *w)
{
    static const char *const names[] = { "first", "second" };
    int64_t db[2];
    if (c->worker->learner.databases > 1) {
        write_error(w, "ERR SWAPDB is not allowed in cluster mode"); /* as the nodes say */
        return true;
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct span text = argv_get(argv, 1 + i);
        if (!text_to_i64(text.at, text.len, &db[i]) || db[i] < INT32_MIN || db[i] > INT32_MAX) {
            write_error(w, "ERR invalid %s DB index", names[i]);
            return true;
        }
    }
    if (db[0] != 0 || db[1] != 0)
        write_error(w, "ERR DB index is out of range");
    else
        write_simple(w, "OK");
    return true;
}
