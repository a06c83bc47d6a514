#include "migrate/copy.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/build.h"
#include "migrate/copy_functions.h"
#include "migrate/databases.h"
#include "migrate/rdb_payload.h"
#include "migrate/replay.h"
#include "migrate/target_databases.h"

/* What becomes of the value that is being read. */
enum { NO_VALUE, COLLECT, SKIP, BUILD };

enum {
    PIECE_MAX = 64 * 1024,  /* bytes looked at before asking again whether there is room */
    EMPTY_VALUE_MAX = 32,   /* bytes of a compact form without elements, at most */
    VALUE_KEPT = 64 * 1024, /* room for a value that stays */
};

int64_t copy_now(const struct copy *c)
{
    struct timespec t;
    (void)c;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void copy_open(struct copy *c, const struct copy_options *options, struct target *target)
{
    *c = (struct copy){ .options = options, .target = target };
    crc64_fill(&c->tables);
    rdb_reader_open(&c->reader, &c->tables);
    writer_init(&c->key, 2);
    writer_init(&c->label, 2);
    writer_init(&c->value, 2);
    writer_init(&c->command, 2);
    list_init(&c->builds);
    c->waves[0].copy = c->waves[1].copy = c;
    while (getrandom(&c->random, sizeof(c->random), 0) != sizeof(c->random))
        continue;
}

void copy_close(struct copy *c)
{
    while (!list_is_empty(&c->builds))
        build_free((struct build *)c->builds.next); /* the link stands first in it */
    rdb_reader_close(&c->reader);
    writer_close(&c->key);
    writer_close(&c->label);
    writer_close(&c->value);
    writer_close(&c->command);
}

static void tell_failed(struct copy *c, struct span key, const char *why)
{
    c->counters.failed++;
    log_error("key not copied", "key=%s reason=%s action=%s", log_bytes(key.at, key.len),
              log_text(why),
              log_text(advice_on(c->options->dirty != NULL ? ADVICE_KEY : ADVICE_KEY_ONCE, why)));
    if (c->options->failed == NULL)
        return;
    size_t room = key.len * 4 + 8;
    char *quoted = malloc(room);
    REQUIRE(quoted != NULL);
    text_quote(quoted, room, key.at, key.len);
    fprintf(c->options->failed, "%s %s\n", quoted, why);
    free(quoted);
}

void copy_failed(struct copy *c, struct span key, const char *why)
{
    tell_failed(c, key, why);
    if (c->options->dirty != NULL)
        dirty_add(c->options->dirty, key, why);
}

/* --- one key ------------------------------------------------------------------------------- */

/* Whether keys of the present database go over. */
static bool has_place(const struct copy *c)
{
    return databases_take(c->options, c->reader.db);
}

/* Puts down what the key is called at the target. */
static void write_name(struct copy *c)
{
    const struct copy_options *o = c->options;
    const struct rdb_reader *r = &c->reader;
    writer_clear(&c->key, 2);
    writer_clear(&c->label, 2);
    struct span label = databases_label(o, r->db, r->name, &c->label);
    if (c->label.len == 0)
        write_raw(&c->label, label);
    write_raw(&c->key, o->databases == COPY_DB_MAP ? r->name : label);
    c->database = databases_at_target(o, r->db);
}

/* False: the key does not go over; that is counted, or told. */
static bool is_placed(struct copy *c)
{
    const struct copy_options *o = c->options;
    const struct rdb_reader *r = &c->reader;
    char why[96];
    if (has_place(c))
        return true;
    if (o->databases != COPY_DB_REFUSE) {
        c->counters.other_database++;
        return false;
    }
    snprintf(why, sizeof(why), "it is in database %llu; say what to do with that by --db",
             (unsigned long long)r->db);
    tell_failed(c, r->name, why);
    if (o->dirty != NULL)
        o->dirty->unlisted++; /* nobody knows where it should go */
    return false;
}

/* Whether the filters let the key through; counts it if not. */
static bool is_wanted(struct copy *c)
{
    const struct filter *f = c->options->filter;
    const struct rdb_reader *r = &c->reader;
    if (f == NULL)
        return true;
    enum filter_verdict verdict = filter_key(f, r->name);
    if (verdict == FILTER_OUT || !filter_database(f, r->db) || !filter_type(f, r->type->kind)) {
        c->counters.filtered++;
        return false;
    }
    c->counters.stale += verdict != FILTER_TAKE;
    return verdict != FILTER_STALE;
}

/* Also of one that a filter leaves out: what is there under its name is not to vanish. */
static bool note_name(struct copy *c)
{
    struct key_set *seen = c->options->seen;
    int error = seen != NULL && has_place(c) ? key_set_add(seen, writer_span(&c->key)) : 0;
    if (error != 0)
        snprintf(c->reader.error, sizeof(c->reader.error), "the keys' names cannot be kept: %s",
                 strerror(error));
    return error == 0;
}

/* When all of the last wave is answered, all before this one is; and a new one may begin. */
static void turn_wave(struct copy *c)
{
    if (c->waves[c->wave ^ 1].pending > 0)
        return;
    c->safe_to = c->wave_at;
    c->wave ^= 1;
    c->wave_at = c->border;
}

/* A payload has the times of a hash's fields in it, so they could not be held back. */
static bool holds_fields(const struct copy *c)
{
    const struct rdb_type *type = c->reader.type;
    return c->options->expiry != NULL && type->kind == RDB_HASH && type->version >= RDB_TIMED_HASH;
}

static void begin_key(struct copy *c)
{
    const struct rdb_reader *r = &c->reader;
    c->counters.keys++;
    c->state = SKIP;
    turn_wave(c);
    if (replay_is_own_key(r->name) || !is_wanted(c) || !is_placed(c))
        return;
    if (c->options->skip_expired && r->expire_at != RDB_NO_TIME && r->expire_at <= copy_now(c)) {
        c->counters.expired++;
        return;
    }
    c->expire_at = r->expire_at;
    if (c->options->expiry != NULL && r->expire_at != RDB_NO_TIME)
        c->expire_at =
            expiry_of_copy(c->options->expiry, writer_span(&c->label), r->expire_at, copy_now(c));
    if (!copy_is_new(c) && !holds_fields(c)) { /* whose times have to be read to be held */
        c->counters.before++;
        return;
    }
    writer_clear(&c->value, 2);
    c->state = COLLECT;
}

static void begin_build(struct copy *c)
{
    c->current = build_new(c, c->reader.type, writer_span(&c->key), c->expire_at);
    build_take(c->current, writer_span(&c->value));
    writer_clear(&c->value, 2);
    c->state = BUILD;
}

static void on_restored(void *context, const struct target_call *call)
{
    struct copy_wave *wave = context;
    struct copy *c = wave->copy;
    struct writer label;
    c->pending--;
    wave->pending--;
    if (call->error[0] == '\0') {
        c->counters.restored++;
        return;
    }
    writer_init(&label, 2);
    copy_failed(c, databases_label_of(c->options, call->database, target_key(call), &label),
                call->error);
    writer_close(&label);
}

static void on_deleted(void *context, const struct target_call *call)
{
    struct copy *c = context;
    (void)call; /* if it failed, so will the RESTORE behind it */
    c->pending--;
}

/* A server that knows no REPLACE. */
static void delete_first(struct copy *c)
{
    struct writer *w = &c->command;
    writer_clear(w, 2);
    write_array(w, 2);
    write_bulk(w, SPAN("DEL"));
    write_bulk(w, writer_span(&c->key));
    c->pending++;
    target_use(c->target, c->database);
    target_send(c->target, SPAN("del"), writer_span(&c->key), writer_span(w), true, on_deleted, c);
    target_use(c->target, 0);
}

static int64_t time_to_live(const struct copy *c)
{
    int64_t at = c->expire_at;
    if (at == RDB_NO_TIME)
        return 0;
    if (c->target->facts.absolute)
        return at > 0 ? at : 1;
    int64_t left = at - copy_now(c);
    return left > 0 ? left : 1;
}

static void write_payload(struct copy *c, struct writer *w)
{
    char head[TEXT_NUMBER_MAX + 3] = "$";
    size_t n = 1 + text_from_u64(head + 1, c->value.len + RDB_PAYLOAD_EXTRA);
    write_raw(w, (struct span){ head, n });
    write_raw(w, SPAN("\r\n"));
    rdb_payload_write(w, &c->tables, c->reader.type_byte, writer_span(&c->value), c->reader.stamp);
    write_raw(w, SPAN("\r\n"));
}

static void restore(struct copy *c)
{
    const struct target_facts *f = &c->target->facts;
    const struct rdb_reader *r = &c->reader;
    bool replace = c->options->replace && f->replace;
    bool timed = f->absolute && r->expire_at != RDB_NO_TIME;
    bool idle = f->absolute && !f->counts_frequency && r->idle != RDB_NO_TIME;
    bool freq = f->absolute && f->counts_frequency && r->freq != RDB_NO_TIME;
    if (c->options->replace && !replace)
        delete_first(c);
    struct writer *w = &c->command;
    writer_clear(w, 2);
    write_array(w, 4 + (size_t)replace + (size_t)timed + (idle ? 2u : 0u) + (freq ? 2u : 0u));
    write_bulk(w, SPAN("RESTORE"));
    write_bulk(w, writer_span(&c->key));
    write_bulk_format(w, "%lld", (long long)time_to_live(c));
    write_payload(c, w);
    if (replace)
        write_bulk(w, SPAN("REPLACE"));
    if (timed)
        write_bulk(w, SPAN("ABSTTL"));
    if (idle)
        write_bulk(w, SPAN("IDLETIME"));
    if (freq)
        write_bulk(w, SPAN("FREQ"));
    if (idle || freq)
        write_bulk_format(w, "%lld", (long long)(idle ? r->idle : r->freq));
    c->pending++;
    c->waves[c->wave].pending++;
    target_use(c->target, c->database);
    target_send(c->target, SPAN("restore"), writer_span(&c->key), writer_span(w),
                c->options->replace, on_restored, copy_wave_of(c));
    target_use(c->target, 0);
}

static bool see_element(void *context, const struct rdb_item *item)
{
    (void)item;
    *(bool *)context = true;
    return true;
}

/* A mistake of old servers: collections that have lost all of their elements. RESTORE refuses
   them. */
static bool is_empty(const struct copy *c)
{
    const struct rdb_type *type = c->reader.type;
    bool seen = false;
    if (c->reader.empty)
        return true;
    if (type->kind == RDB_STRING || type->kind >= RDB_STREAM || c->value.len > EMPTY_VALUE_MAX)
        return false;
    struct rdb_decode d;
    rdb_decode_open(&d, type, see_element, &seen);
    bool whole = rdb_decode_take(&d, writer_span(&c->value)) && d.done;
    rdb_decode_close(&d);
    return whole && !seen;
}

static void end_collected(struct copy *c)
{
    bool known = target_takes(&c->target->facts, c->reader.stamp) && !holds_fields(c);
    if (is_empty(c)) {
        c->counters.empty++;
        return;
    }
    if (known && (!c->options->rewrite || c->reader.type->kind == RDB_MODULE)) {
        restore(c);
        return;
    }
    begin_build(c);
    build_end(c->current);
}

static void end_value(struct copy *c)
{
    if (c->state == COLLECT)
        end_collected(c);
    else if (c->state == BUILD)
        build_end(c->current);
    c->current = NULL;
    c->state = NO_VALUE;
    c->border = c->reader.offset;
    if (c->value.capacity > VALUE_KEPT) {
        writer_close(&c->value);
        writer_close(&c->command);
    }
}

static void take_value(struct copy *c, struct span bytes)
{
    c->counters.bytes += bytes.len;
    if (c->state == BUILD)
        build_take(c->current, bytes);
    if (c->state != COLLECT)
        return;
    write_raw(&c->value, bytes);
    if (c->value.len > c->options->big_key)
        begin_build(c);
}

/* --- the file ------------------------------------------------------------------------------ */

static void take_aux(struct copy *c)
{
    const struct rdb_reader *r = &c->reader;
    uint64_t db;
    if (span_equal(r->name, SPAN("lua")))
        copy_load_script(c);
    /* A replica passes its master's stream on, and that need not begin with SELECT. */
    if (span_equal(r->name, SPAN("repl-stream-db")) && text_to_u64(r->text.at, r->text.len, &db))
        c->stream_db = db;
}

static bool has_room(struct copy *c)
{
    return target_has_room(c->target) && (c->state == BUILD || c->build_count < c->options->builds);
}

static enum copy_result take_fact(struct copy *c, enum rdb_fact fact, struct span bytes)
{
    switch (fact) {
    case RDB_BAD:
        return COPY_BAD;
    case RDB_END:
        return COPY_END;
    case RDB_FUNCTION:
        copy_load_function(c);
        break;
    case RDB_AUX:
        take_aux(c);
        break;
    case RDB_KEY:
        write_name(c);
        if (!note_name(c))
            return COPY_BAD;
        begin_key(c);
        break;
    case RDB_VALUE:
        take_value(c, bytes);
        break;
    case RDB_VALUE_END:
        take_value(c, bytes);
        end_value(c);
        break;
    default:
        break;
    }
    return COPY_MORE;
}

enum copy_result copy_take(struct copy *c, struct span bytes, size_t *used)
{
    *used = 0;
    while (*used < bytes.len) {
        size_t n, len = bytes.len - *used;
        const char *at = bytes.at + *used;
        if (!has_room(c))
            return COPY_FULL;
        enum rdb_fact fact = rdb_read(&c->reader, at, len < PIECE_MAX ? len : PIECE_MAX, &n);
        *used += n;
        enum copy_result result = take_fact(c, fact, (struct span){ at, n });
        if (result != COPY_MORE)
            return result;
    }
    return COPY_MORE;
}

void copy_progress(struct copy *c)
{
    struct list_node *n, *safe;
    LIST_EACH (&c->builds, n, safe)
        build_progress((struct build *)n);
}

bool copy_is_new(const struct copy *c)
{
    return c->border >= c->skip_to;
}

struct copy_wave *copy_wave_of(struct copy *c)
{
    return &c->waves[c->wave];
}

bool copy_is_done(const struct copy *c)
{
    return c->pending == 0 && c->build_count == 0;
}
