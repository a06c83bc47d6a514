#include "cluster/node_stat.h"

#include <string.h>

static void set_name(struct node_stat *s, const char *name)
{
    size_t len = strnlen(name, NODE_STAT_NAME - 1);
    memset(s->name, 0, sizeof(s->name));
    memcpy(s->name, name, len);
}

void node_stats_open(struct node_stats *all, struct node_stat *v, uint32_t room)
{
    *all = (struct node_stats){ .v = v, .room = room };
    if (v[0].name[0] == '\0')
        set_name(&v[0], NODE_STAT_OTHER);
    while (all->count < room && v[all->count].name[0] != '\0') {
        v[all->count].users = 0;
        v[all->count].version &= ~1u;
        v[all->count].left = all->count == 0 ? UINT64_MAX : 0;
        all->count++;
    }
}

/* A reader that looks meanwhile sees an odd version, or another one afterwards. */
static void rename_place(struct node_stat *s, const char *name)
{
    __atomic_store_n(&s->version, s->version + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    set_name(s, name);
    s->lost = s->errors = 0;
    memset(&s->latency, 0, sizeof(s->latency));
    __atomic_store_n(&s->version, s->version + 1, __ATOMIC_RELEASE);
}

static struct node_stat *find(const struct node_stats *all, const char *name)
{
    for (uint32_t i = 1; i < all->count; i++)
        if (strncmp(all->v[i].name, name, NODE_STAT_NAME - 1) == 0)
            return &all->v[i];
    return NULL;
}

/* The first place, which is for all, when no other is free. */
static struct node_stat *oldest_free(const struct node_stats *all)
{
    struct node_stat *oldest = &all->v[0];
    for (uint32_t i = 1; i < all->count; i++)
        if (all->v[i].users == 0 && all->v[i].left < oldest->left)
            oldest = &all->v[i];
    return oldest;
}

struct node_stat *node_stats_take(struct node_stats *all, const char *name)
{
    struct node_stat *s = find(all, name);
    if (s == NULL && all->count < all->room) {
        s = &all->v[all->count++];
        rename_place(s, name);
    } else if (s == NULL) {
        s = oldest_free(all);
        if (s != &all->v[0])
            rename_place(s, name);
    }
    s->users++;
    return s;
}

void node_stats_give(struct node_stats *all, struct node_stat *s)
{
    s->users--;
    if (s != &all->v[0])
        s->left = ++all->goings;
}
