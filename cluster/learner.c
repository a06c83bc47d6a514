#include "cluster/learner.h"

#include "base/error.h"
#include "base/log.h"
#include "cluster/learn.h"

static void on_answer(struct request *r, int status)
{
    struct learner *l = r->own_context;
    l->asking = false;
    if (l->closing)
        return;
    struct writer whole;
    writer_init(&whole, 2);
    for (const struct piece *p = r->reply.head; p != NULL; p = p->next)
        write_raw(&whole, (struct span){ p->at, p->len });
    int added = status == 0 ? command_table_learn(l->commands, writer_span(&whole)) : -1;
    writer_close(&whole);
    char who[ENDPOINT_TEXT_MAX];
    if (added < 0)
        log_warn("cannot learn the cluster's commands", "node=%s reason=%s",
                 endpoint_text(&l->asked, who), error_name(status != 0 ? status : ERR_REPLY));
    else if (added > 0)
        log_info("commands learned", "node=%s count=%d", endpoint_text(&l->asked, who), added);
    l->on_done(l->context);
}

/* The same for the same masters in any order, and never 0. */
static uint64_t masters_as_number(const struct router *rt)
{
    uint64_t sum = 1;
    for (uint32_t i = 0; i < rt->map->shard_count; i++) {
        const struct endpoint *e = &rt->map->shards[i].master;
        uint64_t hash = UINT64_C(14695981039346656037) ^ e->port;
        for (const char *p = e->host; *p != '\0'; p++)
            hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
        sum += hash | 1;
    }
    return sum == 0 ? 1 : sum;
}

bool learner_ask(struct learner *l)
{
    static const struct span question = { "*1\r\n$7\r\nCOMMAND\r\n", 17 };
    struct router *rt = l->router;
    uint64_t nodes = masters_as_number(rt);
    if (l->asking || l->asked_nodes == nodes)
        return l->asking;
    l->asking = true;
    l->asked_nodes = nodes;
    struct node *master = rt->masters[rt->epoch % rt->map->shard_count];
    l->asked = master->endpoint;
    router_ask(rt, master, question, rt->options->link.connect_timeout, on_answer, l);
    return true;
}
