#include "proxy/pubsub.h"

#include "proxy/counting.h"
#include "proxy/worker.h"

enum { SHARE_MEMBERS_MIN = 8 }; /* with fewer, a copy for each is cheaper */

static struct worker *worker_of(struct topics *ts)
{
    return CONTAINER_OF(ts, struct worker, pubsub.topics);
}

/* --- messages --------------------------------------------------------------------------------- */

struct message {
    struct span bytes;
    struct chunk *chunk; /* NULL: not to be shared */
};

/* Copies it to where it can be shared. In RESP3 it only begins with another byte. */
static struct message make_shared(struct worker *w, struct span whole, char first)
{
    struct rope place = { 0 };
    struct message m;
    char *at = (char *)rope_copy(&place, &w->net.store, &w->pubsub.fan, whole);
    *at = first;
    m = (struct message){ { at, whole.len }, w->pubsub.fan };
    chunk_ref(m.chunk);
    rope_clear(&place, &w->net.store);
    return m;
}

static struct message make_unshared(struct worker *w, struct span whole, char first)
{
    if (first == whole.at[0])
        return (struct message){ whole, NULL };
    struct writer *out = worker_writer(w, 3);
    write_raw(out, (struct span){ &first, 1 });
    write_raw(out, (struct span){ whole.at + 1, whole.len - 1 });
    return (struct message){ writer_span(out), NULL };
}

static void on_message(struct topics *ts, struct topic *t, const struct feed_message *in)
{
    struct worker *w = worker_of(ts);
    struct message made[2] = { 0 }; /* RESP2, RESP3 */
    w->stats.own.messages++;
    bool shared = t->member_count >= SHARE_MEMBERS_MIN || in->whole.len >= ROPE_SHARE_MIN;
    for (struct list_node *n = t->members.next; n != &t->members; n = n->next) {
        const struct member *member = LIST_ENTRY(n, struct member, in_topic);
        if (member->place != NULL)
            continue;
        struct client *c = member->key.subscriber->client;
        bool three = c->flow.protocol == 3;
        struct message *m = &made[three];
        if (m->bytes.at == NULL)
            *m = shared ? make_shared(w, in->whole, three ? '>' : '*')
                        : make_unshared(w, in->whole, three ? '>' : '*');
        w->stats.own.deliveries++;
        subscriber_push(c, m->bytes, m->chunk);
    }
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        if (made[i].chunk != NULL)
            chunk_unref(made[i].chunk);
    if (w->pubsub.fan != NULL && w->pubsub.fan->size > CHUNK_SMALL) {
        chunk_unref(w->pubsub.fan);
        w->pubsub.fan = NULL;
    }
}

/* --- topics that become ready, and those that do not ------------------------------------------ */

static void on_ready(struct topics *ts, struct topic *t)
{
    (void)ts;
    subscriber_topic_ready(t);
}

static void on_refused(struct topics *ts, struct topic *t, struct span error)
{
    (void)ts;
    subscriber_topic_refused(t, error);
}

/* Those of them that have waited too long. */
static void on_tick(struct topics *ts)
{
    struct pubsub *ps = &worker_of(ts)->pubsub;
    struct list_node *n, *safe;
    LIST_EACH (&ps->pending, n, safe) {
        struct subscriber *s = LIST_ENTRY(n, struct subscriber, in_pending);
        if (!list_is_linked(&s->in_checks))
            list_append(&ps->checks, &s->in_checks);
    }
}

void pubsub_run_checks(struct pubsub *ps)
{
    counting_publish_topics(CONTAINER_OF(ps, struct worker, pubsub)); /* before it is answered */
    struct list_node now;
    list_init(&now);
    list_splice(&now, &ps->checks);
    while (!list_is_empty(&now)) {
        struct subscriber *s = LIST_ENTRY(now.next, struct subscriber, in_checks);
        list_remove(&s->in_checks);
        subscriber_check(s);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct topics_user pubsub_topics_user = {
    .on_ready = on_ready,
    .on_refused = on_refused,
    .on_message = on_message,
    .on_tick = on_tick,
};

void pubsub_open(struct worker *w)
{
    struct pubsub *ps = &w->pubsub;
    *ps = (struct pubsub){ 0 };
    list_init(&ps->pending);
    list_init(&ps->checks);
    list_init(&ps->countings);
    list_init(&ps->monitors);
    topics_open(&ps->topics, &w->router, &pubsub_topics_user);
}

void pubsub_close(struct pubsub *ps)
{
    topics_close(&ps->topics);
}

void pubsub_free(struct pubsub *ps)
{
    topics_free(&ps->topics);
    if (ps->fan != NULL)
        chunk_unref(ps->fan);
}
