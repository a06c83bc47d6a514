/* /topology: the slot map and the state of each node, as this worker sees them. */
#include <stdlib.h>

#include "base/error.h"
#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/worker.h"

enum { NONE = UINT16_MAX };

/* The ranges of all shards; those of one are linked in the order of their slots. */
struct ranges {
    uint16_t first[SLOT_COUNT], last[SLOT_COUNT], next[SLOT_COUNT];
    uint16_t *of_shard; /* its first range, or NONE */
    uint16_t *end_of;   /* its last one */
};

static void add_range(struct ranges *r, uint32_t n, uint16_t shard)
{
    r->next[n] = NONE;
    if (r->of_shard[shard] == NONE)
        r->of_shard[shard] = (uint16_t)n;
    else
        r->next[r->end_of[shard]] = (uint16_t)n;
    r->end_of[shard] = (uint16_t)n;
}

static struct ranges *find_ranges(const struct slotmap *m)
{
    struct ranges *r = malloc(sizeof(*r));
    uint32_t n = 0;
    REQUIRE(r != NULL);
    r->of_shard = malloc(2 * sizeof(uint16_t) * (m->shard_count + 1));
    REQUIRE(r->of_shard != NULL);
    r->end_of = r->of_shard + m->shard_count + 1;
    for (uint32_t i = 0; i < m->shard_count; i++)
        r->of_shard[i] = NONE;
    for (uint32_t slot = 0, end; slot < SLOT_COUNT; slot = end) {
        uint16_t shard = m->shard_of[slot];
        for (end = slot + 1; end < SLOT_COUNT && m->shard_of[end] == shard;)
            end++;
        if (shard == SLOTMAP_NO_SHARD)
            continue;
        r->first[n] = (uint16_t)slot;
        r->last[n] = (uint16_t)(end - 1);
        add_range(r, n++, shard);
    }
    return r;
}

static void free_ranges(struct ranges *r)
{
    free(r->of_shard);
    free(r);
}

/* "up": connected; "down": the last connection was lost or could not be made; "idle": not needed so
   far, as most replicas. */
static const char *state_of(const struct node *n)
{
    bool down = false;
    for (int i = 0; n != NULL && i < LINK_KINDS; i++) {
        const struct link *l = &n->links[i];
        if (l->state == LINK_READY)
            return "up";
        down = down || l->state == LINK_RESTING || (l->state != LINK_IDLE && l->last_error != 0);
    }
    return down ? "down" : "idle";
}

static void write_node(struct worker *w, struct json *j, const struct endpoint *e, const char *role)
{
    char text[ENDPOINT_TEXT_MAX];
    const struct node *n = node_find(&w->router.nodes, e);
    uint32_t pending = 0;
    for (int i = 0; n != NULL && i < LINK_KINDS; i++)
        pending += n->links[i].pending;
    json_object(j, NULL);
    json_text(j, "address", endpoint_text(e, text));
    json_text(j, "role", role);
    json_text(j, "state", state_of(n));
    json_u64(j, "pending", pending);
    json_u64(j, "leases", n != NULL ? n->leases : 0);
    json_object_end(j);
}

static void write_shard(struct worker *w, struct json *j, const struct ranges *r, uint32_t number)
{
    const struct slotmap_shard *s = &w->router.map->shards[number];
    uint32_t count = 0;
    json_object(j, NULL);
    json_array(j, "slots");
    for (uint16_t n = r->of_shard[number]; n != NONE; n = r->next[n]) {
        json_array(j, NULL);
        json_u64(j, NULL, r->first[n]);
        json_u64(j, NULL, r->last[n]);
        json_array_end(j);
        count += (uint32_t)(r->last[n] - r->first[n] + 1);
    }
    json_array_end(j);
    json_u64(j, "slot_count", count);
    json_array(j, "nodes");
    write_node(w, j, &s->master, "master");
    for (uint32_t i = 0; i < s->replica_count; i++)
        write_node(w, j, &s->replicas[i], "replica");
    json_array_end(j);
    json_object_end(j);
}

/* A shard without slots is one that MOVED has emptied. */
void admin_write_shards(struct worker *w, struct json *j, const char *key)
{
    const struct slotmap *m = w->router.map;
    json_array(j, key);
    if (m != NULL) {
        struct ranges *r = find_ranges(m);
        for (uint32_t i = 0; i < m->shard_count; i++)
            if (r->of_shard[i] != NONE)
                write_shard(w, j, r, i);
        free_ranges(r);
    }
    json_array_end(j);
}

void admin_topology(struct worker *w, struct http_exchange *x)
{
    struct json j;
    json_init(&j);
    json_object(&j, NULL);
    json_u64(&j, "worker", w->number);
    json_u64(&j, "epoch", w->router.epoch);
    json_u64(&j, "slots_covered", w->router.map != NULL ? w->router.map->covered : 0);
    admin_write_shards(w, &j, "shards");
    json_object_end(&j);
    admin_send_json(x, &j);
}
