#include "migrate/apply.h"

#include <stdlib.h>

#include "base/log.h"
#include "cluster/keyslot.h"
#include "migrate/apply_rules.h"

enum { TIME_STEP_MS = 20, ARGS_MAX = 64 * 1024 * 1024, GROUP_BYTES_MAX = 8 * 1024 * 1024 };

/* A command of the stream, of which `pending` parts are not answered. */
struct apply_mark {
    struct list_node link; /* in apply->marks */
    struct apply *apply;
    uint64_t offset;
    uint32_t pending;
    char name[24];
};

struct apply_time {
    uint64_t offset;
    int64_t ms;
};

void apply_open(struct apply *a, const struct copy_options *options, struct target *target,
                uint64_t offset)
{
    *a = (struct apply){ .options = options, .target = target, .offset = offset };
    a->applied = offset;
    writer_init(&a->input, 2);
    writer_init(&a->command, 2);
    writer_init(&a->group, 2);
    writer_init(&a->group_key, 2);
    writer_init(&a->group_name, 2);
    list_init(&a->marks);
    slab_init(&a->mark_slab, sizeof(struct apply_mark));
}

void apply_close(struct apply *a)
{
    while (!list_is_empty(&a->marks)) {
        struct apply_mark *m = LIST_ENTRY(a->marks.next, struct apply_mark, link);
        list_remove(&m->link);
        slab_give(&a->mark_slab, m);
    }
    slab_close(&a->mark_slab);
    request_parser_reset(&a->parser);
    arg_room_close(&a->args);
    writer_close(&a->input);
    writer_close(&a->command);
    writer_close(&a->group);
    writer_close(&a->group_key);
    writer_close(&a->group_name);
    free(a->times);
}

/* --- when it was received ------------------------------------------------------------------ */

/* Room for one more at the end: the front is free, or there is more room. */
static void make_room(struct apply *a)
{
    if (a->time_first + a->time_count < a->time_room)
        return;
    uint32_t room = a->time_first > a->time_count ? a->time_room : (a->time_room + 64) * 2;
    struct apply_time *more = malloc(room * sizeof(*more));
    REQUIRE(more != NULL);
    for (uint32_t i = 0; i < a->time_count; i++)
        more[i] = a->times[a->time_first + i];
    free(a->times);
    a->times = more;
    a->time_room = room;
    a->time_first = 0;
}

void apply_received(struct apply *a, uint64_t offset, int64_t ms)
{
    uint32_t end = a->time_first + a->time_count;
    if (a->time_count > 0 && ms - a->times[end - 1].ms < TIME_STEP_MS) {
        a->times[end - 1].offset = offset;
        return;
    }
    make_room(a);
    a->times[a->time_first + a->time_count++] = (struct apply_time){ offset, ms };
}

static int64_t time_of(struct apply *a, uint64_t offset)
{
    while (a->time_count > 1 && a->times[a->time_first].offset < offset) {
        a->time_first++;
        a->time_count--;
    }
    return a->time_count > 0 ? a->times[a->time_first].ms : 0;
}

/* --- answers ------------------------------------------------------------------------------- */

static void advance(struct apply *a)
{
    while (!list_is_empty(&a->marks)) {
        struct apply_mark *m = LIST_ENTRY(a->marks.next, struct apply_mark, link);
        if (m->pending > 0)
            return;
        a->applied = m->offset;
        list_remove(&m->link);
        slab_give(&a->mark_slab, m);
    }
    a->applied = a->offset;
}

void apply_failed(struct apply *a, struct span name, struct span key, const char *why)
{
    a->counters.failed++;
    log_error("command not applied", "command=%s key=%s reason=%s", log_bytes(name.at, name.len),
              log_bytes(key.at, key.len), log_text(why));
}

/* Errors that only say that the first try of a repeated command was executed. */
static bool was_executed(const struct target_call *call)
{
    static const char *const texts[] = { "equal or smaller", "BUSYGROUP" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (call->repeated && strstr(call->error, texts[i]) != NULL)
            return true;
    return false;
}

static void on_answer(void *context, const struct target_call *call)
{
    struct apply_mark *m = context;
    struct apply *a = m->apply;
    size_t shown = call->key_len < TARGET_KEY_SHOWN ? call->key_len : TARGET_KEY_SHOWN;
    m->pending--;
    if (call->error[0] != '\0' && !was_executed(call))
        apply_failed(a, (struct span){ m->name, strlen(m->name) },
                     (struct span){ call->key, shown }, call->error);
    if (m->pending == 0)
        advance(a);
}

/* --- sending ------------------------------------------------------------------------------- */

static void lower_name(char *out, size_t room, struct span name)
{
    size_t n = name.len < room - 1 ? name.len : room - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 0x20 : name.at[i]);
    out[n] = '\0';
}

/* What has been gathered goes out, as a transaction if it is more than one command. */
static void send_group(struct apply *a)
{
    struct apply_mark *m = a->mark;
    struct span key = writer_span(&a->group_key), name = writer_span(&a->group_name);
    if (a->group_count == 0)
        return;
    lower_name(m->name, sizeof(m->name), a->group_count > 1 ? SPAN("exec") : name);
    m->pending++;
    if (a->group_count > 1)
        target_send_block(a->target, key, writer_span(&a->group), a->group_count, on_answer, m);
    else
        target_send(a->target, name, key, writer_span(&a->group), true, on_answer, m);
    a->group_count = 0;
    writer_clear(&a->group, 2);
}

/* A group is of one slot and of bounded size. */
static void add_to_group(struct apply *a, struct span name, struct span key, struct span command)
{
    bool other = a->group_count > 0 && keyslot_of(writer_span(&a->group_key)) != keyslot_of(key);
    if (other || a->group.len > GROUP_BYTES_MAX)
        send_group(a);
    if (a->group_count++ == 0) {
        writer_clear(&a->group_key, 2);
        writer_clear(&a->group_name, 2);
        write_raw(&a->group_key, key);
        write_raw(&a->group_name, name);
    }
    write_raw(&a->group, command);
}

void apply_multi(struct apply *a)
{
    if (a->multi != NULL)
        return;
    a->multi = a->mark;
    a->multi->pending++;
}

void apply_exec(struct apply *a)
{
    struct apply_mark *multi = a->multi;
    if (multi == NULL)
        return;
    a->multi = NULL;
    send_group(a);
    multi->pending--;
    advance(a);
}

void apply_send(struct apply *a, const struct span *words, size_t count, struct span key)
{
    struct writer *w = &a->command;
    struct apply_mark *m = a->mark;
    writer_clear(w, 2);
    write_array(w, count);
    for (size_t i = 0; i < count; i++)
        write_bulk(w, words[i]);
    a->counters.sent++;
    if (a->multi != NULL && key.at != NULL && !a->cross) {
        add_to_group(a, words[0], key, writer_span(w));
        return;
    }
    send_group(a);
    if (m->pending == 0)
        lower_name(m->name, sizeof(m->name), words[0]);
    m->pending++;
    if (key.at == NULL) { /* for every master */
        m->pending += target_send_all(a->target, words[0], writer_span(w), on_answer, m) - 1;
        return;
    }
    target_send(a->target, words[0], key, writer_span(w), true, on_answer, m);
}

/* --- the stream ---------------------------------------------------------------------------- */

static void take_command(struct apply *a, const struct argv *argv, size_t len)
{
    struct apply_mark *m = slab_take(&a->mark_slab);
    a->offset += len;
    a->counters.commands++;
    a->now = time_of(a, a->offset);
    *m = (struct apply_mark){ .apply = a, .offset = a->offset };
    list_append(&a->marks, &m->link);
    a->mark = m;
    apply_rules_take(a, argv);
    a->mark = NULL;
    if (m->pending == 0)
        advance(a);
}

static bool may_send(struct apply *a)
{
    if (a->barrier && a->target->pending > 0)
        return false;
    a->barrier = false;
    return target_has_room(a->target);
}

/* A command that moves something between slots has to see all that came before it, and nothing that
   comes behind it may see the time before it. True: not now. */
static bool must_wait(struct apply *a, const struct argv *argv)
{
    if (!apply_rules_cross(a, argv))
        return false;
    a->mark = a->multi; /* what is gathered came before it */
    send_group(a);
    a->mark = NULL;
    a->barrier = a->target->pending > 0;
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
        advance(a);
        return APPLY_MORE;
    }
    if (rc != REQUEST_ARGS) {
        a->error = "what the source sends is no replication stream";
        return APPLY_BAD;
    }
    if (must_wait(a, &argv)) {
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

static void keep_rest(struct apply *a, size_t used)
{
    a->input.len -= used;
    if (used > 0 && a->input.len > 0)
        memmove(a->input.at, a->input.at + used, a->input.len);
}

enum apply_result apply_take(struct apply *a, struct span bytes, size_t *used)
{
    size_t done = 0;
    *used = 0;
    if (a->error != NULL)
        return APPLY_BAD;
    if (!may_send(a))
        return APPLY_FULL;
    if (a->input.len == 0) {
        enum apply_result result = take_all(a, bytes, used);
        if (result != APPLY_MORE)
            return result;
        write_raw(&a->input, (struct span){ bytes.at + *used, bytes.len - *used });
        *used = bytes.len;
        return APPLY_MORE;
    }
    write_raw(&a->input, bytes);
    *used = bytes.len;
    enum apply_result result = take_all(a, writer_span(&a->input), &done);
    keep_rest(a, done);
    return result;
}

bool apply_wants_ack(struct apply *a)
{
    if (a->ack_first == 0 || a->applied < a->ack_first)
        return false;
    a->ack_first = a->applied < a->ack_last ? a->ack_last : 0;
    return true;
}

bool apply_is_done(const struct apply *a)
{
    bool half = a->multi != NULL && a->target->pending == 0;
    return half || list_is_empty(&a->marks);
}
