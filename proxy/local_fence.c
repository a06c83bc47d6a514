/*
 * PROXY FENCE: makes sure that nothing of a client's earlier connections is executed any more, for
 * programs that have to know what became of their commands (slotgate-migrate).
 *
 *   the worker that served them: ends the connections, so that nothing more of them is sent
 *     -> CLIENT LIST at each master, over the links that their requests took: the reply comes
 *        behind those requests
 *     -> connections of this worker that only the node still knows are killed there, with the bytes
 *        that they may have left
 *   FORCE, any worker: the other one is gone; all of its connections are killed at the nodes
 *
 * Our connections to nodes bear the worker's name from their login on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/worker.h"

enum { PATIENCE_MS = 2000, NAME_ROOM = 64 };

struct fence {
    struct op op;
    char name[NAME_ROOM]; /* " name=slotgate:ID " */
    bool own;             /* the id is this worker's */
    bool left;            /* those that are ended were gone when the lists were asked for */
    uint32_t shards;
};

static void free_fence(struct op *op)
{
    free(CONTAINER_OF(op, struct fence, op));
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
static bool is_living(const struct router *rt, const char *line)
{
    struct list_node *n, *safe;
    const char *addr = strstr(line, " addr="), *port = NULL;
    for (const char *p = addr != NULL ? addr + 1 : ""; *p != '\0' && *p != ' '; p++)
        port = *p == ':' ? p + 1 : port;
    LIST_EACH (&rt->nodes.nodes, n, safe) {
        struct link *l = LIST_ENTRY(n, struct node, in_table)->links;
        for (int kind = 0; port != NULL && kind < LINK_KINDS; kind++)
            if ((l[kind].state == LINK_READY || l[kind].state == LINK_GREETING) &&
                is_at_port(&l[kind].pipe.stream, port))
                return true;
    }
    return false;
}

static bool is_other(const struct client *c, const struct client *other, struct span name)
{
    const char *label = other->labels != NULL ? other->labels->name : NULL;
    return other != c && label != NULL && span_equal(name, (struct span){ label, strlen(label) });
}

static bool others_left(const struct op *op)
{
    struct list_node *n, *safe;
    LIST_EACH (&op->worker->clients, n, safe)
        if (is_other(op->client, LIST_ENTRY(n, struct client, in_worker), argv_get(&op->argv, 2)))
            return false;
    return true;
}

/* What may still go on for those that have left, and is not seen by the lists: commands of several
   steps that began before us, and requests on other links than the one that brings the lists. */
static bool is_busy(const struct op *op)
{
    const struct router *rt = &op->worker->router;
    struct list_node *n, *safe;
    if (op->worker->ops.next != &op->in_worker)
        return true;
    LIST_EACH (&rt->nodes.nodes, n, safe) {
        const struct link *l = LIST_ENTRY(n, struct node, in_table)->links;
        if (l[LINK_BULK2].pending > 0 || l[LINK_BULK3].pending > 0 || l[LINK_RESP3].pending > 0)
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
    op_answer(op, SPAN("+OK\r\n"));
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
            (f->own && is_living(rt, line)))
            continue;
        int n = snprintf(id, sizeof(id), "%llu", strtoull(line + 3, NULL, 10));
        OP_SEND(&f->op, slot_of_shard(rt, shard), SPAN("client"), SPAN("kill"), SPAN("id"),
                { id, (size_t)n });
        killed++;
    }
    return killed;
}

static void on_lists(struct op *op)
{
    struct fence *f = CONTAINER_OF(op, struct fence, op);
    const struct router *rt = &op->worker->router;
    bool again = f->shards != rt->map->shard_count || (f->own && (!f->left || is_busy(op)));
    uint32_t killed = 0;
    if (again && uv_now(&op->worker->loop) - op->began < PATIENCE_MS) {
        look(op);
        return;
    }
    if (again) {
        op_fail(op, SPAN("-TRYAGAIN slotgate: requests are under way\r\n"));
        return;
    }
    char *texts[SLOTMAP_SHARDS_MAX];
    for (uint32_t i = 0; i < f->shards; i++) {
        struct span list = op_reply(op, i);
        texts[i] = text_copy(list.at, list.len);
    }
    for (uint32_t i = 0; i < f->shards; i++) {
        killed += kill_lines(f, i, texts[i]);
        free(texts[i]);
    }
    if (killed > 0)
        op_then(op, on_killed);
    else
        on_killed(op);
}

static void look(struct op *op)
{
    struct fence *f = CONTAINER_OF(op, struct fence, op);
    const struct router *rt = &op->worker->router;
    f->shards = rt->map->shard_count;
    f->left = others_left(op);
    for (uint32_t i = 0; i < f->shards; i++)
        OP_SEND(op, slot_of_shard(rt, i), SPAN("client"), SPAN("list"));
    op_then(op, on_lists);
}

/* --- the command --------------------------------------------------------------------------- */

static void end_others(struct client *c, struct span name)
{
    struct list_node *n, *safe;
    LIST_EACH (&c->worker->clients, n, safe) {
        struct client *other = LIST_ENTRY(n, struct client, in_worker);
        if (is_other(c, other, name) && !other->stream.closing)
            stream_close(&other->stream, ERR_KILLED);
    }
}

bool local_proxy_fence(struct client *c, const struct argv *argv, struct writer *w)
{
    struct worker *worker = c->worker;
    if (argv->count == 2) {
        write_simple(w, worker->fence_id);
        return true;
    }
    struct span id = argv->count > 3 ? argv_get(argv, 3) : SPAN("");
    bool force = argv->count == 5 && span_is(argv_get(argv, 4), "force");
    bool own = span_equal(id, (struct span){ worker->fence_id, strlen(worker->fence_id) });
    if (argv->count < 4 || argv->count > 5 || (argv->count == 5 && !force) ||
        id.len != strlen(worker->fence_id) || !local_label_ok(id)) {
        write_error(w, "ERR syntax error, try PROXY HELP");
        return true;
    }
    if (!own && !force) {
        write_error(w, "NOTHERE this connection is served by %s", worker->fence_id);
        return true;
    }
    if (!op_may_start(c))
        return false;
    if (own)
        end_others(c, argv_get(argv, 2));
    struct fence *f = calloc(1, sizeof(*f));
    REQUIRE(f != NULL);
    f->own = own;
    snprintf(f->name, sizeof(f->name), " name=slotgate:%.*s ", (int)id.len, id.at);
    op_start(&f->op, c, c->last_command, argv, look, free_fence);
    return true;
}
