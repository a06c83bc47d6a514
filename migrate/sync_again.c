#include "migrate/sync_again.h"

#include <string.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/sync_desk.h"
#include "migrate/sync_keep.h"

/* --- the source begins anew ---------------------------------------------------------------- */

static void forget_stream(struct sync *s)
{
    if (!s->applying)
        return;
    s->before = s->apply.counters;
    apply_close(&s->apply);
    s->applying = false;
}

/* The rest of the old stream is not applied: the new copy has all of it. What is under way at the
   target must not come behind the new copy; so it is dropped, and the fence sees to it. */
void sync_again(struct sync *s)
{
    if (s->closing || s->phase == SYNC_CLEANING)
        return;
    log_warn("the source cannot go on from where it broke off; a new full copy follows",
             "action=%s", log_text(advice_on(ADVICE_BEGINS_ANEW, NULL)));
    s->again = true;
    s->payload_whole = s->copied = s->resumed = s->payload_gone = false;
    s->at = s->len = 0;
    s->safe_count = 0;
    s->copy_lost = s->copy_incomplete = false;
    s->state.begin = s->spool.end;
    s->state.payload = s->state.live = s->state.copied = 0;
    s->state.sweep = 1;
    /* Before the spool lacks what the last state speaks of. A later start makes a new full copy,
       too, and sweeps behind it. */
    if (!sync_put_down(s))
        return;
    spool_seek(&s->spool, s->spool.end);
    spool_release(&s->spool, s->spool.end);
    if (s->phase != SYNC_MENDING)
        sync_mend(s);
    forget_stream(s);
    expiry_again(&s->expiry);
    sync_desk_again(s);
}

void sync_copy_again(struct sync *s)
{
    s->again = false;
    copy_close(&s->copy);
    sync_note_keys(s);
    copy_open(&s->copy, &s->copy_options, &s->target);
    s->phase = SYNC_COPYING;
}

/* --- what the source has no more ----------------------------------------------------------- */

void sync_note_keys(struct sync *s)
{
    const struct config *c = s->config;
    s->copy_options.seen = NULL;
    if (s->state.sweep == 0)
        return;
    if (!c->allow_full_resync) {
        log_warn("an earlier full copy broke off; keys that have vanished at the source since then "
                 "stay at the target",
                 "action=%s", log_text(advice_on(ADVICE_VANISHED, NULL)));
        return;
    }
    key_set_clear(&s->keys);
    key_set_open(&s->keys, c->spool_dir);
    s->copy_options.seen = &s->keys;
}

bool sync_is_swept(struct sync *s)
{
    if (s->state.sweep == 0 || s->copy_options.seen == NULL)
        return true;
    log_info("looking for keys that the source has no more", "");
    uint64_t removed = s->sweep.removed;
    sweep_close(&s->sweep);
    sweep_open(&s->sweep, &s->copy_options, &s->target, &s->keys);
    s->sweep.removed = removed;
    sweep_begin(&s->sweep);
    s->phase = SYNC_SWEEPING;
    net_hurry(&s->run.net);
    return false;
}

void sync_sweep(struct sync *s)
{
    if (s->copy_lost || s->target.router.counters.lost_links != s->lost_links) {
        sync_mend(s); /* behind it the sweep begins anew */
        return;
    }
    int rc = key_set_sort(&s->keys);
    if (rc != 0) {
        if (rc < 0)
            sync_give_up_file(s, "the list of keys", s->config->spool_dir, -rc);
        net_hurry(&s->run.net);
        return;
    }
    enum sweep_result result = sweep_step(&s->sweep);
    if (result == SWEEP_MORE)
        return;
    if (result == SWEEP_BAD) {
        log_error("what the source has no more cannot be removed from the target",
                  "reason=%s action=%s", log_text(s->sweep.error),
                  log_text(advice_on(ADVICE_SWEEP, s->sweep.error)));
        sync_give_up(s, "the next start makes it up");
        return;
    }
    log_info("keys that the source has no more are removed", "looked_at=%llu removed=%llu",
             (unsigned long long)s->sweep.looked_at, (unsigned long long)s->sweep.removed);
    s->state.sweep = 0;
    s->copy_options.seen = NULL;
    key_set_clear(&s->keys);
    s->phase = SYNC_SETTLING;
    net_hurry(&s->run.net);
}

void sync_again_free(struct sync *s)
{
    sweep_close(&s->sweep);
    key_set_clear(&s->keys);
}
