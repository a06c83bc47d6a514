#include "migrate/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "migrate/apply.h"
#include "migrate/run.h"
#include "migrate/spool.h"
#include "migrate/summary.h"

/*
 *   the source's bytes -> spool (all of them, in order) -> pump, at the end of each turn:
 *     COPYING (the payload; copy.h) -> SETTLING (its last answers) -> LIVE (the stream; apply.h)
 *
 *   The stream begins only when every key of the payload is there, so no command meets a key that
 * an older RESTORE then overwrites. SIGINT, SIGTERM: the source is read no further; what the spool
 *   has is applied, then everything closes. A second one: at once.
 */
enum phase { WAITING, COPYING, SETTLING, LIVE };

enum { PUMP_BUFFER = 256 * 1024, PUMP_TURN = 2 * 1024 * 1024 };

struct sync {
    const struct config *config;
    struct copy_options copy_options;
    struct run run;
    struct target target;
    struct source source;
    struct spool spool;
    struct copy copy;
    struct expiry expiry;
    struct apply apply;
    uint64_t begun;
    uint8_t phase; /* enum phase */
    bool applying, payload_whole, stopping, failed, closing;
    size_t at, len; /* in the buffer: taken, and all */
    char buffer[PUMP_BUFFER];
};

static void close_all(struct sync *s)
{
    if (s->closing)
        return;
    s->closing = true;
    if (s->phase != WAITING)
        source_close(&s->source);
    target_close(&s->target);
    run_close(&s->run);
}

static void give_up(void *context, const char *why)
{
    struct sync *s = context;
    if (s->closing)
        return;
    log_error("cannot go on", "reason=%s", log_text(why));
    s->failed = true;
    close_all(s);
}

/* --- from the source to the spool ---------------------------------------------------------- */

static void keep(struct sync *s, struct span bytes)
{
    int error = s->closing ? 0 : spool_write(&s->spool, bytes);
    if (error != 0) {
        give_up(s, strerror(error));
        return;
    }
    if (spool_is_full(&s->spool) && !s->source.paused) {
        log_warn("the spool is full; the source has to wait", "bytes=%llu",
                 (unsigned long long)s->spool.used);
        source_pause(&s->source);
    }
    net_hurry(&s->run.net);
}

static void on_payload(void *context, struct span bytes)
{
    keep(context, bytes);
}

static void on_payload_end(void *context)
{
    struct sync *s = context;
    s->payload_whole = true;
    apply_open(&s->apply, &s->copy_options, &s->target, s->source.offset);
    s->applying = true;
}

static void on_stream(void *context, struct span bytes)
{
    struct sync *s = context;
    apply_received(&s->apply, s->source.offset, copy_now(&s->copy));
    keep(s, bytes);
}

/* The source is gone for good, but what it has sent is still worth to be applied. */
static void on_source_failed(void *context, const char *why)
{
    struct sync *s = context;
    log_error("the source is lost", "reason=%s", log_text(why));
    s->failed = true;
    s->stopping = true;
    if (!s->payload_whole)
        close_all(s);
    net_hurry(&s->run.net);
}

static const struct source_user source_user = {
    .on_payload = on_payload,
    .on_payload_end = on_payload_end,
    .on_stream = on_stream,
    .on_failed = on_source_failed,
};

/* --- from the spool to the target ---------------------------------------------------------- */

static bool fill_buffer(struct sync *s)
{
    if (s->at < s->len)
        return true;
    long n = spool_read(&s->spool, s->buffer, PUMP_BUFFER);
    if (n < 0)
        give_up(s, strerror((int)-n));
    s->at = 0;
    s->len = n > 0 ? (size_t)n : 0;
    if (s->source.paused && s->spool.used < s->spool.max / 2)
        source_resume(&s->source);
    return n > 0;
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
        give_up(s, s->copy.reader.error);
    if (result == COPY_END) {
        s->phase = SETTLING;
        log_info("the payload is read; waiting for its last answers", "keys=%llu",
                 (unsigned long long)s->copy.counters.keys);
    }
    return result == COPY_MORE || result == COPY_END;
}

static bool settle(struct sync *s)
{
    if (!s->payload_whole || !copy_is_done(&s->copy))
        return false;
    log_info("full copy done", "keys=%llu failed=%llu", (unsigned long long)s->copy.counters.keys,
             (unsigned long long)s->copy.counters.failed);
    s->phase = LIVE;
    if (!s->config->follow)
        close_all(s);
    return !s->closing;
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
    if (result == APPLY_BAD)
        give_up(s, s->apply.error);
    return result == APPLY_MORE && more;
}

/* One step. False: there is nothing to do now. */
static bool pump_some(struct sync *s)
{
    if (s->phase == SETTLING)
        return settle(s);
    return s->phase == COPYING ? copy_some(s) : apply_some(s);
}

static void pump(struct sync *s)
{
    uint64_t left = s->spool.used, most = left > PUMP_TURN ? left - PUMP_TURN : 0;
    while (!s->closing && pump_some(s)) {
        if (s->spool.used < most) { /* the rest in the next turn: replies have to be read, too */
            net_hurry(&s->run.net);
            return;
        }
    }
}

static void acknowledge(struct sync *s)
{
    if (s->phase != LIVE || s->closing)
        return;
    s->source.acknowledged = s->apply.applied;
    if (apply_wants_ack(&s->apply))
        source_acknowledge(&s->source);
}

static void close_if_drained(struct sync *s)
{
    if (s->stopping && s->phase == LIVE && s->at == s->len && s->spool.used == 0 &&
        apply_is_done(&s->apply) && expiry_settle(&s->expiry, copy_now(&s->copy)))
        close_all(s);
}

static void settle_expiry(struct sync *s)
{
    int64_t now = copy_now(&s->copy);
    bool more = s->spool.used > 0 || s->at < s->len;
    if (s->phase == LIVE && !s->closing)
        expiry_turn(&s->expiry, more && now - s->apply.now > EXPIRY_LAG_MS, now);
}

/* --- the target ---------------------------------------------------------------------------- */

static void on_ready(void *context)
{
    struct sync *s = context;
    const struct target_facts *f = &s->target.facts;
    log_info("target is ready", "version=%s shards=%u rdb=%u", f->version,
             s->target.router.map->shard_count, f->rdb);
    if (f->evicts)
        log_warn("the target may evict keys when its memory is full", "");
    copy_open(&s->copy, &s->copy_options, &s->target);
    s->phase = COPYING;
    s->begun = uv_now(&s->run.loop);
    source_open(&s->source, &s->run.net, &s->config->source_options, &source_user, s);
}

static void on_progress(void *context)
{
    struct sync *s = context;
    copy_progress(&s->copy);
}

static const struct target_user target_user = {
    .on_ready = on_ready,
    .on_failed = give_up,
    .on_progress = on_progress,
};

/* --- life ---------------------------------------------------------------------------------- */

static void on_turn_end(void *context)
{
    struct sync *s = context;
    target_turn_end(&s->target);
    if (s->closing || s->phase == WAITING)
        return;
    pump(s);
    acknowledge(s);
    settle_expiry(s);
    close_if_drained(s);
    target_turn_end(&s->target);
}

static void on_stop(void *context)
{
    struct sync *s = context;
    if (s->stopping || s->phase != LIVE) {
        give_up(s, "interrupted before the end of the full copy");
        return;
    }
    log_info("stopping: what has been received is still applied", "offset=%llu",
             (unsigned long long)s->source.offset);
    s->stopping = true;
    source_close(&s->source);
    net_hurry(&s->run.net);
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
        { "commands filtered", n->filtered },
        { "commands of mixed keys", n->mixed },
        { "commands on stale copies", n->stale },
        { "commands failed", n->failed },
        { "times to live held back", s->expiry.deferred },
        { "times to live a day too long", s->expiry.unset + s->expiry.table.held },
        { "offset applied", s->apply.applied },
        { "spool at its fullest", s->spool.peak },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        fprintf(out, "%-28s %12llu\n", rows[i].name, (unsigned long long)rows[i].count);
}

static int end(struct sync *s)
{
    bool good = !s->failed && s->phase == LIVE && summary_is_good(&s->copy) &&
                s->apply.counters.failed == 0 && s->expiry.unset + s->expiry.table.held == 0;
    if (s->phase != WAITING) {
        summary_write(&s->copy, uv_now(&s->run.loop) - s->begun, stdout);
        if (s->applying)
            write_stream_summary(s, stdout);
        copy_close(&s->copy);
    }
    if (s->applying)
        apply_close(&s->apply);
    spool_close(&s->spool);
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
    FILE *failed = config->failed_file != NULL ? fopen(config->failed_file, "we") : NULL;
    int code = 1;
    s->copy_options.failed = failed;
    if (config->failed_file != NULL && failed == NULL) {
        log_error("cannot write", "file=%s reason=%s", log_text(config->failed_file),
                  log_text(strerror(errno)));
    } else {
        spool_open(&s->spool, config->spool_dir, config->spool_max);
        run_open(&s->run, on_turn_end, on_stop, s);
        target_open(&s->target, &s->run.net, &config->target_options, &target_user, s);
        expiry_open(&s->expiry, &config->expiry_options, &s->target);
        if (config->follow && config->replace) /* keys of others keep their times */
            s->copy_options.expiry = &s->expiry;
        uv_run(&s->run.loop, UV_RUN_DEFAULT);
        code = end(s);
    }
    if (failed != NULL && fclose(failed) != 0)
        code = 1;
    free(s);
    return code;
}
