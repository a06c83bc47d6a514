/*
 * What one worker says of its topics, for PUBLISH and PUBSUB; publish.c and pubsub_count.c put
 * together what all of them say. Forms: a series of RESP values each, see there.
 */
#include "proxy/pubsub_say.h"
#include "base/text.h"
#include "proxy/worker.h"
#include "resp/request.h"

/* Who waits for the answer to SUBSCRIBE gets no message yet, and does not count. */
static uint32_t members_of(const struct topics *ts, enum topic_kind kind, struct span name)
{
    const struct topic *t = topics_find(ts, kind, name);
    return t == NULL ? 0 : t->served;
}

/* "SHARDCHANNELS", "SHARDNUMSUB". */
static enum topic_kind kind_of(const struct argv *argv)
{
    struct span sub = argv_get(argv, 1);
    return sub.len > 5 && text_equal_nocase(sub.at, 5, "shard", 5) ? TOPIC_SHARD : TOPIC_CHANNEL;
}

/* --- PUBLISH ---------------------------------------------------------------------------------- */

static void count_matches(const struct topic *t, struct receivers *r)
{
    r->reached += t->served;
    r->at_main++;
    r->elsewhere += t->everywhere;
}

struct unwanted {
    const struct topics *topics;
    struct span channel;
    struct receivers *r;
};

static void count_leaving_pattern(void *context, struct span name)
{
    struct unwanted *l = context;
    if (!text_glob(name.at, name.len, l->channel.at, l->channel.len, false) ||
        topics_find(l->topics, TOPIC_PATTERN, name) != NULL)
        return;
    l->r->at_main++;
    l->r->elsewhere += topics_may_match_key_event(name);
}

/* What nobody wants any more, but a node may not know that yet. */
static void count_leaving(const struct topics *ts, struct span channel, struct receivers *r)
{
    struct unwanted l = { ts, channel, r };
    feed_each_leaving(ts->main, TOPIC_PATTERN, count_leaving_pattern, &l);
    if (topics_find(ts, TOPIC_CHANNEL, channel) != NULL ||
        !feed_is_leaving(ts->main, TOPIC_CHANNEL, channel))
        return;
    r->at_main++;
    r->elsewhere += topics_is_key_event(channel);
}

static void write_receivers(const struct receivers *r, struct writer *out)
{
    write_integer(out, r->reached);
    write_integer(out, r->at_main);
    write_integer(out, r->elsewhere);
    write_integer(out, r->main);
}

static void say_shard_receivers(const struct topics *ts, struct span channel, struct writer *out)
{
    struct receivers r = { .reached = members_of(ts, TOPIC_SHARD, channel), .main = -1 };
    for (struct list_node *n = ts->feeds.next; n != &ts->feeds && r.main < 0; n = n->next) {
        uint32_t node = LIST_ENTRY(n, struct feed, in_topics)->fingerprint;
        r.at_main = topics_at_node(ts, node, TOPIC_SHARD, channel);
        if (r.at_main > 0)
            r.main = node;
    }
    write_receivers(&r, out);
}

void pubsub_say_receivers(const struct topics *ts, enum topic_kind kind, struct span channel,
                          struct writer *out)
{
    struct receivers r = { .main = -1 };
    if (kind == TOPIC_SHARD) {
        say_shard_receivers(ts, channel, out);
        return;
    }
    if (ts->main != NULL) {
        r.main = ts->main->fingerprint;
        count_leaving(ts, channel, &r);
    }
    const struct topic *t = topics_find(ts, TOPIC_CHANNEL, channel);
    if (t != NULL)
        count_matches(t, &r);
    for (struct list_node *n = ts->patterns.next; n != &ts->patterns; n = n->next) {
        t = LIST_ENTRY(n, struct topic, in_patterns);
        struct span name = topic_name(t);
        if (text_glob(name.at, name.len, channel.at, channel.len, false))
            count_matches(t, &r);
    }
    write_receivers(&r, out);
}

/* --- PUBSUB ----------------------------------------------------------------------------------- */

static bool is_wanted(const struct topic *t, enum topic_kind kind, const struct argv *argv)
{
    struct span name = topic_name(t);
    if (topic_kind_of(t) != kind || t->served == 0)
        return false;
    struct span glob = argv->count > 2 ? argv_get(argv, 2) : SPAN("*");
    return text_glob(glob.at, glob.len, name.at, name.len, false);
}

struct leavers {
    struct writer *out; /* NULL: only counted */
    uint32_t count;
};

static void on_leaving(void *context, struct span name)
{
    struct leavers *l = context;
    l->count++;
    if (l->out != NULL)
        write_bulk(l->out, name);
}

static void each_leaving(const struct topics *ts, enum topic_kind kind, struct leavers *l)
{
    for (struct list_node *n = ts->feeds.next; n != &ts->feeds; n = n->next)
        feed_each_leaving(LIST_ENTRY(n, struct feed, in_topics), kind, on_leaving, l);
}

/* Two lists: names that somebody here wants; names that a node may still count in vain. */
static void say_names(const struct topics *ts, const struct argv *argv, struct writer *out)
{
    enum topic_kind kind = kind_of(argv);
    struct leavers l = { 0 };
    struct topic *t, *next;
    uint32_t count = 0;
    HASH_ITER(hh, ts->table, t, next)
    count += is_wanted(t, kind, argv);
    write_array(out, count);
    HASH_ITER(hh, ts->table, t, next)
    {
        if (is_wanted(t, kind, argv))
            write_bulk(out, topic_name(t));
    }
    each_leaving(ts, kind, &l);
    write_array(out, l.count);
    l.out = out;
    each_leaving(ts, kind, &l);
}

/* For each name: how many want it, and the nodes that count us for it. */
static void say_counts(const struct topics *ts, const struct argv *argv, struct writer *out)
{
    enum topic_kind kind = kind_of(argv);
    for (uint32_t i = 2; i < argv->count; i++) {
        struct span name = argv_get(argv, i);
        uint32_t nodes = 0;
        struct list_node *n;
        for (n = ts->feeds.next; n != &ts->feeds; n = n->next)
            nodes +=
                topics_at_node(ts, LIST_ENTRY(n, struct feed, in_topics)->fingerprint, kind, name);
        write_array(out, 1 + nodes);
        write_integer(out, members_of(ts, kind, name));
        for (n = ts->feeds.next; n != &ts->feeds; n = n->next) {
            uint32_t node = LIST_ENTRY(n, struct feed, in_topics)->fingerprint;
            if (topics_at_node(ts, node, kind, name) > 0)
                write_integer(out, node);
        }
    }
}

/* Patterns that somebody here wants; then for each node how many patterns of ours it counts. */
static void say_patterns(const struct topics *ts, const struct argv *argv, struct writer *out)
{
    uint32_t count = 0, feeds = 0;
    struct list_node *n;
    (void)argv;
    for (n = ts->patterns.next; n != &ts->patterns; n = n->next)
        count += LIST_ENTRY(n, struct topic, in_patterns)->served > 0;
    write_array(out, count);
    for (n = ts->patterns.next; n != &ts->patterns; n = n->next) {
        const struct topic *t = LIST_ENTRY(n, struct topic, in_patterns);
        if (t->served > 0)
            write_bulk(out, topic_name(t));
    }
    for (n = ts->feeds.next; n != &ts->feeds; n = n->next)
        feeds++;
    write_array(out, (size_t)feeds * 2);
    for (n = ts->feeds.next; n != &ts->feeds; n = n->next) {
        uint32_t node = LIST_ENTRY(n, struct feed, in_topics)->fingerprint;
        write_integer(out, node);
        write_integer(out, topics_patterns_at_node(ts, node));
    }
}

static const struct {
    const char *sub;
    void (*say)(const struct topics *ts, const struct argv *argv, struct writer *out);
} sayings[] = {
    { "channels", say_names },      { "numpat", say_patterns },    { "numsub", say_counts },
    { "shardchannels", say_names }, { "shardnumsub", say_counts },
};

void pubsub_say(const struct worker *w, struct span request, struct writer *out)
{
    struct request_parser parser = { 0 };
    struct arg_room room = { 0 };
    struct argv argv;
    const char *error;
    size_t used;
    bool whole =
        request.len > 0 && request_parse(&parser, &request_limits_default, &room, request.at,
                                         request.len, &argv, &used, &error) == REQUEST_ARGS;
    for (size_t i = 0; whole && argv.count > 1 && i < ARRAY_LEN(sayings); i++)
        if (span_is(argv_get(&argv, 1), sayings[i].sub))
            sayings[i].say(&w->pubsub.topics, &argv, out);
    request_parser_reset(&parser);
    arg_room_close(&room);
}

void pubsub_on_subscribed(void *context, const struct talk_letter *letter)
{
    struct worker *w = context;
    struct writer out;
    writer_init(&out, 2);
    pubsub_say(w, letter->body, &out);
    talk_answer(&w->talk, letter, writer_span(&out));
    writer_close(&out);
}
