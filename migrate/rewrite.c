#include "migrate/rewrite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "migrate/rewrite_stream.h"

static bool fail(struct rewrite *w, const char *why)
{
    if (w->error == NULL)
        w->error = why;
    return false;
}

/* --- commands ------------------------------------------------------------------------------ */

void rewrite_give(struct rewrite *w, const char *name, const char *sub, bool again)
{
    struct writer *c = &w->command;
    writer_clear(c, 2);
    write_array(c, w->arg_count + (sub != NULL ? 3 : 2));
    write_bulk_text(c, name);
    if (sub != NULL)
        write_bulk_text(c, sub);
    write_bulk(c, w->key);
    write_raw(c, writer_span(&w->args));
    w->commands++;
    writer_clear(&w->args, 2);
    w->arg_count = 0;
    w->out(w->context, (struct span){ name, strlen(name) }, writer_span(c), again);
}

void rewrite_arg(struct rewrite *w, struct span arg)
{
    write_bulk(&w->args, arg);
    w->arg_count++;
}

void rewrite_number(struct rewrite *w, int64_t n)
{
    char digits[TEXT_NUMBER_MAX];
    rewrite_arg(w, (struct span){ digits, text_from_i64(digits, n) });
}

static const char *verb_of(const struct rewrite *w)
{
    switch (w->decode.type->kind) {
    case RDB_LIST:
        return "RPUSH";
    case RDB_SET:
        return "SADD";
    case RDB_ZSET:
        return "ZADD";
    default:
        return w->facts->hset_many ? "HSET" : "HMSET";
    }
}

/* Fields of a hash that have been set, and whose time is the same. */
static void give_time(struct rewrite *w)
{
    uint32_t count = w->time_count;
    if (count == 0)
        return;
    rewrite_number(w, w->time);
    rewrite_arg(w, SPAN("FIELDS"));
    rewrite_number(w, count);
    write_raw(&w->args, writer_span(&w->group));
    w->arg_count += count;
    w->time_count = 0;
    writer_clear(&w->group, 2);
    rewrite_give(w, "HPEXPIREAT", NULL, true);
}

/* What has been gathered, as one command. */
static void flush(struct rewrite *w)
{
    if (w->arg_count > 0)
        rewrite_give(w, verb_of(w), NULL, w->decode.type->kind != RDB_LIST);
    give_time(w);
}

static void flush_if_full(struct rewrite *w)
{
    if (w->args.len >= REWRITE_BYTES || w->arg_count >= REWRITE_ELEMENTS)
        flush(w);
}

/* --- elements ------------------------------------------------------------------------------ */

static void flush_string(struct rewrite *w)
{
    rewrite_arg(w, writer_span(&w->group)); /* which a string has no other use for */
    writer_clear(&w->group, 2);
    bool first = w->commands == 0;
    rewrite_give(w, first ? "SET" : "APPEND", NULL, first);
}

static bool on_bytes(struct rewrite *w, struct span bytes)
{
    write_raw(&w->group, bytes);
    if (w->group.len >= REWRITE_BYTES)
        flush_string(w);
    return true;
}

static bool on_scored(struct rewrite *w, const struct rdb_item *item)
{
    char digits[40];
    int n = snprintf(digits, sizeof(digits), "%.17g", item->score);
    rewrite_arg(w, (struct span){ digits, (size_t)n });
    rewrite_arg(w, item->name);
    flush_if_full(w);
    return true;
}

static bool on_field(struct rewrite *w, const struct rdb_item *item)
{
    bool timed = item->expire_at >= 0 && w->facts->field_times;
    w->field_times_lost += item->expire_at >= 0 && !timed;
    int64_t at = item->expire_at;
    if (timed && w->field_time != NULL)
        at = w->field_time(w->context, item->name, at);
    if (timed && at != w->time)
        flush(w);
    rewrite_arg(w, item->name);
    rewrite_arg(w, item->value);
    if (timed) {
        w->time = at;
        w->time_count++;
        write_bulk(&w->group, item->name);
    }
    flush_if_full(w);
    return true;
}

static bool on_item(void *context, const struct rdb_item *item)
{
    struct rewrite *w = context;
    switch (item->part) {
    case RDB_PART_BYTES:
        return on_bytes(w, item->name);
    case RDB_PART_MEMBER:
        rewrite_arg(w, item->name);
        flush_if_full(w);
        return true;
    case RDB_PART_SCORED:
        return on_scored(w, item);
    case RDB_PART_FIELD:
        return on_field(w, item);
    default:
        return rewrite_stream_item(w, item);
    }
}

/* --- life ---------------------------------------------------------------------------------- */

bool rewrite_open(struct rewrite *w, const struct rdb_type *type, struct span key,
                  const struct target_facts *facts, rewrite_fn *out, void *context)
{
    *w = (struct rewrite){ .facts = facts, .key = key, .out = out, .context = context };
    w->args.protocol = w->command.protocol = w->group.protocol = w->consumer.protocol = 2;
    if (type->kind == RDB_MODULE)
        return fail(w, "a module's value cannot be taken apart");
    rdb_decode_open(&w->decode, type, on_item, w);
    if (type->kind == RDB_STREAM && !facts->streams)
        return fail(w, "the target is too old for streams");
    return true;
}

void rewrite_close(struct rewrite *w)
{
    if (w->decode.type != NULL)
        rdb_decode_close(&w->decode);
    writer_close(&w->args);
    writer_close(&w->command);
    writer_close(&w->group);
    writer_close(&w->consumer);
    free(w->pending);
    w->pending = NULL;
}

bool rewrite_take(struct rewrite *w, struct span bytes)
{
    if (w->error == NULL && !rdb_decode_take(&w->decode, bytes))
        fail(w, "the value is damaged");
    return w->error == NULL;
}

bool rewrite_end(struct rewrite *w)
{
    if (w->error == NULL && !w->decode.done)
        fail(w, "the value is damaged");
    if (w->error != NULL)
        return false;
    if (w->decode.type->kind != RDB_STRING)
        flush(w);
    else if (w->group.len > 0 || w->commands == 0)
        flush_string(w);
    return true;
}
