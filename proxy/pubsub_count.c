/*
 * How many receive a message, and who is subscribed to what: PUBLISH and PUBSUB.
 *
 * The members of this worker are known exactly. The nodes count the connections that they see: of
 * these our own are taken off, and what is left are other workers and proxies (one each, however
 * many clients they have) and clients that are connected to the nodes themselves.
 */
#include <stdlib.h>

#include "base/text.h"
#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/worker.h"

static struct group *ask_all(struct client *c, const struct argv *argv, struct writer *w,
                             const struct merge_rule *rule)
{
    struct group *g = local_broadcast(c, local_request(argv), rule);
    if (g == NULL)
        write_error(w, "CLUSTERDOWN Hash slot not served");
    return g;
}

static const struct topics *topics_of(const struct client *c)
{
    return &c->worker->pubsub.topics;
}

/* Who waits for the answer to SUBSCRIBE gets no message yet, and does not count. */
static uint32_t members_of(const struct client *c, enum topic_kind kind, struct span name)
{
    const struct topic *t = topics_find(topics_of(c), kind, name);
    return t == NULL ? 0 : t->served;
}

static int64_t not_below_zero(int64_t n)
{
    return n < 0 ? 0 : n;
}

static bool asks_for_shards(const struct group *g)
{
    return strncmp(g->cmd->name, "shard", 5) == 0;
}

/* --- PUBLISH ---------------------------------------------------------------------------------- */

/* In the note of the group: the members that the message will reach, our subscriptions that it
   matches at the node of the main connection, and at any other master. */
enum { NOTE_MAIN_SHIFT = 32, NOTE_OTHER_SHIFT = 48, NOTE_MASK = 0xffff };

static void send_receivers(struct client *c, const struct group *g, struct replies *all)
{
    const struct part_reply *p = &all->part[0];
    struct value_cursor at = p->at;
    struct value v;
    if (!value_next(&at, &v) || v.kind != VALUE_INTEGER) {
        merge_odd_reply(c);
        return;
    }
    const struct feed *main = topics_of(c)->main;
    bool at_main = main != NULL && main->fingerprint == p->node;
    uint64_t own = g->note >> (at_main ? NOTE_MAIN_SHIFT : NOTE_OTHER_SHIFT) & NOTE_MASK;
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_integer(w, (int64_t)(uint32_t)g->note + not_below_zero(v.number - (int64_t)own));
    stream_send(&c->stream, writer_span(w));
}

static void count_matches(const struct topic *t, uint64_t *reached, uint64_t *main, uint64_t *other)
{
    *reached += t->served;
    *main += 1;
    *other += t->everywhere;
}

static uint64_t note_receivers(const struct client *c, struct span channel)
{
    const struct topics *ts = topics_of(c);
    uint64_t reached = 0, main = 0, other = 0;
    const struct topic *t = topics_find(ts, TOPIC_CHANNEL, channel);
    if (t != NULL)
        count_matches(t, &reached, &main, &other);
    for (struct list_node *n = ts->patterns.next; n != &ts->patterns; n = n->next) {
        t = LIST_ENTRY(n, struct topic, in_patterns);
        struct span name = topic_name(t);
        if (text_glob(name.at, name.len, channel.at, channel.len, false))
            count_matches(t, &reached, &main, &other);
    }
    return (uint32_t)reached | (main & NOTE_MASK) << NOTE_MAIN_SHIFT |
           (other & NOTE_MASK) << NOTE_OTHER_SHIFT;
}

bool local_publish(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_receivers };
    (void)w;
    struct group *g = group_one(&c->worker->router, &c->flow, c->last_command, NULL, SLOT_ANY,
                                local_request(argv), c->reply_mode != REPLY_ON);
    g->rule = &rule;
    g->note = note_receivers(c, argv_get(argv, 1));
    return true;
}

/* --- PUBSUB CHANNELS, SHARDCHANNELS ----------------------------------------------------------- */

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    int rc = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);
    return rc != 0 ? rc : (x->len > y->len) - (x->len < y->len);
}

struct names {
    struct span *at;
    size_t count, room;
};

static void add_name(struct names *names, struct span name)
{
    if (names->count == names->room) {
        names->room = names->room > 0 ? 2 * names->room : 64;
        names->at = realloc(names->at, names->room * sizeof(names->at[0]));
        REQUIRE(names->at != NULL);
    }
    names->at[names->count++] = name;
}

/* False: a node's reply makes no sense. */
static bool collect_names(struct names *names, struct replies *all)
{
    struct value v, list;
    for (uint32_t i = 0; i < all->count; i++) {
        struct value_cursor *at = &all->part[i].at;
        if (!value_next(at, &list) || list.kind != VALUE_LIST)
            return false;
        for (uint64_t j = 0; j < list.count; j++) {
            if (!value_next(at, &v) || v.kind != VALUE_STRING)
                return false;
            add_name(names, v.text);
        }
    }
    return true;
}

/* Every name once, and none that nobody here wants any more and the node has not been told of. */
static void send_union(struct client *c, const struct group *g, struct replies *all)
{
    enum topic_kind kind = asks_for_shards(g) ? TOPIC_SHARD : TOPIC_CHANNEL;
    struct names names = { 0 };
    size_t kept = 0;
    if (!collect_names(&names, all)) {
        free(names.at);
        merge_odd_reply(c);
        return;
    }
    if (names.count > 0)
        qsort(names.at, names.count, sizeof(names.at[0]), compare_spans);
    for (size_t i = 0; i < names.count; i++) {
        struct span name = names.at[i];
        bool again = kept > 0 && span_equal(name, names.at[kept - 1]);
        bool gone = members_of(c, kind, name) == 0 && topics_is_leaving(topics_of(c), kind, name);
        if (!again && !gone)
            names.at[kept++] = name;
    }
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, kept);
    for (size_t i = 0; i < kept; i++)
        write_bulk(w, names.at[i]);
    free(names.at);
    stream_send(&c->stream, writer_span(w));
}

bool local_pubsub_names(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_union };
    if (argv->count > 3)
        write_error(w,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
                    "Try PUBSUB HELP.",
                    (int)argv_get(argv, 1).len, argv_get(argv, 1).at);
    else
        ask_all(c, argv, w, &rule);
    return true;
}

/* --- PUBSUB NUMSUB, SHARDNUMSUB --------------------------------------------------------------- */

/* Others that the nodes count for the next name, whose pairs stand at the parts' cursors. A
   subscription to notifications about keys is at every master, so there the largest number counts
   and not the sum. False: a reply makes no sense. */
static bool count_others(struct client *c, enum topic_kind kind, struct replies *all,
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
        int64_t here = not_below_zero(number.number -
                                      (int64_t)topics_at_node(topics_of(c), p->node, kind, v.text));
        if (kind != TOPIC_CHANNEL || !topics_is_key_event(v.text))
            *others += here;
        else if (here > *others)
            *others = here;
    }
    return true;
}

static void send_counts(struct client *c, const struct group *g, struct replies *all)
{
    enum topic_kind kind = asks_for_shards(g) ? TOPIC_SHARD : TOPIC_CHANNEL;
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    struct value list = { 0 };
    uint64_t elements = 0;
    bool sound = true;
    for (uint32_t i = 0; i < all->count; i++) {
        sound = sound && value_next(&all->part[i].at, &list) && list.kind == VALUE_LIST &&
                (i == 0 || list.count == elements);
        elements = list.count;
    }
    write_array(w, elements);
    for (uint64_t pair = 0; sound && pair < elements / 2; pair++) {
        struct span name;
        int64_t others;
        sound = count_others(c, kind, all, &name, &others);
        if (!sound)
            break;
        write_bulk(w, name);
        write_integer(w, members_of(c, kind, name) + others);
    }
    if (sound)
        stream_send(&c->stream, writer_span(w));
    else
        merge_odd_reply(c);
}

bool local_pubsub_counts(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_counts };
    ask_all(c, argv, w, &rule);
    return true;
}

/* --- PUBSUB NUMPAT ---------------------------------------------------------------------------- */

static void send_patterns(struct client *c, const struct group *g, struct replies *all)
{
    const struct topics *ts = topics_of(c);
    int64_t sum = 0;
    (void)g;
    for (struct list_node *n = ts->patterns.next; n != &ts->patterns; n = n->next)
        sum += LIST_ENTRY(n, struct topic, in_patterns)->served > 0;
    for (uint32_t i = 0; i < all->count; i++) {
        struct value v;
        if (!value_next(&all->part[i].at, &v) || v.kind != VALUE_INTEGER) {
            merge_odd_reply(c);
            return;
        }
        sum += not_below_zero(v.number - (int64_t)topics_patterns_at_node(ts, all->part[i].node));
    }
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_integer(w, sum);
    stream_send(&c->stream, writer_span(w));
}

bool local_pubsub_numpat(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_patterns };
    ask_all(c, argv, w, &rule);
    return true;
}
