#include "proxy/subscriber.h"

#include <stdlib.h>

#include "proxy/client_reply.h"
#include "proxy/local.h"
#include "proxy/monitor.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"

static uint64_t now_of(const struct client *c)
{
    return uv_now(c->worker->net.loop);
}

/* --- life ------------------------------------------------------------------------------------- */

struct subscriber *subscriber_get(struct client *c)
{
    if (c->subscriber != NULL)
        return c->subscriber;
    struct subscriber *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    s->client = c;
    list_init(&s->members);
    list_init(&s->places);
    list_init(&s->in_pending);
    list_init(&s->in_checks);
    list_init(&s->in_monitors);
    c->subscriber = s;
    c->worker->stats.subscribers++;
    return s;
}

static void free_subscriber(struct client *c)
{
    struct subscriber *s = c->subscriber;
    rope_clear(&s->held, &c->worker->net.store);
    if (s->stash != NULL)
        chunk_unref(s->stash);
    list_remove(&s->in_pending);
    list_remove(&s->in_checks);
    free(s);
    c->subscriber = NULL;
    c->worker->stats.subscribers--;
}

void subscriber_release_if_idle(struct client *c)
{
    const struct subscriber *s = c->subscriber;
    if (s != NULL && list_is_empty(&s->members) && list_is_empty(&s->places) &&
        !list_is_linked(&s->in_monitors) && rope_is_empty(&s->held))
        free_subscriber(c);
}

/* --- members ---------------------------------------------------------------------------------- */

static struct member *find_member(struct subscriber *s, enum topic_kind kind, struct span name)
{
    struct pubsub *ps = &s->client->worker->pubsub;
    struct member_key key = { topics_find(&ps->topics, kind, name), s };
    struct member *m;
    if (key.topic == NULL)
        return NULL;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the key has no holes */
    HASH_FIND(hh, ps->members, &key, sizeof(key), m);
    return m;
}

static void arrive(struct member *m)
{
    m->arrived = true;
    m->key.topic->waiting--;
    m->place->open--;
}

static struct member *add_member(struct subscriber *s, enum topic_kind kind, struct span name,
                                 struct place *p)
{
    struct pubsub *ps = &s->client->worker->pubsub;
    struct member *m = calloc(1, sizeof(*m));
    REQUIRE(m != NULL);
    struct topic *t = topics_get(&ps->topics, kind, name);
    m->key = (struct member_key){ t, s };
    m->place = p;
    HASH_ADD(hh, ps->members, key, sizeof(m->key), m);
    list_append(&t->members, &m->in_topic);
    list_append(&s->members, &m->in_subscriber);
    list_append(&p->members, &m->in_place);
    t->member_count++;
    t->waiting++;
    p->open++;
    s->count[kind]++;
    if (topic_is_ready(&ps->topics, t))
        arrive(m);
    return m;
}

static void remove_member(struct member *m)
{
    struct topic *t = m->key.topic; /* NOLINT(clang-analyzer-unix.Malloc) */
    struct subscriber *s = m->key.subscriber;
    struct pubsub *ps = &s->client->worker->pubsub;
    if (m->place != NULL && !m->arrived)
        arrive(m);
    t->served -= m->place == NULL;
    HASH_DEL(ps->members, m);
    list_remove(&m->in_topic);
    list_remove(&m->in_subscriber);
    list_remove(&m->in_place);
    s->count[topic_kind_of(t)]--;
    free(m);
    if (--t->member_count == 0)
        topics_drop(&ps->topics, t);
}

static void remove_all(struct subscriber *s)
{
    while (!list_is_empty(&s->members))
        remove_member(LIST_ENTRY(s->members.next, struct member, in_subscriber));
}

/* --- places: SUBSCRIBEs that wait for their answer -------------------------------------------- */

static struct place *new_place(const struct client *c)
{
    struct place *p = calloc(1, sizeof(*p));
    REQUIRE(p != NULL);
    list_init(&p->in_subscriber);
    list_init(&p->members);
    writer_init(&p->reply, c->flow.protocol);
    return p;
}

static void free_place(struct place *p)
{
    writer_close(&p->reply);
    free(p);
}

/* Its members are delivered to from now on; or, if it has failed, they are gone. */
static void dissolve(struct place *p)
{
    while (!list_is_empty(&p->members)) {
        struct member *m = LIST_ENTRY(p->members.next, struct member, in_place);
        if (p->failed) {
            remove_member(m);
            continue;
        }
        m->place = NULL;
        m->key.topic->served++;
        list_remove(&m->in_place);
    }
}

static void add_place(struct subscriber *s, struct place *p)
{
    struct client *c = s->client;
    struct worker *w = c->worker;
    p->request = router_request(&w->router, &c->flow, NULL, SLOT_ANY);
    p->deadline = now_of(c) + w->config.request_timeout;
    list_append(&s->places, &p->in_subscriber);
    s->place_count++;
    if (!list_is_linked(&s->in_pending))
        list_append(&w->pubsub.pending, &s->in_pending);
}

static void remove_place(struct subscriber *s, struct place *p)
{
    list_remove(&p->in_subscriber);
    if (--s->place_count == 0)
        list_remove(&s->in_pending);
}

static void answer(struct subscriber *s, struct place *p)
{
    struct client *c = s->client;
    remove_place(s, p);
    dissolve(p);
    p->request->state = REQUEST_DONE;
    client_flow_user.on_reply(&c->flow, p->request, writer_span(&p->reply), NULL, true);
    free_place(p);
}

static void fail(struct place *p, struct span error)
{
    if (p->failed)
        return;
    writer_clear(&p->reply, 2);
    write_raw(&p->reply, error);
    p->failed = true;
}

/* A node that nobody waits for any more has made a topic ready, and nobody says so. */
static void look_for_arrivals(const struct subscriber *s, struct place *p)
{
    const struct topics *ts = &s->client->worker->pubsub.topics;
    for (struct list_node *n = p->members.next; n != &p->members; n = n->next) {
        struct member *m = LIST_ENTRY(n, struct member, in_place);
        if (!m->arrived && topic_is_ready(ts, m->key.topic))
            arrive(m);
    }
}

void subscriber_check(struct subscriber *s)
{
    struct client *c = s->client;
    while (!list_is_empty(&s->places) && !c->stream.closing) {
        struct place *p = LIST_ENTRY(s->places.next, struct place, in_subscriber);
        if (p->open > 0) /* NOLINT(clang-analyzer-unix.Malloc) */
            look_for_arrivals(s, p);
        if (p->open > 0 && now_of(c) >= p->deadline)
            fail(p, SPAN("-ERR slotgate: no node confirmed the subscription in time\r\n"));
        if (p->open > 0 && !p->failed)
            return;
        answer(s, p);
    }
    subscriber_release_if_idle(c);
}

static void check_later(struct subscriber *s)
{
    if (!list_is_linked(&s->in_checks))
        list_append(&s->client->worker->pubsub.checks, &s->in_checks);
}

void subscriber_topic_ready(struct topic *t)
{
    struct list_node *n, *safe;
    LIST_EACH (&t->members, n, safe) {
        struct member *m = LIST_ENTRY(n, struct member, in_topic);
        if (t->waiting == 0)
            return;
        if (m->place == NULL || m->arrived)
            continue;
        arrive(m);
        check_later(m->key.subscriber);
    }
}

void subscriber_topic_refused(struct topic *t, struct span error)
{
    struct list_node *n, *safe;
    LIST_EACH (&t->members, n, safe) {
        struct member *m = LIST_ENTRY(n, struct member, in_topic);
        if (m->place == NULL || m->arrived)
            continue;
        fail(m->place, error);
        check_later(m->key.subscriber);
    }
}

/* --- the commands ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint8_t kind;
    bool join;
} verbs[] = {
    { "subscribe", TOPIC_CHANNEL, true },  { "unsubscribe", TOPIC_CHANNEL, false },
    { "psubscribe", TOPIC_PATTERN, true }, { "punsubscribe", TOPIC_PATTERN, false },
    { "ssubscribe", TOPIC_SHARD, true },   { "sunsubscribe", TOPIC_SHARD, false },
};

/* What the third element counts: shard channels, or everything else. */
static uint32_t shown_count(const struct subscriber *s, enum topic_kind kind)
{
    if (s == NULL)
        return 0;
    return kind == TOPIC_SHARD ? s->count[TOPIC_SHARD]
                               : s->count[TOPIC_CHANNEL] + s->count[TOPIC_PATTERN];
}

static void write_line(struct writer *w, const char *verb, struct span name, uint32_t count)
{
    write_push(w, 3);
    write_bulk_text(w, verb);
    if (name.at != NULL)
        write_bulk(w, name);
    else
        write_null(w);
    write_integer(w, count);
}

/* Inside EXEC it is an element of the reply, which messages have to wait for. */
static void send_reply(struct client *c, struct span bytes)
{
    if (transaction_has_begun(c))
        stream_send(&c->stream, bytes);
    else
        subscriber_push(c, bytes, NULL);
}

static void join(struct client *c, enum topic_kind kind, const struct argv *argv, const char *verb)
{
    struct subscriber *s = subscriber_get(c);
    struct place *p = new_place(c);
    for (uint32_t i = 1; i < argv->count; i++) {
        struct span name = argv_get(argv, i);
        if (find_member(s, kind, name) == NULL)
            add_member(s, kind, name, p);
        write_line(&p->reply, verb, name, shown_count(s, kind));
    }
    if (p->open > 0 || s->place_count > 0) {
        add_place(s, p);
        return;
    }
    dissolve(p);
    send_reply(c, writer_span(&p->reply));
    free_place(p);
}

static void part_with(struct client *c, struct member *m, const char *verb, struct writer *w)
{
    struct topic *t = m->key.topic;
    struct span name = topic_name(t);
    enum topic_kind kind = topic_kind_of(t);
    write_line(w, verb, name, shown_count(c->subscriber, kind) - 1);
    remove_member(m);
}

static void part_with_all(struct client *c, enum topic_kind kind, const char *verb,
                          struct writer *w)
{
    struct subscriber *s = c->subscriber;
    struct list_node *n, *safe;
    if (s == NULL || s->count[kind] == 0) {
        write_line(w, verb, (struct span){ NULL, 0 }, shown_count(s, kind));
        return;
    }
    LIST_EACH (&s->members, n, safe) {
        struct member *m = LIST_ENTRY(n, struct member, in_subscriber);
        if (topic_kind_of(m->key.topic) == kind)
            part_with(c, m, verb, w);
    }
}

static void part(struct client *c, enum topic_kind kind, const struct argv *argv, const char *verb)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    if (argv->count == 1)
        part_with_all(c, kind, verb, w);
    for (uint32_t i = 1; i < argv->count; i++) {
        struct span name = argv_get(argv, i);
        struct member *m = c->subscriber == NULL ? NULL : find_member(c->subscriber, kind, name);
        if (m != NULL)
            part_with(c, m, verb, w);
        else
            write_line(w, verb, name, shown_count(c->subscriber, kind));
    }
    send_reply(c, writer_span(w));
    writer_clear(w, c->flow.protocol);
    subscriber_release_if_idle(c);
}

bool subscriber_is_verb(const struct command *cmd)
{
    for (size_t i = 0; cmd->parent == NULL && i < ARRAY_LEN(verbs); i++)
        if (strcmp(cmd->name, verbs[i].name) == 0)
            return true;
    return false;
}

bool local_subscribe(struct client *c, const struct argv *argv, struct writer *w)
{
    size_t i = 0;
    while (strcmp(verbs[i].name, c->last_command->name) != 0)
        i++;
    uint32_t places = verbs[i].join && c->subscriber != NULL ? c->subscriber->place_count : 0;
    if (c->flow.count > places)
        return false;
    if (verbs[i].join && verbs[i].kind == TOPIC_SHARD && transaction_has_begun(c))
        write_error(w, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"); /* as Redis */
    else if (verbs[i].join)
        join(c, (enum topic_kind)verbs[i].kind, argv, verbs[i].name);
    else
        part(c, (enum topic_kind)verbs[i].kind, argv, verbs[i].name);
    return true;
}

/* --- what else the client may do -------------------------------------------------------------- */

bool subscriber_is_exclusive(const struct client *c)
{
    return c->subscriber != NULL && c->flow.protocol == 2 && subscriber_total(c->subscriber) > 0;
}

static bool is_always_allowed(const struct command *cmd)
{
    static const char *const others[] = { "ping", "quit", "reset" };
    if (cmd->parent != NULL)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(cmd->name, others[i]) == 0)
            return true;
    return subscriber_is_verb(cmd);
}

bool subscriber_allows(struct client *c, const struct command *cmd, struct writer *w)
{
    if (transaction_has_begun(c)) /* EXEC goes on */
        return true;
    if (subscriber_is_exclusive(c) && !is_always_allowed(cmd)) {
        bool is_exec = cmd->parent == NULL && strcmp(cmd->name, "exec") == 0;
        write_error(w,
                    "%s Can't execute '%s%s%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                    "QUIT / RESET are allowed in this context",
                    is_exec ? "EXECABORT Transaction discarded because of:" : "ERR",
                    cmd->parent != NULL ? cmd->parent->name : "", cmd->parent != NULL ? "|" : "",
                    cmd->name);
        return false;
    }
    uint32_t data = CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE;
    if (list_is_linked(&c->subscriber->in_monitors) && (cmd->flags & data) != 0) {
        write_error(w, "ERR Replica can't interact with the keyspace");
        return false;
    }
    return true;
}

void subscriber_reset(struct client *c)
{
    if (c->subscriber == NULL)
        return;
    remove_all(c->subscriber);
    monitor_stop(c);
    subscriber_release_if_idle(c);
}

void subscriber_free(struct client *c)
{
    struct subscriber *s = c->subscriber;
    if (s == NULL)
        return;
    remove_all(s);
    monitor_stop(c);
    while (!list_is_empty(&s->places)) {
        struct place *p = LIST_ENTRY(s->places.next, struct place, in_subscriber);
        remove_place(s, p); /* NOLINT(clang-analyzer-unix.Malloc) */
        free_place(p);
    }
    free_subscriber(c);
}
