#include "proxy/counting.h"

#include <stdlib.h>

#include "proxy/client_reply.h"
#include "proxy/worker.h"

void counting_add(struct counting *n, struct span part)
{
    write_raw(&n->said, part);
    n->ends = realloc(n->ends, (n->count + 1) * sizeof(n->ends[0]));
    REQUIRE(n->ends != NULL);
    n->ends[n->count++] = n->said.len;
}

static void on_answer(void *context, const struct talk_letter *answer)
{
    counting_add(context, answer->body);
}

static void on_done(void *context, uint32_t missing)
{
    struct counting *n = context;
    (void)missing;
    n->ask = 0;
    client_group_go_on(n->client, n->group); /* may end it */
}

static bool has_topics(struct seat *seat)
{
    return atomic_load_explicit(&seat->topics, memory_order_relaxed) > 0;
}

static const struct talk_asker asker = { .concerns = has_topics,
                                         .on_answer = on_answer,
                                         .on_done = on_done };

static void ask(struct counting *n)
{
    n->ask = talk_ask(&n->client->worker->talk, n->topic, writer_span(&n->question), &asker, n);
}

void counting_nodes_answered(struct group *g)
{
    struct counting *n = counting_of(g);
    if (n->ask == 0)
        ask(n);
}

struct counting *counting_begin(struct client *c, struct group *g, uint16_t topic,
                                struct span question, bool at_once)
{
    struct worker *w = c->worker;
    struct counting *n = calloc(1, sizeof(*n));
    REQUIRE(n != NULL);
    n->client = c;
    n->group = g;
    n->topic = topic;
    g->beside = n;
    writer_init(&n->said, 2);
    writer_init(&n->question, 2);
    write_raw(&n->question, question);
    list_append(&w->pubsub.countings, &n->in_all);
    g->held = talk_has_company(&w->talk, &asker);
    g->open += g->held;
    if (g->held && at_once)
        ask(n);
    return n;
}

struct counting *counting_of(const struct group *g)
{
    return g->beside;
}

struct survey_part *counting_parts(const struct counting *n)
{
    struct survey_part *parts = calloc(n->count, sizeof(parts[0]));
    size_t begin = 0;
    REQUIRE(parts != NULL);
    for (uint32_t i = 0; i < n->count; begin = n->ends[i++])
        parts[i].bytes = (struct span){ n->said.at + begin, n->ends[i] - begin };
    return parts;
}

void counting_end(struct counting *n)
{
    if (n->ask != 0)
        talk_forget(&n->client->worker->talk, n->ask);
    list_remove(&n->in_all);
    writer_close(&n->said);
    writer_close(&n->question);
    free(n->ends);
    free(n);
}

void counting_forget_client(struct client *c)
{
    struct list_node *i, *safe;
    LIST_EACH (&c->worker->pubsub.countings, i, safe) {
        struct counting *n = LIST_ENTRY(i, struct counting, in_all);
        if (n->client == c)
            counting_end(n);
    }
}

void counting_publish_topics(struct worker *w)
{
    atomic_store_explicit(&w->seat->topics, topics_counted(&w->pubsub.topics),
                          memory_order_relaxed);
}
