/*
 * A gathered command is run in one slot, its home: that of the key that it writes, or else of its
 * first key. Every other key is copied there under a temporary name, then the command runs on these
 * names:
 *
 *   fetch    DUMP of every key that is not at home                     (side by side)
 *   bring    RESTORE at home, with a time to live
 *   run      the command with temporary names, and UNLINK of these     (one write)
 *
 * Errors are the command's own, at home: a key of the wrong type is copied like any other, and one
 * that is missing stays missing. Nothing but the key at home is changed, and that by one command; a
 * crash in between leaves temporary keys that expire.
 */
#include "proxy/gather.h"

#include <stdlib.h>

#include "proxy/gather_keys.h"
#include "proxy/worker.h"

struct reading {
    struct gather g;
    uint32_t brought;
    bool healed; /* the home node lacked the script, and has been given it */
};

static struct reading *reading_of(struct op *op)
{
    return CONTAINER_OF(gather_of(op), struct reading, g);
}

static void clean(struct op *op)
{
    gather_unlink(gather_of(op), gather_of(op)->count);
    op_tolerate(op);
    op_then(op, op_end);
}

static void bring(struct op *op);

static void fetch(struct op *op)
{
    struct gather *g = gather_of(op);
    op_measure(op);
    for (uint32_t i = 0; i < g->count; i++)
        OP_SEND(op, g->keys[i].slot, SPAN("dump"), g->keys[i].name);
    op_then(op, bring);
}

static void run(struct op *op);

static void bring(struct op *op)
{
    struct reading *r = reading_of(op);
    struct gather *g = &r->g;
    char name[OP_TEMP_NAME_MAX], number[TEXT_NUMBER_MAX];
    op->clean = clean;
    r->brought = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        struct value dump = op_value(op, i);
        g->keys[i].there = dump.kind == VALUE_STRING;
        if (!g->keys[i].there)
            continue;
        r->brought++;
        OP_SEND(op, g->home, SPAN("restore"), gather_name(g, i, name), gather_ttl(g, number),
                dump.text, SPAN("REPLACE"));
    }
    op_then(op, run);
}

static void finish(struct op *op)
{
    struct reading *r = reading_of(op);
    if (!r->healed && scripts_heal(&op->worker->scripts, op->cmd, &op->argv, op_reply(op, 0))) {
        r->healed = true; /* by now it has it; the copies are gone */
        fetch(op);
        return;
    }
    bool lost = !op_reply_failed(op, 0) && r->brought > 0 && !op_reply_failed(op, 1) &&
                op_integer(op, 1) != r->brought;
    op->clean = NULL;
    gather_answer(&r->g, 0);
    op_end(op);
    if (lost)
        op_fail(op, SPAN("-ERR slotgate: temporary keys were lost while the command ran; it may "
                         "have been executed in part\r\n"));
}

static void run(struct op *op)
{
    struct reading *r = reading_of(op);
    op_tolerate(op);
    gather_send(&r->g);
    if (r->brought > 0)
        gather_unlink(&r->g, r->g.count);
    op_then(op, finish);
}

/* --- the way in ------------------------------------------------------------------------------- */

static void free_reading(struct op *op)
{
    gather_close(gather_of(op));
    free(reading_of(op));
}

static void start(struct client *c, const struct command *cmd, const struct argv *argv,
                  op_step *first)
{
    struct reading *r = calloc(1, sizeof(*r));
    REQUIRE(r != NULL);
    gather_open(&r->g, c, cmd, argv, first, free_reading, false);
    r->g.otherwise = fetch;
}

static void gather_sets(struct client *c, const struct command *cmd, const struct argv *argv)
{
    start(c, cmd, argv, gather_set_look);
}

static const struct {
    const char *name;
    gather_way *begin;
} ways[] = {
    { "copy", move_copy },          { "eval", gather_script },  { "evalsha", gather_script },
    { "fcall", gather_script },     { "lmove", element_lmove }, { "lmpop", element_mpop },
    { "msetnx", element_msetnx },   { "rename", move_rename },  { "renamenx", move_renamenx },
    { "rpoplpush", element_lmove }, { "sdiff", gather_sets },   { "sinter", gather_sets },
    { "sintercard", gather_sets },  { "smove", element_smove }, { "sunion", gather_sets },
    { "zmpop", element_mpop },
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
    start(c, cmd, argv, fetch);
    return true;
}
