/* What can be asked about topics; see topics.h. */
#include "cluster/topics.h"

/* --- notifications about keys ----------------------------------------------------------------- */

static const struct span event_prefixes[] = { { "__keyspace@", 11 }, { "__keyevent@", 11 } };

bool topics_is_key_event(struct span channel)
{
    for (size_t i = 0; i < ARRAY_LEN(event_prefixes); i++)
        if (channel.len >= event_prefixes[i].len &&
            memcmp(channel.at, event_prefixes[i].at, event_prefixes[i].len) == 0)
            return true;
    return false;
}

/* Its plain beginning has to go together with theirs. */
bool topics_may_match_key_event(struct span pattern)
{
    static const char special[] = "*?[\\";
    size_t plain = 0;
    while (plain < pattern.len && memchr(special, pattern.at[plain], sizeof(special) - 1) == NULL)
        plain++;
    for (size_t i = 0; i < ARRAY_LEN(event_prefixes); i++) {
        struct span prefix = event_prefixes[i];
        size_t n = plain < prefix.len ? plain : prefix.len;
        if (memcmp(pattern.at, prefix.at, n) == 0 && (n == prefix.len || plain < pattern.len))
            return true;
    }
    return false;
}

/* --- what the nodes count --------------------------------------------------------------------- */

struct carrier *topic_carrier_at(const struct topic *t, const struct feed *f)
{
    for (struct list_node *n = t->carriers.next; n != &t->carriers; n = n->next)
        if (LIST_ENTRY(n, struct carrier, in_topic)->feed == f)
            return LIST_ENTRY(n, struct carrier, in_topic);
    return NULL;
}

static const struct feed *feed_of_node(const struct topics *ts, uint32_t node)
{
    for (struct list_node *n = ts->feeds.next; n != &ts->feeds; n = n->next) {
        const struct feed *f = LIST_ENTRY(n, struct feed, in_topics);
        if (f->fingerprint == node && f->state == FEED_READY)
            return f;
    }
    return NULL;
}

uint32_t topics_at_node(const struct topics *ts, uint32_t node, enum topic_kind kind,
                        struct span name)
{
    const struct feed *f = feed_of_node(ts, node);
    const struct topic *t = f == NULL ? NULL : topics_find(ts, kind, name);
    if (f == NULL)
        return 0;
    return (t != NULL && topic_carrier_at(t, f) != NULL) || feed_is_leaving(f, kind, name);
}

struct leavers {
    const struct topics *topics;
    uint32_t count;
};

/* One that somebody wants again by now is not counted twice. */
static void on_leaving(void *context, struct span name)
{
    struct leavers *l = context;
    l->count += topics_find(l->topics, TOPIC_PATTERN, name) == NULL;
}

static uint32_t patterns_leaving(const struct topics *ts, const struct feed *f)
{
    struct leavers l = { .topics = ts };
    feed_each_leaving(f, TOPIC_PATTERN, on_leaving, &l);
    return l.count;
}

uint32_t topics_patterns_at_node(const struct topics *ts, uint32_t node)
{
    const struct feed *f = feed_of_node(ts, node);
    uint32_t count = f == NULL ? 0 : patterns_leaving(ts, f);
    for (struct list_node *n = ts->patterns.next; f != NULL && n != &ts->patterns; n = n->next)
        count += topic_carrier_at(LIST_ENTRY(n, struct topic, in_patterns), f) != NULL;
    return count;
}

uint32_t topics_counted(const struct topics *ts)
{
    uint32_t count = 0;
    for (int kind = 0; kind < TOPIC_KINDS; kind++)
        count += ts->count[kind];
    for (struct list_node *n = ts->feeds.next; n != &ts->feeds; n = n->next)
        count += LIST_ENTRY(n, struct feed, in_topics)->leaving;
    return count;
}
