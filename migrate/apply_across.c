#include "migrate/apply_across.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/keyslot.h"
#include "migrate/apply_across_steps.h"
#include "migrate/apply_words.h"
#include "migrate/databases.h"
#include "migrate/replay.h"
#include "resp/value.h"

/* What is under way. */
enum state { IDLE, MEASURE, READ, WRITE, CLEAR };

struct across {
    struct apply *apply;
    struct apply_mark *mark;
    uint8_t state; /* enum state */
    uint8_t kind;  /* enum across_kind */
    uint16_t slot; /* the destination's */
    uint16_t db;   /* the target's */
    uint32_t pending;
    uint32_t count;
    struct across_key *keys; /* in the order of the words */
    struct writer request;
    struct arg_room room;
    struct argv argv;
    uint64_t offset;
    uint64_t bytes; /* of what has to be read, about */
    uint64_t doubt; /* up to this offset what is read may be wrong */
    int64_t held;   /* the source's true time to live, see expiry.h; 0: none */
    char error[TARGET_ERROR_SHOWN];
};

struct across *across_new(struct apply *a)
{
    struct across *x = calloc(1, sizeof(*x));
    REQUIRE(x != NULL);
    x->apply = a;
    writer_init(&x->request, 2);
    return x;
}

void across_reset(struct across *x)
{
    for (uint32_t i = 0; i < x->count; i++) {
        writer_close(&x->keys[i].value);
        writer_close(&x->keys[i].time);
    }
    free(x->keys);
    x->keys = NULL;
    x->mark = NULL;
    x->count = x->pending = 0;
    x->state = IDLE;
}

void across_free(struct across *x)
{
    across_reset(x);
    arg_room_close(&x->room);
    writer_close(&x->request);
    free(x);
}

bool across_is_busy(const struct across *x)
{
    return x->state != IDLE;
}

/* --- which way ----------------------------------------------------------------------------- */

static bool in_steps(const struct apply *a)
{
    return a->target->options->cluster || a->target->facts.slotgate;
}

bool across_is_used(const struct apply *a)
{
    return a->exact || a->target->options->cluster;
}

bool across_knows(const struct apply *a, const struct command *cmd, const struct argv *argv)
{
    uint32_t at;
    return !a->target->options->cluster || across_kind_of(cmd, argv, &at) != ACROSS_NONE;
}

static int by_arg(const void *a, const void *b)
{
    const struct across_key *x = a, *y = b;
    return x->arg < y->arg ? -1 : x->arg > y->arg;
}

static void find_keys(struct across *x, const struct command *cmd)
{
    struct key_walk walk;
    bool *seen = calloc(SLOT_COUNT, sizeof(*seen));
    x->keys = calloc(x->argv.count, sizeof(*x->keys));
    REQUIRE(x->keys != NULL && seen != NULL);
    for (int rc = key_walk_start(&walk, cmd, &x->argv); rc > 0; rc = key_walk_next(&walk))
        x->keys[x->count++].arg = walk.key.arg;
    qsort(x->keys, x->count, sizeof(*x->keys), by_arg);
    for (uint32_t i = 0; i < x->count; i++) {
        struct across_key *k = &x->keys[i];
        k->slot = keyslot_of(argv_get(&x->argv, k->arg));
        k->first = !seen[k->slot];
        seen[k->slot] = true;
        writer_init(&k->value, 2);
        writer_init(&k->time, 2);
    }
    free(seen);
}

static void find_way(struct across *x, const struct command *cmd)
{
    uint32_t at = 0;
    x->kind = ACROSS_WHOLE;
    if (in_steps(x->apply))
        x->kind = (uint8_t)across_kind_of(cmd, &x->argv, &at);
    if (x->kind == ACROSS_NONE)
        x->kind = ACROSS_AS_IS;
    x->slot = keyslot_of(argv_get(&x->argv, at != 0 ? at : x->keys[0].arg));
}

/* --- what is done already ------------------------------------------------------------------ */

static bool is_done(const struct across *x, uint16_t slot)
{
    const struct apply *a = x->apply;
    return a->exact && x->offset <= a->skip_max && x->offset <= a->skip[slot];
}

/* How many of its slots have its marker, or a later one. */
static uint32_t count_done(const struct across *x, uint32_t *slots)
{
    uint32_t done = 0;
    *slots = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        *slots += x->keys[i].first;
        done += x->keys[i].first && is_done(x, x->keys[i].slot);
    }
    return done;
}

/* --- answers ------------------------------------------------------------------------------- */

static void fail(struct across *x, const char *why)
{
    if (x->error[0] == '\0')
        snprintf(x->error, sizeof(x->error), "%s", why);
}

static void on_answer(void *context, const struct target_call *call)
{
    struct across *x = context;
    x->pending--;
    if (call->error[0] == '\0')
        return;
    if (x->apply->exact && replay_is_needed(call->error))
        apply_break(x->apply, argv_get(&x->argv, 0), target_key(call), call->error);
    else
        fail(x, call->error);
}

/* A target that cannot tell, or may not, is believed. */
static void on_measured(void *context, const struct target_call *call)
{
    struct across *x = context;
    (void)call;
    x->pending--;
}

/* --- steps --------------------------------------------------------------------------------- */

static void ask(struct across *x, struct span name, struct span key, const struct writer *w,
                struct writer *reply, target_done *done)
{
    x->pending++;
    writer_clear(reply, 2);
    target_ask(x->apply->target, name, key, writer_span(w), reply, done, x);
}

static void ask_about(struct across *x, const char *const *words, size_t count, struct span key,
                      struct writer *reply, target_done *done)
{
    struct writer w;
    writer_init(&w, 2);
    write_array(&w, count + 1);
    for (size_t i = 0; i < count; i++)
        write_bulk_text(&w, words[i]);
    write_bulk(&w, key);
    ask(x, (struct span){ words[0], strlen(words[0]) }, key, &w, reply, done);
    writer_close(&w);
}

static bool is_read(const struct across *x, const struct across_key *k)
{
    bool reads = x->kind != ACROSS_WHOLE && x->kind != ACROSS_AS_IS;
    return reads && k->slot != x->slot;
}

static void measure(struct across *x)
{
    x->state = MEASURE;
    for (uint32_t i = 0; i < x->count; i++)
        if (is_read(x, &x->keys[i]))
            ask_about(x, (const char *[]){ "MEMORY", "USAGE" }, 2,
                      argv_get(&x->argv, x->keys[i].arg), &x->keys[i].value, on_measured);
}

static void add_up(struct across *x)
{
    x->bytes = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        struct value_cursor c = { x->keys[i].value.at, x->keys[i].value.at + x->keys[i].value.len };
        struct value v;
        if (x->keys[i].value.len > 0 && value_next(&c, &v) && v.kind == VALUE_INTEGER)
            x->bytes += (uint64_t)v.number;
    }
    if (x->bytes > x->apply->options->big_key)
        fail(x, "what it moves between slots is larger than --big-key");
}

/* What the key is called where times are held. */
static struct span label_of(const struct across *x, uint32_t arg, struct writer *room)
{
    return databases_label_of(x->apply->options, x->db, argv_get(&x->argv, arg), room);
}

static void read_keys(struct across *x)
{
    bool moment = x->apply->target->facts.expire_time;
    bool moves = x->kind == ACROSS_RENAME || x->kind == ACROSS_COPY;
    struct expiry *e = x->apply->options->expiry;
    struct writer w;
    writer_init(&w, 2);
    x->state = READ;
    for (uint32_t i = 0; i < x->count; i++) {
        struct across_key *k = &x->keys[i];
        struct span key = argv_get(&x->argv, k->arg);
        if (!is_read(x, k))
            continue;
        writer_clear(&w, 2);
        struct span name = across_ask(x->kind, &x->argv, key, &w);
        ask(x, name, key, &w, &k->value, on_answer);
        if (moves)
            ask_about(x, (const char *[]){ moment ? "PEXPIRETIME" : "PTTL" }, 1, key, &k->time,
                      on_answer);
    }
    /* What is set from now on comes behind what was just asked. */
    writer_clear(&w, 2);
    x->held = moves && e != NULL ? expiry_true_time(e, label_of(x, 1, &w)) : 0;
    writer_close(&w);
}

static uint32_t put_marker(struct across *x, uint16_t slot, struct writer *w)
{
    struct lanes *l = &x->apply->lanes;
    char name[LANE_MARKER_MAX];
    if (!x->apply->exact)
        return 0;
    lane_marker(l->target, l->marker, slot, name);
    l->marked[slot] = true;
    write_array(w, 3);
    write_bulk(w, SPAN("SET"));
    write_bulk_text(w, name);
    write_bulk_format(w, "%s:%llu", l->history, (unsigned long long)x->offset);
    return 1;
}

static void send_part(struct across *x, struct span key, const struct writer *w, uint32_t commands)
{
    if (commands == 0)
        return;
    x->pending++;
    target_send_block(x->apply->target, key, writer_span(w), commands, !x->apply->exact, on_answer,
                      x);
}

/* What the command takes away there, unless it failed: then the source's word is awaited. */
static void clear(struct across *x)
{
    struct writer w;
    writer_init(&w, 2);
    x->state = CLEAR;
    for (uint32_t i = 0; i < x->count && x->kind != ACROSS_WHOLE; i++) {
        const struct across_key *k = &x->keys[i];
        struct span key = argv_get(&x->argv, k->arg);
        if (!k->first || is_done(x, k->slot) ||
            (k->slot == x->slot && x->error[0] == '\0' && x->kind != ACROSS_AS_IS))
            continue;
        writer_clear(&w, 2);
        bool takes = x->error[0] == '\0' && k->slot != x->slot;
        uint32_t commands = takes ? across_clear(x->kind, &x->argv, key, &w) : 0;
        send_part(x, key, &w, commands + put_marker(x, k->slot, &w));
    }
    writer_close(&w);
}

/* The time to live that is held back goes along, as it was when the one at the target was read. */
static void move_held(struct across *x)
{
    struct expiry *e = x->apply->options->expiry;
    struct writer room;
    if (e == NULL || (x->kind != ACROSS_RENAME && x->kind != ACROSS_COPY))
        return;
    writer_init(&room, 2);
    expiry_give(e, label_of(x, 2, &room), x->held);
    writer_close(&room);
}

static void write_alone(struct across *x, struct span key)
{
    x->pending++;
    target_send(x->apply->target, argv_get(&x->argv, 0), key, writer_span(&x->request),
                !x->apply->exact, on_answer, x);
}

static void write_there(struct across *x)
{
    const struct target_facts *f = &x->apply->target->facts;
    struct span first = argv_get(&x->argv, x->keys[0].arg), key = first;
    const char *why = "";
    struct writer w;
    for (uint32_t i = 0; i < x->count; i++)
        if (x->keys[i].slot == x->slot)
            key = argv_get(&x->argv, x->keys[i].arg);
    struct across_read r = { .argv = &x->argv,
                             .keys = x->keys,
                             .count = x->count,
                             .slot = x->slot,
                             .tag = target_tag(x->apply->target, key),
                             .absolute = f->absolute,
                             .expire_time = f->expire_time,
                             .now = copy_now(NULL) };
    writer_init(&w, 2);
    x->state = WRITE;
    if (x->db != 0)
        databases_select(&w, x->db);
    uint32_t commands = across_write(x->kind, &r, &w, &why);
    if (x->db != 0)
        databases_select(&w, 0);
    if (commands > 0 && x->db != 0)
        commands += 2;
    if (commands == 0)
        fail(x, why);
    else
        move_held(x);
    for (uint32_t i = 0; i < x->count && x->kind == ACROSS_WHOLE; i++)
        commands += x->keys[i].first ? put_marker(x, x->keys[i].slot, &w) : 0;
    if (commands > 0 && x->kind != ACROSS_WHOLE)
        commands += put_marker(x, x->slot, &w);
    if (x->kind == ACROSS_AS_IS)
        write_alone(x, first);
    else
        send_part(x, key, &w, commands);
    writer_close(&w);
}

/* --- life ---------------------------------------------------------------------------------- */

static void finish(struct across *x)
{
    struct apply_mark *m = x->mark;
    struct span name = argv_get(&x->argv, 0), key = argv_get(&x->argv, x->keys[0].arg);
    if (x->offset <= x->doubt)
        fail(x, "what it was made of may be wrong since a master lost what it had answered");
    across_reset(x);
    apply_unit_done(m, name, key, x->error);
}

void across_turn(struct across *x)
{
    while (x->state != IDLE && x->pending == 0 && !x->apply->broken) {
        if (x->state == MEASURE)
            add_up(x);
        if (x->state == CLEAR)
            finish(x);
        else if (x->state == WRITE || x->error[0] != '\0')
            clear(x);
        else if (x->state == MEASURE)
            read_keys(x);
        else
            write_there(x);
    }
}

/* The first step, by what the markers say. It always sends something. */
static void start(struct across *x)
{
    struct apply *a = x->apply;
    uint32_t slots, done = count_done(x, &slots);
    if (done == slots) {
        a->counters.skipped++;
        across_reset(x);
        return;
    }
    x->mark = apply_unit_begin(a);
    a->counters.sent++;
    if (done > 0 && (is_done(x, x->slot) || x->kind == ACROSS_AS_IS)) {
        clear(x);
    } else if (done > 0) {
        x->doubt = a->replay_end;
        fail(x, "a master has lost it, and what it was made of has changed since");
        clear(x);
    } else if (x->db != 0 && x->kind != ACROSS_WHOLE) {
        fail(x, "its keys lie in several slots, and not in the target's database 0");
        clear(x);
    } else if (x->kind == ACROSS_WHOLE || x->kind == ACROSS_AS_IS) {
        write_there(x);
    } else if (x->kind == ACROSS_POP) { /* an element: as much has come in a command before */
        read_keys(x);
    } else {
        measure(x);
    }
}

void across_begin(struct across *x, const struct span *words, size_t count, uint16_t db)
{
    size_t used;
    const struct command *container = NULL;
    writer_clear(&x->request, 2);
    write_array(&x->request, count);
    for (size_t i = 0; i < count; i++)
        write_bulk(&x->request, words[i]);
    x->argv = request_again(writer_span(&x->request), &x->room, &used);
    x->offset = x->apply->offset;
    x->db = db;
    x->error[0] = '\0';
    const struct command *cmd = command_resolve(x->apply->target->commands, &x->argv, &container);
    REQUIRE(cmd != NULL);
    find_keys(x, cmd);
    REQUIRE(x->count > 0);
    find_way(x, cmd);
    start(x);
}
