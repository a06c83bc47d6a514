#include "migrate/repair.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/databases.h"
#include "migrate/repair_batch.h"
#include "migrate/replay.h"
#include "resp/value.h"

enum state {
    IDLE,
    NAMES, /* the source is asked for names to compare */
    PICK,
    HOLD,
    ASK,
    REACH,
    WRITE,
};

enum repair_work { COMPARE, REPAIR };

enum { PATIENCE_MS = 30 * 1000, NAMES_MAX = 512 };

void repair_open(struct repair *r, struct net *net, const struct target_options *source,
                 const struct copy_options *options, const char *path, bool keep)
{
    *r = (struct repair){ .net = net, .source_options = source, .options = options };
    r->stop_at = UINT64_MAX;
    writer_init(&r->names, 2);
    repair_fetch_open(&r->fetch, net, source);
    dirty_open(&r->dirty, path, keep);
}

void repair_attach(struct repair *r, struct target *target, struct apply *apply)
{
    if (r->apply != NULL)
        return;
    r->target = target;
    r->apply = apply;
    r->copy_options = *r->options;
    r->copy_options.replace = true;
    copy_open(&r->copy, &r->copy_options, target);
}

static void move(struct repair *r, enum state state)
{
    r->state = (uint8_t)state;
    r->since = uv_now(r->net->loop);
    net_hurry(r->net);
}

/* --- the source ---------------------------------------------------------------------------- */

static void on_ready(void *context)
{
    struct repair *r = context;
    r->ready = true;
    net_hurry(r->net);
}

static void on_failed(void *context, const char *why)
{
    struct repair *r = context;
    (void)why;
    r->unable = "the source does not answer as to a client; may this user do so?";
    net_hurry(r->net);
}

static void on_progress(void *context)
{
    (void)context; /* repair_turn looks */
}

static const struct target_user source_user = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_progress = on_progress,
};

bool repair_reach_source(struct repair *r)
{
    if (!r->opened)
        target_open(&r->source, r->net, r->source_options, &source_user, r);
    r->opened = true;
    return r->ready;
}

/* --- batches ------------------------------------------------------------------------------- */

static void drop_batch(struct repair *r)
{
    r->stop_at = UINT64_MAX;
    repair_fetch_stop(&r->fetch);
    if (r->batch != NULL)
        repair_batch_free(r->batch);
    r->batch = NULL;
}

/* What was not repaired stays in the set; what differs comes into it. */
static void put_back(struct repair *r, const char *why)
{
    struct repair_batch *b = r->batch;
    for (uint32_t i = 0; i < b->count; i++) {
        struct repair_key *k = &b->keys[i];
        const char *error = why != NULL ? why : k->error;
        bool good = error[0] == '\0';
        if (b->writes)
            *(good ? &r->counters.repaired : &r->counters.failed) += 1;
        else if (why == NULL)
            *(good ? &r->counters.compared : &r->counters.differing) += 1;
        if (!good && (b->writes || why == NULL))
            dirty_add(&r->dirty, writer_span(&k->label), error);
    }
}

static void end_work(struct repair *r)
{
    dirty_end(&r->dirty);
    drop_batch(r);
    move(r, IDLE);
}

static void give_up(struct repair *r, const char *why)
{
    struct span key =
        r->batch != NULL && r->batch->count > 0 ? writer_span(&r->batch->keys[0].label) : SPAN("");
    log_warn("a repair is given up", "key=%s keys=%u reason=%s action=%s",
             log_bytes(key.at, key.len), r->batch != NULL ? r->batch->count : 0, log_text(why),
             log_text(advice_on(ADVICE_REPAIR, why)));
    r->counters.given_up++;
    if (r->batch != NULL)
        put_back(r, why);
    end_work(r);
}

/* --- which keys ---------------------------------------------------------------------------- */

static bool is_wanted(const struct repair *r, struct span key)
{
    const struct filter *f = r->options->filter;
    if (replay_is_own_key(key))
        return false;
    enum filter_verdict verdict = f != NULL ? filter_key(f, key) : FILTER_TAKE;
    return verdict == FILTER_TAKE || verdict == FILTER_REPORTED;
}

/* Whatever becomes of it, it is over when it was the source's last word. */
static void on_names(void *context, const struct target_call *call)
{
    struct repair *r = context;
    if (r->state != NAMES)
        return;
    if (call->error[0] == '\0')
        write_raw(&r->names, writer_span(&call->exec));
    else
        log_warn("the source names no keys to compare", "reason=%s action=%s",
                 log_text(call->error), log_text(advice_on(ADVICE_NAMES, call->error)));
    move(r, PICK);
}

static void ask_names(struct repair *r)
{
    uint64_t left = r->to_sample - r->sampled;
    uint32_t n = left < NAMES_MAX ? (uint32_t)left : NAMES_MAX;
    struct writer w;
    writer_init(&w, 2);
    databases_select(&w, databases_first(r->options));
    for (uint32_t i = 0; i < n; i++)
        write_request(&w, (const char *[]){ "RANDOMKEY" }, 1);
    write_request(&w, (const char *[]){ "SELECT", "0" }, 2);
    writer_clear(&r->names, 2);
    r->sampled += n;
    move(r, NAMES);
    target_send_block(&r->source, SPAN(""), writer_span(&w), n + 2, true, on_names, r);
    writer_close(&w);
}

static void add_name(struct repair *r, struct span key)
{
    struct writer label;
    writer_init(&label, 2);
    repair_batch_add(r->batch,
                     databases_label(r->options, databases_first(r->options), key, &label));
    writer_close(&label);
}

/* Takes names off the end of what the source has told. */
static void pick_names(struct repair *r)
{
    struct value_cursor c = { r->names.at, r->names.at + r->names.len };
    struct value v, first;
    if (r->names.len > 0 && r->names.at[0] == '*' &&
        (!value_next(&c, &v) || !value_next(&c, &first)))
        c.at = c.end;
    while (r->batch->count < REPAIR_BATCH && c.at < c.end && value_next(&c, &v)) {
        bool name = v.kind == VALUE_STRING && c.at < c.end; /* the last one is SELECT's OK */
        if (name && is_wanted(r, v.text))
            add_name(r, v.text);
    }
    size_t rest = (size_t)(c.end - c.at);
    if (rest > 0)
        memmove(r->names.at, c.at, rest);
    r->names.len = rest;
}

static void pick_dirty(struct repair *r)
{
    struct writer key;
    writer_init(&key, 2);
    while (r->batch->count < REPAIR_BATCH && dirty_take(&r->dirty, &key))
        repair_batch_add(r->batch, writer_span(&key));
    writer_close(&key);
}

static void pick(struct repair *r)
{
    r->batch = repair_batch_new(r, r->work == REPAIR);
    if (r->work == REPAIR)
        pick_dirty(r);
    else
        pick_names(r);
    bool more = r->work == COMPARE && r->sampled < r->to_sample;
    if (r->batch->count > 0) {
        r->stop_at = 0; /* no command more */
        move(r, HOLD);
    } else if (more) {
        drop_batch(r);
        ask_names(r);
    } else {
        end_work(r);
    }
}

/* --- steps --------------------------------------------------------------------------------- */

static bool is_silent(const struct repair *r)
{
    uint64_t heard = repair_fetch_heard(&r->fetch);
    return uv_now(r->net->loop) - (heard > r->since ? heard : r->since) > PATIENCE_MS;
}

static bool is_quiet(const struct repair *r)
{
    const struct apply *a = r->apply;
    return a->applied == a->offset && r->target->pending == 0;
}

static void hold(struct repair *r)
{
    if (!is_quiet(r))
        return;
    move(r, ASK);
    r->fetch.absolute = r->source.facts.functions; /* both came with 7.0 */
    repair_batch_ask(r->batch);
}

static void asked(struct repair *r)
{
    enum fetch_fact fact = repair_fetch_next(&r->fetch);
    if (fact == FETCH_POINT) {
        r->stop_at = r->fetch.offset;
        move(r, REACH);
    } else if (fact == FETCH_BAD) {
        give_up(r, r->fetch.error);
    }
}

static void reach(struct repair *r)
{
    uint64_t offset = r->fetch.offset;
    if (r->apply->offset > offset)
        give_up(r, "the source tells another offset than its stream has");
    else if (r->apply->offset == offset && is_quiet(r))
        move(r, WRITE);
}

/* Waits for the target's answers as long as they take, but not for the source. */
static void write_some(struct repair *r)
{
    struct repair_batch *b = r->batch;
    repair_batch_take(b);
    if (!b->ended && b->pending == 0 && is_silent(r))
        repair_fetch_fail(&r->fetch, "the source does not go on with its answer");
    if (!b->ended || b->pending > 0)
        return;
    put_back(r, NULL);
    drop_batch(r);
    move(r, PICK);
}

static void step(struct repair *r)
{
    static void (*const steps[])(struct repair * r) = {
        [PICK] = pick, [HOLD] = hold, [ASK] = asked, [REACH] = reach, [WRITE] = write_some,
    };
    if (r->state != IDLE && r->state != NAMES)
        steps[r->state](r);
}

void repair_turn(struct repair *r)
{
    uint8_t before;
    if (r->opened && !r->closing)
        target_turn_end(&r->source);
    if (r->state == IDLE || r->apply == NULL || r->closing)
        return;
    if (r->unable != NULL && r->state != WRITE) {
        give_up(r, r->unable);
        return;
    }
    if (!repair_reach_source(r))
        return;
    do {
        before = r->state;
        step(r);
    } while (r->state != before && r->state != IDLE);
    bool waits = r->state != IDLE && r->state != WRITE;
    if (waits && uv_now(r->net->loop) - r->since > PATIENCE_MS)
        give_up(r, "the point of the stream was not reached in time");
}

void repair_turn_end(struct repair *r)
{
    if (r->opened && !r->closing)
        target_turn_end(&r->source);
}

void repair_stop(struct repair *r)
{
    if (r->state != IDLE && r->state != WRITE)
        give_up(r, "the process is ending");
}

void repair_interrupt(struct repair *r)
{
    if (r->batch == NULL)
        return;
    put_back(r, "a connection to the target was lost meanwhile");
    copy_close(&r->copy); /* no value is under construction any more */
    copy_open(&r->copy, &r->copy_options, r->target);
    drop_batch(r);
    move(r, PICK);
}

/* --- life ---------------------------------------------------------------------------------- */

uint64_t repair_left(const struct repair *r)
{
    uint64_t under_way = r->batch != NULL && r->batch->writes ? r->batch->count : 0;
    return dirty_count(&r->dirty) + under_way;
}

bool repair_is_idle(const struct repair *r)
{
    return r->state == IDLE;
}

void repair_sample(struct repair *r, uint64_t keys)
{
    r->work = COMPARE;
    r->to_sample = keys < REPAIR_SAMPLE_MAX ? keys : REPAIR_SAMPLE_MAX;
    r->sampled = 0;
    writer_clear(&r->names, 2);
    move(r, PICK);
}

void repair_pass(struct repair *r)
{
    r->work = REPAIR;
    int error = dirty_begin(&r->dirty);
    if (error != 0)
        log_error("the repair set cannot be read", "file=%s reason=%s action=%s",
                  log_text(r->dirty.path), log_text(strerror(error)),
                  log_text(advice_on(ADVICE_REPAIR_SET, NULL)));
    else
        move(r, PICK);
}

void repair_close(struct repair *r)
{
    if (r->closing)
        return;
    r->closing = true;
    if (r->batch != NULL)
        put_back(r, "it was not repaired before the end");
    dirty_end(&r->dirty);
    repair_fetch_close(&r->fetch);
    if (r->opened)
        target_close(&r->source);
}

void repair_free(struct repair *r)
{
    if (r->batch != NULL)
        repair_batch_free(r->batch);
    if (r->apply != NULL)
        copy_close(&r->copy);
    repair_fetch_free(&r->fetch);
    dirty_close(&r->dirty);
    writer_close(&r->names);
    if (r->opened)
        target_free(&r->source);
}
