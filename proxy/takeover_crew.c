#include "proxy/takeover_crew.h"

#include <stdlib.h>
#include <string.h>

void takeover_add_crew(struct baton *b, const struct crew *crew)
{
    struct baton_item item = { .kind = BATON_CREW,
                               .generation = crew->generation,
                               .number = crew->count,
                               .index = crew->addresses,
                               .fd = -1 };
    baton_add(b, item);
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct crew_member *m = &crew->members[i];
        item.number = i;
        item.index = 0;
        item.pid = m->pid;
        item.kind = BATON_MEMBER;
        item.fd = -1;
        baton_add(b, item);
        item.kind = BATON_INBOX;
        for (item.index = 0; item.index < INBOX_ENDS; item.index++) {
            item.fd = m->inbox[item.index];
            baton_add(b, item);
        }
        item.kind = BATON_LISTENER;
        for (item.index = 0; item.index < crew->addresses; item.index++) {
            item.fd = m->listeners[item.index];
            if (item.fd >= 0)
                baton_add(b, item);
        }
    }
    item = (struct baton_item){ .kind = BATON_ADMIN, .generation = crew->generation };
    for (; item.index < crew->admin_count; item.index++) {
        item.fd = crew->admin[item.index];
        baton_add(b, item);
    }
    for (uint32_t i = 0; i < crew->elder_count; i++) {
        const struct crew_elder *e = &crew->elders[i];
        baton_add(b, (struct baton_item){ BATON_ELDER, e->generation, e->number, 0, 0, e->inbox });
    }
}

static bool put_admin(struct crew *crew, const struct baton_item *item)
{
    if (item->index != crew->admin_count || item->index >= CREW_ADMIN_MAX)
        return false;
    crew->admin[crew->admin_count++] = item->fd;
    return true;
}

static bool put(struct crew *crew, const struct baton_item *item)
{
    if (item->kind == BATON_ADMIN)
        return put_admin(crew, item);
    bool fits = item->kind == BATON_MEMBER ||
                (item->kind == BATON_INBOX && item->index < INBOX_ENDS) ||
                (item->kind == BATON_LISTENER && item->index < crew->addresses);
    if (!fits || item->number >= crew->count)
        return false;
    struct crew_member *m = &crew->members[item->number];
    if (item->kind == BATON_MEMBER) {
        m->pid = item->pid;
        m->again = true;
    } else if (item->kind == BATON_INBOX) {
        m->inbox[item->index] = item->fd;
    } else {
        m->listeners[item->index] = item->fd;
    }
    return true;
}

static const struct baton_item *crew_item(const struct baton *b, uint32_t generation)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].kind == BATON_CREW && b->items[i].generation == generation)
            return &b->items[i];
    return NULL;
}

bool takeover_read_crew(struct crew *crew, const struct baton *b, uint32_t generation)
{
    const struct baton_item *head = crew_item(b, generation);
    *crew = (struct crew){ .generation = generation };
    if (head == NULL || head->number == 0 || head->number > CREW_MAX ||
        head->index > CREW_ADDRESSES_MAX)
        return false;
    crew->count = head->number;
    crew->addresses = head->index;
    crew->members = calloc(crew->count, sizeof(crew->members[0]));
    REQUIRE(crew->members != NULL);
    for (uint32_t i = 0; i < crew->count; i++) {
        memset(crew->members[i].inbox, -1, sizeof(crew->members[i].inbox));
        memset(crew->members[i].listeners, -1, sizeof(crew->members[i].listeners));
    }
    bool whole = true;
    for (size_t i = 0; i < b->count; i++) {
        const struct baton_item *item = &b->items[i];
        bool of_crew = item->kind == BATON_MEMBER || item->kind == BATON_INBOX ||
                       item->kind == BATON_LISTENER || item->kind == BATON_ADMIN;
        if (of_crew && item->generation == generation)
            whole = put(crew, item) && whole;
        if (item->kind == BATON_ELDER)
            crew_add_elder(crew, (struct crew_elder){ item->generation, item->number, item->fd });
    }
    return whole;
}
