#include "proxy/script_slots.h"

#include <stdlib.h>

#include "cluster/keyslot.h"
#include "proxy/worker.h"

bool script_slots_take(struct worker *w, const struct gather *g)
{
    if (w->script_slots == NULL)
        w->script_slots = calloc(SLOT_COUNT, 1);
    REQUIRE(w->script_slots != NULL);
    for (uint32_t i = 0; i < g->count; i++)
        if (w->script_slots[g->keys[i].slot])
            return false;
    for (uint32_t i = 0; i < g->count; i++)
        w->script_slots[g->keys[i].slot] = true;
    return true;
}

void script_slots_wait(struct op *op, op_step *next)
{
    op_wait(op, &op->worker->scripts_waiting, next);
}

/* Whoever waits tries again, in the order in which they came. */
void script_slots_give_back(struct worker *w, const struct gather *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        w->script_slots[g->keys[i].slot] = false;
    list_splice(&w->ops_ready, &w->scripts_waiting);
}
