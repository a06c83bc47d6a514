#include "migrate/apply.h"

#include <stdlib.h>

#include "base/log.h"
#include "cluster/keyslot.h"
#include "migrate/advice.h"
#include "migrate/apply_across.h"
#include "migrate/apply_rules.h"
#include "migrate/apply_send.h"
#include "migrate/apply_words.h"
#include "migrate/databases.h"
#include "migrate/replay.h"

enum { ARGS_MAX = 64 * 1024 * 1024 };

static void on_unit(void *context, const struct lane_unit *u, const char *error);

void apply_break(struct apply *a, struct span name, struct span key, const char *why)
{
    if (!a->broken)
        log_warn("what became of a command cannot be told", "command=%s key=%s reason=%s action=%s",
                 log_bytes(name.at, name.len), log_bytes(key.at, key.len), log_text(why),
                 log_text(advice_on(ADVICE_MENDING, NULL)));
    a->broken = true;
}

static void on_broken(void *context, const struct lane_unit *u, const char *why)
{
    apply_break(context, (struct span){ u->name, strlen(u->name) }, apply_shown(u->key, u->key_len),
                why);
}

static const struct lanes_user lanes_user = { .on_done = on_unit, .on_broken = on_broken };

void apply_open(struct apply *a, const struct copy_options *options, struct target *target,
                const struct apply_start *start)
{
    *a = (struct apply){ .options = options, .target = target, .offset = start->offset };
    a->applied = start->offset;
    a->db = a->applied_db = start->db;
    writer_init(&a->input, 2);
    writer_init(&a->command, 2);
    writer_init(&a->group, 2);
    writer_init(&a->group_key, 2);
    writer_init(&a->group_name, 2);
    writer_init(&a->group_keys, 2);
    a->stop_at = UINT64_MAX;
    list_init(&a->marks);
    slab_init(&a->mark_slab, sizeof(struct apply_mark));
    a->exact = start->marker != NULL;
    a->across = across_new(a);
    if (!a->exact)
        return;
    a->on_border = start->on_border;
    a->context = start->context;
    lanes_open(&a->lanes, target, start->marker, &lanes_user, a);
    memcpy(a->lanes.history, start->history, sizeof(a->lanes.history) - 1);
    a->skip = calloc(SLOT_COUNT, sizeof(*a->skip));
    REQUIRE(a->skip != NULL);
}

void apply_select(struct apply *a, uint64_t db)
{
    a->db = a->applied_db = db;
}

static void free_mark(struct apply *a, struct apply_mark *m)
{
    list_remove(&m->link);
    writer_close(&m->keys);
    slab_give(&a->mark_slab, m);
}

static void forget_marks(struct apply *a)
{
    while (!list_is_empty(&a->marks)) {
        struct apply_mark *m = LIST_ENTRY(a->marks.next, struct apply_mark, link);
        free_mark(a, m);
    }
}

void apply_close(struct apply *a)
{
    forget_marks(a);
    slab_close(&a->mark_slab);
    if (a->exact)
        lanes_close(&a->lanes);
    free(a->skip);
    across_free(a->across);
    request_parser_reset(&a->parser);
    arg_room_close(&a->args);
    apply_forget_known(a);
    apply_flush_end(a);
    writer_close(&a->input);
    writer_close(&a->command);
    writer_close(&a->group);
    writer_close(&a->group_key);
    writer_close(&a->group_name);
    writer_close(&a->group_keys);
    receipts_close(&a->receipts);
}

/* --- when it was received ------------------------------------------------------------------ */

void apply_received(struct apply *a, uint64_t offset, int64_t ms)
{
    receipts_add(&a->receipts, offset, ms);
}

/* --- answers ------------------------------------------------------------------------------- */

void apply_advance(struct apply *a)
{
    while (!list_is_empty(&a->marks)) {
        struct apply_mark *m = LIST_ENTRY(a->marks.next, struct apply_mark, link);
        if (m->pending > 0)
            return;
        a->applied = m->offset;
        a->applied_db = m->db;
        free_mark(a, m);
    }
    a->applied = a->offset;
    a->applied_db = a->db;
}

struct apply_mark *apply_unit_begin(struct apply *a)
{
    a->mark->pending++;
    return a->mark;
}

void apply_unit_done(struct apply_mark *m, struct span name, struct span key, const char *error)
{
    struct apply *a = m->apply;
    m->pending--;
    if (error[0] != '\0') {
        apply_failed(a, name, key, error);
        apply_dirty_unit(a, &m->keys, key, error);
    }
    if (m->pending == 0)
        apply_advance(a);
}

static void on_unit(void *context, const struct lane_unit *u, const char *error)
{
    (void)context;
    apply_unit_done(u->owner, (struct span){ u->name, strlen(u->name) },
                    apply_shown(u->key, u->key_len), error);
}

/* Errors that only say that the first try of a repeated command was executed. */
static bool was_executed(const struct apply *a, const struct apply_mark *m,
                         const struct target_call *call)
{
    bool again = a->exact ? m->offset <= a->replay_end : call->repeated;
    return again && replay_is_expected(call->error);
}

void apply_on_answer(void *context, const struct target_call *call)
{
    struct apply_mark *m = context;
    struct apply *a = m->apply;
    struct span name = { m->name, strlen(m->name) }, key = apply_shown(call->key, call->key_len);
    if (a->exact && replay_is_needed(call->error)) {
        apply_break(a, name, key, call->error);
        return;
    }
    apply_unit_done(m, name, key, was_executed(a, m, call) ? "" : call->error);
}

/* --- the stream ---------------------------------------------------------------------------- */

static void take_command(struct apply *a, const struct argv *argv, size_t len)
{
    struct apply_mark *m = slab_take(&a->mark_slab);
    a->offset += len;
    a->counters.commands++;
    if (a->options->expiry != NULL)
        expiry_at(a->options->expiry, a->offset);
    a->now = receipts_time(&a->receipts, a->offset, a->applied);
    *m = (struct apply_mark){ .apply = a, .offset = a->offset };
    list_append(&a->marks, &m->link);
    a->mark = m;
    apply_dirty_note(a, argv, &m->keys);
    apply_rules_take(a, argv);
    a->mark = NULL;
    m->db = a->db;
    if (m->pending == 0)
        apply_advance(a);
}

static bool is_quiet(const struct apply *a)
{
    return a->target->pending == 0 && !across_is_busy(a->across) &&
           (!a->exact || a->lanes.held == 0);
}

static bool may_send(struct apply *a)
{
    const struct target_options *o = a->target->options;
    if (a->offset >= a->stop_at && a->multi == NULL)
        return false;
    if (a->broken || a->flush != NULL || apply_is_asking(a) || (a->barrier && !is_quiet(a)))
        return false;
    if (a->barrier && a->border && a->exact)
        a->on_border(a->context);
    a->barrier = a->border = false;
    if (a->exact && (a->lanes.held_bytes > o->window_bytes || a->lanes.held > o->window))
        return false;
    return target_has_room(a->target);
}

/* A command that moves something between slots has to see all that came before it, and nothing that
   comes behind it may see the time before it. True: not now. */
static bool must_wait(struct apply *a, const struct argv *argv)
{
    if (!apply_rules_cross(a, argv))
        return false;
    apply_send_group(a); /* what is gathered came before it */
    a->barrier = !is_quiet(a);
    a->border = !across_is_used(a) || apply_empties_target(a, argv);
    return a->barrier;
}

static enum apply_result take_one(struct apply *a, struct span bytes, size_t *used)
{
    struct request_limits any = request_limits_default;
    struct argv argv;
    const char *error;
    any.max_bulk = any.max_request = UINT32_MAX;
    any.max_args = ARGS_MAX;
    enum request_result rc =
        request_parse(&a->parser, &any, &a->args, bytes.at, bytes.len, &argv, used, &error);
    if (rc == REQUEST_MORE) {
        *used = 0;
        return APPLY_MORE;
    }
    if (rc == REQUEST_EMPTY) { /* a newline that keeps the connection alive is no command */
        a->offset += *used;
        apply_advance(a);
        return APPLY_MORE;
    }
    if (rc != REQUEST_ARGS) {
        a->error = "what the source sends is no replication stream";
        return APPLY_BAD;
    }
    if (apply_must_ask(a, &argv) || must_wait(a, &argv)) {
        *used = 0;
        return APPLY_FULL;
    }
    a->cross = apply_rules_cross(a, &argv);
    take_command(a, &argv, *used);
    a->barrier = a->cross;
    return a->error != NULL ? APPLY_BAD : APPLY_MORE;
}

/* Commands straight out of the bytes; what is left of the last one, gathers in a->input. */
static enum apply_result take_all(struct apply *a, struct span bytes, size_t *used)
{
    enum apply_result result = APPLY_MORE;
    *used = 0;
    while (*used < bytes.len && result == APPLY_MORE) {
        size_t n = 0;
        if (!may_send(a))
            return APPLY_FULL;
        result = take_one(a, (struct span){ bytes.at + *used, bytes.len - *used }, &n);
        if (n == 0)
            break;
        *used += n;
    }
    return result;
}

/* As take_all, of what has been kept. */
static enum apply_result take_kept(struct apply *a)
{
    size_t used;
    enum apply_result result = take_all(a, writer_span(&a->input), &used);
    a->input.len -= used;
    if (used > 0 && a->input.len > 0)
        memmove(a->input.at, a->input.at + used, a->input.len);
    return result;
}

/* More is kept only when what is has no whole command in it: a target that is slower than the spool
   is read must not bring all of that into memory. */
static enum apply_result take_more(struct apply *a, struct span bytes, size_t *used)
{
    enum apply_result result = take_kept(a);
    if (result != APPLY_MORE)
        return result;
    if (a->input.len == 0)
        result = take_all(a, bytes, used);
    if (result != APPLY_MORE)
        return result;
    bool begun = a->input.len > 0;
    write_raw(&a->input, (struct span){ bytes.at + *used, bytes.len - *used });
    *used = bytes.len;
    return begun ? take_kept(a) : APPLY_MORE;
}

enum apply_result apply_take(struct apply *a, struct span bytes, size_t *used)
{
    *used = 0;
    if (a->error != NULL)
        return APPLY_BAD;
    across_turn(a->across);
    enum apply_result result = may_send(a) ? take_more(a, bytes, used) : APPLY_FULL;
    a->waits = result == APPLY_FULL;
    return result;
}

void apply_send_held(struct apply *a)
{
    apply_flush_step(a);
    if (a->exact)
        lanes_flush(&a->lanes);
}

void apply_rewind(struct apply *a, uint64_t offset, uint64_t db, uint64_t end, const uint64_t *skip)
{
    forget_marks(a);
    lanes_reset(&a->lanes);
    request_parser_reset(&a->parser);
    a->replay_end = end > a->replay_end ? end : a->replay_end;
    a->lanes.skipped_to = a->replay_end;
    a->offset = a->applied = offset;
    a->db = a->applied_db = db;
    a->input.len = a->group_count = 0;
    writer_clear(&a->group, 2);
    writer_clear(&a->group_keys, 2);
    a->multi = NULL;
    a->barrier = a->border = a->cross = a->broken = a->waits = false;
    across_reset(a->across);
    apply_forget_known(a);
    apply_flush_end(a);
    receipts_rewind(&a->receipts);
    a->skip_max = 0;
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        a->skip[i] = skip[i];
        a->skip_max = skip[i] > a->skip_max ? skip[i] : a->skip_max;
    }
}

bool apply_is_done(const struct apply *a)
{
    bool half = a->multi != NULL && is_quiet(a);
    return !a->broken && !a->waits && (half || list_is_empty(&a->marks));
}
