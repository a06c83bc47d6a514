#include "migrate/verify_check.h"

#include <stdlib.h>

#include "migrate/rdb_field_times.h"
#include "migrate/target_databases.h"
#include "resp/value.h"

enum { SOURCE, TARGET, SIDES };

struct verify_check {
    struct list_node link; /* in the list of all */
    uint16_t database;     /* the source's */
    verify_check_done *done;
    void *context;
    uint64_t tolerance;
    uint32_t pending;
    bool failed;
    struct writer key;
    struct writer dumps[SIDES], times[SIDES];
};

const char *verify_result_text(enum verify_result r)
{
    static const char *const texts[] = {
        [VERIFY_SAME] = "the same",
        [VERIFY_MISSING] = "the target lacks it",
        [VERIFY_EXTRA] = "the source lacks it",
        [VERIFY_CONTENT] = "the content differs",
        [VERIFY_TIME] = "the time to live differs",
        [VERIFY_FIELD_TIME] = "the time to live of a field differs",
        [VERIFY_UNKNOWN] = "it could not be compared",
    };
    return texts[r];
}

static void free_check(struct verify_check *c)
{
    list_remove(&c->link);
    for (int i = 0; i < SIDES; i++) {
        writer_close(&c->dumps[i]);
        writer_close(&c->times[i]);
    }
    writer_close(&c->key);
    free(c);
}

static bool read_value(const struct writer *reply, struct value *v)
{
    struct value_cursor cursor = { reply->at, reply->at + reply->len };
    return value_next(&cursor, v);
}

static enum verify_result compare_payloads(const struct verify_check *c, struct span a,
                                           struct span b)
{
    struct rdb_digest x, y;
    uint64_t apart;
    enum { TAIL = 10 }; /* version and checksum */
    if (a.len == b.len && a.len > TAIL && memcmp(a.at, b.at, a.len - TAIL) == 0)
        return VERIFY_SAME;
    if (!rdb_digest_of(&x, a) || !rdb_digest_of(&y, b))
        return VERIFY_UNKNOWN;
    if (x.a != y.a || x.b != y.b)
        return VERIFY_CONTENT;
    if (!rdb_field_times_apart(a, b, &apart))
        return VERIFY_UNKNOWN;
    return apart <= c->tolerance ? VERIFY_SAME : VERIFY_FIELD_TIME;
}

static enum verify_result compare_times(const struct verify_check *c, int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a == b ? VERIFY_SAME : VERIFY_TIME;
    uint64_t apart = a > b ? (uint64_t)(a - b) : (uint64_t)(b - a);
    return apart <= c->tolerance ? VERIFY_SAME : VERIFY_TIME;
}

static enum verify_result compare(const struct verify_check *c)
{
    struct value dumps[SIDES], times[SIDES];
    for (int i = 0; i < SIDES; i++) {
        bool known = !c->failed && read_value(&c->dumps[i], &dumps[i]) &&
                     read_value(&c->times[i], &times[i]) && times[i].kind == VALUE_INTEGER &&
                     (dumps[i].kind == VALUE_STRING || dumps[i].kind == VALUE_NULL);
        if (!known)
            return VERIFY_UNKNOWN;
    }
    bool at_source = dumps[SOURCE].kind == VALUE_STRING;
    bool at_target = dumps[TARGET].kind == VALUE_STRING;
    if (!at_source || !at_target)
        return at_source ? VERIFY_MISSING : at_target ? VERIFY_EXTRA : VERIFY_SAME;
    enum verify_result content = compare_payloads(c, dumps[SOURCE].text, dumps[TARGET].text);
    return content != VERIFY_SAME ? content
                                  : compare_times(c, times[SOURCE].number, times[TARGET].number);
}

static void on_answer(void *context, const struct target_call *call)
{
    struct verify_check *c = context;
    c->failed |= call->error[0] != '\0';
    if (--c->pending > 0)
        return;
    c->done(c->context, c->database, writer_span(&c->key), compare(c));
    free_check(c);
}

static void ask(struct verify_check *c, const struct verify_side *side, struct span name,
                struct writer *reply)
{
    struct writer w;
    writer_init(&w, 2);
    writer_init(reply, 2);
    write_array(&w, 2);
    write_bulk(&w, name);
    write_bulk(&w, side->key);
    c->pending++;
    target_use(side->server, side->database);
    target_ask(side->server, name, side->key, writer_span(&w), reply, on_answer, c);
    target_use(side->server, 0);
    writer_close(&w);
}

void verify_check_start(struct list_node *all, const struct verify_side *source,
                        const struct verify_side *target, uint64_t tolerance_ms,
                        verify_check_done *done, void *context)
{
    const struct verify_side *const sides[SIDES] = { source, target };
    struct verify_check *c = calloc(1, sizeof(*c));
    REQUIRE(c != NULL);
    *c = (struct verify_check){
        .database = source->database, .done = done, .context = context, .tolerance = tolerance_ms
    };
    list_append(all, &c->link);
    writer_init(&c->key, 2);
    write_raw(&c->key, source->key);
    for (int i = 0; i < SIDES; i++) {
        ask(c, sides[i], SPAN("DUMP"), &c->dumps[i]);
        ask(c, sides[i], SPAN("PTTL"), &c->times[i]);
    }
}

void verify_check_free_all(struct list_node *all)
{
    struct list_node *n, *safe;
    LIST_EACH (all, n, safe)
        free_check(LIST_ENTRY(n, struct verify_check, link));
}
