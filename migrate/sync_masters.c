#include "migrate/sync_masters.h"

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/sync_again.h"

uint32_t sync_master_of(const struct sync *s, uint32_t slot)
{
    const struct router *rt = &s->target.router;
    uint16_t shard = rt->map->shard_of[slot];
    return shard == SLOTMAP_NO_SHARD ? 0 : rt->masters[shard]->fingerprint;
}

/* FNV-1a over the master of each slot. */
uint64_t sync_masters_print(const struct sync *s)
{
    uint64_t h = 14695981039346656037u;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        h = (h ^ sync_master_of(s, slot)) * 1099511628211u;
    return h;
}

static bool is_master(const struct sync *s, uint32_t fingerprint)
{
    const struct router *rt = &s->target.router;
    for (uint32_t i = 0; i < rt->map->shard_count; i++)
        if (rt->masters[i]->fingerprint == fingerprint)
            return true;
    return false;
}

/* A slot whose master is no master any more may have lost what was answered last. One that was
   moved by hand has not. (The fence has asked all that the map calls masters whether they are.) */
static bool has_new_master(const struct sync *s, uint32_t slot)
{
    uint32_t old = s->masters[slot];
    return old != 0 && old != sync_master_of(s, slot) && !is_master(s, old);
}

/* Behind slotgates, or in one Redis, nobody sees when a master gives way to one that lacks
   something; but we learn of it by a lost connection. The markers tell what is there of commands
   that count; the others may come again. */
bool sync_may_have_lost(const struct sync *s, uint32_t slot)
{
    return !s->target.options->cluster || has_new_master(s, slot);
}

static void note_masters(struct sync *s)
{
    s->epoch = s->target.router.epoch;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        s->masters[slot] = sync_master_of(s, slot);
}

void sync_look_at_masters(struct sync *s)
{
    s->lost_links = s->target.router.counters.lost_links;
    note_masters(s);
}

/* --- the full copy ------------------------------------------------------------------------- */

void sync_copy_watch(struct sync *s)
{
    const struct router *rt = &s->target.router;
    bool lost = false;
    /* While a slot has no master, the old one may still come back with all it had. */
    if (rt->epoch == s->epoch || s->copy_lost || rt->map->covered < SLOT_COUNT)
        return;
    for (uint32_t slot = 0; slot < SLOT_COUNT && !lost; slot++)
        lost = has_new_master(s, slot);
    note_masters(s); /* one that slots were moved to may give way later */
    if (!lost)
        return;
    log_warn("a master of the target has given way in the full copy, and may have lost keys of it",
             "action=%s", log_text(advice_on(ADVICE_COPY_AGAIN, NULL)));
    s->copy_lost = true;
}

/* What the spool has no more cannot come again. */
static bool bring_again(struct sync *s)
{
    if (s->spool.begin > s->state.begin) {
        log_error("keys of the full copy may be missing at the target, and the spool has it no "
                  "more (--spool-max)",
                  "action=%s", log_text(advice_on(ADVICE_COPY_LOST, NULL)));
        s->copy_incomplete = true;
        return false;
    }
    log_info("the full copy is brought to the target again", "");
    spool_seek(&s->spool, s->state.begin);
    s->at = s->len = 0;
    sync_copy_again(s);
    return true;
}

void sync_copy_mended(struct sync *s)
{
    sync_copy_watch(s);
    bool lost = s->copy_lost;
    s->copy_lost = false;
    if (!lost || !bring_again(s))
        s->phase = SYNC_SETTLING;
}
