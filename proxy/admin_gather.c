#include "proxy/admin_gather.h"

#include <stdlib.h>

#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/talk_topics.h"
#include "proxy/worker.h"

static const struct admin_part *const parts[] = { &admin_clients_part, &admin_top_clients_part,
                                                  &admin_slowlog_part };

struct gather {
    struct list_node in_admin;
    struct worker *worker;
    uint64_t ticket; /* of the exchange */
    struct json json;
};

static void drop(struct gather *g)
{
    list_remove(&g->in_admin);
    json_close(&g->json);
    free(g);
}

static void on_answer(void *context, const struct talk_letter *answer)
{
    struct gather *g = context;
    if (answer->body.len > 0)
        json_raw(&g->json, NULL, answer->body);
}

static void finish(struct gather *g, uint32_t missing)
{
    struct http_exchange *x = http_server_find(&g->worker->admin->http, g->ticket);
    json_array_end(&g->json);
    json_u64(&g->json, "missing", missing);
    json_object_end(&g->json);
    if (x != NULL)
        admin_send_json(x, &g->json);
    drop(g);
}

static void on_done(void *context, uint32_t missing)
{
    finish(context, missing);
}

void admin_gather(struct worker *w, struct http_exchange *x, const struct admin_part *part)
{
    static const struct talk_asker asker = { .on_answer = on_answer, .on_done = on_done };
    struct gather *g = calloc(1, sizeof(*g));
    REQUIRE(g != NULL);
    g->worker = w;
    g->ticket = http_exchange_ticket(x);
    list_append(&w->admin->gathers, &g->in_admin);
    json_init(&g->json);
    json_object(&g->json, NULL);
    json_array(&g->json, part->name);
    part->write(w, &g->json);
    if (talk_has_company(&w->talk, &asker)) {
        struct span name = { part->name, strlen(part->name) };
        (void)talk_ask(&w->talk, TALK_ADMIN_PART, name, &asker, g);
    } else {
        finish(g, 0);
    }
}

void admin_gather_close(struct worker *w)
{
    struct list_node *n, *safe;
    LIST_EACH (&w->admin->gathers, n, safe)
        drop(LIST_ENTRY(n, struct gather, in_admin));
}

/* A name that this version does not know gets an empty answer. */
void admin_on_part_asked(void *context, const struct talk_letter *letter)
{
    struct worker *w = context;
    struct json j;
    json_init(&j);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const char *name = parts[i]->name;
        if (span_equal(letter->body, (struct span){ name, strlen(name) }))
            parts[i]->write(w, &j);
    }
    talk_answer(&w->talk, letter, writer_span(&j.out));
    json_close(&j);
}
