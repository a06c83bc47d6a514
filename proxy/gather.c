/*
 * The engine behind most commands with keys in several slots.
 *
 * Home is the slot of the key that the command writes, or else of its first key. Every other key is
 * copied there under a temporary name, then the command runs on these names:
 *
 *   fetch    DUMP of every key that is not at home                     (side by side)
 *   bring    RESTORE at home, with a time to live
 *   run      the command with temporary names, and UNLINK of these     (one write)
 *
 * Errors are the command's own, at home: a key of the wrong type is copied like any other, and one
 * that is missing stays missing. A script may also change its keys, so it goes on after `run`:
 *
 *   run      the script, then DUMP of every temporary key
 *   compare  what has changed is restored in its own place, with the time to live that it had
 *   leave    what is gone is unlinked there, and so are the temporary keys
 *
 * A crash in between leaves temporary keys that expire, and for a script its effects on home alone.
 */
#include "proxy/gather.h"

#include <stdlib.h>

#include "base/text.h"
#include "cluster/keys.h"
#include "cluster/keyslot.h"
#include "proxy/op.h"
#include "proxy/temp_names.h"
#include "proxy/worker.h"

enum { TEMP_TTL_MIN_MS = 60 * 1000, FINGERPRINT_LEN = 8 };

static const uint32_t none = UINT32_MAX;

/* Enough to tell two values of one key apart: a DUMP ends with a checksum of all before it. */
struct fingerprint {
    size_t len;
    char sum[FINGERPRINT_LEN];
};

/* A key that is not at home; one that is named twice is here once. */
struct far_key {
    struct span name;
    uint16_t slot;
    bool there;               /* exists under its temporary name */
    int64_t expires;          /* scripts: PEXPIRETIME in its own place */
    int64_t temp_expires;     /* and of the copy */
    struct fingerprint print; /* of the copy */
};

struct gather {
    struct op op;
    bool script;
    uint16_t home;
    uint32_t count, brought;
    struct far_key *keys;
    uint32_t *key_of_arg; /* per argument: which far key it names, or none */
};

static struct gather *gather_of(struct op *op)
{
    return CONTAINER_OF(op, struct gather, op);
}

static struct span temp_name(struct gather *g, uint32_t n, char out[OP_TEMP_NAME_MAX])
{
    return op_temp_name(&g->op, g->home, n, out);
}

/* Long enough that no copy expires under a command that is retried to its deadline. */
static struct span temp_ttl(const struct gather *g, char out[TEXT_NUMBER_MAX])
{
    uint64_t ttl = 4 * g->op.worker->config.request_timeout;
    return (struct span){ out, text_from_u64(out, ttl > TEMP_TTL_MIN_MS ? ttl : TEMP_TTL_MIN_MS) };
}

/* --- which keys are where --------------------------------------------------------------------- */

/* The key that is written stays where it is; without one, the first. */
static uint16_t choose_home(const struct command *cmd, const struct argv *argv)
{
    struct key_walk w;
    int slot = -1;
    for (int rc = key_walk_start(&w, cmd, argv); rc > 0; rc = key_walk_next(&w)) {
        bool written = (w.key.flags & (KEY_OW | KEY_UPDATE | KEY_INSERT)) != 0;
        if (slot < 0 || written)
            slot = keyslot_of(argv_get(argv, w.key.arg));
        if (written)
            break;
    }
    REQUIRE(slot >= 0);
    return (uint16_t)slot;
}

static uint32_t hash_of(struct span s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 16777619u;
    return h;
}

/* The far key of that name; a new one when it was not named before. */
static uint32_t far_key(struct gather *g, uint32_t *hash, uint32_t mask, struct span name,
                        uint16_t slot)
{
    uint32_t i = hash_of(name) & mask;
    for (; hash[i] != none; i = (i + 1) & mask)
        if (span_equal(g->keys[hash[i]].name, name))
            return hash[i];
    g->keys[g->count] = (struct far_key){ .name = name, .slot = slot, .expires = -1 };
    hash[i] = g->count;
    return g->count++;
}

static void find_far_keys(struct gather *g)
{
    const struct argv *argv = &g->op.argv;
    uint32_t size = 4;
    while (size < 2 * argv->count)
        size *= 2;
    uint32_t *hash = malloc(size * sizeof(hash[0]));
    g->keys = malloc(argv->count * sizeof(g->keys[0]));
    g->key_of_arg = malloc(argv->count * sizeof(g->key_of_arg[0]));
    REQUIRE(hash != NULL && g->keys != NULL && g->key_of_arg != NULL);
    memset(hash, 0xff, size * sizeof(hash[0]));
    memset(g->key_of_arg, 0xff, argv->count * sizeof(g->key_of_arg[0]));
    struct key_walk w;
    for (int rc = key_walk_start(&w, g->op.cmd, argv); rc > 0; rc = key_walk_next(&w)) {
        struct span name = argv_get(argv, w.key.arg);
        uint16_t slot = keyslot_of(name);
        if (slot != g->home)
            g->key_of_arg[w.key.arg] = far_key(g, hash, size - 1, name, slot);
    }
    free(hash);
}

/* --- cleaning up ------------------------------------------------------------------------------ */

/* Scripts have one more temporary key, the last to be written: as long as it is there, those before
   it have not been lost in a failover. */
static uint32_t temp_count(const struct gather *g)
{
    return g->count + (g->script ? 1 : 0);
}

static void unlink_temps(struct gather *g)
{
    char name[OP_TEMP_NAME_MAX];
    struct op *op = &g->op;
    writer_clear(&op->out, 2);
    write_array(&op->out, 1 + (size_t)temp_count(g));
    write_bulk(&op->out, SPAN("UNLINK"));
    for (uint32_t i = 0; i < temp_count(g); i++)
        write_bulk(&op->out, temp_name(g, i, name));
    op_send_out(op, command_find(op->worker->commands, SPAN("unlink")), g->home);
}

static void clean(struct op *op)
{
    unlink_temps(gather_of(op));
    op_tolerate(op);
    op_then(op, op_end);
}

static void fail_lost(struct op *op)
{
    op_fail(op, SPAN("-ERR slotgate: temporary keys were lost while the command ran; it may have "
                     "been executed in part\r\n"));
}

/* --- fetch, bring ----------------------------------------------------------------------------- */

static struct fingerprint print_of(struct span dump)
{
    struct fingerprint f = { .len = dump.len };
    if (dump.len >= FINGERPRINT_LEN)
        memcpy(f.sum, dump.at + dump.len - FINGERPRINT_LEN, FINGERPRINT_LEN);
    return f;
}

static bool same_print(const struct fingerprint *a, const struct fingerprint *b)
{
    return a->len == b->len && memcmp(a->sum, b->sum, FINGERPRINT_LEN) == 0;
}

static void bring(struct op *op);

static void fetch(struct op *op)
{
    struct gather *g = gather_of(op);
    op_measure(op);
    for (uint32_t i = 0; i < g->count; i++) {
        OP_SEND(op, g->keys[i].slot, SPAN("dump"), g->keys[i].name);
        if (g->script)
            OP_SEND(op, g->keys[i].slot, SPAN("pexpiretime"), g->keys[i].name);
    }
    op_then(op, bring);
}

static void run(struct op *op);
static void note_copies(struct op *op);

/* A script may look at the time to live, so a copy gets that of its key, to the millisecond. */
static void restore_copy(struct gather *g, uint32_t i, struct span dump)
{
    char name[OP_TEMP_NAME_MAX], number[TEXT_NUMBER_MAX];
    struct far_key *k = &g->keys[i];
    struct span temp = temp_name(g, i, name);
    if (k->expires < 0) {
        OP_SEND(&g->op, g->home, SPAN("restore"), temp, temp_ttl(g, number), dump, SPAN("REPLACE"));
        return;
    }
    struct span at = { number, text_from_i64(number, k->expires) };
    OP_SEND(&g->op, g->home, SPAN("restore"), temp, at, dump, SPAN("REPLACE"), SPAN("ABSTTL"));
}

static void mark_the_end(struct gather *g)
{
    char name[OP_TEMP_NAME_MAX], number[TEXT_NUMBER_MAX];
    OP_SEND(&g->op, g->home, SPAN("set"), temp_name(g, g->count, name), SPAN("1"), SPAN("PX"),
            temp_ttl(g, number));
}

static void bring(struct op *op)
{
    struct gather *g = gather_of(op);
    char name[OP_TEMP_NAME_MAX];
    uint32_t each = g->script ? 2 : 1;
    op->clean = clean;
    for (uint32_t i = 0; i < g->count; i++) {
        struct far_key *k = &g->keys[i];
        struct value dump = op_value(op, i * each);
        if (g->script)
            k->expires = op_integer(op, i * each + 1);
        k->there = dump.kind == VALUE_STRING && k->expires != -2;
        if (!k->there)
            continue;
        g->brought++;
        restore_copy(g, i, dump.text);
        if (!g->script)
            continue;
        OP_SEND(op, g->home, SPAN("dump"), temp_name(g, i, name));
        OP_SEND(op, g->home, SPAN("pexpiretime"), temp_name(g, i, name));
    }
    if (g->script)
        mark_the_end(g);
    op_then(op, g->script ? note_copies : run);
}

/* --- run -------------------------------------------------------------------------------------- */

static void send_rewritten(struct gather *g)
{
    char name[OP_TEMP_NAME_MAX];
    struct op *op = &g->op;
    writer_clear(&op->out, 2);
    write_array(&op->out, op->argv.count);
    for (uint32_t i = 0; i < op->argv.count; i++) {
        uint32_t k = g->key_of_arg[i];
        write_bulk(&op->out, k == none ? argv_get(&op->argv, i) : temp_name(g, k, name));
    }
    op_send_out(op, op->cmd, g->home);
}

static struct span true_name(const void *keys, uint32_t n)
{
    return ((const struct far_key *)keys)[n].name;
}

/* The command's reply; that of a script may name its keys. */
static void answer_by_first(struct gather *g)
{
    char name[OP_TEMP_NAME_MAX];
    struct span reply = op_reply(&g->op, 0), prefix = temp_name(g, 0, name);
    prefix.len -= TEMP_NUMBER_LEN;
    struct temp_names names = {
        .prefix = prefix, .name = true_name, .context = g->keys, .count = g->count
    };
    writer_clear(&g->op.out, 2);
    if (memmem(reply.at, reply.len, prefix.at, prefix.len) != NULL &&
        temp_names_replace(&names, reply, &g->op.out))
        reply = writer_span(&g->op.out);
    op_answer(&g->op, reply);
}

static void finish(struct op *op)
{
    struct gather *g = gather_of(op);
    bool lost = !op_reply_failed(op, 0) && g->brought > 0 && !op_reply_failed(op, 1) &&
                op_integer(op, 1) != g->brought;
    op->clean = NULL;
    answer_by_first(g);
    op_end(op);
    if (lost)
        fail_lost(op);
}

static void run(struct op *op)
{
    struct gather *g = gather_of(op);
    op_tolerate(op);
    send_rewritten(g);
    if (g->brought > 0)
        unlink_temps(g);
    op_then(op, finish);
}

/* --- scripts: home again ---------------------------------------------------------------------- */

static void compare(struct op *op);

static void run_script(struct gather *g)
{
    struct op *op = &g->op;
    char name[OP_TEMP_NAME_MAX], number[TEXT_NUMBER_MAX];
    op_tolerate(op);
    send_rewritten(g);
    for (uint32_t i = 0; i < g->count; i++) {
        struct span temp = temp_name(g, i, name);
        OP_SEND(op, g->home, SPAN("dump"), temp);
        OP_SEND(op, g->home, SPAN("pexpiretime"), temp);
        /* What the script made anew has no time to live yet. */
        OP_SEND(op, g->home, SPAN("pexpire"), temp, temp_ttl(g, number), SPAN("NX"));
    }
    OP_SEND(op, g->home, SPAN("exists"), temp_name(g, g->count, name));
    op_then(op, compare);
}

/* A copy is not the same bytes as its original: the order in a hash table may differ. */
static void note_copies(struct op *op)
{
    struct gather *g = gather_of(op);
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        struct far_key *k = &g->keys[i];
        if (!k->there)
            continue;
        k->print = print_of(op_value(op, n + 1).text);
        k->temp_expires = op_integer(op, n + 2);
        n += 3;
    }
    run_script(g);
}

static void leave(struct op *op);

static void restore_at_home(struct gather *g, const struct far_key *k, struct span dump, int64_t at)
{
    char number[TEXT_NUMBER_MAX];
    if (k->there && at == k->temp_expires)
        at = k->expires;
    struct span ttl = { number, text_from_i64(number, at < 0 ? 0 : at) };
    OP_SEND(&g->op, k->slot, SPAN("restore"), k->name, ttl, dump, SPAN("REPLACE"), SPAN("ABSTTL"));
}

/* Whether every reply about the copies is there and to be trusted. */
static bool copies_known(struct op *op, const struct gather *g)
{
    for (uint32_t i = 1; i < op->count; i++) {
        if (!op_reply_failed(op, i))
            continue;
        op_fail(op, op_reply(op, op_reply_failed(op, 0) ? 0 : i));
        return false;
    }
    if (op_integer(op, 1 + 3 * g->count) == 1)
        return true;
    fail_lost(op);
    return false;
}

/* The script's error is its answer, but what it wrote before stays, as in Redis. */
static void compare(struct op *op)
{
    struct gather *g = gather_of(op);
    if (!copies_known(op, g))
        return;
    answer_by_first(g);
    for (uint32_t i = 0; i < g->count; i++) {
        struct far_key *k = &g->keys[i];
        struct value dump = op_value(op, 1 + 3 * i);
        int64_t at = op_integer(op, 2 + 3 * i);
        if (dump.kind != VALUE_STRING)
            continue;
        struct fingerprint now = print_of(dump.text);
        if (!k->there || at != k->temp_expires || !same_print(&now, &k->print))
            restore_at_home(g, k, dump.text, at);
        k->there = false; /* nothing more to do about it */
    }
    op_then(op, leave);
}

static void leave(struct op *op)
{
    struct gather *g = gather_of(op);
    for (uint32_t i = 0; i < g->count; i++)
        if (g->keys[i].there)
            OP_SEND(op, g->keys[i].slot, SPAN("unlink"), g->keys[i].name);
    unlink_temps(g);
    op->clean = NULL;
    op_then(op, op_end);
}

/* --- the way in ------------------------------------------------------------------------------- */

static void free_gather(struct op *op)
{
    struct gather *g = gather_of(op);
    free(g->keys);
    free(g->key_of_arg);
    free(g);
}

static void start(struct client *c, const struct command *cmd, const struct argv *argv, bool script)
{
    struct gather *g = calloc(1, sizeof(*g));
    REQUIRE(g != NULL);
    g->script = script;
    op_start(&g->op, c, cmd, argv, fetch, free_gather);
    g->home = choose_home(cmd, &g->op.argv);
    find_far_keys(g);
}

static void gather_script(struct client *c, const struct command *cmd, const struct argv *argv)
{
    start(c, cmd, argv, true);
}

static const struct {
    const char *name;
    gather_way *begin;
} ways[] = {
    { "copy", move_copy },          { "eval", gather_script },  { "evalsha", gather_script },
    { "fcall", gather_script },     { "lmove", element_lmove }, { "lmpop", element_mpop },
    { "msetnx", element_msetnx },   { "rename", move_rename },  { "renamenx", move_renamenx },
    { "rpoplpush", element_lmove }, { "smove", element_smove }, { "zmpop", element_mpop },
};

bool gather(struct client *c, const struct command *cmd, const struct argv *argv)
{
    if (!op_may_start(c))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        if (strcmp(ways[i].name, cmd->name) == 0) {
            ways[i].begin(c, cmd, argv);
            return true;
        }
    }
    start(c, cmd, argv, false);
    return true;
}
