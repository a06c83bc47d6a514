#include "cluster/reads.h"

#include <stdlib.h>

#include "base/log.h"
#include "cluster/router_inner.h"

enum { NO_MAP_MS = 100, BAN_MS = 3000, DOUBT_MS = 1000, SILENT_MS = 1000 };

/* --- the nodes of the map -------------------------------------------------------------------- */

static struct read_node *read_node_of(struct reads *rs, struct node *n)
{
    if (n->read == NULL) {
        n->read = calloc(1, sizeof(*n->read));
        REQUIRE(n->read != NULL);
        *n->read = (struct read_node){ .reads = rs, .node = n };
    }
    return n->read;
}

static void forget_health(struct read_node *g)
{
    g->health = READ_BAD;
    g->judged = false;
    g->doubt_until = g->banned_until = 0;
}

static void add_node(struct reads *rs, uint32_t *at, uint32_t shard, bool replica,
                     const struct endpoint *e)
{
    struct node *n = node_get(&rs->router->nodes, e);
    struct read_node *g = read_node_of(rs, n);
    if (g->replica != replica || g->shard != shard)
        forget_health(g); /* what it said was about something else */
    g->replica = replica;
    g->shard = shard;
    rs->nodes[(*at)++] = n;
}

bool reads_know_map(struct reads *rs)
{
    const struct slotmap *map = rs->router->map;
    if (LIKELY(map != NULL && rs->epoch == rs->router->epoch))
        return true;
    if (map == NULL)
        return false;
    uint32_t total = map->shard_count, at = 0;
    for (uint32_t i = 0; i < map->shard_count; i++)
        total += map->shards[i].replica_count;
    free(rs->nodes);
    free(rs->first);
    rs->nodes = calloc(total + 1, sizeof(rs->nodes[0])); /* NOLINT(bugprone-sizeof-expression) */
    rs->first = calloc(map->shard_count + 1, sizeof(rs->first[0]));
    REQUIRE(rs->nodes != NULL && rs->first != NULL);
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const struct slotmap_shard *s = &map->shards[i];
        rs->first[i] = at;
        add_node(rs, &at, i, false, &s->master);
        for (uint32_t j = 0; j < s->replica_count; j++)
            add_node(rs, &at, i, true, &s->replicas[j]);
    }
    rs->first[map->shard_count] = at;
    rs->shard_count = map->shard_count;
    rs->epoch = rs->router->epoch;
    return true;
}

/* --- choosing -------------------------------------------------------------------------------- */

static bool only_reads(const struct request *r)
{
    static const uint32_t looked_at = CMD_READONLY | CMD_AT_MASTER | CMD_NO_MANDATORY_KEYS;
    return (r->cmd->flags & looked_at) == CMD_READONLY && r->cmd->how <= HOW_GATHER &&
           r->slot != SLOT_ANY && r->call.lead == 0;
}

/* A pipeline may come in pieces, and its write be answered before its read is here. So the first
   read behind a write never roams. */
bool reads_roam(const struct request *r)
{
    struct flow *f = r->flow;
    if (!f->may_roam || !only_reads(r)) {
        f->wrote = f->wrote || !r->safe;
        return false;
    }
    bool first = f->wrote;
    f->wrote = false;
    return !first && f->count - 1 == f->roaming;
}

/* A link that nobody has used yet, or whose back-off is over, is dialled; whoever wanted it now
   goes elsewhere. */
static void wake(struct reads *rs, struct link *l, uint64_t now)
{
    bool rests = l->state == LINK_IDLE || l->state == LINK_RESTING;
    if (rests && link_accepts(l, now))
        router_tell(rs->router, l, (struct span){ "*1\r\n$4\r\nPING\r\n", 14 });
}

static enum read_health health_now(struct reads *rs, const struct read_node *g, struct link *l,
                                   uint64_t now)
{
    if (l->state == LINK_READY && g->health == READ_GOOD)
        return link_accepts(l, now) ? READ_GOOD : READ_DOUBT;
    if (now < g->doubt_until)
        return READ_DOUBT;
    if (g->health == READ_BAD)
        return READ_BAD;
    wake(rs, l, now);
    return l->last_error == 0 ? READ_DOUBT : READ_BAD;
}

struct link *reads_target(struct router *rt, struct request *r, uint64_t now)
{
    struct reads *rs = rt->reads;
    if (r->at_master || rs == NULL || !reads_know_map(rs) ||
        rt->map->shard_of[r->slot] == SLOTMAP_NO_SHARD)
        return router_target(rt, r, now);
    uint32_t shard = rt->map->shard_of[r->slot];
    struct node **nodes = rs->nodes + rs->first[shard];
    uint32_t count = rs->first[shard + 1] - rs->first[shard];
    struct read_candidate c[READ_CANDIDATES_MAX];
    enum link_kind kind = r->flow->protocol == 3 ? LINK_READ3 : LINK_READ2;
    if (count > READ_CANDIDATES_MAX)
        count = READ_CANDIDATES_MAX;
    c[0] = (struct read_candidate){ .near = nodes[0]->read->near };
    for (uint32_t i = 1; i < count; i++) {
        struct read_node *g = nodes[i]->read;
        c[i].near = g->near;
        c[i].health = (uint8_t)health_now(rs, g, &node_links(nodes[i], r->database)[kind], now);
    }
    int chosen = read_choose(rs->policy, c, count, r->flow->home);
    if (chosen == READ_WAIT)
        return NULL;
    return chosen == 0 ? router_target(rt, r, now) : &node_links(nodes[chosen], r->database)[kind];
}

/* --- what goes wrong ------------------------------------------------------------------------- */

static const char *verdict_name(enum verdict v)
{
    static const char *const names[] = {
        [VERDICT_PASS] = "none",         [VERDICT_MOVED] = "moved",
        [VERDICT_ASK] = "ask",           [VERDICT_TRY_AGAIN] = "try_again",
        [VERDICT_WAIT] = "cannot_serve", [VERDICT_READ_ONLY] = "read_only",
    };
    return names[v];
}

/* A slot on its way is no fault of the replica's; for the rest it is left alone for a while. */
void reads_refused(struct router *rt, struct link *l, struct request *r, enum verdict verdict)
{
    struct read_node *g = l->node->read;
    char who[ENDPOINT_TEXT_MAX];
    r->at_master = true;
    if (verdict == VERDICT_ASK || verdict == VERDICT_TRY_AGAIN)
        return;
    rt->on_doubt(rt->doubt_context);
    if (verdict == VERDICT_MOVED || g == NULL)
        return;
    if (g->health == READ_GOOD)
        log_warn("replica is not read from", "node=%s reason=%s", endpoint_text(l->to, who),
                 verdict_name(verdict));
    g->health = READ_BAD;
    g->banned_until = uv_now(rt->net->loop) + BAN_MS;
}

uint64_t reads_patience(const struct router *rt)
{
    uint64_t half = rt->options->request_timeout / 2;
    return half < SILENT_MS ? half : SILENT_MS;
}

void reads_lost(struct link *l)
{
    struct read_node *g = l->node->read;
    if (g != NULL && g->health == READ_GOOD)
        g->doubt_until = uv_now(l->net->loop) + DOUBT_MS;
}

/* --- life ------------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer)
{
    struct reads *rs = timer->data;
    bool known = reads_know_map(rs);
    if (known)
        reads_check(rs);
    uv_timer_start(&rs->timer, on_timer, known ? READS_CHECK_MS : NO_MAP_MS, 0);
}

void reads_open(struct reads *rs, struct router *rt)
{
    *rs = (struct reads){ .router = rt };
    uv_timer_init(rt->net->loop, &rs->timer);
    rs->timer.data = rs;
}

void reads_find_near(struct read_node *g)
{
    g->near = g->reads->zone[0] != '\0' && strcmp(g->zone, g->reads->zone) == 0;
}

/* Zones are found anew: the subnets may be others. Without replicas nobody asks for their health.
 */
static void forget_all(struct reads *rs)
{
    struct list_node *n, *safe;
    LIST_EACH (&rs->router->nodes.nodes, n, safe) {
        struct read_node *g = LIST_ENTRY(n, struct node, in_table)->read;
        if (g == NULL)
            continue;
        g->zone_known = false; /* until then what was known counts */
        reads_find_near(g);
        if (rs->policy == READ_MASTER)
            forget_health(g);
    }
}

static void take_zones(struct reads *rs, const struct reads_options *o)
{
    const char *zone = o->zone == NULL ? "" : o->zone;
    REQUIRE(strlen(zone) < sizeof(rs->zone)); /* zone_name_fault has seen it */
    memcpy(rs->zone, zone, strlen(zone) + 1);
    free(rs->subnets);
    rs->subnets = calloc(o->subnet_count + 1, sizeof(rs->subnets[0]));
    REQUIRE(rs->subnets != NULL);
    rs->subnet_count = 0;
    for (size_t i = 0; i < o->subnet_count; i++)
        rs->subnet_count +=
            zone_subnet_parse(o->subnets[i], &rs->subnets[rs->subnet_count]) ? 1 : 0;
    forget_all(rs);
}

void reads_set(struct reads *rs, const struct reads_options *o)
{
    if (rs->closing)
        return;
    rs->policy = o->policy;
    rs->max_lag = o->max_lag;
    take_zones(rs, o);
    rs->router->reads = o->policy == READ_MASTER ? NULL : rs;
    if (o->policy == READ_MASTER)
        uv_timer_stop(&rs->timer);
    else
        uv_timer_start(&rs->timer, on_timer, 0, 0);
}

void reads_close(struct reads *rs)
{
    rs->closing = true;
    rs->router->reads = NULL;
    uv_close((uv_handle_t *)&rs->timer, NULL);
}

void reads_free(struct reads *rs)
{
    free(rs->nodes);
    free(rs->first);
    free(rs->subnets);
}
