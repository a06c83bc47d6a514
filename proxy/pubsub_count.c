/*
 * Who is subscribed to what: PUBSUB.
 *
 * Each worker knows its own members exactly, and which nodes count a subscription of it; the others
 * are asked for that (counting.h). The nodes count the connections that they see: of these ours, of
 * all workers, are taken off, and what is left are other proxies (one for each of their workers,
 * however many clients it has) and clients that are connected to the nodes themselves.
 */
#include <stdlib.h>

#include "base/text.h"
#include "proxy/counting.h"
#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/pubsub_say.h"
#include "proxy/talk_topics.h"
#include "proxy/worker.h"

static int64_t not_below_zero(int64_t n)
{
    return n < 0 ? 0 : n;
}

static enum topic_kind kind_of_group(const struct group *g)
{
    return strncmp(g->cmd->name, "shard", 5) == 0 ? TOPIC_SHARD : TOPIC_CHANNEL;
}

/* The error of a node is the whole reply. */
static bool send_error(struct client *c, const struct replies *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (!all->part[i].failed)
            continue;
        merge_send_part(c, &all->part[i]);
        return true;
    }
    return false;
}

/* --- PUBSUB ----------------------------------------------------------------------------------- */

static bool ask_all(struct client *c, const struct argv *argv, struct writer *w,
                    const struct merge_rule *rule)
{
    struct group *g = local_broadcast(c, local_request(argv), rule);
    if (g == NULL) {
        write_error(w, "CLUSTERDOWN Hash slot not served");
        return true;
    }
    if (c->reply_mode != REPLY_ON)
        return true; /* nobody looks at it */
    counting_begin(c, g, TALK_SUBSCRIBED, local_request(argv), false);
    return true;
}

/* What the workers say, after the nodes, so that no subscription of ours is counted that nobody has
   been told of yet; to be read value by value. */
struct sayings {
    struct value_cursor *at;
    uint32_t count;
};

static void open_sayings(struct sayings *s, struct counting *n)
{
    struct writer own;
    writer_init(&own, 2);
    pubsub_say(n->client->worker, writer_span(&n->question), &own);
    counting_add(n, writer_span(&own));
    writer_close(&own);
    struct survey_part *parts = counting_parts(n);
    s->count = n->count;
    s->at = calloc(n->count, sizeof(s->at[0]));
    REQUIRE(s->at != NULL);
    for (uint32_t i = 0; i < n->count; i++)
        s->at[i] =
            (struct value_cursor){ parts[i].bytes.at, parts[i].bytes.at + parts[i].bytes.len };
    free(parts);
}

/* The number of elements of the list that follows; 0 if none does. */
static uint64_t next_list(struct value_cursor *at)
{
    struct value list;
    return value_next(at, &list) && list.kind == VALUE_LIST ? list.count : 0;
}

/* Sends w as the reply, or says that a node's made no sense; the counting has ended. */
static void conclude(struct client *c, struct counting *n, struct sayings *s, bool sound,
                     struct writer *w)
{
    if (sound)
        stream_send(&c->stream, writer_span(w));
    else
        merge_odd_reply(c);
    free(s->at);
    counting_end(n);
}

/* --- names ------------------------------------------------------------------------------------ */

struct names {
    struct span *at;
    size_t count, room;
};

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    int rc = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);
    return rc != 0 ? rc : (x->len > y->len) - (x->len < y->len);
}

static void add_name(struct names *names, struct span name)
{
    if (names->count == names->room) {
        names->room = names->room > 0 ? 2 * names->room : 64;
        names->at = realloc(names->at, names->room * sizeof(names->at[0]));
        REQUIRE(names->at != NULL);
    }
    names->at[names->count++] = name;
}

/* False: it makes no sense. */
static bool add_names(struct names *names, struct value_cursor *at)
{
    struct value list, v;
    if (!value_next(at, &list) || list.kind != VALUE_LIST)
        return false;
    for (uint64_t j = 0; j < list.count; j++) {
        if (!value_next(at, &v) || v.kind != VALUE_STRING)
            return false;
        add_name(names, v.text);
    }
    return true;
}

/* Sorts them, each once. */
static void tidy(struct names *names)
{
    size_t kept = 0;
    if (names->count > 0)
        qsort(names->at, names->count, sizeof(names->at[0]), compare_spans);
    for (size_t i = 0; i < names->count; i++)
        if (kept == 0 || !span_equal(names->at[i], names->at[kept - 1]))
            names->at[kept++] = names->at[i];
    names->count = kept;
}

static bool has_name(const struct names *names, struct span name)
{
    return names->count > 0 &&
           bsearch(&name, names->at, names->count, sizeof(names->at[0]), compare_spans) != NULL;
}

/* --- CHANNELS, SHARDCHANNELS ------------------------------------------------------------------ */

/* Every name once: what our clients want, and what the nodes tell beside it, but for names that we
   have left and a node has not been told of. */
static void send_union(struct client *c, const struct group *g, struct replies *all)
{
    struct counting *n = counting_of(g);
    struct names shown = { 0 }, told = { 0 }, left = { 0 };
    struct sayings s;
    bool sound = true;
    if (send_error(c, all)) {
        counting_end(n);
        return;
    }
    open_sayings(&s, n);
    for (uint32_t i = 0; i < s.count; i++)
        if (add_names(&shown, &s.at[i]))
            (void)add_names(&left, &s.at[i]);
    tidy(&left);
    for (uint32_t i = 0; i < all->count; i++)
        sound = sound && add_names(&told, &all->part[i].at);
    for (size_t i = 0; i < told.count; i++)
        if (!has_name(&left, told.at[i]))
            add_name(&shown, told.at[i]);
    tidy(&shown);
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, shown.count);
    for (size_t i = 0; i < shown.count; i++)
        write_bulk(w, shown.at[i]);
    conclude(c, n, &s, sound, w);
    free(shown.at);
    free(told.at);
    free(left.at);
}

bool local_pubsub_names(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_union, .takes_failures = true };
    if (argv->count <= 3)
        return ask_all(c, argv, w, &rule);
    write_error(w,
                "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
                "Try PUBSUB HELP.",
                (int)argv_get(argv, 1).len, argv_get(argv, 1).at);
    return true;
}

/* --- NUMSUB, SHARDNUMSUB ---------------------------------------------------------------------- */

/* What all workers say of one name: how many want it, and the nodes that count us, one for each of
   our subscriptions. */
struct ours {
    int64_t members;
    int64_t *nodes;
    uint32_t count, room;
};

static void add_node(struct ours *o, int64_t node)
{
    if (o->count == o->room) {
        o->room = o->room > 0 ? 2 * o->room : 64;
        o->nodes = realloc(o->nodes, o->room * sizeof(o->nodes[0]));
        REQUIRE(o->nodes != NULL);
    }
    o->nodes[o->count++] = node;
}

static void read_ours(struct ours *o, struct sayings *s)
{
    o->members = 0;
    o->count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t count = next_list(&s->at[i]);
        struct value v;
        for (uint64_t j = 0; j < count && value_next(&s->at[i], &v); j++) {
            if (j == 0)
                o->members += v.number;
            else
                add_node(o, v.number);
        }
    }
}

static int64_t ours_at(const struct ours *o, uint32_t node)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < o->count; i++)
        n += o->nodes[i] == (int64_t)node;
    return n;
}

/* Others that the nodes count for the next name, whose pairs stand at the parts' cursors. A
   subscription to notifications about keys is at every master, so there the largest number counts
   and not the sum. False: a reply makes no sense. */
static bool count_others(enum topic_kind kind, struct replies *all, const struct ours *o,
                         struct span *name, int64_t *others)
{
    struct value v, number;
    *others = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        struct part_reply *p = &all->part[i];
        if (!value_next(&p->at, &v) || v.kind != VALUE_STRING || !value_next(&p->at, &number) ||
            number.kind != VALUE_INTEGER)
            return false;
        *name = v.text;
        int64_t here = not_below_zero(number.number - ours_at(o, p->node));
        if (kind != TOPIC_CHANNEL || !topics_is_key_event(v.text))
            *others += here;
        else if (here > *others)
            *others = here;
    }
    return true;
}

/* The elements of each part's list; false: they are not alike. */
static bool enter_lists(struct replies *all, uint64_t *elements)
{
    struct value list = { 0 };
    bool sound = true;
    for (uint32_t i = 0; i < all->count; i++) {
        sound = sound && value_next(&all->part[i].at, &list) && list.kind == VALUE_LIST &&
                (i == 0 || list.count == *elements);
        *elements = list.count;
    }
    return sound;
}

static void send_counts(struct client *c, const struct group *g, struct replies *all)
{
    struct counting *n = counting_of(g);
    enum topic_kind kind = kind_of_group(g);
    struct ours ours = { 0 };
    struct sayings s;
    uint64_t elements = 0;
    if (send_error(c, all)) {
        counting_end(n);
        return;
    }
    open_sayings(&s, n);
    bool sound = enter_lists(all, &elements);
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, elements);
    for (uint64_t pair = 0; sound && pair < elements / 2; pair++) {
        struct span name = { 0 };
        int64_t others;
        read_ours(&ours, &s);
        sound = count_others(kind, all, &ours, &name, &others);
        if (!sound)
            break;
        write_bulk(w, name);
        write_integer(w, ours.members + others);
    }
    conclude(c, n, &s, sound, w);
    free(ours.nodes);
}

bool local_pubsub_counts(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_counts, .takes_failures = true };
    return ask_all(c, argv, w, &rule);
}

/* --- NUMPAT ----------------------------------------------------------------------------------- */

/* Each pattern of ours counts once, however many workers have it. */
static int64_t read_patterns(struct sayings *s, struct ours *o)
{
    struct names names = { 0 };
    struct value node, count;
    for (uint32_t i = 0; i < s->count; i++) {
        (void)add_names(&names, &s->at[i]);
        uint64_t pairs = next_list(&s->at[i]) / 2;
        for (; pairs > 0 && value_next(&s->at[i], &node) && value_next(&s->at[i], &count); pairs--)
            for (int64_t k = 0; k < count.number; k++)
                add_node(o, node.number);
    }
    tidy(&names);
    free(names.at);
    return (int64_t)names.count;
}

static void send_patterns(struct client *c, const struct group *g, struct replies *all)
{
    struct counting *n = counting_of(g);
    struct ours ours = { 0 };
    struct sayings s;
    bool sound = true;
    if (send_error(c, all)) {
        counting_end(n);
        return;
    }
    open_sayings(&s, n);
    int64_t sum = read_patterns(&s, &ours);
    for (uint32_t i = 0; i < all->count && sound; i++) {
        struct value v;
        sound = value_next(&all->part[i].at, &v) && v.kind == VALUE_INTEGER;
        if (sound)
            sum += not_below_zero(v.number - ours_at(&ours, all->part[i].node));
    }
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_integer(w, sum);
    conclude(c, n, &s, sound, w);
    free(ours.nodes);
}

bool local_pubsub_numpat(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_patterns, .takes_failures = true };
    return ask_all(c, argv, w, &rule);
}
