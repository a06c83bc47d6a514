#include "migrate/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/list_file.h"
#include "migrate/summary.h"
#include "migrate/sync_again.h"
#include "migrate/sync_desk.h"
#include "migrate/sync_keep.h"
#include "migrate/sync_masters.h"

enum { PUMP_TURN = 2 * 1024 * 1024 };

void sync_close(struct sync *s)
{
    if (s->closing)
        return;
    s->closing = true;
    sync_desk_close(s);
    if (s->reading)
        source_close(&s->source);
    sync_keep_close(s);
    target_close(&s->target);
    run_close(&s->run);
}

static void say(struct sync *s, const char *why)
{
    log_error("cannot go on", "reason=%s action=%s", log_text(why),
              log_text(advice_on(ADVICE_START, why)));
    s->failed = true;
}

void sync_give_up(struct sync *s, const char *why)
{
    if (s->closing)
        return;
    say(s, why);
    sync_close(s);
}

void sync_say_file(struct sync *s, const char *what, const char *folder, int error)
{
    char why[512];
    snprintf(why, sizeof(why), "%s in %.256s: %s", what, folder, strerror(error));
    say(s, why);
}

void sync_give_up_file(struct sync *s, const char *what, const char *folder, int error)
{
    if (s->closing)
        return;
    sync_say_file(s, what, folder, error);
    sync_close(s);
}

const char *sync_folder(const struct sync *s)
{
    return s->config->state_dir != NULL ? s->config->state_dir : s->config->spool_dir;
}

/* --- from the source to the spool ---------------------------------------------------------- */

static void keep(struct sync *s, struct span bytes)
{
    int error = s->closing ? 0 : spool_write(&s->spool, bytes);
    if (error != 0) {
        sync_give_up_file(s, "the spool", sync_folder(s), error);
        return;
    }
    if (spool_is_full(&s->spool) && !s->source.paused) {
        log_warn("the spool is full; the source has to wait", "bytes=%llu action=%s",
                 (unsigned long long)spool_unread(&s->spool),
                 log_text(advice_on(ADVICE_SPOOL_FULL, NULL)));
        source_pause(&s->source);
    }
    net_hurry(&s->run.net);
}

/* What it writes would come back in the stream, for ever. */
static bool on_id(void *context, struct span id)
{
    struct sync *s = context;
    bool same = target_ids_have(&s->target.ids, id);
    if (same)
        sync_give_up(s, TARGET_IS_SOURCE);
    return !same;
}

static void on_payload(void *context, struct span bytes)
{
    keep(context, bytes);
}

static void on_payload_end(void *context)
{
    sync_payload_whole(context);
}

static void on_stream(void *context, struct span bytes)
{
    struct sync *s = context;
    apply_received(&s->apply, s->source.offset, copy_now(&s->copy));
    keep(s, bytes);
}

/* The new history's id has to be in the state before the first of its bytes: behind that the old id
   is worth nothing. */
static void on_continued(void *context)
{
    sync_save(context);
}

static void on_again(void *context)
{
    sync_again(context);
}

/* The source is gone for good, but what it has sent is still worth to be applied. */
static void on_source_failed(void *context, const char *why)
{
    struct sync *s = context;
    log_error("the source is lost", "reason=%s action=%s", log_text(why),
              log_text(advice_on(ADVICE_START, why)));
    s->failed = true;
    s->stopping = true;
    if (!s->payload_whole)
        sync_close(s);
    net_hurry(&s->run.net);
}

static const struct source_user source_user = {
    .on_id = on_id,
    .on_payload = on_payload,
    .on_payload_end = on_payload_end,
    .on_stream = on_stream,
    .on_continued = on_continued,
    .on_again = on_again,
    .on_failed = on_source_failed,
};

/* --- from the spool to the target ---------------------------------------------------------- */

static bool fill_buffer(struct sync *s)
{
    if (s->at < s->len)
        return true;
    long n = spool_read(&s->spool, s->buffer, SYNC_BUFFER);
    if (n < 0)
        sync_give_up_file(s, "the spool", sync_folder(s), (int)-n);
    s->at = 0;
    s->len = n > 0 ? (size_t)n : 0;
    if (!s->exact || !s->copied)
        sync_release(s);
    if (s->source.paused && spool_unread(&s->spool) < s->spool.max / 2)
        source_resume(&s->source);
    return n > 0 && !s->closing;
}

static bool copy_some(struct sync *s)
{
    size_t used;
    if (!fill_buffer(s))
        return false;
    struct span bytes = { s->buffer + s->at, s->len - s->at };
    enum copy_result result = copy_take(&s->copy, bytes, &used);
    s->at += used;
    if (result == COPY_BAD)
        sync_give_up(s, s->copy.reader.error);
    if (result == COPY_END) {
        s->phase = SYNC_SETTLING;
        log_info("the payload is read; waiting for its last answers", "keys=%llu",
                 (unsigned long long)s->copy.counters.keys);
    }
    return result == COPY_MORE || result == COPY_END;
}

static bool settle(struct sync *s)
{
    if (!s->payload_whole || !copy_is_done(&s->copy))
        return false;
    bool lost = s->copy_lost || s->target.router.counters.lost_links != s->lost_links;
    if (s->exact && lost) {
        sync_mend(s); /* what a lost connection has left behind must not come after the stream */
        return false;
    }
    if (!sync_is_swept(s))
        return false;
    log_info("full copy done", "keys=%llu failed=%llu", (unsigned long long)s->copy.counters.keys,
             (unsigned long long)s->copy.counters.failed);
    if (!sync_payload_copied(s))
        return false;
    s->phase = SYNC_LIVE;
    if (!s->config->follow)
        sync_clean(s);
    return s->phase == SYNC_LIVE && !s->closing;
}

/* Without bytes, too: it may have kept commands that had to wait. */
static bool apply_some(struct sync *s)
{
    size_t used;
    bool more = fill_buffer(s);
    struct span bytes = { s->buffer + s->at, s->len - s->at };
    if (s->closing)
        return false;
    enum apply_result result = apply_take(&s->apply, bytes, &used);
    s->at += used;
    if (result == APPLY_BAD) {
        log_error("cannot go on", "reason=%s action=%s", log_text(s->apply.error),
                  log_text(advice_on(ADVICE_START, s->apply.error)));
        s->failed = true;
        sync_clean(s);
    }
    return result == APPLY_MORE && more;
}

/* One step. False: there is nothing to do now. */
static bool pump_some(struct sync *s)
{
    switch ((enum sync_phase)s->phase) {
    case SYNC_COPYING:
        return copy_some(s);
    case SYNC_SETTLING:
        return settle(s);
    case SYNC_SWEEPING:
        sync_sweep(s);
        return false;
    case SYNC_LIVE:
        return apply_some(s);
    default:
        return false;
    }
}

static void pump(struct sync *s)
{
    uint64_t left = spool_unread(&s->spool), most = left > PUMP_TURN ? left - PUMP_TURN : 0;
    while (!s->closing && pump_some(s)) {
        if (spool_unread(&s->spool) <
            most) { /* the rest in the next turn: replies have to be read, too */
            net_hurry(&s->run.net);
            break;
        }
    }
    if (s->phase == SYNC_LIVE && !s->closing)
        apply_send_held(&s->apply);
}

static void acknowledge(struct sync *s)
{
    if (s->phase != SYNC_LIVE || s->closing)
        return;
    s->source.acknowledged = s->apply.applied;
    if (apply_wants_ack(&s->apply))
        source_acknowledge(&s->source);
}

static void close_if_drained(struct sync *s)
{
    if (s->stopping && s->phase == SYNC_LIVE && s->at == s->len && spool_unread(&s->spool) == 0 &&
        apply_is_done(&s->apply) && sync_desk_is_idle(s) &&
        expiry_settle(&s->expiry, copy_now(&s->copy)))
        sync_clean(s);
    if (s->phase == SYNC_CLEANING && s->target.pending == 0)
        sync_close(s);
}

static void settle_expiry(struct sync *s)
{
    int64_t now = copy_now(&s->copy);
    bool more = spool_unread(&s->spool) > 0 || s->at < s->len;
    bool again = s->apply.offset < s->apply.replay_end;
    if (s->phase == SYNC_LIVE && !s->closing && !s->held)
        expiry_turn(&s->expiry, again || (more && now - s->apply.now > EXPIRY_LAG_MS), now);
}

/* --- the target ---------------------------------------------------------------------------- */

void sync_open_stream(struct sync *s, uint64_t offset, uint64_t db)
{
    struct apply_start start = { .offset = offset,
                                 .db = db,
                                 .marker = s->exact ? s->config->marker : NULL,
                                 .history = s->state.history,
                                 .on_border = sync_border,
                                 .context = s };
    apply_open(&s->apply, &s->copy_options, &s->target, &start);
    s->apply.counters = s->before;
    s->applying = true;
}

void sync_begin(struct sync *s)
{
    const struct state *st = &s->state;
    if (!s->copied)
        sync_note_keys(s);
    copy_open(&s->copy, &s->copy_options, &s->target);
    s->copying = s->reading = true;
    s->phase = SYNC_COPYING;
    s->begun = uv_now(&s->run.loop);
    source_open(&s->source, &s->run.net, &s->config->source_options, &source_user, s);
    if (!s->resumed)
        return;
    if (!s->copied) {
        s->copy.skip_to = sync_copied_before(s);
        log_info("the full copy goes on", "offset=%llu", (unsigned long long)s->copy.skip_to);
    }
    source_go_on(&s->source, st->id, st->stream + (s->spool.end - st->payload));
    sync_open_stream(s, s->copied ? st->applied : st->stream, s->copied ? st->db : 0);
    if (s->spool.written > 0) /* no earlier: a time to live may become longer, but not shorter */
        apply_received(&s->apply, s->source.offset, s->spool.written);
}

static void on_ready(void *context)
{
    struct sync *s = context;
    const struct target_facts *f = &s->target.facts;
    log_info("target is ready", "version=%s shards=%u rdb=%u", f->version,
             s->target.router.map->shard_count, f->rdb);
    if (f->evicts)
        log_warn("the target may evict keys when its memory is full", "action=%s",
                 log_text(advice_on(ADVICE_EVICTION, NULL)));
    if (s->exact)
        sync_claim(s);
    else
        sync_begin(s);
}

static void on_failed(void *context, const char *why)
{
    sync_give_up(context, why);
}

static void on_progress(void *context)
{
    struct sync *s = context;
    if (s->copying)
        copy_progress(&s->copy);
}

static void on_peer(void *context)
{
    sync_peer(context);
}

static const struct target_user target_user = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_progress = on_progress,
    .on_peer = on_peer,
};

/* --- life ---------------------------------------------------------------------------------- */

/* A time that is not put down would be lost for good; what has been read comes again. */
static void give_up_times(struct sync *s)
{
    const struct config *c = s->config;
    int error = expiry_error(&s->expiry);
    char folders[256];
    if (error == 0)
        return;
    snprintf(folders, sizeof(folders), "%.100s%s%.100s", c->spool_dir,
             c->state_dir != NULL ? " or " : "", c->state_dir != NULL ? c->state_dir : "");
    sync_give_up_file(s, "the times held back", folders, error);
}

static void on_turn_end(void *context)
{
    struct sync *s = context;
    /* First: what was refused by an old master must not go to the new one before we know what that
       has. */
    if (s->exact && s->phase == SYNC_LIVE && !s->closing)
        sync_watch(s);
    if (s->exact && s->reading && !s->copied && s->phase != SYNC_MENDING && !s->closing)
        sync_copy_watch(s);
    target_turn_end(&s->target);
    if (s->closing || !s->reading)
        return;
    sync_desk_turn(s);
    if (!s->held)
        pump(s);
    acknowledge(s);
    settle_expiry(s);
    give_up_times(s);
    close_if_drained(s);
    target_turn_end(&s->target);
    sync_desk_turn_end(s);
}

/* In the full copy: what is answered is put down, and the next start goes on behind that. */
static void stop_early(struct sync *s)
{
    bool kept = !s->copied && s->config->state_dir != NULL && s->payload_whole && !s->payload_gone;
    if (kept && !s->closing && !sync_save(s))
        return;
    sync_give_up(s, s->copied ? "interrupted before all is applied"
                    : kept    ? "interrupted in the full copy; the next start goes on with it"
                              : "interrupted before the end of the full copy");
}

void sync_stop(struct sync *s)
{
    s->held = false;
    if (s->stopping || !s->copied || !s->reading) {
        stop_early(s);
        return;
    }
    log_info("stopping: what has been received is still applied", "offset=%llu",
             (unsigned long long)s->source.offset);
    s->stopping = true;
    source_close(&s->source);
    net_hurry(&s->run.net);
}

static void on_stop(void *context)
{
    sync_stop(context);
}

static void write_stream_summary(const struct sync *s, FILE *out)
{
    const struct apply_counters *n = &s->apply.counters;
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {
        { "commands of the stream", n->commands },
        { "commands sent", n->sent },
        { "commands without effect", n->dropped },
        { "commands, other database", n->other_database },
        { "commands not sent again", n->skipped },
        { "commands filtered", n->filtered },
        { "commands of mixed keys", n->mixed },
        { "commands on stale copies", n->stale },
        { "commands failed", n->failed },
        { "transactions in parts", n->parted },
        { "times of fields lost, stream", n->field_times_lost },
        { "times to live held back", s->expiry.deferred },
        { "times to live a day too long", s->expiry.unset + expiry_held(&s->expiry) },
        { "times sent again", s->mends },
        { "keys removed that vanished", s->sweep.removed },
        { "offset applied", s->apply.applied },
        { "spool at its fullest", s->spool.peak },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        fprintf(out, "%-28s %12llu\n", rows[i].name, (unsigned long long)rows[i].count);
}

/* A key that failed counts no more once it has been repaired. */
bool sync_is_good(const struct sync *s)
{
    const struct copy_counters *n = &s->copy.counters;
    return !s->failed && s->phase == SYNC_CLEANING && n->functions_failed == 0 &&
           !s->copy_incomplete && n->field_times_lost + s->apply.counters.field_times_lost == 0 &&
           sync_desk_is_good(s) && s->expiry.unset + expiry_held(&s->expiry) == 0;
}

static int end(struct sync *s)
{
    bool good = sync_is_good(s);
    if (s->copying) {
        summary_write(&s->copy, uv_now(&s->run.loop) - s->begun, stdout);
        if (s->applying)
            write_stream_summary(s, stdout);
        sync_desk_summary(s, stdout);
        copy_close(&s->copy);
    }
    if (s->applying)
        apply_close(&s->apply);
    sync_desk_free(s);
    sync_again_free(s);
    sync_keep_free(s);
    expiry_close(&s->expiry);
    target_free(&s->target);
    run_free(&s->run);
    return good ? 0 : 1;
}

int sync_run(const struct config *config)
{
    struct sync *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    s->config = config;
    s->copy_options = config->copy_options;
    s->copy_options.skip_expired = false; /* so that an older one of that name at the target goes */
    int code = 1;
    if (list_file_open(&s->copy_options.failed, config->failed_file)) {
        run_open(&s->run, on_turn_end, on_stop, s);
        target_open(&s->target, &s->run.net, &config->target_options, &target_user, s);
        expiry_open(&s->expiry, &config->expiry_options, &s->target);
        if (config->follow && config->replace) /* keys of others keep their times */
            s->copy_options.expiry = &s->expiry;
        if (!sync_keep_open(s) || !sync_desk_open(s)) {
            s->failed = true;
            sync_close(s);
        }
        uv_run(&s->run.loop, UV_RUN_DEFAULT);
        code = end(s);
    }
    if (!list_file_close(s->copy_options.failed, config->failed_file))
        code = 1;
    free(s);
    return code;
}
