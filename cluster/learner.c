#include "cluster/learner.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/learn.h"
#include "resp/value.h"

enum { DATABASES_MAX = 10000 };

static void ask(struct learner *l, struct span question, request_own_done *done)
{
    struct router *rt = l->router;
    struct node *master = rt->masters[rt->epoch % rt->map->shard_count];
    l->asked = master->endpoint;
    router_ask(rt, master, question, rt->options->link.connect_timeout, done, l);
}

/* The reply in one piece; the caller closes it. */
static struct writer whole_of(const struct request *r)
{
    struct writer whole;
    writer_init(&whole, 2);
    for (const struct piece *p = r->reply.head; p != NULL; p = p->next)
        write_raw(&whole, (struct span){ p->at, p->len });
    return whole;
}

/* "cluster-databases" and the number, or nothing: servers before Valkey 9 know no such parameter.
   An error changes nothing. */
static uint32_t read_databases(struct span reply, uint32_t known)
{
    struct value_cursor at = { reply.at, reply.at + reply.len };
    struct value list, name, number;
    int64_t n;
    if (!value_next(&at, &list) || list.kind != VALUE_LIST)
        return known;
    bool is_pair = list.count == 2 && value_next(&at, &name) && value_next(&at, &number) &&
                   number.kind == VALUE_STRING && text_to_i64(number.text.at, number.text.len, &n);
    return is_pair && n >= 1 && n <= DATABASES_MAX ? (uint32_t)n : 1;
}

static void end(struct learner *l)
{
    l->asking = false;
    l->on_done(l->context);
}

static void on_databases(struct request *r, int status)
{
    struct learner *l = r->own_context;
    if (l->closing)
        return;
    struct writer whole = whole_of(r);
    if (status == 0)
        l->databases = read_databases(writer_span(&whole), l->databases);
    else
        l->asked_nodes = 0; /* the next map asks again */
    writer_close(&whole);
    end(l);
}

static void on_commands(struct request *r, int status)
{
    static const struct span question = {
        "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$17\r\ncluster-databases\r\n", 49
    };
    struct learner *l = r->own_context;
    if (l->closing)
        return;
    struct writer whole = whole_of(r);
    int added = status == 0 ? command_table_learn(l->commands, writer_span(&whole)) : -1;
    writer_close(&whole);
    char who[ENDPOINT_TEXT_MAX];
    if (added < 0)
        log_warn("cannot learn the cluster's commands", "node=%s reason=%s",
                 endpoint_text(&l->asked, who), error_name(status != 0 ? status : ERR_REPLY));
    else if (added > 0)
        log_info("commands learned", "node=%s count=%d", endpoint_text(&l->asked, who), added);
    if (status == 0)
        ask(l, question, on_databases);
    else
        end(l);
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
    ask(l, question, on_commands);
    return true;
}
