/*
 * One attempt of XREAD or XREADGROUP with BLOCK over several slots: the same without BLOCK, one
 * stream each, side by side; what they bring is one reply, in the caller's order. See
 * blocking_wide.h.
 *
 * The very first attempt of an XREAD asks what "$" is. Unlike one Redis, which serves the first
 * stream that gets an entry, the answer may hold entries of several.
 */
#include <stdlib.h>

#include "cluster/keyslot.h"
#include "proxy/blocking.h"
#include "proxy/blocking_wide.h"
#include "proxy/op.h"
#include "proxy/worker.h"

struct streams {
    struct op op;
    struct wide *wide; /* NULL: to be asked only while op->client is there */
};

static struct streams *streams_of(struct op *op)
{
    return CONTAINER_OF(op, struct streams, op);
}

static void free_streams(struct op *op)
{
    free(streams_of(op));
}

static void answer_read(struct op *op)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < op->count; i++)
        found += op_value(op, i).kind != VALUE_NULL;
    writer_clear(&op->out, op->flow.protocol);
    if (found == 0)
        write_raw(&op->out, SPAN("*-1\r\n"));
    else if (op->flow.protocol == 3)
        write_map(&op->out, found);
    else
        write_array(&op->out, found);
    for (uint32_t i = 0; i < op->count && found > 0; i++) {
        struct span r = op_reply(op, i);
        const char *nl = memchr(r.at, '\n', r.len);
        if (op_value(op, i).kind != VALUE_NULL)
            write_raw(&op->out, (struct span){ nl + 1, r.len - (size_t)(nl + 1 - r.at) });
    }
    op_answer(op, writer_span(&op->out));
    op_end(op);
}

/* The words before STREAMS without BLOCK and its argument, and one stream. */
static void write_read(struct op *op, const struct wide *w, uint32_t i)
{
    const struct argv *argv = &op->argv;
    uint32_t first = w->keys[0], key = w->keys[i], id = key + w->key_count;
    uint32_t block = blocking_timeout_of(op->cmd, argv).arg;
    writer_clear(&op->out, 2);
    write_array(&op->out, first); /* what stands before the keys, less two, and a key and an id */
    for (uint32_t k = 0; k < first; k++)
        if (k != block && k + 1 != block)
            write_bulk(&op->out, argv_get(argv, k));
    write_bulk(&op->out, argv_get(argv, key));
    write_bulk(&op->out, stream_ids_known(&w->ids, id, argv_get(argv, id)));
}

static void read_all(struct op *op)
{
    if (op->client == NULL) { /* XREADGROUP would take entries for nobody */
        op_end(op);
        return;
    }
    const struct wide *w = streams_of(op)->wide;
    for (uint32_t i = 0; i < w->key_count; i++) {
        write_read(op, w, i);
        op_send_out(op, op->cmd, keyslot_of(argv_get(&op->argv, w->keys[i])));
    }
    op_then(op, answer_read);
}

static void ids_told(struct op *op)
{
    for (uint32_t i = 0; op->client != NULL && i < op->count; i++)
        stream_ids_take(&streams_of(op)->wide->ids, op_reply(op, i), true);
    read_all(op);
}

static void ask_ids(struct op *op)
{
    const struct wide *w = streams_of(op)->wide;
    for (uint32_t i = 0; i < w->ids.count; i++) {
        struct span key = argv_get(&op->argv, w->ids.v[i].key);
        OP_SEND(op, keyslot_of(key), SPAN("xrevrange"), key, SPAN("+"), SPAN("-"), SPAN("COUNT"),
                SPAN("1"));
    }
    op_then(op, ids_told);
}

void wide_streams(struct wide *w)
{
    struct streams *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    s->wide = w;
    bool asks = !w->waited && w->ids.count > 0;
    op_start(&s->op, w->b.client, w->b.cmd, &w->b.argv, asks ? ask_ids : read_all, free_streams);
}
