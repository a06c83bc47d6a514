/*
 * PROXY FENCE: makes sure that nothing of a client's earlier connections is executed any more, for
 * programs that have to know what became of their commands (slotgate-migrate).
 *
 *   the worker that served them, also when another one of its proxy is asked: ends the
 *   connections, so that nothing more of them is sent
 *     -> CLIENT LIST at each master, over the links that their requests took: the reply comes
 *        behind those requests
 *     -> connections of this worker that only the node still knows are killed there, with the bytes
 *        that they may have left
 *   FORCE, any worker: the other one cannot be reached; all of its connections are killed at the
 *   nodes, by a map that was asked for since. It may live: see exact.h
 *
 * Our connections to nodes bear the worker's name from their login on. Those that a client has for
 * itself (lease.h: BLPOP, WATCH ...) bear none: they are no part of this, so that others who wait
 * go on waiting. Whoever has to know what became of a command does not send it over such a one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "proxy/exact.h"
#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/survey_rows.h"
#include "proxy/worker.h"

enum { PATIENCE_MS = 2000, NAME_ROOM = 64 };

struct fence {
    struct op op;
    char name[NAME_ROOM];      /* " name=slotgate:ID " */
    char *client;              /* name of the connections to end */
    struct talk_letter letter; /* of the worker that asks, if it is another one; without its body */
    uint64_t until;            /* ms of loop time */
    uint64_t began;            /* us, as in poller_counters */
    uint32_t shards;
    bool own;     /* the id is this worker's */
    bool settled; /* when the lists were asked for, nothing could come up behind them any more */
    bool answered;
};

static struct fence *fence_of(struct op *op)
{
    return CONTAINER_OF(op, struct fence, op);
}

static void answer(struct fence *f, struct span text)
{
    f->answered = true;
    if (f->letter.ask != 0)
        talk_answer(&f->op.worker->talk, &f->letter, text);
    else
        op_answer(&f->op, text);
}

static void free_fence(struct op *op)
{
    struct fence *f = fence_of(op);
    if (f->letter.ask != 0 && !f->answered)
        answer(f, SPAN("-TRYAGAIN slotgate: a node does not answer\r\n"));
    free(f->client);
    free(f);
}

static void look(struct op *op);

/* --- which connections are ours ------------------------------------------------------------ */

static bool is_at_port(const struct stream *s, const char *port)
{
    char text[128];
    stream_local_text(s, text, sizeof(text));
    const char *at = strrchr(text, ':');
    size_t len = strcspn(port, " ");
    return at != NULL && strlen(at + 1) == len && memcmp(at + 1, port, len) == 0;
}

/* Whether "addr=HOST:PORT" in the node's line is the port of a connection that we have. */
static bool is_living(struct node *node, const char *line)
{
    const char *addr = strstr(line, " addr="), *port = NULL;
    for (const char *p = addr != NULL ? addr + 1 : ""; *p != '\0' && *p != ' '; p++)
        port = *p == ':' ? p + 1 : port;
    struct link *l;
    NODE_EACH_LINK (node, l)
        if (port != NULL && (l->state == LINK_READY || l->state == LINK_GREETING) &&
            is_at_port(&l->pipe.stream, port))
            return true;
    return false;
}

static bool is_named(const struct client *c, const char *name)
{
    return c->labels != NULL && c->labels->name != NULL && strcmp(c->labels->name, name) == 0;
}

static void end_others(struct worker *w, const struct client *asker, const char *name)
{
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe) {
        struct client *other = LIST_ENTRY(n, struct client, in_worker);
        if (other != asker && is_named(other, name) && !other->stream.closing)
            stream_close(&other->stream, ERR_KILLED);
    }
}

static bool others_left(const struct fence *f)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->op.worker->clients, n, safe) {
        const struct client *other = LIST_ENTRY(n, struct client, in_worker);
        if (other != f->op.client && is_named(other, f->client))
            return false;
    }
    return true;
}

/* What may still go on for those that have left, and is not seen by the lists: commands of several
   steps that began before us, and requests on other links than those that bring the lists. */
static bool is_busy(const struct op *op)
{
    struct list_node *n, *safe;
    if (op->worker->ops.next != &op->in_worker)
        return true;
    LIST_EACH (&op->worker->router.nodes.nodes, n, safe) {
        struct node *node = LIST_ENTRY(n, struct node, in_table);
        for (int kind = LINK_RESP2; kind <= LINK_BULK3; kind++)
            if (node->links[kind].pending > 0 && (kind != LINK_RESP2 || !node->master))
                return true;
    }
    return false;
}

/* --- steps --------------------------------------------------------------------------------- */

static uint16_t slot_of_shard(const struct router *rt, uint32_t shard)
{
    uint16_t slot = 0;
    while (slot < SLOT_COUNT - 1 && rt->map->shard_of[slot] != shard)
        slot++;
    return slot;
}

static void on_killed(struct op *op)
{
    answer(fence_of(op), SPAN("+OK\r\n"));
    op_end(op);
}

static uint32_t kill_lines(struct fence *f, uint32_t shard, char *text)
{
    const struct router *rt = &f->op.worker->router;
    char *save = NULL;
    uint32_t killed = 0;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char id[24];
        if (strncmp(line, "id=", 3) != 0 || strstr(line, f->name) == NULL ||
            (f->own && is_living(rt->masters[shard], line)))
            continue;
        int n = snprintf(id, sizeof(id), "%llu", strtoull(line + 3, NULL, 10));
        OP_SEND(&f->op, slot_of_shard(rt, shard), SPAN("client"), SPAN("kill"), SPAN("id"),
                { id, (size_t)n });
        killed++;
    }
    return killed;
}

static void kill_listed(struct fence *f)
{
    char *texts[SLOTMAP_SHARDS_MAX] = { 0 };
    uint32_t killed = 0;
    for (uint32_t i = 0; i < f->shards; i++) {
        struct span list = op_reply(&f->op, i);
        texts[i] = text_copy(list.at, list.len);
    }
    for (uint32_t i = 0; i < f->shards; i++) {
        killed += kill_lines(f, i, texts[i]);
        free(texts[i]);
    }
    if (killed > 0)
        op_then(&f->op, on_killed);
    else
        on_killed(&f->op);
}

static void on_lists(struct op *op)
{
    struct fence *f = fence_of(op);
    bool again =
        f->shards != op->worker->router.map->shard_count || !f->settled || (f->own && is_busy(op));
    if (!again) {
        kill_listed(f);
    } else if (uv_now(&op->worker->loop) < f->until) {
        look(op);
    } else {
        answer(f, SPAN("-TRYAGAIN slotgate: requests are under way\r\n"));
        op_end(op);
    }
}

static void look(struct op *op)
{
    struct fence *f = fence_of(op);
    const struct worker *w = op->worker;
    const struct router *rt = &w->router;
    f->shards = rt->map->shard_count;
    f->settled = f->own ? others_left(f) : w->poller.counters.answered_at >= f->began;
    for (uint32_t i = 0; i < f->shards; i++)
        OP_SEND(op, slot_of_shard(rt, i), SPAN("client"), SPAN("list"));
    op_then(op, on_lists);
}

static struct fence *new_fence(struct worker *w, const struct argv *argv, bool own)
{
    struct fence *f = calloc(1, sizeof(*f));
    struct span name = argv_get(argv, 2), id = argv_get(argv, 3);
    REQUIRE(f != NULL);
    f->own = own;
    f->client = text_copy(name.at, name.len);
    f->until = uv_now(&w->loop) + PATIENCE_MS;
    f->began = net_clock(&w->net);
    snprintf(f->name, sizeof(f->name), " name=slotgate:%.*s ", (int)id.len, id.at);
    if (!own)
        w->router.on_doubt(w->router.doubt_context); /* so that the map is asked for */
    return f;
}

/* --- the workers of one proxy -------------------------------------------------------------- */

static bool is_own(const struct worker *w, const struct argv *argv)
{
    struct span own = { w->fence_id, strlen(w->fence_id) };
    return argv->count > 3 && span_equal(argv_get(argv, 3), own);
}

static void on_asked(struct worker *w, const struct argv *argv, const struct talk_letter *letter)
{
    if (!is_own(w, argv) || w->router.map == NULL) {
        talk_answer(&w->talk, letter, SPAN(""));
        return;
    }
    struct fence *f = new_fence(w, argv, true);
    f->letter = (struct talk_letter){ .from = letter->from, .ask = letter->ask };
    end_others(w, NULL, f->client);
    op_start_alone(&f->op, w, look, free_fence);
}

/* This worker has been looked at before the others were asked. */
static void not_here(struct worker *w, struct client *c, const struct argv *argv,
                     struct writer *out)
{
    (void)w, (void)c, (void)argv, (void)out;
}

static void merge(struct survey_part *parts, uint32_t count, const struct argv *argv,
                  struct writer *w)
{
    (void)argv;
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].bytes.len > 0) {
            write_raw(w, parts[i].bytes);
            return;
        }
    write_error(w, "NOTHERE no worker of this slotgate that can be asked has this id");
}

const struct survey_row survey_proxy_fence = {
    .command = "proxy|fence", .part = not_here, .asked = on_asked, .merge = merge
};

/* --- the command --------------------------------------------------------------------------- */

bool local_proxy_fence(struct client *c, const struct argv *argv, struct writer *w)
{
    struct worker *worker = c->worker;
    if (argv->count == 2)
        return exact_admit(c, argv);
    if (worker->router.map == NULL) {
        write_error(w, "TRYAGAIN slotgate: no node of the cluster has told its slots yet");
        return true;
    }
    struct span id = argv->count > 3 ? argv_get(argv, 3) : SPAN("");
    bool force = argv->count == 5 && span_is(argv_get(argv, 4), "force");
    if (argv->count < 4 || argv->count > 5 || (argv->count == 5 && !force) ||
        id.len != strlen(worker->fence_id) || !local_label_ok(id)) {
        write_error(w, "ERR syntax error, try PROXY HELP");
        return true;
    }
    bool own = is_own(worker, argv);
    if (!own && !force)
        return survey_run(c, argv, w, &survey_proxy_fence);
    if (!op_may_start(c))
        return false;
    struct fence *f = new_fence(worker, argv, own);
    if (own)
        end_others(worker, c, f->client);
    op_start(&f->op, c, c->last_command, argv, look, free_fence);
    return true;
}
