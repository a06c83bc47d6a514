#include "migrate/sync_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/sync_again.h"
#include "migrate/sync_desk.h"
#include "migrate/sync_masters.h"

enum { TICK_MS = 1000 };

uint64_t sync_position(const struct sync *s, uint64_t offset)
{
    return s->state.payload + (offset - s->state.stream);
}

/* --- the state file ------------------------------------------------------------------------ */

static struct sync_point safe_point(const struct sync *s)
{
    struct sync_point now = { s->apply.applied, s->apply.applied_db };
    return s->safe_count > 0 ? s->safe[0] : now;
}

static void note_point(struct sync *s)
{
    if (s->safe_count == SYNC_SAFE_S)
        memmove(s->safe, s->safe + 1, sizeof(s->safe[0]) * --s->safe_count);
    s->safe[s->safe_count++] = (struct sync_point){ s->apply.applied, s->apply.applied_db };
}

static void note_peers(struct sync *s)
{
    size_t len = 0;
    s->state.peers[0] = '\0';
    for (uint32_t i = 0; i < s->target.peer_count && len < STATE_PEERS_MAX; i++)
        len += (size_t)snprintf(s->state.peers + len, STATE_PEERS_MAX - len, "%s%s",
                                i > 0 ? " " : "", s->target.peers[i]);
}

/* What can be gone on with: nothing behind a full copy that the spool has not kept. */
static int write_state(const struct sync *s)
{
    struct state st = s->state;
    if (s->payload_gone && !s->copied)
        st.payload = 0;
    return state_write(&st, s->config->state_dir);
}

bool sync_put_down(struct sync *s)
{
    const char *folder = s->config->state_dir;
    int error = folder != NULL ? write_state(s) : 0;
    if (error != 0)
        sync_give_up_file(s, "the state", folder, error);
    return error == 0;
}

/* A slotgate is about to get commands: whoever comes after us has to know it. */
void sync_peer(struct sync *s)
{
    if (!s->exact || s->config->state_dir == NULL || s->closing)
        return;
    note_peers(s);
    sync_put_down(s);
}

/* Of a copy that begins anew nothing is there, and what `copy` tells is about the one before. */
static void note_copy(struct sync *s)
{
    const struct copy *c = &s->copy;
    if (!s->again)
        sync_copy_watch(s); /* of the very masters that are put down */
    s->state.copied = c->safe_to > c->skip_to ? c->safe_to : c->skip_to;
    if (s->again || s->copy_lost)
        s->state.copied = 0;
    s->state.masters = sync_masters_print(s);
}

uint64_t sync_copied_before(const struct sync *s)
{
    const struct state *st = &s->state;
    return st->masters == sync_masters_print(s) ? st->copied : 0;
}

/* Spool and repair set first, then the file that speaks of what has been applied. */
bool sync_save(struct sync *s)
{
    const char *folder = s->config->state_dir;
    struct state *st = &s->state;
    if (folder == NULL || !s->payload_whole || (s->payload_gone && !s->copied))
        return true;
    int error = dirty_sync(s->copy_options.dirty);
    if (error != 0) {
        sync_give_up_file(s, "the repair set", s->config->repair_path, error);
        return false;
    }
    struct sync_point from = safe_point(s);
    note_peers(s);
    if (!s->copied)
        note_copy(s);
    memcpy(st->id, s->source.id, sizeof(st->id));
    st->applied = from.offset;
    st->db = from.db;
    st->spool_begin = s->copied ? sync_position(s, from.offset) : st->begin;
    st->spool_end = s->spool.end;
    /* The payload itself is not waited for: without it there is a new full copy. */
    uint64_t needed = s->copied ? st->spool_begin : st->payload;
    error = s->copied ? expiry_sync(&s->expiry) : 0;
    if (error == 0)
        error = spool_sync(&s->spool, needed);
    if (error == 0)
        error = write_state(s);
    if (error == 0)
        return true;
    sync_give_up_file(s, "the state", folder, error);
    return false;
}

/* The stream lies behind the copy, and some of it may be in the buffer already; it may be needed
   again. */
static uint64_t release_up_to(const struct sync *s)
{
    uint64_t at = s->spool.at;
    bool ends = !s->copied && s->payload_whole && s->state.payload < at;
    return ends ? s->state.payload : at;
}

/* What cannot be needed any more. */
void sync_release(struct sync *s)
{
    const char *folder = s->config->state_dir;
    uint64_t kept = s->spool.end - s->spool.begin;
    bool keeps = s->exact && !s->payload_gone;
    if (s->copied && s->exact) {
        spool_release(&s->spool, folder != NULL ? s->state.spool_begin
                                                : sync_position(s, safe_point(s).offset));
        return;
    }
    if (keeps && kept < s->spool.max)
        return;
    s->payload_gone = true;
    if (keeps && !sync_put_down(s)) /* before the spool lacks what the last state speaks of */
        return;
    if (keeps && s->config->state_dir != NULL)
        log_warn("the spool cannot hold the full copy (--spool-max); if this run ends before the "
                 "copy is done, the next one begins anew",
                 "action=%s", log_text(advice_on(ADVICE_SPOOL_SMALL, NULL)));
    spool_release(&s->spool, release_up_to(s));
}

void sync_payload_whole(struct sync *s)
{
    s->payload_whole = true;
    s->state.payload = s->spool.end;
    s->state.stream = s->source.offset;
    memcpy(s->state.history, s->source.id, sizeof(s->state.history));
    sync_open_stream(s, s->source.offset, 0);
    sync_save(s);
}

bool sync_payload_copied(struct sync *s)
{
    s->copied = true;
    s->state.live = 1;
    s->state.sweep = 0;
    apply_select(&s->apply, s->copy.stream_db);
    note_point(s);
    return sync_save(s);
}

void sync_border(void *context)
{
    struct sync *s = context;
    s->safe_count = 0;
    note_point(s);
    sync_save(s);
}

/* --- what was there before ----------------------------------------------------------------- */

static bool same_boot(const struct state *old)
{
    char boot[STATE_ID_LEN + 1];
    state_boot(boot);
    return boot[0] != '\0' && strcmp(boot, old->boot) == 0;
}

/* Takes up an earlier state if one can go on from it. */
static bool take_up(struct sync *s, const struct state *old)
{
    bool same = same_boot(old);
    if (strcmp(old->name, s->config->source_name) != 0) {
        log_error("the state directory belongs to another source", "directory=%s name=%s action=%s",
                  log_text(s->config->state_dir), old->name,
                  log_text(advice_on(ADVICE_STATE, NULL)));
        return false;
    }
    char peers[sizeof(old->peers)], *save = NULL;
    memcpy(peers, old->peers, sizeof(peers));
    for (char *at = strtok_r(peers, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save))
        target_add_peer(&s->target, at);
    memcpy(s->state.token, old->token, sizeof(old->token));
    if (old->payload == 0 || (old->live == 0 && !same)) {
        s->state.sweep = old->work[0] != '\0';
        if (s->config->allow_full_resync) /* what is swept has to be the target of that time */
            memcpy(s->state.work, old->work, sizeof(old->work));
        return true;
    }
    /* After another start of the machine only what was waited for is sure to be on the disk. */
    uint64_t end = same ? UINT64_MAX : old->spool_end;
    int error = spool_reopen(&s->spool, old->spool_begin, end);
    if (error != 0) {
        log_error("the spool of the last run cannot be read", "directory=%s reason=%s action=%s",
                  log_text(s->config->state_dir), log_text(strerror(error)),
                  log_text(advice_on(ADVICE_STATE, NULL)));
        return false;
    }
    if (old->live == 0 && s->spool.end < old->payload) {
        log_error("the spool lacks a part of the full copy", "directory=%s action=%s",
                  log_text(s->config->state_dir), log_text(advice_on(ADVICE_STATE, NULL)));
        return false;
    }
    char boot[STATE_ID_LEN + 1];
    memcpy(boot, s->state.boot, sizeof(boot));
    s->state = *old;
    memcpy(s->state.boot, boot, sizeof(boot));
    s->resumed = s->payload_whole = true;
    s->copied = old->live != 0;
    log_info("going on where the last run ended", "phase=%s offset=%llu",
             s->copied ? "stream" : "copy", (unsigned long long)old->applied);
    return true;
}

static bool open_folder(struct sync *s)
{
    const char *folder = s->config->state_dir;
    struct state old;
    s->lock = state_lock(folder);
    if (s->lock < 0) {
        bool taken = s->lock == -EWOULDBLOCK;
        log_error("the state directory cannot be used", "directory=%s reason=%s action=%s",
                  log_text(folder), log_text(taken ? "another process has it" : strerror(-s->lock)),
                  log_text(advice_on(ADVICE_STATE, NULL)));
        return false;
    }
    int error = state_read(&old, folder);
    if (error != 0 && error != ENOENT) {
        log_error("the state file cannot be read", "directory=%s reason=%s action=%s",
                  log_text(folder), log_text(strerror(error)),
                  log_text(advice_on(ADVICE_STATE, NULL)));
        return false;
    }
    if (error == 0 && !take_up(s, &old))
        return false;
    if (!s->resumed)
        spool_remove_all(folder);
    if (!s->resumed && s->state.sweep == 0)
        state_remove(folder);
    /* Once our name stands at the target, only a state that knows it lets the next one in. */
    error = state_try(folder);
    if (error != 0)
        sync_say_file(s, "the state", folder, error);
    return error == 0;
}

/* --- who is at work ------------------------------------------------------------------------ */

static void on_claimed(void *context, const char *why)
{
    struct sync *s = context;
    if (s->closing)
        return;
    if (why != NULL) {
        sync_give_up(s, why);
        return;
    }
    memcpy(s->state.token, s->owner.token, sizeof(s->state.token));
    memcpy(s->state.work, s->owner.work, sizeof(s->state.work));
    if (sync_put_down(s))
        sync_mend(s);
}

static void on_owner_lost(void *context, const char *why)
{
    sync_give_up(context, why);
}

static const struct owner_user owner_user = { .on_claimed = on_claimed, .on_lost = on_owner_lost };

void sync_claim(struct sync *s)
{
    s->phase = SYNC_CLAIMING;
    owner_claim(&s->owner);
}

/* --- the way back -------------------------------------------------------------------------- */

/* What was held there is held again. False: it gave up. */
static bool hold_again(struct sync *s, uint64_t offset)
{
    int error = expiry_go_back(&s->expiry, offset);
    if (error != 0)
        sync_give_up_file(s, "the times held back", sync_folder(s), error);
    return error == 0;
}

static void go_back(struct sync *s, const uint64_t *markers)
{
    struct sync_point from = { s->apply.applied, s->apply.applied_db };
    uint64_t *skip = calloc(SLOT_COUNT, sizeof(*skip));
    uint32_t lost = 0;
    REQUIRE(skip != NULL);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        bool affected = sync_may_have_lost(s, slot);
        skip[slot] = affected || markers[slot] > from.offset ? markers[slot] : from.offset;
        lost += affected;
    }
    if (lost > 0)
        from = safe_point(s);
    log_info("sending the stream again from where it is safe", "offset=%llu slots=%u",
             (unsigned long long)from.offset, lost);
    apply_rewind(&s->apply, from.offset, from.db, s->apply.offset, skip);
    free(skip);
    if (!hold_again(s, from.offset))
        return;
    spool_seek(&s->spool, sync_position(s, from.offset));
    s->at = s->len = 0;
    s->phase = SYNC_LIVE;
}

static void go_on_with_state(struct sync *s, const uint64_t *markers)
{
    const struct state *st = &s->state;
    sync_begin(s);
    if (!s->copied || !hold_again(s, st->applied))
        return;
    uint64_t end = s->source.offset;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        s->apply.lanes.marked[slot] = markers[slot] > 0;
        end = markers[slot] > end ? markers[slot] : end;
    }
    apply_rewind(&s->apply, st->applied, st->db, end, markers);
    note_point(s);
    spool_seek(&s->spool, sync_position(s, st->applied));
    s->phase = SYNC_LIVE;
}

static void on_mended(void *context, const uint64_t *markers)
{
    struct sync *s = context;
    if (s->closing)
        return;
    if (s->again)
        sync_copy_again(s);
    else if (s->reading && s->copied)
        go_back(s, markers);
    else if (s->reading) /* between copy and stream */
        sync_copy_mended(s);
    else if (s->resumed)
        go_on_with_state(s, markers);
    else
        sync_begin(s);
    sync_look_at_masters(s);
    net_hurry(&s->run.net);
}

void sync_mend(struct sync *s)
{
    s->phase = SYNC_MENDING;
    s->mends++;
    owner_forget(&s->owner);
    sync_desk_mend(s);
    mend_start(&s->mend, on_mended, s);
}

void sync_watch(struct sync *s)
{
    const struct router *rt = &s->target.router;
    bool changed = rt->epoch != s->epoch, lost = rt->counters.lost_links != s->lost_links;
    s->epoch = rt->epoch;
    for (uint32_t slot = 0; changed && !lost && slot < SLOT_COUNT; slot++)
        lost = s->masters[slot] != sync_master_of(s, slot);
    if (lost || s->apply.broken || s->expiry.refused)
        sync_mend(s);
}

/* --- the end ------------------------------------------------------------------------------- */

static void on_deleted(void *context, const struct target_call *call)
{
    (void)context, (void)call;
}

static void delete_key(struct sync *s, const char *key)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, (const char *[]){ "DEL", key }, 2);
    target_send(&s->target, SPAN("del"), (struct span){ key, strlen(key) }, writer_span(&w), true,
                on_deleted, s);
    writer_close(&w);
}

void sync_clean(struct sync *s)
{
    char name[LANE_MARKER_MAX];
    s->phase = SYNC_CLEANING;
    s->safe_count = 0;
    if (!s->exact || !sync_save(s))
        return;
    expiry_end(&s->expiry);
    delete_key(s, s->owner.key);
    if (s->config->state_dir != NULL)
        return;
    delete_key(s, s->owner.lwm_key);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (!s->apply.lanes.marked[slot])
            continue;
        lane_marker(&s->target, s->config->marker, (uint16_t)slot, name);
        delete_key(s, name);
    }
}

/* --- life ---------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
    struct sync *s = timer->data;
    bool mending = s->phase == SYNC_MENDING;
    if (s->closing || s->phase < SYNC_MENDING || s->phase == SYNC_CLEANING)
        return;
    if (s->copied && s->applying && !mending)
        note_point(s);
    /* What waits for room in the repair set does not count as applied until it is there. */
    if (s->reading && dirty_sync(s->copy_options.dirty) == 0 && !sync_save(s))
        return;
    if (s->reading)
        sync_release(s);
    if (!mending)
        owner_tick(&s->owner, s->payload_whole ? s->state.history : "", s->apply.applied);
}

bool sync_keep_open(struct sync *s)
{
    const struct config *c = s->config;
    const char *folder = c->state_dir != NULL ? c->state_dir : c->spool_dir;
    s->lock = -1;
    s->exact = c->marker[0] != '\0';
    spool_open(&s->spool, folder, c->state_dir != NULL, c->spool_max);
    snprintf(s->state.name, sizeof(s->state.name), "%s", c->source_name);
    state_boot(s->state.boot);
    s->expiry.returns = s->exact;
    if (!s->exact)
        return true;
    if (c->state_dir != NULL && !open_folder(s))
        return false;
    if (c->state_dir != NULL)
        expiry_keep(&s->expiry, c->state_dir);
    if (!s->copied) /* the full copy brings them again */
        expiry_again(&s->expiry);
    s->masters = calloc(SLOT_COUNT, sizeof(*s->masters));
    REQUIRE(s->masters != NULL);
    mend_open(&s->mend, &s->run.net, &s->target, c->marker, s->state.history);
    owner_open(&s->owner, &s->run.net, &s->target, c->marker, s->state.token, s->state.work,
               &owner_user, s);
    uv_timer_init(&s->run.loop, &s->tick);
    s->tick.data = s;
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    return true;
}

void sync_keep_close(struct sync *s)
{
    if (!s->exact || s->masters == NULL)
        return;
    mend_close(&s->mend);
    owner_close(&s->owner);
    uv_close((uv_handle_t *)&s->tick, NULL);
}

void sync_keep_free(struct sync *s)
{
    spool_close(&s->spool);
    if (s->lock >= 0)
        close(s->lock);
    if (s->masters == NULL)
        return;
    mend_free(&s->mend);
    owner_free(&s->owner);
    free(s->masters);
}
