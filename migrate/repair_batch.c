#include "migrate/repair_batch.h"

#include <stdlib.h>

#include "base/text.h"
#include "migrate/build.h"
#include "migrate/databases.h"
#include "migrate/rdb_payload.h"
#include "migrate/target_databases.h"
#include "resp/value.h"

enum { PAYLOAD_TAIL = 10, CLOCKS_MS = 2000 };

struct repair_batch *repair_batch_new(struct repair *r, bool writes)
{
    struct repair_batch *b = calloc(1, sizeof(*b));
    REQUIRE(b != NULL);
    b->repair = r;
    b->writes = writes;
    writer_init(&b->value, 2);
    return b;
}

/* A value of which nothing is wanted any more. */
static void forget_side(struct repair_side *s)
{
    if (s->open && !rdb_digester_end(&s->digester))
        s->there = false;
    s->open = false;
}

void repair_batch_free(struct repair_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        writer_close(&b->keys[i].label);
        forget_side(&b->keys[i].source);
        forget_side(&b->keys[i].target);
    }
    writer_close(&b->value);
    free(b);
}

/* --- names --------------------------------------------------------------------------------- */

bool repair_batch_add(struct repair_batch *b, struct span label)
{
    const struct copy_options *o = b->repair->options;
    if (b->count == REPAIR_BATCH)
        return false;
    struct repair_key *k = &b->keys[b->count++];
    *k = (struct repair_key){ .batch = b };
    writer_init(&k->label, 2);
    write_raw(&k->label, label);
    k->own = databases_split(o, writer_span(&k->label), &k->db);
    k->name = databases_name(o, writer_span(&k->label), &k->db);
    k->database = databases_at_target(o, k->db);
    return true;
}

void repair_batch_ask(struct repair_batch *b)
{
    struct repair_fetch *f = &b->repair->fetch;
    for (uint32_t i = 0; i < b->count; i++)
        repair_fetch_add(f, b->keys[i].db, b->keys[i].own);
    repair_fetch_ask(f);
}

/* --- values -------------------------------------------------------------------------------- */

static void set_error(struct repair_key *k, const char *why)
{
    if (k->error[0] == '\0')
        snprintf(k->error, sizeof(k->error), "%s", why);
}

static void side_begins(struct repair_side *s, const struct rdb_type *type)
{
    rdb_digester_open(&s->digester, type);
    s->open = s->there = true;
}

static void side_ends(struct repair_key *k, struct repair_side *s)
{
    s->open = false;
    if (!rdb_digester_end(&s->digester))
        set_error(k, "the value is damaged");
    s->digest = s->digester.digest;
}

/* Those of fields may have got the slack. */
static bool same_times(const struct repair_key *k)
{
    const struct rdb_digester *a = &k->source.digester, *b = &k->target.digester;
    const struct expiry *e = k->batch->repair->options->expiry;
    uint64_t most = CLOCKS_MS + (e != NULL ? (uint64_t)e->options->slack : 0);
    uint64_t apart = a->times > b->times ? a->times - b->times : b->times - a->times;
    return a->timed == b->timed && a->timed_names == b->timed_names && apart <= most * a->timed;
}

static void judge(struct repair_key *k)
{
    const struct repair_side *a = &k->source, *b = &k->target;
    bool same = a->digest.a == b->digest.a && a->digest.b == b->digest.b && same_times(k);
    if (a->there && b->there ? !same : a->there != b->there)
        set_error(k, !a->there   ? "the source lacks it"
                     : !b->there ? "the target lacks it"
                                 : "the content differs");
}

static const struct rdb_type *type_at(const struct target *t, uint8_t type)
{
    return rdb_type_find(type, t->facts.rdb_valkey > 0);
}

/* --- comparing ----------------------------------------------------------------------------- */

static void on_piece(void *context, struct span bytes)
{
    struct repair_key *k = context;
    struct repair_side *s = &k->target;
    while (bytes.len > 0) {
        struct span value = { NULL, 0 };
        size_t used;
        enum dump_fact fact = dump_reply_read(&k->reply, bytes, &used, &value);
        if (fact == DUMP_BAD) /* the call's error says why */
            return;
        if (fact == DUMP_TYPE)
            side_begins(s, type_at(k->batch->repair->target, k->reply.type));
        if (fact == DUMP_VALUE)
            rdb_digester_take(&s->digester, value);
        if (fact == DUMP_END)
            side_ends(k, s);
        bytes.at += used;
        bytes.len -= used;
    }
}

static void on_asked(void *context, const struct target_call *call)
{
    struct repair_key *k = context;
    k->batch->pending--;
    if (call->error[0] != '\0')
        set_error(k, call->error);
    net_hurry(k->batch->repair->net);
}

static void write_words(struct writer *w, struct span a, struct span b)
{
    write_array(w, 2);
    write_bulk(w, a);
    write_bulk(w, b);
}

static void ask_target(struct repair_key *k)
{
    struct target *t = k->batch->repair->target;
    struct writer w;
    writer_init(&w, 2);
    write_words(&w, SPAN("DUMP"), k->name);
    k->batch->pending++;
    target_use(t, k->database);
    target_ask_pieces(t, SPAN("dump"), k->name, writer_span(&w), on_piece, on_asked, k);
    target_use(t, 0);
    writer_close(&w);
}

/* --- writing ------------------------------------------------------------------------------- */

/* The last of the transaction's replies is DUMP's. */
static struct span last_of(const struct writer *exec)
{
    struct value_cursor c = { exec->at, exec->at + exec->len };
    struct value list, v = { 0 };
    bool whole = value_next(&c, &list) && list.kind == VALUE_LIST && list.count > 0;
    for (uint64_t i = 0; whole && i < list.count; i++)
        whole = value_next(&c, &v);
    return whole && v.kind == VALUE_STRING ? v.text : (struct span){ NULL, 0 };
}

static void on_written(void *context, const struct target_call *call)
{
    struct repair_key *k = context;
    struct span there = last_of(&call->exec);
    k->batch->pending--;
    if (call->error[0] != '\0')
        set_error(k, call->error);
    if (there.len > PAYLOAD_TAIL) {
        side_begins(&k->target, type_at(k->batch->repair->target, (uint8_t)there.at[0]));
        rdb_digester_take(&k->target.digester,
                          (struct span){ there.at + 1, there.len - RDB_PAYLOAD_EXTRA });
        side_ends(k, &k->target);
    }
    judge(k);
    net_hurry(k->batch->repair->net);
}

static void forget_time(struct repair_key *k)
{
    struct expiry *e = k->batch->repair->options->expiry;
    if (e != NULL)
        expiry_forget_key(e, writer_span(&k->label));
}

/* What the target is told, as with any key of the stream; RDB_NO_TIME: nothing. */
static int64_t expire_at(const struct repair *r, struct repair_key *k)
{
    struct expiry *e = r->options->expiry;
    int64_t now = copy_now(NULL);
    forget_time(k);
    if (k->expire_at == RDB_NO_TIME || e == NULL)
        return k->expire_at;
    return expiry_of_stream(e, writer_span(&k->label), k->expire_at, now, now);
}

/* The lowest stamp that knows the type, so that an older target takes it. */
static void write_payload(struct repair_batch *b, struct writer *w)
{
    struct repair *r = b->repair;
    bool stamped = b->type != NULL && b->type->version != RDB_NO_VERSION;
    struct writer payload;
    writer_init(&payload, 2);
    rdb_payload_write(&payload, &r->copy.tables, r->fetch.type, writer_span(&b->value),
                      stamped ? b->type->version : r->fetch.stamp);
    write_bulk(w, writer_span(&payload));
    writer_close(&payload);
}

static void write_restore(struct repair_key *k, struct writer *w)
{
    struct repair *r = k->batch->repair;
    const struct target_facts *f = &r->target->facts;
    int64_t at = expire_at(r, k), left = at - copy_now(NULL);
    bool timed = at != RDB_NO_TIME, absolute = timed && f->absolute;
    left = !timed ? 0 : left > 0 ? left : 1;
    write_array(w, 4 + (size_t)f->replace + (size_t)absolute);
    write_bulk(w, SPAN("RESTORE"));
    write_bulk(w, k->name);
    write_bulk_format(w, "%lld", (long long)(absolute ? at : left));
    write_payload(k->batch, w);
    if (f->replace)
        write_bulk(w, SPAN("REPLACE"));
    if (absolute)
        write_bulk(w, SPAN("ABSTTL"));
}

/* Gives how many commands it has written. */
static uint32_t write_commands(struct repair_key *k, struct writer *w)
{
    bool deletes = !k->source.there || !k->batch->repair->target->facts.replace;
    if (deletes)
        write_words(w, SPAN("DEL"), k->name);
    if (k->source.there)
        write_restore(k, w);
    else
        forget_time(k);
    write_words(w, SPAN("DUMP"), k->name);
    return (deletes ? 1u : 0u) + (k->source.there ? 1u : 0u) + 1;
}

static void write_key(struct repair_key *k)
{
    struct repair_batch *b = k->batch;
    struct writer w;
    writer_init(&w, 2);
    uint32_t commands = write_commands(k, &w);
    b->pending++;
    target_use(b->repair->target, k->database);
    target_send_block(b->repair->target, k->name, writer_span(&w), commands, true, on_written, k);
    target_use(b->repair->target, 0);
    writer_close(&w);
}

static void on_built(void *context, const char *error)
{
    struct repair_key *k = context;
    k->batch->pending--;
    if (error != NULL)
        set_error(k, error);
    net_hurry(k->batch->repair->net);
}

/* --- what the source tells ----------------------------------------------------------------- */

static bool is_built(const struct repair_batch *b)
{
    const struct repair *r = b->repair;
    if (!b->writes || b->type == NULL || b->type->kind == RDB_MODULE)
        return false;
    return r->fetch.size > r->options->big_key || r->options->rewrite ||
           !target_takes(&r->target->facts, b->type->version);
}

static void begin_value(struct repair_key *k)
{
    struct repair_batch *b = k->batch;
    struct repair *r = b->repair;
    b->type = type_at(&r->source, r->fetch.type);
    k->expire_at = r->fetch.expire_at;
    writer_clear(&b->value, 2);
    side_begins(&k->source, b->type);
    if (!b->writes)
        ask_target(k);
    if (!is_built(b))
        return;
    b->pending++;
    writer_clear(&r->copy.label, 2);
    write_raw(&r->copy.label, writer_span(&k->label));
    r->copy.database = k->database;
    b->build = build_new(&r->copy, b->type, k->name, expire_at(r, k));
    build_watch(b->build, on_built, k);
}

static void take_value(struct repair_key *k, struct span bytes)
{
    struct repair_batch *b = k->batch;
    if (b->build != NULL) {
        build_take(b->build, bytes);
        return;
    }
    rdb_digester_take(&k->source.digester, bytes);
    if (b->writes)
        write_raw(&b->value, bytes);
}

static void end_value(struct repair_key *k)
{
    struct repair_batch *b = k->batch;
    struct build *build = b->build;
    b->build = NULL;
    if (build != NULL) {
        forget_side(&k->source);
        build_end(build);
        return;
    }
    side_ends(k, &k->source);
    if (b->writes)
        write_key(k);
    if (b->value.len > FETCH_AHEAD)
        writer_close(&b->value);
}

static void no_value(struct repair_key *k)
{
    if (k->batch->writes)
        write_key(k);
    else
        ask_target(k);
}

/* What the source has not told stays in the set; half a value at the target is removed there. */
static void break_off(struct repair_batch *b)
{
    struct build *build = b->build;
    for (uint32_t i = b->at; i < b->count; i++)
        set_error(&b->keys[i], b->repair->fetch.error);
    b->build = NULL;
    b->ended = true;
    if (build != NULL)
        build_end(build);
}

static bool has_room(struct repair_batch *b)
{
    return !b->ended && (!b->writes || target_has_room(b->repair->target));
}

static void take_fact(struct repair_batch *b, enum fetch_fact fact)
{
    struct repair_key *k = &b->keys[b->at];
    switch (fact) {
    case FETCH_BAD:
        break_off(b);
        break;
    case FETCH_END:
        b->ended = true;
        break;
    case FETCH_KEY:
        begin_value(k);
        break;
    case FETCH_VALUE:
        take_value(k, b->repair->fetch.value);
        break;
    case FETCH_KEY_END:
        end_value(k);
        break;
    case FETCH_ABSENT:
        no_value(k);
        break;
    default:
        break;
    }
    b->at += fact == FETCH_KEY_END || fact == FETCH_ABSENT;
}

/* Digests of both sides are there when nothing is pending. */
static void judge_all(struct repair_batch *b)
{
    for (uint32_t i = 0; i < b->count && !b->writes; i++)
        judge(&b->keys[i]);
}

void repair_batch_take(struct repair_batch *b)
{
    enum fetch_fact fact = FETCH_MORE;
    copy_progress(&b->repair->copy);
    do {
        if (!has_room(b))
            break;
        fact = repair_fetch_next(&b->repair->fetch);
        take_fact(b, fact);
    } while (fact != FETCH_MORE);
    if (b->ended && b->pending == 0)
        judge_all(b);
}
