/* Commands to every shard whose replies need a merge of their own. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/worker.h"

static struct group *broadcast(struct client *c, const struct argv *argv, struct writer *w,
                               const struct merge_rule *rule)
{
    const struct arg *last = &argv->v[argv->count - 1];
    struct span bytes = { argv->base, (size_t)last->off + last->len + 2 };
    struct group *g = group_broadcast(&c->worker->router, &c->flow, c->last_command, bytes,
                                      c->reply_mode != REPLY_ON);
    if (g == NULL)
        write_error(w, "CLUSTERDOWN Hash slot not served");
    else
        g->rule = rule;
    return g;
}

static void send_writer(struct client *c, const struct writer *w)
{
    stream_send(&c->stream, writer_span(w));
}

static void send_whole(struct client *c, const struct part_reply *p)
{
    merge_send(c, p, merge_rest(p));
}

/* --- FUNCTION STATS --------------------------------------------------------------------------- */

/* The node that runs something speaks: its reply is not the null that follows the first name. */
static void send_running(struct client *c, const struct group *g, struct replies *all)
{
    (void)g;
    for (uint32_t i = 0; i < all->count; i++) {
        struct value_cursor at = all->part[i].at;
        struct value v;
        bool ok = true;
        for (int n = 0; ok && n < 3; n++) /* the map, its first name, that name's value */
            ok = value_next(&at, &v);
        if (ok && v.kind != VALUE_NULL) {
            send_whole(c, &all->part[i]);
            return;
        }
    }
    send_whole(c, &all->part[0]);
}

bool local_function_stats(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_running };
    broadcast(c, argv, w, &rule);
    return true;
}

/* --- MEMORY ----------------------------------------------------------------------------------- */

/* 2: has something to complain about; 1: is well; 0: is too empty to tell. */
static int complaint(const struct part_reply *p)
{
    struct value_cursor at = p->at;
    struct value v;
    if (!value_next(&at, &v) || v.kind != VALUE_STRING)
        return 2;
    if (v.text.len < 6 || memcmp(v.text.at, "Hi Sam", 6) != 0)
        return 2;
    return memmem(v.text.at, v.text.len, "empty", 5) == NULL;
}

static void send_worst(struct client *c, const struct group *g, struct replies *all)
{
    uint32_t worst = 0;
    (void)g;
    for (uint32_t i = 1; i < all->count; i++)
        if (complaint(&all->part[i]) > complaint(&all->part[worst]))
            worst = i;
    send_whole(c, &all->part[worst]);
}

bool local_memory_doctor(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_worst };
    broadcast(c, argv, w, &rule);
    return true;
}

/* How many elements follow the header of a map, or of the array that stands for one. */
static bool enter_map(struct value_cursor *at, uint64_t *elements)
{
    struct value v;
    if (!value_next(at, &v) || (v.kind != VALUE_LIST && v.kind != VALUE_MAP))
        return false;
    *elements = v.kind == VALUE_MAP ? 2 * v.count : v.count;
    return true;
}

/* The number that a part has under that name; 0: none. */
static int64_t number_of(const struct part_reply *p, struct span name)
{
    struct value_cursor at = p->at;
    struct value key, v;
    uint64_t elements;
    if (!enter_map(&at, &elements))
        return 0;
    for (uint64_t i = 0; i + 1 < elements; i += 2) {
        if (!value_next(&at, &key) || !value_next(&at, &v))
            return 0;
        if (key.kind == VALUE_STRING && span_equal(key.text, name))
            return v.kind == VALUE_INTEGER ? v.number : 0;
        if (!value_skip_children(&at, &v))
            return 0;
    }
    return 0;
}

/* Reads a name and the value behind it of the first part, whole and raw. */
static bool take_pair(struct part_reply *p, struct span *raw_name, struct value *name,
                      struct span *raw_value, struct value *value)
{
    *raw_name = merge_take(p);
    *raw_value = merge_take(p);
    if (raw_name->at == NULL || raw_value->at == NULL)
        return false;
    struct value_cursor a = { raw_name->at, raw_name->at + raw_name->len };
    struct value_cursor b = { raw_value->at, raw_value->at + raw_value->len };
    return value_next(&a, name) && value_next(&b, value);
}

/* The first node's reply, with its whole numbers summed over all; averages and what is nested stay
   that node's. */
static void send_memory_stats(struct client *c, const struct group *g, struct replies *all)
{
    struct part_reply first = all->part[0];
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    uint64_t elements;
    (void)g;
    if (!enter_map(&first.at, &elements)) {
        merge_odd_reply(c);
        return;
    }
    write_map(w, elements / 2);
    for (uint64_t i = 0; i + 1 < elements; i += 2) {
        struct span raw_name, raw_value;
        struct value name, value;
        if (!take_pair(&first, &raw_name, &name, &raw_value, &value)) {
            merge_odd_reply(c);
            return;
        }
        write_raw(w, raw_name);
        if (value.kind != VALUE_INTEGER || span_equal(name.text, SPAN("keys.bytes-per-key"))) {
            write_raw(w, raw_value);
            continue;
        }
        int64_t sum = 0;
        for (uint32_t part = 0; part < all->count; part++)
            sum += number_of(&all->part[part], name.text);
        write_integer(w, sum);
    }
    send_writer(c, w);
}

bool local_memory_stats(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_memory_stats };
    broadcast(c, argv, w, &rule);
    return true;
}

/* A reader of such pages wants all of them, one node's after the other's. */
static void send_texts(struct client *c, const struct group *g, struct replies *all)
{
    struct writer text;
    (void)g;
    writer_init(&text, 2);
    for (uint32_t i = 0; i < all->count; i++) {
        struct value v;
        if (!value_next(&all->part[i].at, &v) || v.kind != VALUE_STRING) {
            writer_close(&text);
            merge_odd_reply(c);
            return;
        }
        write_raw(&text, v.text);
    }
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_verbatim(w, "txt", writer_span(&text));
    writer_close(&text);
    send_writer(c, w);
}

bool local_memory_malloc_stats(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_texts };
    broadcast(c, argv, w, &rule);
    return true;
}

/* --- SCRIPT EXISTS ---------------------------------------------------------------------------- */

enum { NOTED_MAX = 64 };

/* There when every node has it, or when a node that lacks it would be given it (bits of the note).
 */
static void send_exists(struct client *c, const struct group *g, struct replies *all)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    uint64_t count = 0;
    struct value v;
    for (uint32_t i = 0; i < all->count; i++) {
        if (!value_next(&all->part[i].at, &v) || v.kind != VALUE_LIST ||
            (i > 0 && v.count != count)) {
            merge_odd_reply(c);
            return;
        }
        count = v.count;
    }
    write_array(w, count);
    for (uint64_t i = 0; i < count; i++) {
        bool everywhere = true;
        for (uint32_t part = 0; part < all->count; part++)
            everywhere &= value_next(&all->part[part].at, &v) && v.number == 1;
        write_integer(w, everywhere || (i < NOTED_MAX && (g->note >> i & 1) != 0));
    }
    send_writer(c, w);
}

bool local_script_exists(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_exists };
    struct group *g = broadcast(c, argv, w, &rule);
    for (uint32_t i = 2; g != NULL && i < argv->count && i < 2 + NOTED_MAX; i++)
        if (scripts_knows(&c->worker->scripts, argv_get(argv, i)))
            g->note |= UINT64_C(1) << (i - 2);
    return true;
}
