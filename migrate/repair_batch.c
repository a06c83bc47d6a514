#include "migrate/repair_batch.h"

#include <stdlib.h>

#include "base/text.h"
#include "migrate/databases.h"
#include "migrate/rdb_digest.h"
#include "migrate/rdb_field_times.h"
#include "migrate/rdb_payload.h"
#include "migrate/rdb_type.h"
#include "migrate/target_databases.h"
#include "resp/value.h"

enum { PAYLOAD_TAIL = 10, PER_KEY = 3, CLOCKS_MS = 2000 };

struct repair_batch *repair_batch_new(struct repair *r, bool writes)
{
    struct repair_batch *b = calloc(1, sizeof(*b));
    REQUIRE(b != NULL);
    b->repair = r;
    b->writes = writes;
    writer_init(&b->answer, 2);
    list_append(&r->batches, &b->link);
    return b;
}

void repair_batch_free(struct repair_batch *b)
{
    list_remove(&b->link);
    for (uint32_t i = 0; i < b->count; i++)
        writer_close(&b->keys[i].name);
    writer_close(&b->answer);
    free(b);
}

/* --- names --------------------------------------------------------------------------------- */

bool repair_batch_add(struct repair_batch *b, struct span name)
{
    if (b->count == REPAIR_BATCH)
        return false;
    struct repair_key *k = &b->keys[b->count++];
    *k = (struct repair_key){ .batch = b };
    writer_init(&k->name, 2);
    write_raw(&k->name, name);
    k->own = databases_split(b->repair->options, writer_span(&k->name), &k->db);
    return true;
}

/* --- the source ---------------------------------------------------------------------------- */

static void write_words(struct writer *w, struct span a, struct span b)
{
    write_array(w, 2);
    write_bulk(w, a);
    write_bulk(w, b);
}

/* The offset of INFO's text. */
static bool read_offset(struct span info, uint64_t *out)
{
    struct span digits = target_info_line(info, "master_repl_offset");
    return digits.len > 0 && text_to_u64(digits.at, digits.len, out);
}

/* SELECT, DUMP and PTTL of each key, then INFO. */
static bool read_answer(struct repair_batch *b)
{
    struct value_cursor c = { b->answer.at, b->answer.at + b->answer.len };
    struct value list, select, dump, ttl, info;
    if (!value_next(&c, &list) || list.kind != VALUE_LIST)
        return false;
    for (uint32_t i = 0; i < b->count; i++) {
        struct repair_key *k = &b->keys[i];
        if (!value_next(&c, &select) || !value_next(&c, &dump) || !value_next(&c, &ttl) ||
            ttl.kind != VALUE_INTEGER || (dump.kind != VALUE_STRING && dump.kind != VALUE_NULL))
            return false;
        k->payload = dump.kind == VALUE_STRING ? dump.text : (struct span){ NULL, 0 };
        k->ttl = ttl.number;
    }
    return value_next(&c, &info) && info.kind == VALUE_STRING && read_offset(info.text, &b->offset);
}

static void on_source(void *context, const struct target_call *call)
{
    struct repair_batch *b = context;
    b->asking = false;
    if (b->given_up) {
        repair_batch_free(b);
        return;
    }
    b->answered = true;
    snprintf(b->error, sizeof(b->error), "%s", call->error);
    write_raw(&b->answer, writer_span(&call->exec));
    if (b->error[0] == '\0' && !read_answer(b))
        snprintf(b->error, sizeof(b->error), "the source's answer cannot be understood");
    net_hurry(b->repair->net);
}

void repair_batch_ask(struct repair_batch *b)
{
    struct repair *r = b->repair;
    struct writer w;
    writer_init(&w, 2);
    for (uint32_t i = 0; i < b->count; i++) {
        databases_select(&w, b->keys[i].db);
        write_words(&w, SPAN("DUMP"), b->keys[i].own);
        write_words(&w, SPAN("PTTL"), b->keys[i].own);
    }
    write_words(&w, SPAN("INFO"), SPAN("replication"));
    databases_select(&w, 0); /* the connection is shared with plain questions */
    b->asking = true;
    target_send_block(&r->source, SPAN(""), writer_span(&w), b->count * PER_KEY + 2, true,
                      on_source, b);
    writer_close(&w);
}

/* --- the target ---------------------------------------------------------------------------- */

/* A field's time may have got the slack. */
static bool same_times(const struct repair *r, struct span a, struct span b)
{
    const struct expiry *e = r->options->expiry;
    uint64_t apart, most = CLOCKS_MS + (e != NULL ? (uint64_t)e->options->slack : 0);
    return rdb_field_times_apart(a, b, &apart) && apart <= most;
}

static bool same_value(const struct repair *r, struct span a, struct span b)
{
    struct rdb_digest x, y;
    if (a.at == NULL || b.at == NULL)
        return a.at == b.at;
    if (a.len == b.len && a.len > PAYLOAD_TAIL && memcmp(a.at, b.at, a.len - PAYLOAD_TAIL) == 0)
        return true;
    return rdb_digest_of(&x, a) && rdb_digest_of(&y, b) && x.a == y.a && x.b == y.b &&
           same_times(r, a, b);
}

/* The last of the transaction's replies is DUMP's. */
static void judge(struct repair_key *k, const struct writer *exec)
{
    struct value_cursor c = { exec->at, exec->at + exec->len };
    struct value list, v = { 0 };
    bool whole = value_next(&c, &list) && list.kind == VALUE_LIST && list.count > 0;
    for (uint64_t i = 0; whole && i < list.count; i++)
        whole = value_next(&c, &v);
    struct span there = v.kind == VALUE_STRING ? v.text : (struct span){ NULL, 0 };
    if (!whole || (v.kind != VALUE_STRING && v.kind != VALUE_NULL))
        snprintf(k->error, sizeof(k->error), "the target's answer cannot be understood");
    else if (!same_value(k->batch->repair, k->payload, there))
        snprintf(k->error, sizeof(k->error), "%s",
                 k->payload.at == NULL ? "the source lacks it"
                 : there.at == NULL    ? "the target lacks it"
                                       : "the content differs");
}

static void on_target(void *context, const struct target_call *call)
{
    struct repair_key *k = context;
    k->batch->pending--;
    if (call->error[0] != '\0')
        snprintf(k->error, sizeof(k->error), "%s", call->error);
    else
        judge(k, &call->exec);
}

/* The lowest stamp that knows the type, so that an older target takes it. */
static void write_payload(struct repair *r, struct writer *w, struct span payload)
{
    struct writer stamped;
    const unsigned char *tail = (const unsigned char *)payload.at + payload.len - PAYLOAD_TAIL;
    bool valkey = payload.len > PAYLOAD_TAIL && (tail[0] | tail[1] << 8) >= RDB_VALKEY_VERSION;
    const struct rdb_type *type =
        payload.len > PAYLOAD_TAIL ? rdb_type_find((uint8_t)payload.at[0], valkey) : NULL;
    if (type == NULL || type->version == RDB_NO_VERSION) {
        write_bulk(w, payload);
        return;
    }
    struct span value = { payload.at + 1, payload.len - PAYLOAD_TAIL - 1 };
    writer_init(&stamped, 2);
    rdb_payload_write(&stamped, &r->tables, (uint8_t)payload.at[0], value, type->version);
    write_bulk(w, writer_span(&stamped));
    writer_close(&stamped);
}

/* What the target is told, as with any key of the stream. */
static int64_t time_to_live(const struct repair *r, const struct repair_key *k)
{
    struct expiry *e = r->options->expiry;
    struct span name = writer_span(&k->name);
    int64_t now = copy_now(NULL);
    if (e != NULL)
        expiry_forget_key(e, name);
    if (k->payload.at == NULL || k->ttl < 0)
        return 0;
    int64_t at = now + k->ttl;
    if (e != NULL)
        at = expiry_of_stream(e, name, at, now, now);
    return at > now ? at - now : 1;
}

/* Gives how many commands it has written. */
static uint32_t write_repair(struct repair *r, const struct repair_key *k, struct span name,
                             struct writer *w)
{
    bool replace = r->target->facts.replace, there = k->payload.at != NULL;
    int64_t ttl = time_to_live(r, k);
    uint32_t commands = 0;
    if (!there || !replace) {
        write_words(w, SPAN("DEL"), name);
        commands++;
    }
    if (!there)
        return commands;
    write_array(w, replace ? 5 : 4);
    write_bulk(w, SPAN("RESTORE"));
    write_bulk(w, name);
    write_bulk_format(w, "%lld", (long long)ttl);
    write_payload(r, w, k->payload);
    if (replace)
        write_bulk(w, SPAN("REPLACE"));
    return commands + 1;
}

void repair_batch_write(struct repair_batch *b)
{
    struct repair *r = b->repair;
    struct writer w;
    writer_init(&w, 2);
    for (uint32_t i = 0; i < b->count; i++) {
        struct repair_key *k = &b->keys[i];
        uint64_t db;
        struct span name = databases_name(r->options, writer_span(&k->name), &db);
        writer_clear(&w, 2);
        uint32_t commands = b->writes ? write_repair(r, k, name, &w) : 0;
        write_words(&w, SPAN("DUMP"), name);
        b->pending++;
        target_use(r->target, databases_at_target(r->options, db));
        target_send_block(r->target, name, writer_span(&w), commands + 1, true, on_target, k);
        target_use(r->target, 0);
    }
    writer_close(&w);
}
