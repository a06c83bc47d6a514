/*
 * XREAD and XREADGROUP without BLOCK over streams in several slots: a group with one part per
 * stream, as if the client had asked for one after the other.
 *
 * Redis looks at the streams in the caller's order and speaks of the first that is wrong; the first
 * failed part in that order does the same. What XREADGROUP has delivered in other parts by then
 * stays in their pending entries lists: the client finds it there, as after a lost reply.
 */
#include "base/error.h"
#include "cluster/group.h"
#include "cluster/keys.h"
#include "proxy/gather.h"
#include "proxy/merge.h"
#include "proxy/worker.h"

/* Each part is null, or a list (RESP3: a map) of its one stream. */
static bool enter(struct part_reply *p, bool *news)
{
    struct value v;
    if (!value_next(&p->at, &v))
        return false;
    *news = v.kind != VALUE_NULL;
    return v.kind == VALUE_NULL || ((v.kind == VALUE_LIST || v.kind == VALUE_MAP) && v.count == 1);
}

static void send_streams(struct client *c, const struct group *g, struct replies *all)
{
    uint32_t streams = 0;
    (void)g;
    for (uint32_t i = 0; i < all->count; i++) {
        bool news;
        if (!enter(&all->part[i], &news)) {
            merge_odd_reply(c);
            return;
        }
        streams += news;
    }
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    if (streams == 0)
        write_null_array(w);
    else if (c->flow.protocol == 3)
        write_map(w, streams);
    else
        write_array(w, streams);
    stream_send(&c->stream, writer_span(w));
    for (uint32_t i = 0; i < all->count; i++) /* nothing is left of a null */
        merge_send(c, &all->part[i], merge_rest(&all->part[i]));
}

/* The words before the streams, and these two or three behind them. */
static void write_part(struct writer *w, const struct argv *argv, uint32_t before,
                       const uint32_t *behind, uint32_t count)
{
    writer_clear(w, 2);
    write_array(w, before + count);
    for (uint32_t i = 0; i < before; i++)
        write_bulk(w, argv_get(argv, i));
    for (uint32_t i = 0; i < count; i++)
        write_bulk(w, argv_get(argv, behind[i]));
}

/* Streams and IDs that do not pair: a node says so of the first three words, too. */
static void send_unbalanced(struct client *c, const struct command *cmd, const struct argv *argv,
                            uint32_t first)
{
    struct router *rt = &c->worker->router;
    struct writer *w = &rt->part;
    write_part(w, argv, first, (const uint32_t[]){ first, first + 1, first + 2 }, 3);
    group_one(rt, &c->flow, cmd, NULL, keyslot_of(argv_get(argv, first)), writer_span(w),
              c->reply_mode != REPLY_ON);
}

void gather_streams(struct client *c, const struct command *cmd, const struct argv *argv)
{
    static const struct merge_rule rule = { .send = send_streams };
    struct router *rt = &c->worker->router;
    struct group *g = NULL;
    struct key_walk walk;
    REQUIRE(key_walk_start(&walk, cmd, argv) > 0);
    uint32_t first = walk.key.arg, streams = (argv->count - first) / 2;
    if ((argv->count - first) % 2 != 0) {
        send_unbalanced(c, cmd, argv, first);
        return;
    }
    for (uint32_t i = first; i < first + streams; i++) {
        write_part(&rt->part, argv, first, (const uint32_t[]){ i, i + streams }, 2);
        g = group_one(rt, &c->flow, cmd, g, keyslot_of(argv_get(argv, i)), writer_span(&rt->part),
                      c->reply_mode != REPLY_ON);
    }
    REQUIRE(g != NULL);
    g->rule = &rule;
}
