/*
 * One attempt of BLPOP, BRPOP, BZPOPMIN, BZPOPMAX, BLMPOP or BZMPOP over several slots: the lengths
 * of all keys side by side, then a pop without waiting from the first that has something, and from
 * the next if somebody else was faster. See blocking_wide.h.
 */
#include <stdlib.h>

#include "cluster/keyslot.h"
#include "proxy/blocking_wide.h"
#include "proxy/op.h"
#include "proxy/worker.h"

struct pop {
    struct op op;
    uint32_t *keys; /* arguments that are keys; after the look, those that have something */
    uint32_t count, next;
    bool zset, waited;
    bool many; /* BLMPOP, BZMPOP */
    bool left; /* lists: from the head */
    bool max;  /* BZPOPMAX */
};

static struct pop *pop_of(struct op *op)
{
    return CONTAINER_OF(op, struct pop, op);
}

static void free_pop(struct op *op)
{
    struct pop *p = pop_of(op);
    free(p->keys);
    free(p);
}

static struct span key_at(struct pop *p)
{
    return argv_get(&p->op.argv, p->keys[p->next]);
}

/* --- what was taken for a client that has left meanwhile ----------------------------------- */

/* The elements of a reply: [key, [e, ...]], [key, [[m, s], ...]], [m, s] or e. */
static size_t read_elements(struct pop *p, struct value_cursor *c, struct value *out, size_t room)
{
    struct value v;
    size_t n = 0;
    for (int before = p->many ? 2 : 0; before > 0; before--)
        if (!value_next(c, &v))
            return 0;
    while (n < room && value_next(c, &v))
        if (v.kind == VALUE_STRING)
            out[n++] = v;
    return n;
}

/* Back to the end that it came from, in the order in which it stood. */
static void put_back(struct op *op)
{
    struct pop *p = pop_of(op);
    struct span reply = op_reply(op, 0);
    struct value_cursor c = { reply.at, reply.at + reply.len };
    size_t room = reply.len / 4 + 1; /* no element is shorter on the wire */
    struct value *v = calloc(room, sizeof(v[0]));
    REQUIRE(v != NULL);
    size_t n = read_elements(p, &c, v, room);
    const char *name = p->zset ? "zadd" : p->left ? "lpush" : "rpush";
    writer_clear(&op->out, 2);
    write_array(&op->out, 2 + n);
    write_bulk_text(&op->out, name);
    write_bulk(&op->out, key_at(p));
    for (size_t i = n; i > 0 && !p->zset; i--)
        write_bulk(&op->out, v[i - 1].text);
    for (size_t i = 0; i + 1 < n && p->zset; i += 2) {
        write_bulk(&op->out, v[i + 1].text);
        write_bulk(&op->out, v[i].text);
    }
    free(v);
    if (n == 0) {
        op_end(op);
        return;
    }
    op->worker->blocked.returned++;
    op_send_out(op, command_find(op->worker->commands, (struct span){ name, strlen(name) }),
                keyslot_of(key_at(p)));
    op_then(op, op_end);
}

/* --- taking ----------------------------------------------------------------------------------- */

static void pop_next(struct op *op);

static bool took_nothing(struct op *op)
{
    struct value v = op_value(op, 0);
    return v.kind == VALUE_NULL || (v.kind == VALUE_LIST && v.count == 0);
}

/* As the blocking command says it: the key before what the other one gave. */
static void answer_taken(struct op *op)
{
    struct pop *p = pop_of(op);
    struct span taken = op_reply(op, 0);
    if (p->many) {
        op_answer(op, taken);
        return;
    }
    writer_clear(&op->out, op->flow.protocol);
    write_array(&op->out, p->zset ? 3 : 2);
    write_bulk(&op->out, key_at(p));
    if (p->zset) { /* without the header of the pair */
        const char *nl = memchr(taken.at, '\n', taken.len);
        taken.len -= (size_t)(nl + 1 - taken.at);
        taken.at = nl + 1;
    }
    write_raw(&op->out, taken);
    op_answer(op, writer_span(&op->out));
}

static void popped(struct op *op)
{
    struct pop *p = pop_of(op);
    if (took_nothing(op)) {
        p->next++;
        pop_next(op);
        return;
    }
    if (op->client == NULL) {
        put_back(op);
        return;
    }
    answer_taken(op);
    op_end(op);
}

/* BLMPOP timeout n key ... LEFT COUNT 2 becomes LMPOP 1 key LEFT COUNT 2. */
static void write_many(struct pop *p, struct span key)
{
    struct op *op = &p->op;
    const struct argv *argv = &op->argv;
    uint32_t tail = argv->count;
    bool counted = span_is(argv_get(argv, tail - 2), "count");
    tail -= counted ? 3 : 1;
    write_array(&op->out, 3 + argv->count - tail);
    write_bulk_text(&op->out, p->zset ? "zmpop" : "lmpop");
    write_bulk_text(&op->out, "1");
    write_bulk(&op->out, key);
    for (uint32_t i = tail; i < argv->count; i++)
        write_bulk(&op->out, argv_get(argv, i));
}

static const char *pop_name(const struct pop *p)
{
    if (p->many)
        return p->zset ? "zmpop" : "lmpop";
    if (p->zset)
        return p->max ? "zpopmax" : "zpopmin";
    return p->left ? "lpop" : "rpop";
}

static void pop_next(struct op *op)
{
    struct pop *p = pop_of(op);
    if (p->next == p->count || op->client == NULL) {
        op_answer(op, SPAN("*-1\r\n"));
        op_end(op);
        return;
    }
    const char *name = pop_name(p);
    struct span key = key_at(p);
    writer_clear(&op->out, 2);
    if (p->many) {
        write_many(p, key);
    } else {
        write_array(&op->out, 2);
        write_bulk_text(&op->out, name);
        write_bulk(&op->out, key);
    }
    op_send_out(op, command_find(op->worker->commands, (struct span){ name, strlen(name) }),
                keyslot_of(key));
    op_then(op, popped);
}

/* --- looking ---------------------------------------------------------------------------------- */

/* Only at the beginning does a key of the wrong type matter; one that becomes such a key while the
   command waits is not seen by Redis either. */
static void looked(struct op *op)
{
    struct pop *p = pop_of(op);
    uint32_t found = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        if (op_reply_failed(op, i) && !p->waited && found == 0) {
            op_fail(op, op_reply(op, i));
            return;
        }
        if (op_integer(op, i) > 0)
            p->keys[found++] = p->keys[i];
    }
    p->count = found;
    pop_next(op);
}

static void look(struct op *op)
{
    struct pop *p = pop_of(op);
    for (uint32_t i = 0; i < p->count; i++) {
        struct span key = argv_get(&op->argv, p->keys[i]);
        OP_SEND(op, keyslot_of(key), p->zset ? SPAN("zcard") : SPAN("llen"), key);
    }
    op_tolerate(op);
    op_then(op, looked);
}

void wide_pop(struct wide *w)
{
    const struct command *cmd = w->b.cmd;
    struct pop *p = calloc(1, sizeof(*p));
    REQUIRE(p != NULL);
    p->keys = malloc(w->key_count * sizeof(p->keys[0]));
    REQUIRE(p->keys != NULL);
    memcpy(p->keys, w->keys, w->key_count * sizeof(p->keys[0]));
    p->count = w->key_count;
    p->zset = w->zset;
    p->waited = w->waited;
    p->many = strcmp(cmd->name + 2, "mpop") == 0;
    p->max = strcmp(cmd->name, "bzpopmax") == 0;
    p->left = strcmp(cmd->name, "blpop") == 0;
    for (uint32_t i = w->keys[w->key_count - 1]; p->many && i < w->b.argv.count; i++)
        p->left = p->left || span_is(argv_get(&w->b.argv, i), "left");
    op_start(&p->op, w->b.client, cmd, &w->b.argv, look, free_pop);
}
