/*
 * SORT with patterns, sorted here: the elements are read, then what BY names for each of them, then
 * for those that LIMIT leaves what GET names. STORE writes the result in one step. Not atomic: what
 * others write meanwhile may be seen in part. Semantics as in Redis 7.0, sort.c.
 *
 *   read -> elements -> (fetch weights, BATCH at a time) -> sort, limit
 *        -> (fetch values, BATCH at a time) -> answer or store
 */
#include "proxy/gather_sort.h"

#include <stdlib.h>

#include "base/text.h"
#include "cluster/keyslot.h"
#include "proxy/gather_sort_private.h"
#include "proxy/worker.h"

enum { BATCH = 1024 };

static const struct kept_text none = { SIZE_MAX, 0 };

static struct sort *sort_of(struct op *op)
{
    return CONTAINER_OF(op, struct sort, op);
}

static void free_sort(struct op *op)
{
    struct sort *s = sort_of(op);
    writer_close(&s->room);
    free(s->get);
    free(s->items);
    free(s->values);
    free(s);
}

static void answer(struct op *op, struct span reply)
{
    op_answer(op, reply);
    op_end(op);
}

static struct kept_text keep(struct sort *s, struct span text)
{
    struct kept_text p = { s->room.len, text.len };
    write_raw(&s->room, text);
    return p;
}

/* --- patterns ------------------------------------------------------------------------------ */

static const char *star_of(struct span pattern)
{
    return pattern.len == 0 ? NULL : memchr(pattern.at, '*', pattern.len);
}

/* "prefix*postfix" or "prefix*postfix->field" with the element for the star. */
struct lookup {
    struct span prefix, postfix, field; /* field.at NULL: a string */
};

static bool read_pattern(struct span pattern, struct lookup *out)
{
    const char *star = star_of(pattern), *end = pattern.at + pattern.len;
    if (star == NULL)
        return false;
    const char *arrow = memmem(star + 1, (size_t)(end - star) - 1, "->", 2);
    bool has_field = arrow != NULL && arrow + 2 < end;
    const char *postfix_end = has_field ? arrow : end;
    *out = (struct lookup){ .prefix = { pattern.at, (size_t)(star - pattern.at) },
                            .postfix = { star + 1, (size_t)(postfix_end - star) - 1 } };
    if (has_field)
        out->field = (struct span){ arrow + 2, (size_t)(end - arrow) - 2 };
    return true;
}

static void send_lookup(struct sort *s, const struct lookup *l, struct span element)
{
    struct writer key;
    writer_init(&key, 2);
    write_raw(&key, l->prefix);
    write_raw(&key, element);
    write_raw(&key, l->postfix);
    uint16_t slot = keyslot_of(writer_span(&key));
    if (l->field.at != NULL)
        OP_SEND(&s->op, slot, SPAN("hget"), writer_span(&key), l->field);
    else
        OP_SEND(&s->op, slot, SPAN("get"), writer_span(&key));
    writer_close(&key);
}

/* --- the end ------------------------------------------------------------------------------- */

static uint64_t rows(const struct sort *s)
{
    return s->end >= s->start ? (uint64_t)(s->end - s->start) + 1 : 0;
}

static struct kept_text result(const struct sort *s, uint64_t row, uint32_t column)
{
    return s->gets > 0 ? s->values[row * s->gets + column]
                       : s->items[(uint64_t)s->start + row].element;
}

static void stored(struct op *op)
{
    struct sort *s = sort_of(op);
    uint64_t length = rows(s) * (s->gets > 0 ? s->gets : 1);
    struct writer w;
    writer_init(&w, op->flow.protocol);
    write_integer(&w, (long long)length);
    answer(op, writer_span(&w));
    writer_close(&w);
}

/* One script is one step for everybody else. */
static void store(struct sort *s)
{
    static const char script[] = "redis.call('DEL',KEYS[1]) "
                                 "for i=1,#ARGV do redis.call('RPUSH',KEYS[1],ARGV[i]) end";
    struct op *op = &s->op;
    uint32_t columns = s->gets > 0 ? s->gets : 1;
    writer_clear(&op->out, 2);
    write_array(&op->out, 4 + rows(s) * columns);
    write_bulk_text(&op->out, "EVAL");
    write_bulk_text(&op->out, script);
    write_bulk_text(&op->out, "1");
    write_bulk(&op->out, s->store);
    for (uint64_t row = 0; row < rows(s); row++)
        for (uint32_t i = 0; i < columns; i++)
            write_bulk(&op->out, sort_text(s, result(s, row, i)));
    op_send_out(op, command_find(op->worker->commands, SPAN("eval")), keyslot_of(s->store));
    op_then(op, stored);
}

static void finish(struct op *op)
{
    struct sort *s = sort_of(op);
    uint32_t columns = s->gets > 0 ? s->gets : 1;
    if (s->store.at != NULL) {
        store(s);
        return;
    }
    writer_clear(&op->answer, op->flow.protocol);
    write_array(&op->answer, rows(s) * columns);
    for (uint64_t row = 0; row < rows(s); row++) {
        for (uint32_t i = 0; i < columns; i++) {
            struct kept_text p = result(s, row, i);
            if (p.at == SIZE_MAX)
                write_null(&op->answer);
            else
                write_bulk(&op->answer, sort_text(s, p));
        }
    }
    op_end(op);
}

/* --- fetching ------------------------------------------------------------------------------ */

static bool too_much(struct sort *s)
{
    if (s->room.len <= s->op.worker->config.cross_slot_max_bytes)
        return false;
    op_fail(&s->op, SPAN("-ERR slotgate: the values that this command reads are larger than "
                         "cross-slot-max-bytes\r\n"));
    return true;
}

static struct item *item_of_fetch(struct sort *s, uint64_t n)
{
    return s->for_values ? &s->items[(uint64_t)s->start + n / s->gets] : &s->items[n];
}

static struct kept_text *target_of_fetch(struct sort *s, uint64_t n)
{
    return s->for_values ? &s->values[n] : &s->items[n].weight;
}

/* Fills what needs no node: "#" is the element, and without a star nothing is found. */
static bool fill_here(struct sort *s, uint64_t n, struct lookup *l)
{
    struct span pattern = s->for_values ? s->get[n % s->gets] : s->by;
    struct kept_text *target = target_of_fetch(s, n);
    *target = none;
    if (span_equal(pattern, SPAN("#"))) {
        *target = item_of_fetch(s, n)->element;
        return true;
    }
    return !read_pattern(pattern, l);
}

static void sort_and_limit(struct op *op);
static void fetch(struct op *op);

/* A key of another type counts as none; any other error is the client's. */
static bool take_values(struct sort *s)
{
    struct op *op = &s->op;
    uint32_t reply = 0;
    struct lookup l;
    for (uint64_t n = s->next; n < s->asked; n++) {
        if (fill_here(s, n, &l))
            continue;
        struct value v = op_value(op, reply);
        if (op_reply_failed(op, reply) &&
            !(v.text.len >= 9 && memcmp(v.text.at, "WRONGTYPE", 9) == 0)) {
            op_fail(op, op_reply(op, reply));
            return false;
        }
        if (v.kind == VALUE_STRING)
            *target_of_fetch(s, n) = keep(s, v.text);
        reply++;
    }
    return !too_much(s);
}

static void fetched(struct op *op)
{
    struct sort *s = sort_of(op);
    if (!take_values(s))
        return;
    s->next = s->asked;
    fetch(op);
}

static void fetch(struct op *op)
{
    struct sort *s = sort_of(op);
    struct lookup l;
    if (s->next == s->wanted) {
        op_then(op, s->for_values ? finish : sort_and_limit);
        return;
    }
    s->asked = s->wanted - s->next < BATCH ? s->wanted : s->next + BATCH;
    for (uint64_t n = s->next; n < s->asked; n++)
        if (!fill_here(s, n, &l))
            send_lookup(s, &l, sort_text(s, item_of_fetch(s, n)->element));
    op_measure(op);
    op_tolerate(op);
    op_then(op, fetched);
}

static void start_fetch(struct sort *s, bool for_values, uint64_t wanted)
{
    s->for_values = for_values;
    s->next = 0;
    s->wanted = wanted;
    fetch(&s->op);
}

/* --- the order ----------------------------------------------------------------------------- */

static void sort_and_limit(struct op *op)
{
    struct sort *s = sort_of(op);
    if (!s->as_it_is && !s->alpha && !sort_read_scores(s)) {
        answer(op, SPAN("-ERR One or more scores can't be converted into double\r\n"));
        return;
    }
    sort_items(s);
    if (s->gets == 0) {
        finish(op);
        return;
    }
    s->values = calloc(rows(s) * s->gets + 1, sizeof(s->values[0]));
    REQUIRE(s->values != NULL);
    start_fetch(s, true, rows(s) * s->gets);
}

/* --- reading ------------------------------------------------------------------------------- */

static void take_elements(struct op *op)
{
    struct sort *s = sort_of(op);
    struct span reply = op_reply(op, 0);
    struct value_cursor at = { reply.at, reply.at + reply.len };
    struct value v;
    if (!value_next(&at, &v) || v.kind != VALUE_LIST || v.count > reply.len) {
        answer(op, SPAN("-ERR slotgate: a node gave an odd reply\r\n"));
        return;
    }
    s->items = calloc(v.count + 1, sizeof(s->items[0]));
    REQUIRE(s->items != NULL);
    for (uint64_t n = v.count; s->count < n && value_next(&at, &v); s->count++)
        s->items[s->count].element = keep(s, v.text);
    bool weighs = s->by.at != NULL && !s->as_it_is;
    if (weighs)
        start_fetch(s, false, s->count);
    else
        sort_and_limit(op);
}

static void read_elements(struct op *op)
{
    struct sort *s = sort_of(op);
    struct span type = op_value(op, 0).text;
    s->is_set = span_is(type, "set");
    if (s->is_set && s->as_it_is && s->store.at != NULL) { /* a set has no order to store */
        s->as_it_is = false;
        s->alpha = true;
        s->by.at = NULL;
    }
    if (s->is_set)
        OP_SEND(op, s->slot, SPAN("smembers"), s->key);
    else if (span_is(type, "zset"))
        OP_SEND(op, s->slot, SPAN("zrange"), s->key, SPAN("0"), SPAN("-1"));
    else /* none is an empty list, and others give the error */
        OP_SEND(op, s->slot, SPAN("lrange"), s->key, SPAN("0"), SPAN("-1"));
    op_measure(op);
    op_then(op, take_elements);
}

static void ask_type(struct op *op)
{
    struct sort *s = sort_of(op);
    OP_SEND(op, s->slot, SPAN("type"), s->key);
    op_then(op, read_elements);
}

/* --- the request --------------------------------------------------------------------------- */

enum reading { READ_OK, READ_SYNTAX, READ_NUMBER };

/* One option with what follows it; gives how many arguments that is in `used`. */
static enum reading read_option(struct sort *s, uint32_t i, bool may_store, uint32_t *used)
{
    const struct argv *argv = &s->op.argv;
    struct span word = argv_get(argv, i);
    uint32_t left = argv->count - i - 1;
    *used = 1;
    if (span_is(word, "asc") || span_is(word, "desc")) {
        s->desc = span_is(word, "desc");
    } else if (span_is(word, "alpha")) {
        s->alpha = true;
    } else if (span_is(word, "limit") && left >= 2) {
        struct span from = argv_get(argv, i + 1), count = argv_get(argv, i + 2);
        *used = 3;
        if (!text_to_i64(from.at, from.len, &s->limit_start) ||
            !text_to_i64(count.at, count.len, &s->limit_count))
            return READ_NUMBER;
    } else if (may_store && span_is(word, "store") && left >= 1) {
        s->store = argv_get(argv, i + 1);
        *used = 2;
    } else if (span_is(word, "by") && left >= 1) {
        s->by = argv_get(argv, i + 1);
        s->as_it_is = s->as_it_is || star_of(s->by) == NULL;
        *used = 2;
    } else if (span_is(word, "get") && left >= 1) {
        s->get[s->gets++] = argv_get(argv, i + 1);
        *used = 2;
    } else {
        return READ_SYNTAX;
    }
    return READ_OK;
}

static void begin(struct op *op)
{
    struct sort *s = sort_of(op);
    bool may_store = strcmp(op->cmd->name, "sort") == 0;
    enum reading read = READ_OK;
    s->key = argv_get(&op->argv, 1);
    s->slot = keyslot_of(s->key);
    s->limit_count = -1;
    s->get = calloc(op->argv.count, sizeof(s->get[0]));
    REQUIRE(s->get != NULL);
    for (uint32_t i = 2, used; i < op->argv.count && read == READ_OK; i += used)
        read = read_option(s, i, may_store, &used);
    if (read == READ_SYNTAX)
        answer(op, SPAN("-ERR syntax error\r\n"));
    else if (read == READ_NUMBER)
        answer(op, SPAN("-ERR value is not an integer or out of range\r\n"));
    else
        ask_type(op);
}

bool sort_has_patterns(const struct command *cmd, const struct argv *argv)
{
    if (strncmp(cmd->name, "sort", 4) != 0)
        return false;
    for (uint32_t i = 2; i + 1 < argv->count; i++) {
        struct span word = argv_get(argv, i);
        if (span_is(word, "get") || (span_is(word, "by") && star_of(argv_get(argv, i + 1)) != NULL))
            return true;
        if (span_is(word, "by") || span_is(word, "store"))
            i++;
        else if (span_is(word, "limit"))
            i += 2;
    }
    return false;
}

bool sort_by_patterns(struct client *c, const struct command *cmd, const struct argv *argv)
{
    if (!op_may_start(c))
        return false;
    struct sort *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    writer_init(&s->room, 2);
    op_start(&s->op, c, cmd, argv, begin, free_sort);
    return true;
}
