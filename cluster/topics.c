#include "cluster/topics.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "cluster/redirect.h"

enum {
    UNUSED_MS = 5000, /* a connection that carries nothing is kept so long */
    AWAY_MS = 2000,   /* CLUSTER SLOTS does not name a master that has just become a replica */
    RETRY_MS = 100,   /* after "not now" */
    RETRY_REFUSED_MS = 1000, /* after a refusal */
    HOPS_AT_ONCE = 3,        /* redirects that are followed without a pause */
};

static const struct feed_user topics_feed_user;

static uint64_t now_of(const struct topics *ts)
{
    return uv_now(ts->router->net->loop);
}

static void doubt(const struct topics *ts)
{
    ts->router->on_doubt(ts->router->doubt_context);
}

/* --- connections ------------------------------------------------------------------------------ */

static struct feed *find_feed(const struct topics *ts, const struct endpoint *to)
{
    for (struct list_node *n = ts->feeds.next; n != &ts->feeds; n = n->next) {
        struct feed *f = LIST_ENTRY(n, struct feed, in_topics);
        if (endpoint_equal(&f->to, to))
            return f;
    }
    return NULL;
}

static void dial_if_rested(const struct topics *ts, struct feed *f)
{
    if (f->state == FEED_RESTING && now_of(ts) >= f->rest_until)
        feed_dial(f);
}

static struct feed *get_feed(struct topics *ts, const struct endpoint *to)
{
    struct feed *f = find_feed(ts, to);
    if (f == NULL) {
        struct router *rt = ts->router;
        const struct node *node = node_get(&rt->nodes, to);
        f = feed_new(rt->net, to, &rt->options->link, &topics_feed_user, ts);
        f->fingerprint = node->fingerprint;
        f->in_map = node->in_map;
        f->master = node->master;
        list_append(&ts->feeds, &f->in_topics);
    }
    dial_if_rested(ts, f);
    return f;
}

/* A connected one is best; otherwise one that does not rest after a failure. */
static void choose_main(struct topics *ts)
{
    struct router *rt = ts->router;
    uint32_t shards = rt->map == NULL ? 0 : rt->map->shard_count;
    struct feed *best = NULL;
    for (uint32_t i = 0; i < shards && best == NULL; i++) {
        struct feed *f = find_feed(ts, &rt->masters[(ts->turn + i) % shards]->endpoint);
        if (f != NULL && f->state == FEED_READY && !f->stream.closing)
            best = f;
    }
    for (uint32_t i = 0; i < shards && best == NULL; i++) {
        const struct endpoint *to = &rt->masters[(ts->turn + i) % shards]->endpoint;
        struct feed *f = find_feed(ts, to);
        if (f == NULL || f->state == FEED_DIALLING || f->state == FEED_GREETING ||
            (f->state == FEED_RESTING && now_of(ts) >= f->rest_until))
            best = get_feed(ts, to);
    }
    ts->main = best;
    if (best == NULL)
        return;
    char to[ENDPOINT_TEXT_MAX];
    best->unused_since = 0;
    log_debug("subscriptions come from", "node=%s", endpoint_text(&best->to, to));
}

/* --- one topic -------------------------------------------------------------------------------- */

static void want(struct topic *t, struct feed *f)
{
    struct carrier *c = topic_carrier_at(t, f);
    if (c != NULL) {
        c->wanted = true;
        return;
    }
    c = malloc(sizeof(*c));
    REQUIRE(c != NULL);
    *c = (struct carrier){ .topic = t, .feed = f, .wanted = true };
    list_append(&t->carriers, &c->in_topic);
    list_append(&f->carriers, &c->in_feed);
    f->unused_since = 0;
    if (f->state == FEED_READY)
        feed_join(f, topic_kind_of(t), topic_name(t), c);
}

static void free_carrier(struct carrier *c)
{
    if (!c->joined)
        feed_forget(c->feed, c);
    list_remove(&c->in_topic);
    list_remove(&c->in_feed);
    free(c);
}

static void leave(struct carrier *c)
{
    if (c->feed->state == FEED_READY)
        feed_leave(c->feed, topic_kind_of(c->topic), topic_name(c->topic));
    free_carrier(c);
}

static void retry_later(struct topics *ts, struct topic *t, uint64_t ms)
{
    ts->retries += t->retry_at == 0;
    t->retry_at = now_of(ts) + ms;
}

static void want_shard(struct topics *ts, struct topic *t)
{
    struct router *rt = ts->router;
    if (t->moved) {
        want(t, get_feed(ts, &t->moved_to));
        return;
    }
    uint16_t shard = rt->map == NULL ? SLOTMAP_NO_SHARD : rt->map->shard_of[t->slot];
    if (shard != SLOTMAP_NO_SHARD)
        want(t, get_feed(ts, &rt->masters[shard]->endpoint));
}

/* Subscribes where it has to be and leaves where it has not. */
static void settle(struct topics *ts, struct topic *t)
{
    struct router *rt = ts->router;
    struct list_node *n, *safe;
    LIST_EACH (&t->carriers, n, safe)
        LIST_ENTRY(n, struct carrier, in_topic)->wanted = false;
    if (topic_kind_of(t) == TOPIC_SHARD)
        want_shard(ts, t);
    else if (ts->main != NULL)
        want(t, ts->main);
    for (uint32_t i = 0; t->everywhere && rt->map != NULL && i < rt->map->shard_count; i++)
        want(t, get_feed(ts, &rt->masters[i]->endpoint));
    LIST_EACH (&t->carriers, n, safe)
        if (!LIST_ENTRY(n, struct carrier, in_topic)->wanted)
            leave(LIST_ENTRY(n, struct carrier, in_topic));
}

static void settle_all(struct topics *ts)
{
    struct topic *t, *next;
    HASH_ITER(hh, ts->table, t, next)
    settle(ts, t);
}

/* When there is a new main connection, everything is subscribed there. */
static void ensure_main(struct topics *ts)
{
    if (ts->main != NULL || ts->count[TOPIC_CHANNEL] + ts->count[TOPIC_PATTERN] == 0)
        return;
    choose_main(ts);
    if (ts->main != NULL)
        settle_all(ts);
}

bool topic_is_ready(const struct topics *ts, const struct topic *t)
{
    bool ready = !list_is_empty(&t->carriers);
    bool has_main = topic_kind_of(t) == TOPIC_SHARD;
    for (struct list_node *n = t->carriers.next; n != &t->carriers; n = n->next) {
        const struct carrier *c = LIST_ENTRY(n, struct carrier, in_topic);
        bool needed = !t->everywhere || c->feed == ts->main || c->feed->last_error == 0;
        has_main = has_main || c->feed == ts->main;
        ready = ready && (c->joined || !needed);
    }
    return ready && has_main;
}

/* --- what the nodes say ----------------------------------------------------------------------- */

static void on_ready(struct feed *f)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->carriers, n, safe) {
        struct carrier *c = LIST_ENTRY(n, struct carrier, in_feed);
        feed_join(f, topic_kind_of(c->topic), topic_name(c->topic), c);
    }
}

static void on_joined(struct feed *f, void *tag)
{
    struct topics *ts = f->context;
    struct carrier *c = tag;
    struct topic *t = c->topic;
    c->joined = true;
    t->hops = 0;
    if (topic_is_ready(ts, t))
        ts->user->on_ready(ts, t);
}

static void follow_moved(struct topics *ts, struct topic *t, const struct feed *from,
                         const struct redirect *to)
{
    t->moved_to = to->to;
    if (to->to.host[0] == '\0')
        memcpy(t->moved_to.host, from->to.host, sizeof(t->moved_to.host));
    t->moved = true;
    doubt(ts);
    if (++t->hops <= HOPS_AT_ONCE)
        settle(ts, t);
    else
        retry_later(ts, t, RETRY_MS);
}

static void on_refused(struct feed *f, void *tag, struct span error)
{
    struct topics *ts = f->context;
    struct carrier *c = tag;
    struct topic *t = c->topic;
    struct redirect r = redirect_read(error);
    free_carrier(c);
    if (r.verdict == VERDICT_MOVED && topic_kind_of(t) == TOPIC_SHARD) {
        follow_moved(ts, t, f, &r);
        return;
    }
    t->moved = false;
    if (r.verdict != VERDICT_PASS) {
        doubt(ts);
        retry_later(ts, t, RETRY_MS);
        return;
    }
    retry_later(ts, t, RETRY_REFUSED_MS);
    ts->user->on_refused(ts, t, error);
}

/* The slot has moved: the node that had it will say where to. */
static void on_dropped(struct feed *f, struct span channel)
{
    struct topics *ts = f->context;
    struct topic *t = topics_find(ts, TOPIC_SHARD, channel);
    if (t == NULL)
        return;
    struct carrier *c = topic_carrier_at(t, f);
    if (c != NULL)
        free_carrier(c);
    t->hops = 0;
    echo_change(&ts->echo, now_of(ts));
    doubt(ts);
    settle(ts, t);
}

static void on_message(struct feed *f, const struct feed_message *m)
{
    struct topics *ts = f->context;
    struct topic *t = topics_find(ts, m->kind, m->topic);
    if (t == NULL)
        return;
    if (topics_is_key_event(m->channel) && m->kind != TOPIC_SHARD) {
        if (f->master)
            ts->user->on_message(ts, t, m);
        return;
    }
    bool listen = m->kind == TOPIC_SHARD ? topic_carrier_at(t, f) != NULL : f == ts->main;
    if (listen && !echo_is_repeat(&ts->echo, m->whole, f, now_of(ts)))
        ts->user->on_message(ts, t, m);
}

/* Its topics go elsewhere, or wait for it. */
static void abandon(struct topics *ts, struct feed *f)
{
    struct list_node lost;
    echo_change(&ts->echo, now_of(ts));
    list_init(&lost);
    list_splice(&lost, &f->carriers);
    if (ts->main == f) {
        ts->main = NULL;
        ts->turn++;
        choose_main(ts);
    }
    while (!list_is_empty(&lost)) {
        struct carrier *c = LIST_ENTRY(lost.next, struct carrier, in_feed);
        struct topic *t = c->topic;
        free_carrier(c);
        settle(ts, t);
        if (t->waiting > 0 && topic_is_ready(ts, t))
            ts->user->on_ready(ts, t);
    }
}

static void on_down(struct feed *f, int why)
{
    struct topics *ts = f->context;
    if (ts->closing)
        return;
    char to[ENDPOINT_TEXT_MAX];
    if (!list_is_empty(&f->carriers))
        log_warn("subscription connection lost", "node=%s reason=%s", endpoint_text(&f->to, to),
                 error_name(why));
    doubt(ts);
    abandon(ts, f);
}

static const struct feed_user topics_feed_user = {
    .on_ready = on_ready,
    .on_joined = on_joined,
    .on_refused = on_refused,
    .on_dropped = on_dropped,
    .on_message = on_message,
    .on_down = on_down,
};

/* --- maps and time ---------------------------------------------------------------------------- */

void topics_on_map(struct topics *ts)
{
    struct router *rt = ts->router;
    if (ts->closing || ts->epoch == rt->epoch)
        return;
    ts->epoch = rt->epoch;
    struct list_node *n, *safe;
    LIST_EACH (&ts->feeds, n, safe) {
        struct feed *f = LIST_ENTRY(n, struct feed, in_topics);
        const struct node *node = node_find(&rt->nodes, &f->to);
        f->in_map = node != NULL && node->in_map;
        f->master = f->in_map && node->master;
    }
    struct topic *t, *next;
    HASH_ITER(hh, ts->table, t, next)
    t->moved = false;
    LIST_EACH (&ts->feeds, n, safe) {
        struct feed *f = LIST_ENTRY(n, struct feed, in_topics);
        bool away = !f->in_map && f->state != FEED_RESTING;
        if (!away)
            f->away_since = 0;
        else if (f->away_since == 0)
            f->away_since = now_of(ts);
    }
    ensure_main(ts);
    settle_all(ts);
}

static void retry(struct topics *ts)
{
    uint64_t now = now_of(ts);
    struct topic *t, *next;
    HASH_ITER(hh, ts->table, t, next)
    {
        if (t->retry_at == 0 || now < t->retry_at)
            continue;
        t->retry_at = 0;
        ts->retries--;
        settle(ts, t);
    }
}

static void tick_feed(struct topics *ts, struct feed *f)
{
    uint64_t now = now_of(ts);
    if (f->away_since != 0 && now - f->away_since >= AWAY_MS && f->state != FEED_RESTING) {
        f->away_since = 0;
        feed_close(f, ERR_SHUTDOWN);
        abandon(ts, f);
    }
    feed_tick(f, f == ts->main ? TOPICS_SILENT_MS : TOPICS_SLOW_MAX_MS);
    if (!list_is_empty(&f->carriers)) {
        dial_if_rested(ts, f);
        return;
    }
    if (f->unused_since == 0)
        f->unused_since = now;
    if (now - f->unused_since < UNUSED_MS)
        return;
    if (f == ts->main)
        ts->main = NULL;
    feed_close(f, ERR_IDLE);
    if (f->state != FEED_RESTING)
        return;
    list_remove(&f->in_topics);
    feed_free(f);
}

static void on_timer(uv_timer_t *timer)
{
    struct topics *ts = timer->data;
    struct list_node *n, *safe;
    LIST_EACH (&ts->feeds, n, safe)
        tick_feed(ts, LIST_ENTRY(n, struct feed, in_topics));
    ensure_main(ts);
    if (ts->retries > 0)
        retry(ts);
    ts->user->on_tick(ts);
    if (ts->table != NULL || !list_is_empty(&ts->feeds))
        return;
    uv_timer_stop(&ts->tick);
    ts->ticking = false;
}

/* --- life ------------------------------------------------------------------------------------- */

void topics_open(struct topics *ts, struct router *rt, const struct topics_user *user)
{
    *ts = (struct topics){ .router = rt, .user = user, .turn = (uint32_t)(uv_hrtime() >> 10) };
    list_init(&ts->feeds);
    list_init(&ts->patterns);
    uv_timer_init(rt->net->loop, &ts->tick);
    ts->tick.data = ts;
}

void topics_close(struct topics *ts)
{
    struct list_node *n, *safe;
    ts->closing = true;
    uv_close((uv_handle_t *)&ts->tick, NULL);
    LIST_EACH (&ts->feeds, n, safe)
        feed_close(LIST_ENTRY(n, struct feed, in_topics), ERR_SHUTDOWN);
}

void topics_free(struct topics *ts)
{
    struct list_node *n, *safe;
    REQUIRE(ts->table == NULL);
    LIST_EACH (&ts->feeds, n, safe)
        feed_free(LIST_ENTRY(n, struct feed, in_topics));
    echo_free(&ts->echo);
}

/* --- the table -------------------------------------------------------------------------------- */

struct topic *topics_find(const struct topics *ts, enum topic_kind kind, struct span name)
{
    struct topic *found;
    char small[256], *key = small;
    if (ts->table == NULL)
        return NULL;
    if (name.len >= sizeof(small)) {
        key = malloc(name.len + 1);
        REQUIRE(key != NULL);
    }
    key[0] = (char)kind;
    memcpy(key + 1, name.at, name.len);
    HASH_FIND(hh, ts->table, key, name.len + 1, found);
    if (key != small)
        free(key);
    return found;
}

struct topic *topics_get(struct topics *ts, enum topic_kind kind, struct span name)
{
    struct topic *t = topics_find(ts, kind, name);
    if (t != NULL)
        return t;
    t = calloc(1, sizeof(*t) + name.len + 1);
    REQUIRE(t != NULL);
    t->len = name.len + 1;
    t->key[0] = (char)kind;
    memcpy(t->key + 1, name.at, name.len);
    t->slot = keyslot_of(name);
    t->everywhere = (kind == TOPIC_CHANNEL && topics_is_key_event(name)) ||
                    (kind == TOPIC_PATTERN && topics_may_match_key_event(name));
    list_init(&t->carriers);
    list_init(&t->members);
    list_init(&t->in_patterns);
    if (kind == TOPIC_PATTERN)
        list_append(&ts->patterns, &t->in_patterns);
    HASH_ADD(hh, ts->table, key, t->len, t);
    ts->count[kind]++;
    ensure_main(ts);
    settle(ts, t);
    if (!ts->ticking)
        uv_timer_start(&ts->tick, on_timer, TOPICS_TICK_MS, TOPICS_TICK_MS);
    ts->ticking = true;
    return t;
}

void topics_drop(struct topics *ts, struct topic *t)
{
    while (!list_is_empty(&t->carriers))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): leave takes it out of the list */
        leave(LIST_ENTRY(t->carriers.next, struct carrier, in_topic));
    ts->retries -= t->retry_at != 0;
    ts->count[topic_kind_of(t)]--;
    list_remove(&t->in_patterns);
    HASH_DEL(ts->table, t);
    free(t);
}
