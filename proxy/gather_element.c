/*
 * Commands over several slots that do not need whole values: SMOVE, LMOVE and RPOPLPUSH carry one
 * element, MSETNX writes several keys, LMPOP and ZMPOP take from the first key that has something.
 * As in gather_move.c, an element is written in its new place before it leaves the old one.
 */
#include <stdlib.h>

#include <uthash.h>

#include "cluster/keys.h"
#include "cluster/keyslot.h"
#include "proxy/gather.h"
#include "proxy/op.h"

enum { RACE_TRIES = 100 };

struct carry {
    struct op op;
    struct span from, to, member;
    char *element; /* LMOVE: what is on its way */
    size_t element_len;
    uint16_t from_slot, to_slot;
    bool pop_left, push_left;
    bool added; /* SMOVE: the member was new there */
    uint32_t tries;
    uint32_t key, keys; /* MPOP: argument of the key that is tried, and how many are left */
    uint32_t *pairs;    /* MSETNX: arguments of its keys, of which there are `keys` */
};

static struct carry *carry_of(struct op *op)
{
    return CONTAINER_OF(op, struct carry, op);
}

static void free_carry(struct op *op)
{
    struct carry *m = carry_of(op);
    free(m->element);
    free(m->pairs);
    free(m);
}

static struct carry *start(struct client *c, const struct command *cmd, const struct argv *argv,
                           op_step *first)
{
    struct carry *m = calloc(1, sizeof(*m));
    REQUIRE(m != NULL);
    op_start(&m->op, c, cmd, argv, first, free_carry);
    return m;
}

/* From the key at argument 1 to the one at argument 2. */
static struct carry *start_carry(struct client *c, const struct command *cmd,
                                 const struct argv *argv, op_step *first)
{
    struct carry *m = start(c, cmd, argv, first);
    m->from = argv_get(&m->op.argv, 1);
    m->to = argv_get(&m->op.argv, 2);
    m->from_slot = keyslot_of(m->from);
    m->to_slot = keyslot_of(m->to);
    return m;
}

static void answer(struct op *op, struct span reply)
{
    op_answer(op, reply);
    op_end(op);
}

static void answer_null(struct op *op)
{
    answer(op, op->flow.protocol == 3 ? SPAN("_\r\n") : SPAN("$-1\r\n"));
}

static void syntax_error(struct op *op)
{
    answer(op, SPAN("-ERR syntax error\r\n"));
}

/* --- SMOVE and LMOVE look at both keys first -------------------------------------------------- */

/* As Redis: without a source nothing else matters, then both have to be of the kind. The replies
   are TYPE of the source, the element in it, TYPE of the destination. True: go on. */
static bool types_fit(struct op *op, const char *kind)
{
    struct value from = op_value(op, 0), to = op_value(op, 2);
    if (op_reply_failed(op, 0) || op_reply_failed(op, 2)) {
        op_fail(op, op_reply(op, op_reply_failed(op, 0) ? 0 : 2));
        return false;
    }
    if (span_is(from.text, "none"))
        return true;
    bool fit = span_is(from.text, kind) && (span_is(to.text, "none") || span_is(to.text, kind));
    if (!fit)
        answer(op, SPAN("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"));
    else if (op_reply_failed(op, 1))
        op_fail(op, op_reply(op, 1));
    return fit && !op_reply_failed(op, 1);
}

static bool is_missing(struct op *op)
{
    return span_is(op_value(op, 0).text, "none");
}

/* --- SMOVE ------------------------------------------------------------------------------------ */

static void smove_undone(struct op *op)
{
    answer(op, SPAN(":0\r\n"));
}

static void smove_removed(struct op *op)
{
    struct carry *m = carry_of(op);
    if (op_integer(op, 0) != 0 || !m->added) {
        answer(op, op_integer(op, 0) != 0 ? SPAN(":1\r\n") : SPAN(":0\r\n"));
        return;
    }
    /* Somebody else took it away meanwhile. */
    OP_SEND(op, m->to_slot, SPAN("srem"), m->to, m->member);
    op_then(op, smove_undone);
}

static void smove_added(struct op *op)
{
    struct carry *m = carry_of(op);
    m->added = op_integer(op, 0) == 1;
    OP_SEND(op, m->from_slot, SPAN("srem"), m->from, m->member);
    op_then(op, smove_removed);
}

static void smove_looked(struct op *op)
{
    struct carry *m = carry_of(op);
    if (!types_fit(op, "set"))
        return;
    if (is_missing(op) || op_integer(op, 1) != 1) {
        answer(op, SPAN(":0\r\n"));
        return;
    }
    OP_SEND(op, m->to_slot, SPAN("sadd"), m->to, m->member);
    op_then(op, smove_added);
}

static void smove_look(struct op *op)
{
    struct carry *m = carry_of(op);
    OP_SEND(op, m->from_slot, SPAN("type"), m->from);
    OP_SEND(op, m->from_slot, SPAN("sismember"), m->from, m->member);
    OP_SEND(op, m->to_slot, SPAN("type"), m->to);
    op_tolerate(op);
    op_then(op, smove_looked);
}

void element_smove(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct carry *m = start_carry(c, cmd, argv, smove_look);
    m->member = argv_get(&m->op.argv, 3);
}

/* --- LMOVE, RPOPLPUSH ------------------------------------------------------------------------- */

/* Takes the element from that end only if it is still there: ARGV is the index, what should be
   there, and the command that pops it. */
static const char pop_script[] = "if redis.call('LINDEX',KEYS[1],ARGV[1])~=ARGV[2] then return 0 "
                                 "end redis.call(ARGV[3],KEYS[1]) return 1";

static void lmove_look(struct op *op);

static void lmove_again(struct op *op)
{
    struct carry *m = carry_of(op);
    if (m->tries++ < RACE_TRIES)
        lmove_look(op);
    else
        op_fail(op, SPAN("-ERR slotgate: the list changes too fast to move an element to another "
                         "slot\r\n"));
}

static void lmove_popped(struct op *op)
{
    struct carry *m = carry_of(op);
    if (op_integer(op, 0) != 1) { /* somebody else took it: ours goes away again */
        OP_SEND(op, m->to_slot, SPAN("lrem"), m->to, m->push_left ? SPAN("1") : SPAN("-1"),
                (struct span){ m->element, m->element_len });
        op_then(op, lmove_again);
        return;
    }
    writer_clear(&op->out, 2);
    write_bulk(&op->out, (struct span){ m->element, m->element_len });
    answer(op, writer_span(&op->out));
}

static void lmove_pushed(struct op *op)
{
    struct carry *m = carry_of(op);
    OP_SEND(op, m->from_slot, SPAN("eval"), SPAN(pop_script), SPAN("1"), m->from,
            m->pop_left ? SPAN("0") : SPAN("-1"), (struct span){ m->element, m->element_len },
            m->pop_left ? SPAN("LPOP") : SPAN("RPOP"));
    op_then(op, lmove_popped);
}

static void lmove_looked(struct op *op)
{
    struct carry *m = carry_of(op);
    if (!types_fit(op, "list"))
        return;
    struct value element = op_value(op, 1);
    if (is_missing(op) || element.kind != VALUE_STRING) {
        answer_null(op);
        return;
    }
    free(m->element);
    m->element = malloc(element.text.len + 1);
    REQUIRE(m->element != NULL);
    memcpy(m->element, element.text.at, element.text.len);
    m->element_len = element.text.len;
    OP_SEND(op, m->to_slot, m->push_left ? SPAN("lpush") : SPAN("rpush"), m->to, element.text);
    op_then(op, lmove_pushed);
}

static void lmove_look(struct op *op)
{
    struct carry *m = carry_of(op);
    OP_SEND(op, m->from_slot, SPAN("type"), m->from);
    OP_SEND(op, m->from_slot, SPAN("lindex"), m->from, m->pop_left ? SPAN("0") : SPAN("-1"));
    OP_SEND(op, m->to_slot, SPAN("type"), m->to);
    op_tolerate(op);
    op_then(op, lmove_looked);
}

static bool read_end(struct span word, bool *left)
{
    *left = span_is(word, "left");
    return *left || span_is(word, "right");
}

void element_lmove(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct carry *m = start_carry(c, cmd, argv, lmove_look);
    m->push_left = true; /* RPOPLPUSH */
    if (argv->count == 5 &&
        (!read_end(argv_get(argv, 3), &m->pop_left) || !read_end(argv_get(argv, 4), &m->push_left)))
        op_then(&m->op, syntax_error);
}

/* --- MSETNX ----------------------------------------------------------------------------------- */

/* Of a key that is named twice the last value counts. */
struct pair {
    UT_hash_handle hh;
    uint32_t arg; /* of the key that was named last */
};

/* The keys' arguments in the order of their first mention, each key once. */
static void list_pairs(struct carry *m)
{
    const struct argv *argv = &m->op.argv;
    struct pair *room = calloc(argv->count / 2, sizeof(*room)), *table = NULL, *known;
    m->pairs = calloc(argv->count / 2, sizeof(m->pairs[0]));
    REQUIRE(room != NULL && m->pairs != NULL);
    for (uint32_t i = 1; i + 1 < argv->count; i += 2) {
        struct span key = argv_get(argv, i);
        HASH_FIND(hh, table, key.at, key.len, known);
        if (known == NULL) {
            known = &room[m->keys++];
            HASH_ADD_KEYPTR(hh, table, key.at, key.len, known);
        }
        known->arg = i;
    }
    HASH_CLEAR(hh, table);
    for (uint32_t i = 0; i < m->keys; i++)
        m->pairs[i] = room[i].arg;
    free(room);
}

static void msetnx_undone(struct op *op)
{
    answer(op, SPAN(":0\r\n"));
}

/* A key of which somebody else made something meanwhile is not ours to take away. */
static const char unset_script[] = "if redis.pcall('GET',KEYS[1])==ARGV[1] then "
                                   "return redis.call('UNLINK',KEYS[1]) end return 0";

/* Somebody else made one of the keys after we had looked: ours go away again. */
static void msetnx_set(struct op *op)
{
    struct carry *m = carry_of(op);
    uint32_t there = 0;
    for (uint32_t i = 0; i < op->count; i++)
        there += op_value(op, i).kind == VALUE_STRING;
    if (there == m->keys) {
        answer(op, SPAN(":1\r\n"));
        return;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        struct span key = argv_get(&op->argv, m->pairs[i]);
        if (op_value(op, i).kind == VALUE_STRING)
            OP_SEND(op, keyslot_of(key), SPAN("eval"), SPAN(unset_script), SPAN("1"), key,
                    argv_get(&op->argv, m->pairs[i] + 1));
    }
    op_then(op, msetnx_undone);
}

static void msetnx_looked(struct op *op)
{
    struct carry *m = carry_of(op);
    for (uint32_t i = 0; i < op->count; i++) {
        if (op_integer(op, i) != 0) {
            answer(op, SPAN(":0\r\n"));
            return;
        }
    }
    for (uint32_t i = 0; i < m->keys; i++) {
        struct span key = argv_get(&op->argv, m->pairs[i]);
        OP_SEND(op, keyslot_of(key), SPAN("set"), key, argv_get(&op->argv, m->pairs[i] + 1),
                SPAN("NX"));
    }
    op_then(op, msetnx_set);
}

static void msetnx_look(struct op *op)
{
    struct carry *m = carry_of(op);
    if (op->argv.count % 2 == 0) {
        answer(op, SPAN("-ERR wrong number of arguments for 'msetnx' command\r\n"));
        return;
    }
    list_pairs(m);
    for (uint32_t i = 0; i < m->keys; i++) {
        struct span key = argv_get(&op->argv, m->pairs[i]);
        OP_SEND(op, keyslot_of(key), SPAN("exists"), key);
    }
    op_then(op, msetnx_looked);
}

void element_msetnx(struct client *c, const struct command *cmd, const struct argv *argv)
{
    start(c, cmd, argv, msetnx_look);
}

/* --- LMPOP, ZMPOP ----------------------------------------------------------------------------- */

/* numkeys key ... becomes 1 key, with what stands behind the keys. */
static void mpop_try(struct op *op);

static void mpop_tried(struct op *op)
{
    struct carry *m = carry_of(op);
    if (op_value(op, 0).kind != VALUE_NULL || m->keys == 0)
        answer(op, op_reply(op, 0));
    else
        mpop_try(op);
}

static void mpop_try(struct op *op)
{
    struct carry *m = carry_of(op);
    struct span key = argv_get(&op->argv, m->key);
    uint32_t behind = m->key + m->keys;
    if (behind >= op->argv.count) {
        syntax_error(op);
        return;
    }
    writer_clear(&op->out, 2);
    write_array(&op->out, 3 + (op->argv.count - behind));
    write_bulk(&op->out, argv_get(&op->argv, 0));
    write_bulk(&op->out, SPAN("1"));
    write_bulk(&op->out, key);
    for (uint32_t i = behind; i < op->argv.count; i++)
        write_bulk(&op->out, argv_get(&op->argv, i));
    m->key++;
    m->keys--;
    op_send_out(op, op->cmd, keyslot_of(key));
    op_then(op, mpop_tried);
}

void element_mpop(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct carry *m = start(c, cmd, argv, mpop_try);
    struct key_walk w;
    for (int rc = key_walk_start(&w, cmd, argv); rc > 0; rc = key_walk_next(&w))
        m->keys++;
    m->key = 2;
}
