#include "migrate/lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/keyslot.h"
#include "migrate/replay.h"
#include "resp/value.h"

enum { BATCH_BYTES_MAX = 256 * 1024, BATCH_UNITS_MAX = 512 };

/* Units that go, or went, as one transaction. */
struct batch {
    struct list_node link; /* in lane->batches */
    struct lanes *lanes;
    struct lane *lane;
    struct writer key; /* of the first unit */
    struct writer bytes;
    struct lane_unit *units;
    uint32_t count, room, commands;
    bool sent;
};

struct lane {
    struct list_node ready;   /* in lanes->ready: its first batch may be sent */
    struct list_node batches; /* the first one may be under way */
    uint32_t flying;          /* units under way without a batch */
};

/* A unit under way without a batch. */
struct flight {
    struct list_node link; /* in lanes->flying */
    struct lanes *lanes;
    struct lane *lane;
    struct lane_unit unit;
};

void lanes_open(struct lanes *l, struct target *target, const char *marker,
                const struct lanes_user *user, void *context)
{
    *l = (struct lanes){ .target = target, .marker = marker, .user = user, .context = context };
    l->lanes = calloc(SLOT_COUNT, sizeof(*l->lanes));
    l->marked = calloc(SLOT_COUNT, sizeof(*l->marked));
    REQUIRE(l->lanes != NULL && l->marked != NULL);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        list_init(&l->lanes[i].ready);
        list_init(&l->lanes[i].batches);
    }
    list_init(&l->ready);
    list_init(&l->flying);
    slab_init(&l->flights, sizeof(struct flight));
}

static void free_batch(struct batch *b)
{
    b->lanes->held_bytes -= b->bytes.len;
    b->lanes->held -= b->sent ? 0 : b->count;
    list_remove(&b->link);
    writer_close(&b->key);
    writer_close(&b->bytes);
    free(b->units);
    free(b);
}

void lanes_reset(struct lanes *l)
{
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        struct lane *lane = &l->lanes[i];
        while (!list_is_empty(&lane->batches)) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
            free_batch(LIST_ENTRY(lane->batches.next, struct batch, link));
        list_remove(&lane->ready);
        lane->flying = 0;
    }
    while (!list_is_empty(&l->flying)) {
        struct flight *f = LIST_ENTRY(l->flying.next, struct flight, link);
        list_remove(&f->link);
        slab_give(&l->flights, f);
    }
    l->broken = false;
}

void lanes_close(struct lanes *l)
{
    lanes_reset(l);
    slab_close(&l->flights);
    free(l->lanes);
    free(l->marked);
}

void lane_marker(const struct target *target, const char *marker, uint16_t slot,
                 char name[LANE_MARKER_MAX])
{
    snprintf(name, LANE_MARKER_MAX, "%s:{%s}", marker, slot_tag(target->tags, slot));
}

/* --- answers ------------------------------------------------------------------------------- */

static void become_ready(struct lanes *l, struct lane *lane)
{
    if (lane->flying > 0 || list_is_empty(&lane->batches) || list_is_linked(&lane->ready))
        return;
    list_append(&l->ready, &lane->ready);
}

static void end_unit(struct lanes *l, const struct lane_unit *u, const char *error)
{
    bool before = u->absolute && u->offset <= l->skipped_to && replay_is_expected(error);
    l->user->on_done(l->context, u, before ? "" : error);
}

/* False: what became of the unit cannot be told. */
static bool settle(struct lanes *l, const struct lane_unit *u, const char *error)
{
    if (replay_is_needed(error)) {
        if (!l->broken)
            l->user->on_broken(l->context, u, error);
        l->broken = true;
        return false;
    }
    end_unit(l, u, error);
    return true;
}

static void on_landed(void *context, const struct target_call *call)
{
    struct flight *f = context;
    struct lanes *l = f->lanes;
    f->lane->flying--;
    settle(l, &f->unit, call->error);
    become_ready(l, f->lane);
    list_remove(&f->link);
    slab_give(&l->flights, f);
}

/* The error of one element of EXEC's reply; false at the reply's end. */
static bool next_error(struct value_cursor *c, char error[TARGET_ERROR_SHOWN])
{
    struct value v;
    error[0] = '\0';
    if (!value_next(c, &v))
        return false;
    if (v.kind == VALUE_ERROR)
        snprintf(error, TARGET_ERROR_SHOWN, "%.*s", (int)v.text.len, v.text.at);
    return value_skip_children(c, &v);
}

/* Each unit's first error out of the list of replies. With a list all has been executed, the marker
   too; so whatever an error says (a script's may say anything), to try again would leave it out. */
static void settle_each(struct batch *b, const struct target_call *call)
{
    struct value_cursor c = { call->exec.at, call->exec.at + call->exec.len };
    char error[TARGET_ERROR_SHOWN], first[TARGET_ERROR_SHOWN];
    struct value list;
    bool listed = value_next(&c, &list) && list.kind == VALUE_LIST;
    for (uint32_t i = 0; i < b->count; i++) {
        first[0] = '\0';
        for (uint32_t j = 0; listed && j < b->units[i].commands; j++)
            if (next_error(&c, error) && error[0] != '\0' && first[0] == '\0')
                memcpy(first, error, sizeof(first));
        if (listed)
            end_unit(b->lanes, &b->units[i], first);
        else if (!settle(b->lanes, &b->units[i], call->error))
            return;
    }
}

static struct batch *new_batch(struct lanes *l, struct lane *lane, struct span key)
{
    struct batch *b = calloc(1, sizeof(*b));
    REQUIRE(b != NULL);
    b->lanes = l;
    b->lane = lane;
    writer_init(&b->key, 2);
    writer_init(&b->bytes, 2);
    write_raw(&b->key, key);
    return b;
}

static void put(struct batch *b, const struct lane_unit *unit, struct span bytes)
{
    if (b->count == b->room) {
        b->room = b->room * 2 + 1;
        b->units = realloc(b->units, b->room * sizeof(*b->units));
        REQUIRE(b->units != NULL);
    }
    b->units[b->count++] = *unit;
    b->commands += unit->commands;
    write_raw(&b->bytes, bytes);
    b->lanes->held++;
    b->lanes->held_bytes += bytes.len;
}

/* One of its commands was refused, so none was executed: each unit for itself then. */
static void part(struct batch *b)
{
    struct list_node *where = b->link.next;
    size_t at = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        struct batch *one = new_batch(b->lanes, b->lane, writer_span(&b->key));
        put(one, &b->units[i], (struct span){ b->bytes.at + at, b->units[i].bytes });
        list_insert_before(where, &one->link);
        at += b->units[i].bytes;
    }
}

static void on_batch(void *context, const struct target_call *call)
{
    struct batch *b = context;
    struct lanes *l = b->lanes;
    struct lane *lane = b->lane;
    if (call->refused && b->count > 1 && !replay_is_needed(call->error))
        part(b);
    else
        settle_each(b, call);
    free_batch(b);
    become_ready(l, lane);
}

/* --- sending ------------------------------------------------------------------------------- */

static void send_batch(struct batch *b)
{
    struct lanes *l = b->lanes;
    struct writer *w = &b->bytes;
    char name[LANE_MARKER_MAX];
    size_t len = w->len;
    uint16_t slot = (uint16_t)(b->lane - l->lanes);
    lane_marker(l->target, l->marker, slot, name);
    l->marked[slot] = true;
    write_array(w, 3);
    write_bulk(w, SPAN("SET"));
    write_bulk_text(w, name);
    write_bulk_format(w, "%s:%llu", l->history, (unsigned long long)b->units[b->count - 1].offset);
    b->sent = true;
    l->held -= b->count;
    target_send_block(l->target, writer_span(&b->key), writer_span(w), b->commands + 1, false,
                      on_batch, b);
    w->len = len;
}

void lanes_flush(struct lanes *l)
{
    while (!list_is_empty(&l->ready) && !l->broken) {
        struct lane *lane = LIST_ENTRY(l->ready.next, struct lane, ready);
        struct batch *b = LIST_ENTRY(lane->batches.next, struct batch, link);
        list_remove(&lane->ready);
        if (!b->sent)
            send_batch(b);
    }
}

static void fly(struct lanes *l, struct lane *lane, const struct lane_unit *u, struct span key,
                struct span bytes)
{
    struct flight *f = slab_take(&l->flights);
    *f = (struct flight){ .lanes = l, .lane = lane, .unit = *u };
    list_append(&l->flying, &f->link);
    lane->flying++;
    if (u->commands > 1)
        target_send_block(l->target, key, bytes, u->commands, false, on_landed, f);
    else
        target_send(l->target, (struct span){ u->name, strlen(u->name) }, key, bytes, false,
                    on_landed, f);
}

void lanes_send(struct lanes *l, const struct lane_unit *unit, struct span key, struct span bytes)
{
    struct lane *lane = &l->lanes[keyslot_of(key)];
    if (l->broken)
        return;
    if (unit->absolute && list_is_empty(&lane->batches)) {
        fly(l, lane, unit, key, bytes);
        return;
    }
    struct batch *b =
        list_is_empty(&lane->batches) ? NULL : LIST_ENTRY(lane->batches.prev, struct batch, link);
    if (b == NULL || b->sent || b->count == BATCH_UNITS_MAX || b->bytes.len > BATCH_BYTES_MAX) {
        b = new_batch(l, lane, key);
        list_append(&lane->batches, &b->link);
    }
    put(b, unit, bytes);
    become_ready(l, lane);
}
