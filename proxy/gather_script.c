/*
 * A script whose keys lie in several slots. It may change any of them, so it runs on copies of all,
 * those of its home slot too, and what it has changed is written afterwards:
 *
 *   begin    until no other such script of this worker has a key in one of these slots
 *   fetch    DUMP and time to live of every key
 *   bring    RESTORE at home under temporary names; DUMP of the copies, to know them again
 *   run      PERSIST of copies whose keys live for ever, the script, DUMP of the copies (one write)
 *   check    whether every key is still what was fetched, otherwise all again from fetch; and how
 *            many elements there were and are
 *   write    what has grown, then what has kept its size, then what has shrunk or is gone
 *
 * Until `write` nothing has been changed, so a crash costs nothing but copies that expire. What a
 * script moves from key to key makes one larger before it makes another smaller: a crash in between
 * leaves it in both. Each write takes place only if the key still is what was fetched, so no
 * other client's write is undone. The client gets its reply when all is written.
 */
#include <stdlib.h>

#include "proxy/gather.h"
#include "proxy/gather_keys.h"
#include "proxy/script_slots.h"
#include "proxy/value_count.h"
#include "proxy/worker.h"

enum { SUM_LEN = 8, CHANGED_TRIES = 50 };

/* Ends a DUMP: enough to tell two values of one key apart. Empty: there is no key. */
struct sum {
    char bytes[SUM_LEN];
    size_t len, size; /* of these; of the whole */
    char type;        /* what the DUMP begins with */
};

/* In the order in which they are written. The size is the number of elements, or for types that we
   do not know, and when the type is another one now, the length of the DUMP. */
enum change { CHANGE_NONE, CHANGE_GROWN, CHANGE_SAME_SIZE, CHANGE_SHRUNK };

struct script_key {
    int64_t expires;      /* PEXPIRETIME in its own place */
    int64_t copy_expires; /* and of the copy */
    struct sum was, copy;
    enum change change;
    bool gone;
    size_t at, len;     /* the new value in script->values */
    struct span counts; /* the command for the number of elements; len 0: none */
    int64_t becomes;    /* its new PEXPIRETIME */
};

struct script {
    struct gather g;
    struct script_key *keys; /* one for each of g.keys */
    struct writer values;
    uint64_t waits_until; /* ms of loop time */
    uint32_t tries;
    bool persists; /* copies of keys that live for ever do so, too, while the script runs */
    bool healed;   /* the home node lacked the script, and has been given it */
    bool wrote;    /* a key has been changed */
    bool holds;    /* its slots in worker->script_slots */
};

static struct script *script_of(struct op *op)
{
    return CONTAINER_OF(gather_of(op), struct script, g);
}

/* One more temporary key, the last to be written: as long as it is there, those before it have not
   been lost in a failover. */
static uint32_t temp_count(const struct script *s)
{
    return s->g.count + 1;
}

static void clean(struct op *op)
{
    gather_unlink(gather_of(op), temp_count(script_of(op)));
    op_tolerate(op);
    op_then(op, op_end);
}

static struct sum sum_of(struct value dump)
{
    struct sum sum = { .len = 0 };
    if (dump.kind != VALUE_STRING || dump.text.len < SUM_LEN)
        return sum;
    sum.size = dump.text.len;
    sum.type = dump.text.at[0];
    sum.len = SUM_LEN;
    memcpy(sum.bytes, dump.text.at + dump.text.len - SUM_LEN, SUM_LEN);
    return sum;
}

static bool sum_equal(const struct sum *a, const struct sum *b)
{
    return a->size == b->size && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* --- begin, fetch, bring ---------------------------------------------------------------------- */

static void fetch(struct op *op);

static void begin(struct op *op)
{
    struct script *s = script_of(op);
    if (script_slots_take(op->worker, &s->g)) {
        s->holds = true;
        fetch(op);
    } else if (uv_now(&op->worker->loop) < s->waits_until) {
        script_slots_wait(op, begin);
    } else {
        op_fail(op, SPAN("-ERR slotgate: the keys of this script lie in several slots and were "
                         "busy with other scripts for too long\r\n"));
    }
}

static void bring(struct op *op);

static void fetch(struct op *op)
{
    struct gather *g = gather_of(op);
    op_measure(op);
    for (uint32_t i = 0; i < g->count; i++) {
        OP_SEND(op, g->keys[i].slot, SPAN("dump"), g->keys[i].name);
        OP_SEND(op, g->keys[i].slot, SPAN("pexpiretime"), g->keys[i].name);
    }
    op_then(op, bring);
}

/* A copy expires when its key does, or else some time after the command. */
static void restore_copy(struct script *s, uint32_t i, struct span dump)
{
    char name[OP_TEMP_NAME_MAX], number[TEXT_NUMBER_MAX];
    struct gather *g = &s->g;
    struct span temp = gather_name(g, i, name);
    if (s->keys[i].expires < 0) {
        OP_SEND(&g->op, g->home, SPAN("restore"), temp, gather_ttl(g, number), dump,
                SPAN("REPLACE"));
        return;
    }
    struct span at = { number, text_from_i64(number, s->keys[i].expires) };
    OP_SEND(&g->op, g->home, SPAN("restore"), temp, at, dump, SPAN("REPLACE"), SPAN("ABSTTL"));
}

static void mark_the_end(struct gather *g)
{
    char name[OP_TEMP_NAME_MAX], number[TEXT_NUMBER_MAX];
    OP_SEND(&g->op, g->home, SPAN("set"), gather_name(g, g->count, name), SPAN("1"), SPAN("PX"),
            gather_ttl(g, number));
}

static void note_copies(struct op *op);

static void bring(struct op *op)
{
    struct script *s = script_of(op);
    char name[OP_TEMP_NAME_MAX];
    op->clean = clean;
    for (uint32_t i = 0; i < s->g.count; i++) {
        struct value dump = op_value(op, 2 * i);
        struct script_key *k = &s->keys[i];
        *k = (struct script_key){ .was = sum_of(dump), .expires = op_integer(op, 2 * i + 1) };
        s->g.keys[i].there = k->was.len > 0 && k->expires != -2;
        if (!s->g.keys[i].there)
            continue;
        restore_copy(s, i, dump.text);
        OP_SEND(op, s->g.home, SPAN("dump"), gather_name(&s->g, i, name));
        OP_SEND(op, s->g.home, SPAN("pexpiretime"), gather_name(&s->g, i, name));
    }
    mark_the_end(&s->g);
    op_then(op, note_copies);
}

/* --- run -------------------------------------------------------------------------------------- */

/*
 * A script may ask for the time to live, so copies of keys that live for ever get none while it
 * runs. The commands here are one write, which the node reads in one go; one that takes a
 * connection of its own for its size might be torn from the others, and shall find no copy without
 * an end.
 */
static bool may_persist(const struct op *op)
{
    const struct arg *last = &op->argv.v[op->argv.count - 1];
    uint64_t names = (uint64_t)op->argv.count * OP_TEMP_NAME_MAX;
    return last->off + last->len + names < op->worker->router.options->bulk_min;
}

static bool persists(const struct script *s, uint32_t i)
{
    return s->persists && s->g.keys[i].there && s->keys[i].expires < 0;
}

static void compare(struct op *op);

static void run(struct op *op)
{
    struct script *s = script_of(op);
    struct gather *g = &s->g;
    char name[OP_TEMP_NAME_MAX], number[TEXT_NUMBER_MAX];
    op_tolerate(op);
    for (uint32_t i = 0; i < g->count; i++)
        if (persists(s, i))
            OP_SEND(op, g->home, SPAN("persist"), gather_name(g, i, name));
    gather_send(g);
    for (uint32_t i = 0; i < g->count; i++) {
        struct span temp = gather_name(g, i, name);
        OP_SEND(op, g->home, SPAN("dump"), temp);
        OP_SEND(op, g->home, SPAN("pexpiretime"), temp);
        OP_SEND(op, g->home, SPAN("pexpire"), temp, gather_ttl(g, number), SPAN("NX"));
    }
    OP_SEND(op, g->home, SPAN("exists"), gather_name(g, g->count, name));
    op_then(op, compare);
}

/* A copy is not the same bytes as its original: the order in a hash table may differ. */
static void note_copies(struct op *op)
{
    struct script *s = script_of(op);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->g.count; i++) {
        if (!s->g.keys[i].there)
            continue;
        s->keys[i].copy = sum_of(op_value(op, n + 1));
        s->keys[i].copy_expires = op_integer(op, n + 2);
        n += 3;
    }
    run(op);
}

/* --- what has changed ------------------------------------------------------------------------- */

/* Whether every reply about the copies is there and to be trusted. */
static bool copies_known(struct op *op, uint32_t script_reply)
{
    for (uint32_t i = 0; i < op->count; i++) {
        if (i == script_reply || !op_reply_failed(op, i))
            continue;
        op_fail(op, op_reply(op, op_reply_failed(op, script_reply) ? script_reply : i));
        return false;
    }
    if (op_integer(op, op->count - 1) == 1)
        return true;
    op_fail(op, SPAN("-ERR slotgate: temporary keys were lost while the script ran; it has changed "
                     "nothing\r\n"));
    return false;
}

static enum change change_of(const struct script *s, uint32_t i, const struct sum *now)
{
    const struct script_key *k = &s->keys[i];
    bool there = s->g.keys[i].there;
    if (!there)
        return now->len == 0 ? CHANGE_NONE : CHANGE_GROWN;
    if (now->len == 0)
        return CHANGE_SHRUNK;
    if (sum_equal(now, &k->copy) && k->becomes == k->expires)
        return CHANGE_NONE;
    if (now->size == k->copy.size)
        return CHANGE_SAME_SIZE;
    return now->size > k->copy.size ? CHANGE_GROWN : CHANGE_SHRUNK;
}

/* Keeps the new value, which outlives this step. */
static void note_change(struct script *s, uint32_t i, struct value dump, int64_t expires)
{
    struct script_key *k = &s->keys[i];
    struct sum now = sum_of(dump);
    bool as_restored = s->g.keys[i].there && !persists(s, i) && expires == k->copy_expires;
    k->becomes = as_restored ? k->expires : expires;
    k->gone = now.len == 0;
    k->change = change_of(s, i, &now);
    if (k->change == CHANGE_NONE || k->gone)
        return;
    struct span count_was = value_count_command(k->was.type);
    k->counts = value_count_command(now.type);
    if (!s->g.keys[i].there || !span_equal(k->counts, count_was))
        k->counts.len = 0;
    k->at = s->values.len;
    k->len = dump.text.len;
    write_raw(&s->values, dump.text);
}

static bool note_changes(struct script *s, uint32_t first)
{
    bool any = false;
    writer_clear(&s->values, 2);
    for (uint32_t i = 0; i < s->g.count; i++) {
        note_change(s, i, op_value(&s->g.op, first + 3 * i),
                    op_integer(&s->g.op, first + 3 * i + 1));
        any = any || s->keys[i].change != CHANGE_NONE;
    }
    return any;
}

static void end_unchanged(struct op *op)
{
    op_tolerate(op);
    op_then(op, op_end);
}

static void check(struct op *op);

/* The script's error is its answer, but what it wrote before stays, as in Redis. */
static void compare(struct op *op)
{
    struct script *s = script_of(op);
    uint32_t at = op->count - 2 - 3 * s->g.count; /* behind the PERSISTs */
    if (!s->healed && scripts_heal(&op->worker->scripts, op->cmd, &op->argv, op_reply(op, at))) {
        s->healed = true; /* by now it has it */
        fetch(op);
        return;
    }
    if (!copies_known(op, at))
        return;
    gather_answer(&s->g, at);
    op->clean = NULL;
    if (note_changes(s, at + 1))
        check(op);
    else
        end_unchanged(op);
    gather_unlink(&s->g, temp_count(s));
}

/* --- check, write ----------------------------------------------------------------------------- */

/*
 * Only if KEYS[1] is what was fetched: ARGV is the sum, the PEXPIRETIME, and then nothing (only
 * look), UNLINK, or the new value and its PEXPIRETIME.
 */
static const char guard_script[] =
    "local d=redis.call('DUMP',KEYS[1]) "
    "if (d and string.sub(d,-8) or '')~=ARGV[1] then return 0 end "
    "if d and string.format('%.0f',redis.call('PEXPIRETIME',KEYS[1]))~=ARGV[2] then return 0 end "
    "if ARGV[3]=='UNLINK' then redis.call('UNLINK',KEYS[1]) "
    "elseif ARGV[3] then redis.call('RESTORE',KEYS[1],ARGV[4],ARGV[3],'REPLACE','ABSTTL') end "
    "return 1";

static void again(struct op *op)
{
    struct script *s = script_of(op);
    if (s->tries++ < CHANGED_TRIES)
        fetch(op);
    else
        op_fail(op, SPAN("-ERR slotgate: the keys of this script lie in several slots and change "
                         "too fast; it has changed nothing\r\n"));
}

static void write_next(struct op *op);

/* The counts stand behind the checks: of the key, of its copy. */
static void order_by_counts(struct script *s)
{
    uint32_t n = s->g.count;
    for (uint32_t i = 0; i < s->g.count; i++) {
        struct script_key *k = &s->keys[i];
        if (k->change == CHANGE_NONE || k->counts.len == 0)
            continue;
        int64_t was = op_integer(&s->g.op, n), is = op_integer(&s->g.op, n + 1);
        n += 2;
        if (was >= 0 && is >= 0)
            k->change = is > was ? CHANGE_GROWN : is < was ? CHANGE_SHRUNK : CHANGE_SAME_SIZE;
    }
}

static void checked(struct op *op)
{
    struct script *s = script_of(op);
    for (uint32_t i = 0; i < s->g.count; i++) {
        if (op_reply_failed(op, i)) {
            op_fail(op, op_reply(op, i));
            return;
        }
        if (op_integer(op, i) != 1) {
            again(op);
            return;
        }
    }
    order_by_counts(s);
    write_next(op);
}

static struct span expiry(const struct script_key *k, char out[TEXT_NUMBER_MAX])
{
    return (struct span){ out, text_from_i64(out, k->expires) };
}

static void check(struct op *op)
{
    struct script *s = script_of(op);
    char number[TEXT_NUMBER_MAX], name[OP_TEMP_NAME_MAX];
    for (uint32_t i = 0; i < s->g.count; i++) {
        const struct script_key *k = &s->keys[i];
        OP_SEND(op, s->g.keys[i].slot, SPAN("eval"), SPAN(guard_script), SPAN("1"),
                s->g.keys[i].name, (struct span){ k->was.bytes, k->was.len }, expiry(k, number));
    }
    for (uint32_t i = 0; i < s->g.count; i++) {
        const struct script_key *k = &s->keys[i];
        if (k->change == CHANGE_NONE || k->counts.len == 0)
            continue;
        OP_SEND(op, s->g.keys[i].slot, k->counts, s->g.keys[i].name);
        OP_SEND(op, s->g.home, k->counts, gather_name(&s->g, i, name));
    }
    op_tolerate(op);
    op_then(op, checked);
}

static void write_key(struct script *s, uint32_t i)
{
    const struct script_key *k = &s->keys[i];
    char was[TEXT_NUMBER_MAX], becomes[TEXT_NUMBER_MAX];
    struct span name = s->g.keys[i].name, sum = { k->was.bytes, k->was.len };
    struct span until = { becomes, text_from_i64(becomes, k->becomes < 0 ? 0 : k->becomes) };
    struct span value = { s->values.at + k->at, k->len };
    if (k->gone)
        OP_SEND(&s->g.op, s->g.keys[i].slot, SPAN("eval"), SPAN(guard_script), SPAN("1"), name, sum,
                expiry(k, was), SPAN("UNLINK"));
    else
        OP_SEND(&s->g.op, s->g.keys[i].slot, SPAN("eval"), SPAN(guard_script), SPAN("1"), name, sum,
                expiry(k, was), value, until);
}

static void written(struct op *op)
{
    struct script *s = script_of(op);
    bool all = true, any = s->wrote;
    for (uint32_t i = 0; i < op->count; i++) {
        if (op_reply_failed(op, i)) {
            op_fail(op, op_reply(op, i));
            return;
        }
        all = all && op_integer(op, i) == 1;
        any = any || op_integer(op, i) == 1;
    }
    s->wrote = any;
    if (all)
        write_next(op);
    else if (any)
        op_fail(op, SPAN("-ERR slotgate: another client changed a key while the results of this "
                         "script were written; it may have been executed in part\r\n"));
    else
        again(op);
}

/* The first write is alone: of two proxies that have come so far with the same keys it lets one
   through, and the other begins again. */
static void write_next(struct op *op)
{
    struct script *s = script_of(op);
    for (enum change size = CHANGE_GROWN; size <= CHANGE_SHRUNK && op->open == 0; size++) {
        for (uint32_t i = 0; i < s->g.count && (s->wrote || op->open == 0); i++) {
            if (s->keys[i].change != size)
                continue;
            write_key(s, i);
            s->keys[i].change = CHANGE_NONE;
        }
    }
    if (op->open == 0) {
        op_end(op);
        return;
    }
    op_tolerate(op);
    op_then(op, written);
}

/* --- the way in ------------------------------------------------------------------------------- */

static void free_script(struct op *op)
{
    struct script *s = script_of(op);
    if (s->holds)
        script_slots_give_back(op->worker, &s->g);
    gather_close(&s->g);
    writer_close(&s->values);
    free(s->keys);
    free(s);
}

void gather_script(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct script *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    writer_init(&s->values, 2);
    s->waits_until = uv_now(&c->worker->loop) + c->worker->config.request_timeout;
    gather_open(&s->g, c, cmd, argv, begin, free_script, true);
    s->keys = calloc(s->g.count, sizeof(s->keys[0]));
    REQUIRE(s->keys != NULL);
    s->persists = may_persist(&s->g.op);
}
