/*
 * Commands that carry a value from one key to another, which lies in another slot. The value is
 * written in its new place before it is taken away from the old one, so that it is always in one of
 * the two; for a moment, or after a crash, it is in both.
 */
#include <stdlib.h>

#include "base/text.h"
#include "cluster/keyslot.h"
#include "proxy/gather.h"
#include "proxy/op.h"

enum { BUSY_TRIES = 8 };

struct move {
    struct op op;
    struct span from, to;
    uint16_t from_slot, to_slot;
    uint16_t to_database; /* of COPY */
    bool replace;         /* what is there */
    bool keeps;           /* RENAMENX */
    char sum[8];          /* checksum of the value that was copied */
    uint32_t tries;
};

static struct move *move_of(struct op *op)
{
    return CONTAINER_OF(op, struct move, op);
}

static void free_move(struct op *op)
{
    free(move_of(op));
}

/* From the key at argument 1 to the one at argument 2. */
static struct move *start(struct client *c, const struct command *cmd, const struct argv *argv,
                          op_step *first)
{
    struct move *m = calloc(1, sizeof(*m));
    REQUIRE(m != NULL);
    op_start(&m->op, c, cmd, argv, first, free_move);
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

/* --- RENAME, RENAMENX, COPY ------------------------------------------------------------------- */

static void fetch_value(struct op *op, op_step *next)
{
    struct move *m = move_of(op);
    op_measure(op);
    OP_SEND(op, m->from_slot, SPAN("dump"), m->from);
    OP_SEND(op, m->from_slot, SPAN("pexpiretime"), m->from);
    op_then(op, next);
}

/* Writes what fetch_value brought. False: there was nothing. */
static bool write_value(struct op *op)
{
    struct move *m = move_of(op);
    char number[TEXT_NUMBER_MAX];
    struct value dump = op_value(op, 0);
    int64_t expires = op_integer(op, 1);
    if (dump.kind != VALUE_STRING || expires == -2)
        return false;
    struct span ttl = { number, text_from_i64(number, expires < 0 ? 0 : expires) };
    if (m->replace)
        OP_SEND(op, m->to_slot, SPAN("restore"), m->to, ttl, dump.text, SPAN("ABSTTL"),
                SPAN("REPLACE"));
    else
        OP_SEND(op, m->to_slot, SPAN("restore"), m->to, ttl, dump.text, SPAN("ABSTTL"));
    return true;
}

/* RESTORE without REPLACE refuses to write over a key; that is an answer, too. */
static bool was_busy(struct op *op)
{
    static const struct span busy = { "-BUSYKEY", 8 };
    struct span reply = op_reply(op, 0);
    return reply.len >= busy.len && memcmp(reply.at, busy.at, busy.len) == 0;
}

static void answer_to_write(struct op *op, op_step *next)
{
    if (was_busy(op))
        answer(op, SPAN(":0\r\n"));
    else if (op_reply_failed(op, 0))
        op_fail(op, op_reply(op, 0));
    else
        next(op);
}

/*
 * What was changed in its old place since it was read is not thrown away: the script unlinks only
 * the very value that was copied. It compares the checksums that DUMP ends with.
 */
static void rename_fetch(struct op *op);

static const char leave_script[] = "local d=redis.call('DUMP',KEYS[1]) "
                                   "if not d then return 2 end "
                                   "if string.sub(d,-8)~=ARGV[1] then return 0 end "
                                   "return redis.call('UNLINK',KEYS[1])";

static void rename_done(struct op *op)
{
    struct move *m = move_of(op);
    if (op_integer(op, 0) != 0)
        answer(op, m->keeps ? SPAN(":1\r\n") : SPAN("+OK\r\n"));
    else if (m->tries++ < BUSY_TRIES) {
        m->replace = true; /* what is there now is our own older copy */
        rename_fetch(op);
    } else
        op_fail(op, SPAN("-ERR slotgate: the key changes too fast to be moved to another slot; it "
                         "is in both places now\r\n"));
}

static void rename_leave(struct op *op)
{
    struct move *m = move_of(op);
    OP_SEND(op, m->from_slot, SPAN("eval"), SPAN(leave_script), SPAN("1"), m->from,
            (struct span){ m->sum, sizeof(m->sum) });
    op_then(op, rename_done);
}

static void rename_written(struct op *op)
{
    answer_to_write(op, rename_leave);
}

static void rename_write(struct op *op)
{
    struct move *m = move_of(op);
    struct span dump = op_value(op, 0).text;
    if (!write_value(op)) {
        answer(op, m->tries == 0 ? SPAN("-ERR no such key\r\n") : SPAN("+OK\r\n"));
        return;
    }
    if (dump.len >= sizeof(m->sum))
        memcpy(m->sum, dump.at + dump.len - sizeof(m->sum), sizeof(m->sum));
    op_tolerate(op);
    op_then(op, rename_written);
}

static void rename_fetch(struct op *op)
{
    fetch_value(op, rename_write);
}

void move_rename(struct client *c, const struct command *cmd, const struct argv *argv)
{
    start(c, cmd, argv, rename_fetch)->replace = true;
}

void move_renamenx(struct client *c, const struct command *cmd, const struct argv *argv)
{
    start(c, cmd, argv, rename_fetch)->keeps = true;
}

static void copy_done(struct op *op)
{
    answer(op, SPAN(":1\r\n"));
}

static void copy_written(struct op *op)
{
    answer_to_write(op, copy_done);
}

static void copy_write(struct op *op)
{
    op->flow.database = move_of(op)->to_database;
    if (!write_value(op)) {
        answer(op, SPAN(":0\r\n"));
        return;
    }
    op_tolerate(op);
    op_then(op, copy_written);
}

static void copy_fetch(struct op *op)
{
    fetch_value(op, copy_write);
}

/* Options are judged by a node: it is given them with keys that do not exist. */
static void copy_try_options(struct op *op)
{
    struct move *m = move_of(op);
    char name[2][OP_TEMP_NAME_MAX];
    writer_clear(&op->out, 2);
    write_array(&op->out, op->argv.count);
    for (uint32_t i = 0; i < op->argv.count; i++) {
        bool key = i == 1 || i == 2;
        write_bulk(&op->out,
                   key ? op_temp_name(op, m->from_slot, i, name[i - 1]) : argv_get(&op->argv, i));
    }
    op_send_out(op, op->cmd, m->from_slot);
    op_then(op, copy_fetch);
}

/* What is none is refused by the node, as all options are. */
static uint16_t database_of(struct span text)
{
    int64_t n;
    bool is_one = text_to_i64(text.at, text.len, &n) && n >= 0 && n <= UINT16_MAX;
    return is_one ? (uint16_t)n : 0;
}

void move_copy(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct move *m = start(c, cmd, argv, argv->count > 3 ? copy_try_options : copy_fetch);
    m->to_database = c->flow.database;
    for (uint32_t i = 3; i < argv->count; i++) {
        m->replace = m->replace || span_is(argv_get(argv, i), "replace");
        if (span_is(argv_get(argv, i), "db") && i + 1 < argv->count)
            m->to_database = database_of(argv_get(argv, ++i));
    }
}
