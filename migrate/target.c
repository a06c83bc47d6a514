#include "migrate/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "migrate/target_databases.h"
#include "resp/value.h"

/*
 *   cluster: poller -> a map of all slots -+
 *   else: a map of our own ----------------+-> INFO of one shard after the other -> ready
 */

enum {
    PROBE_MS = 100,       /* between two tries to reach a server */
    BULK_MIN = INT32_MAX, /* one way to each server, so that nothing of a slot waits for another */
    REST_MIN_MS = 20,
    REST_MAX_MS = 1000,
    TOPOLOGY_MS = 5000,
    TOPOLOGY_MIN_MS = 100,
};

static void probe(struct target *t);

void target_fail(struct target *t, const char *why)
{
    if (!t->closing && !t->ready)
        t->user->on_failed(t->context, why);
}

/* --- what the servers understand ----------------------------------------------------------- */

static void on_probe_timer(uv_timer_t *timer)
{
    probe(timer->data);
}

static void probe_later(struct target *t)
{
    uv_timer_start(&t->timer, on_probe_timer, PROBE_MS, 0);
}

/* Out of patience? Then says why. */
static void probe_again(struct target *t, const char *why)
{
    if (uv_now(t->net->loop) - t->probing_since > t->options->connect_timeout)
        target_fail(t, why);
    else
        probe_later(t);
}

static bool read_facts(struct target *t, const struct rope *reply)
{
    struct writer whole;
    struct target_facts facts;
    writer_init(&whole, 2);
    for (const struct piece *p = reply->head; p != NULL; p = p->next)
        write_raw(&whole, (struct span){ p->at, p->len });
    bool ok = target_facts_read(&facts, writer_span(&whole));
    if (ok)
        target_ids_add(&t->ids, writer_span(&whole));
    writer_close(&whole);
    if (!ok)
        return false;
    if (t->probed++ == 0)
        t->facts = facts;
    else
        target_facts_meet(&t->facts, &facts);
    return true;
}

static void on_facts(struct request *r, int status)
{
    struct target *t = r->own_context;
    if (t->closing)
        return;
    if (status != 0) {
        char why[128];
        snprintf(why, sizeof(why), "the target does not answer: %s", error_text(status));
        probe_again(t, why);
        return;
    }
    if (!read_facts(t, &r->reply))
        target_fail(t, "the target does not tell its version (INFO); has its user the right to?");
    else /* not from inside: a link may be handing back its requests */
        uv_timer_start(&t->timer, on_probe_timer, 0, 0);
}

static void probe(struct target *t)
{
    static const struct span info = { "*1\r\n$4\r\nINFO\r\n", 14 };
    const struct slotmap *map = t->router.map;
    if (t->closing)
        return;
    if (map == NULL || map->covered < SLOT_COUNT) {
        probe_again(t, map == NULL ? "no node of the cluster tells its slots"
                                   : "the cluster does not serve all of its slots");
        return;
    }
    if (t->probed < map->shard_count) {
        router_ask(&t->router, t->router.masters[t->probed], info, t->options->connect_timeout,
                   on_facts, t);
        return;
    }
    if (!t->options->cluster && t->facts.cluster_node) {
        target_fail(t, "the target is a node of a cluster; name it with --target-cluster");
        return;
    }
    if (!target_has_databases(t))
        return;
    t->ready = true;
    t->user->on_ready(t->context);
}

/* --- replies ------------------------------------------------------------------------------- */

static void keep_error(struct target_call *call, struct span reply)
{
    size_t len = 0;
    for (size_t i = 1; i < reply.len && reply.at[i] != '\r' && len < TARGET_ERROR_SHOWN - 1; i++)
        call->error[len++] = reply.at[i];
    call->error[len] = '\0';
}

/* EXEC's reply is whole: an error of one of the commands is the call's. */
static void look_into_block(struct target_call *call)
{
    struct value_cursor c = { call->exec.at, call->exec.at + call->exec.len };
    struct value list, v;
    if (call->error[0] == '\0' && (!value_next(&c, &list) || list.kind != VALUE_LIST))
        keep_error(call, SPAN("-the transaction was given up\r"));
    for (uint64_t i = 0; call->error[0] == '\0' && i < list.count; i++) {
        if (!value_next(&c, &v))
            return;
        if (v.kind == VALUE_ERROR)
            keep_error(call, (struct span){ v.text.at - 1, v.text.len + 1 });
        else if (!value_skip_children(&c, &v))
            return;
    }
}

/* Of a transaction that was refused, EXEC says nothing but that. */
static void on_refused(struct flow *f, struct request *r, struct span error)
{
    struct target_call *call = r->own_context;
    (void)f;
    keep_error(call, error);
    call->refused = true;
}

static void free_call(struct target *t, struct target_call *call)
{
    writer_close(&call->exec);
    writer_close(&call->long_key);
    slab_give(&t->calls, call);
}

static void finish(struct target *t, struct request *r)
{
    struct target_call *call = r->own_context;
    call->repeated = r->hops > 0;
    if (call->block)
        look_into_block(call);
    router_release(&t->router, r);
    t->pending--;
    t->pending_bytes -= call->bytes;
    t->progress = true;
    call->done(call->context, call);
    free_call(t, call);
}

/* Only whether it is an error, or nothing, is of interest. */
static void on_reply(struct flow *f, struct request *r, struct span bytes, struct chunk *chunk,
                     bool done)
{
    struct target *t = CONTAINER_OF(f, struct target, flow);
    struct target_call *call = r->own_context;
    (void)chunk;
    if (!r->started && !call->refused && bytes.len > 0 &&
        (bytes.at[0] == '-' || bytes.at[0] == '!'))
        keep_error(call, bytes);
    if (call->reply != NULL)
        write_raw(call->reply, bytes);
    if (call->piece != NULL)
        call->piece(call->context, bytes);
    if (call->block)
        write_raw(&call->exec, bytes);
    call->zero = !r->started && done && span_equal(bytes, SPAN(":0\r\n"));
    r->started = true;
    if (done && f->walking)
        t->kept = true;
    else if (done)
        finish(t, r);
}

static void on_walked(struct flow *f)
{
    struct target *t = CONTAINER_OF(f, struct target, flow);
    struct list_node *n, *safe;
    if (!t->kept)
        return;
    t->kept = false;
    LIST_EACH (&f->requests, n, safe) {
        struct request *r = LIST_ENTRY(n, struct request, in_flow);
        if (r->state == REQUEST_DONE)
            finish(t, r);
    }
}

static void on_broken(struct flow *f, struct request *r, int why)
{
    (void)why;
    keep_error(r->own_context, SPAN("-the connection was lost inside the reply\r"));
    finish(CONTAINER_OF(f, struct target, flow), r);
}

static const struct flow_user target_flow_user = {
    .on_reply = on_reply,
    .on_walked = on_walked,
    .on_refused = on_refused,
    .on_broken = on_broken,
};

/* --- life ---------------------------------------------------------------------------------- */

void target_add_peer(struct target *t, const char *peer)
{
    for (uint32_t i = 0; i < t->peer_count; i++)
        if (strcmp(t->peers[i], peer) == 0)
            return;
    if (peer[0] == '\0')
        return;
    if (t->peer_count == TARGET_PEERS_MAX) { /* a fence comes long before, but for a full copy */
        memmove(t->peers[0], t->peers[1], sizeof(t->peers) - sizeof(t->peers[0]));
        t->peer_count--;
    }
    snprintf(t->peers[t->peer_count++], LOGIN_PEER_MAX, "%s", peer);
}

static void greet(void *context, struct link *l)
{
    struct target *t = context;
    uint32_t before = t->peer_count;
    if (t->closing)
        return;
    target_add_peer(t, l->peer);
    if (t->peer_count != before && t->user->on_peer != NULL)
        t->user->on_peer(t->context);
}

/* What the probe has been waiting for. A timer that is not active has a request under way. */
static void on_map(void *context)
{
    struct target *t = context;
    if (!t->ready && !t->closing && uv_is_active((const uv_handle_t *)&t->timer))
        uv_timer_start(&t->timer, on_probe_timer, 0, 0);
}

/* All slots, in equal shares, as a cluster's own reply would tell them. */
static struct slotmap *static_map(const struct target_options *o)
{
    struct writer w;
    uint32_t n = o->endpoint_count;
    writer_init(&w, 2);
    write_array(&w, n);
    for (uint32_t i = 0; i < n; i++) {
        write_array(&w, 3);
        write_integer(&w, (long long)SLOT_COUNT * i / n);
        write_integer(&w, (long long)SLOT_COUNT * (i + 1) / n - 1);
        write_array(&w, 2);
        write_bulk_text(&w, o->endpoints[i].host);
        write_integer(&w, o->endpoints[i].port);
    }
    struct slotmap *map = slotmap_parse(writer_span(&w), &o->endpoints[0]);
    REQUIRE(map != NULL);
    writer_close(&w);
    return map;
}

void target_open(struct target *t, struct net *net, const struct target_options *o,
                 const struct target_user *user, void *context)
{
    *t = (struct target){ .options = o, .user = user, .context = context, .net = net };
    t->router_options = (struct router_options){
        .request_timeout = o->request_timeout,
        .bulk_min = BULK_MIN,
        .link = { .connect_timeout = o->connect_timeout,
                  .rest_min = REST_MIN_MS,
                  .rest_max = REST_MAX_MS,
                  .buffer_limit = UINT64_MAX, /* the window bounds it */
                  .auth_user = o->user,
                  .auth_password = o->password,
                  .name = o->name,
                  .asks_peer = !o->cluster && o->name != NULL,
                  .tls = o->tls },
    };
    t->commands = command_table_new();
    t->tags = slot_tags_new();
    slab_init(&t->calls, sizeof(struct target_call));
    limit_init(&t->limit, o->rate_bytes, o->rate_commands, uv_now(net->loop));
    writer_init(&t->block, 2);
    writer_init(&t->ids, 2);
    router_open(&t->router, net, t->commands, &t->router_options);
    t->router.greet = greet;
    t->router.rescue_context = t;
    flow_init(&t->flow, &target_flow_user, 0);
    uv_timer_init(net->loop, &t->timer);
    t->timer.data = t;
    t->probing_since = uv_now(net->loop);
    if (o->cluster) {
        struct topology_options topology = { .interval = TOPOLOGY_MS,
                                             .min_interval = TOPOLOGY_MIN_MS,
                                             .retry = REST_MIN_MS };
        poller_open(&t->poller, &t->router, &topology, o->endpoints, o->endpoint_count,
                    o->connect_timeout, on_map, t);
    } else {
        router_set_map(&t->router, static_map(o));
    }
    uv_timer_start(&t->timer, on_probe_timer, 0, 0);
}

void target_turn_end(struct target *t)
{
    if (t->progress && t->ready && !t->closing) {
        t->progress = false;
        t->user->on_progress(t->context);
    }
    if (!t->closing)
        router_turn_end(&t->router);
}

void target_probe_again(struct target *t)
{
    if (!t->closing)
        uv_timer_start(&t->timer, on_probe_timer, 0, 0);
}

static void drop_calls(struct target *t)
{
    struct list_node *n, *safe;
    LIST_EACH (&t->flow.requests, n, safe)
        free_call(t, LIST_ENTRY(n, struct request, in_flow)->own_context);
    flow_abandon(&t->router, &t->flow);
}

void target_close(struct target *t)
{
    if (t->closing)
        return;
    t->closing = true;
    drop_calls(t);
    uv_close((uv_handle_t *)&t->timer, NULL);
    if (t->options->cluster)
        poller_close(&t->poller);
    router_close(&t->router);
}

void target_drop(struct target *t)
{
    struct list_node *n, *safe;
    drop_calls(t);
    t->pending = 0;
    t->pending_bytes = 0;
    t->kept = false;
    LIST_EACH (&t->router.nodes.nodes, n, safe) {
        struct link *l;
        NODE_EACH_LINK (LIST_ENTRY(n, struct node, in_table), l)
            link_close(l, ERR_CANCELED);
    }
}

void target_free(struct target *t)
{
    router_free(&t->router);
    if (t->options->cluster)
        poller_free(&t->poller);
    slot_tags_free(t->tags);
    free(t->databases);
    command_table_free(t->commands);
    slab_close(&t->calls);
    writer_close(&t->block);
    writer_close(&t->ids);
}
