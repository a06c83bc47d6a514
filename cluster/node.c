#include "cluster/node.h"

#include <stdlib.h>

#include "base/error.h"

enum { UNUSED_MS = 60 * 1000 };

void node_table_open(struct node_table *t, struct net *net, const struct link_options *options,
                     const struct link_user *user, void *context)
{
    *t = (struct node_table){ .net = net, .options = options, .user = user, .context = context };
    list_init(&t->nodes);
    node_stats_open(&t->stats, &t->uncounted, 1);
}

void node_table_count_in(struct node_table *t, struct node_stat *v, uint32_t room)
{
    node_stats_open(&t->stats, v, room);
}

struct node *node_find(const struct node_table *t, const struct endpoint *e)
{
    for (struct list_node *at = t->nodes.next; at != &t->nodes; at = at->next) {
        struct node *n = LIST_ENTRY(at, struct node, in_table);
        if (endpoint_equal(&n->endpoint, e))
            return n;
    }
    return NULL;
}

/* FNV-1a of "host:port". */
static uint32_t fingerprint_of(const struct endpoint *e)
{
    char text[ENDPOINT_TEXT_MAX];
    uint32_t h = 2166136261u;
    for (const char *p = endpoint_text(e, text); *p != '\0'; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    return h;
}

struct node *node_get(struct node_table *t, const struct endpoint *e)
{
    struct node *n = node_find(t, e);
    if (n != NULL)
        return n;
    n = calloc(1, sizeof(*n));
    REQUIRE(n != NULL);
    n->endpoint = *e;
    n->fingerprint = fingerprint_of(e);
    char name[ENDPOINT_TEXT_MAX];
    n->stat = node_stats_take(&t->stats, endpoint_text(e, name));
    list_init(&n->idle_leases[0]);
    list_init(&n->idle_leases[1]);
    for (int kind = 0; kind < LINK_KINDS; kind++)
        link_init(&n->links[kind], (enum link_kind)kind, n, &n->endpoint, t->net, t->options,
                  t->user, t->context);
    list_append(&t->nodes, &n->in_table);
    t->count++;
    return n;
}

struct link *node_links_of_other(struct node *n, uint16_t database)
{
    const struct link *first = &n->links[0];
    for (struct link_set *s = n->databases; s != NULL; s = s->next)
        if (s->database == database)
            return s->links;
    struct link_set *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    s->database = database;
    s->next = n->databases;
    n->databases = s;
    for (int kind = 0; kind < LINK_KINDS; kind++) {
        link_init(&s->links[kind], (enum link_kind)kind, n, &n->endpoint, first->net,
                  first->options, first->user, first->context);
        s->links[kind].database = database;
        s->links[kind].set = s;
    }
    return s->links;
}

struct link *node_next_link(struct node *n, struct link *l)
{
    if (l == NULL)
        return n->links;
    if (l->kind + 1 < LINK_KINDS)
        return l + 1;
    struct link_set *next = l->set == NULL ? n->databases : l->set->next;
    return next == NULL ? NULL : next->links;
}

static void node_free(struct node_table *t, struct node *n)
{
    node_stats_give(&t->stats, n->stat);
    while (n->databases != NULL) {
        struct link_set *s = n->databases;
        n->databases = s->next;
        free(s);
    }
    list_remove(&n->in_table);
    t->count--;
    free(n->read);
    free(n);
}

/* Whether no link has a connection; idle ones that are not wanted are closed on the way. */
static bool node_is_quiet(struct node *n, uint64_t now)
{
    bool quiet = n->hinted == 0 && n->leases == 0;
    struct link *l;
    NODE_EACH_LINK (n, l) {
        bool wanted = n->in_map && l->database == 0;
        if (!wanted && l->pending == 0 && now - l->used_at > UNUSED_MS)
            link_close(l, ERR_SHUTDOWN);
        if (l->state != LINK_IDLE && l->state != LINK_RESTING)
            quiet = false;
        if (now - l->used_at <= UNUSED_MS)
            quiet = false;
    }
    return quiet;
}

void node_table_sweep(struct node_table *t, uint64_t now)
{
    struct list_node *at, *safe;
    LIST_EACH (&t->nodes, at, safe) {
        struct node *n = LIST_ENTRY(at, struct node, in_table);
        if (node_is_quiet(n, now) && !n->in_map)
            node_free(t, n);
    }
}

void node_table_close(struct node_table *t, int why)
{
    struct list_node *at, *safe;
    LIST_EACH (&t->nodes, at, safe) {
        struct node *n = LIST_ENTRY(at, struct node, in_table);
        struct link *l;
        NODE_EACH_LINK (n, l) {
            l->retired = true;
            link_close(l, why);
        }
    }
}

void node_table_free(struct node_table *t)
{
    struct list_node *at, *safe;
    LIST_EACH (&t->nodes, at, safe)
        node_free(t, LIST_ENTRY(at, struct node, in_table));
}
