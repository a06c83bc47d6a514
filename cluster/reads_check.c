/*
 * How masters and replicas are: asked with INFO every second; see replication.h for what is made of
 * the answers. First the master, then its replicas, so that one that follows closely has reached
 * what its master has just said.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "cluster/reads.h"
#include "cluster/router_inner.h"

enum { TEXT_MAX = 16 * 1024 };

static const struct span ask_replication = { "*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n", 32 };
static const struct span ask_server = { "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n", 26 };

static uint64_t now_of(const struct reads *rs)
{
    return uv_now(rs->router->net->loop);
}

/* A reply in one piece, in room of TEXT_MAX bytes. Of a longer one the end is left out. */
static struct span whole(const struct request *r, char *room)
{
    size_t len = 0;
    for (const struct piece *p = r->reply.head; p != NULL; p = p->next) {
        size_t n = p->len < TEXT_MAX - len ? p->len : TEXT_MAX - len;
        memcpy(room + len, p->at, n);
        len += n;
    }
    return (struct span){ room, len };
}

/* The node stays in the table as long as something points to it. */
static void ask(struct read_node *g, struct link *l, struct span question, request_own_done *done)
{
    g->node->hinted++;
    router_ask_on(g->reads->router, l, question, READS_CHECK_MS, done, g);
}

/* --- health ---------------------------------------------------------------------------------- */

static void set_health(struct read_node *g, enum read_health health, const char *reason,
                       uint64_t lag)
{
    char who[ENDPOINT_TEXT_MAX];
    bool known = lag != UINT64_MAX;
    if (g->health == (uint8_t)health && g->judged)
        return;
    g->health = (uint8_t)health;
    g->judged = true;
    endpoint_text(&g->node->endpoint, who);
    if (health == READ_GOOD)
        log_info("replica is read from", "node=%s lag_ms=%llu", who, (unsigned long long)lag);
    else if (known)
        log_warn("replica is not read from", "node=%s reason=%s lag_ms=%llu", who, reason,
                 (unsigned long long)lag);
    else
        log_warn("replica is not read from", "node=%s reason=%s", who, reason);
}

static void judge(struct read_node *g, const struct replication *r)
{
    struct reads *rs = g->reads;
    const struct read_node *master = rs->nodes[rs->first[g->shard]]->read;
    uint64_t now = now_of(rs), lag = lag_of(&master->history, now, r);
    if (r->master)
        set_health(g, READ_BAD, "no_replica", UINT64_MAX);
    else if (r->syncing)
        set_health(g, READ_BAD, "syncing", UINT64_MAX);
    else if (lag > rs->max_lag)
        set_health(g, READ_BAD, "lag", lag);
    else if (now >= g->banned_until)
        set_health(g, READ_GOOD, "", lag);
}

/* Whether an answer is still wanted and about what the map says. */
static bool is_current(struct read_node *g)
{
    struct reads *rs = g->reads;
    return !rs->closing && rs->router->reads == rs && reads_know_map(rs) &&
           g->shard < rs->shard_count && g->node->in_map;
}

static void on_replica(struct request *asked, int status)
{
    struct read_node *g = asked->own_context;
    char room[TEXT_MAX];
    struct replication r;
    g->asking = false;
    g->node->hinted--;
    if (!is_current(g) || !g->replica)
        return;
    if (status != 0)
        set_health(g, READ_BAD, error_name(status), UINT64_MAX);
    else if (!replication_read(whole(asked, room), &r))
        set_health(g, READ_BAD, error_name(ERR_REPLY), UINT64_MAX);
    else
        judge(g, &r);
}

static void ask_replicas(struct reads *rs, uint32_t shard)
{
    for (uint32_t i = rs->first[shard] + 1; i < rs->first[shard + 1]; i++) {
        struct read_node *g = rs->nodes[i]->read;
        if (g->asking)
            continue;
        g->asking = true;
        ask(g, &rs->nodes[i]->links[LINK_READ2], ask_replication, on_replica);
    }
}

static void on_master(struct request *asked, int status)
{
    struct read_node *g = asked->own_context;
    char room[TEXT_MAX];
    struct replication r;
    g->asking = false;
    g->node->hinted--;
    if (!is_current(g) || g->replica)
        return;
    if (status == 0 && replication_read(whole(asked, room), &r) && r.master)
        lag_note(&g->history, g->asked_at, &r);
    ask_replicas(g->reads, g->shard);
}

/* --- zones ----------------------------------------------------------------------------------- */

static void set_zone(struct read_node *g, struct span zone)
{
    g->zone_known = true;
    size_t n = zone.len < ZONE_NAME_MAX ? zone.len : ZONE_NAME_MAX;
    memcpy(g->zone, zone.at, n);
    g->zone[n] = '\0';
    reads_find_near(g);
    char who[ENDPOINT_TEXT_MAX];
    log_debug("zone of node", "node=%s zone=%s", endpoint_text(&g->node->endpoint, who),
              log_text(g->zone));
}

static void on_server(struct request *asked, int status)
{
    struct read_node *g = asked->own_context;
    char room[TEXT_MAX];
    g->asking_zone = false;
    g->node->hinted--;
    if (is_current(g) && status == 0 && !g->zone_known)
        set_zone(g, replication_field(whole(asked, room), "availability_zone"));
}

/* A name has no subnet; the address that it led to has. */
static const char *zone_by_subnet(const struct reads *rs, const struct node *n,
                                  const struct link *l)
{
    char address[STREAM_ADDRESS_MAX];
    const char *zone = zone_of(rs->subnets, rs->subnet_count, n->endpoint.host);
    if (zone != NULL || rs->subnet_count == 0 || l->state != LINK_READY)
        return zone;
    stream_peer_text(&l->pipe.stream, address, sizeof(address));
    char *colon = strrchr(address, ':'), *host = address + (address[0] == '[');
    if (colon != NULL)
        colon[host > address ? -1 : 0] = '\0';
    return zone_of(rs->subnets, rs->subnet_count, host);
}

static void find_zone(struct read_node *g)
{
    struct link *l = &g->node->links[g->replica ? LINK_READ2 : LINK_RESP2];
    const char *zone = zone_by_subnet(g->reads, g->node, l);
    if (zone != NULL) {
        set_zone(g, (struct span){ zone, strlen(zone) });
        return;
    }
    if (g->asking_zone || l->state != LINK_READY)
        return;
    g->asking_zone = true;
    ask(g, l, ask_server, on_server);
}

/* --- every second ---------------------------------------------------------------------------- */

void reads_check(struct reads *rs)
{
    for (uint32_t shard = 0; shard < rs->shard_count; shard++) {
        struct read_node *master = rs->nodes[rs->first[shard]]->read;
        if (rs->first[shard + 1] - rs->first[shard] < 2)
            continue; /* no replica */
        if (!master->asking) {
            master->asking = true;
            master->asked_at = now_of(rs);
            ask(master, &master->node->links[LINK_RESP2], ask_replication, on_master);
        }
        for (uint32_t i = rs->first[shard];
             rs->policy == READ_AZ_AFFINITY && i < rs->first[shard + 1]; i++)
            if (!rs->nodes[i]->read->zone_known)
                find_zone(rs->nodes[i]->read);
    }
}
