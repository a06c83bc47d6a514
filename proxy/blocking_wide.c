#include "proxy/blocking_wide.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "cluster/keys.h"
#include "cluster/keyslot.h"
#include "proxy/blocking.h"
#include "proxy/gather.h"
#include "proxy/op.h"
#include "proxy/worker.h"

static struct wide *wide_of(struct blocked *b)
{
    return CONTAINER_OF(b, struct wide, b);
}

static struct keywatch *watch_of(const struct wide *w)
{
    return &w->b.worker->keywatch;
}

/* --- moves ------------------------------------------------------------------------------------ */

/* BLMOVE and BRPOPLPUSH are LMOVE and RPOPLPUSH without the last argument. */
static void wide_move(struct wide *w)
{
    struct argv argv = w->b.argv;
    bool ends = argv.count == 6;
    argv.count--;
    const struct command *cmd =
        command_find(w->b.worker->commands, ends ? SPAN("lmove") : SPAN("rpoplpush"));
    bool begun = gather(w->b.client, cmd, &argv);
    REQUIRE(begun);
}

/* --- attempts and waiting --------------------------------------------------------------------- */

static void attempt(struct wide *w)
{
    static wide_attempt *const attempts[] = {
        [WIDE_POP] = wide_pop, [WIDE_MOVE] = wide_move, [WIDE_STREAMS] = wide_streams
    };
    attempts[w->kind](w);
}

static void drop_wants(struct wide *w)
{
    for (uint32_t i = 0; w->wants != NULL && i < w->key_count; i++)
        keywatch_drop(watch_of(w), &w->wants[i]);
}

static void answer_null(struct wide *w)
{
    drop_wants(w);
    blocked_answer(&w->b, w->b.client->flow.protocol == 3 ? SPAN("_\r\n") : SPAN("*-1\r\n"));
}

/* All clients that poll streams share one bound on questions. */
static uint64_t stream_pace(const struct wide *w)
{
    uint64_t ms = w->b.worker->blocked.polled_keys / KEYWATCH_PER_MS;
    return ms > KEYWATCH_SLOWEST_MS ? ms : KEYWATCH_SLOWEST_MS;
}

static void wait_more(struct wide *w)
{
    uint64_t now = uv_now(&w->b.worker->loop), next = w->b.deadline;
    uint32_t watched = w->kind == WIDE_MOVE ? 1 : w->key_count; /* the source alone */
    w->waited = true;
    if (now >= w->b.deadline) {
        answer_null(w);
        return;
    }
    if (w->kind == WIDE_STREAMS) {
        uint64_t again = now + stream_pace(w);
        next = again < next ? again : next;
    } else {
        for (uint32_t i = 0; i < watched; i++)
            keywatch_want(watch_of(w), &w->wants[i], w->zset ? KEYWATCH_ZSET : KEYWATCH_LIST,
                          w->b.client->flow.database, argv_get(&w->b.argv, w->keys[i]), w->order,
                          w);
    }
    if (next != BLOCKED_FOR_EVER)
        blocked_pause(&w->b, next);
}

void wide_on_found(void *context)
{
    struct wide *w = context;
    drop_wants(w);
    if (w->b.client->op == NULL && !w->b.client->stream.closing)
        attempt(w);
}

static bool is_null(struct span s)
{
    return s.len >= 3 && (s.at[0] == '_' || (s.at[0] != ':' && memcmp(s.at + 1, "-1", 2) == 0));
}

/* While it waits, a node that cannot be had now holds nothing that could be taken, and what others
   took first is not there. */
static bool is_passing(struct span error)
{
    static const char *const starts[] = { "-ERR slotgate: no answer",
                                          "-ERR slotgate: the list changes too fast",
                                          "-CLUSTERDOWN",
                                          "-LOADING",
                                          "-TRYAGAIN",
                                          "-MASTERDOWN" };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (error.len > strlen(starts[i]) && memcmp(error.at, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static void op_done(struct blocked *b, struct span answer)
{
    struct wide *w = wide_of(b);
    if (is_null(answer) || (w->waited && is_passing(answer)))
        wait_more(w);
    else
        blocked_answer(b, answer);
}

/* --- what blocked.c asks for ------------------------------------------------------------------ */

/* An attempt under way goes on to its end, and puts back what it takes. */
static void stop(struct blocked *b)
{
    struct wide *w = wide_of(b);
    drop_wants(w);
    list_remove(&b->in_paused);
    if (b->client != NULL && b->client->op != NULL)
        op_forget_client(b->client->op);
}

static void free_wide(struct blocked *b)
{
    struct wide *w = wide_of(b);
    drop_wants(w);
    if (w->kind == WIDE_STREAMS)
        b->worker->blocked.polled_keys -= w->key_count;
    stream_ids_close(&w->ids);
    free(w->wants);
    free(w->keys);
    free(w);
}

/* An attempt that runs at the deadline may still bring something. */
static void again(struct blocked *b)
{
    struct wide *w = wide_of(b);
    if (b->client->op != NULL)
        return;
    if (uv_now(&b->worker->loop) >= b->deadline)
        answer_null(w);
    else
        attempt(w);
}

static void look(struct blocked *b, uint64_t now)
{
    (void)b, (void)now;
}

static bool is_waiting(const struct blocked *b)
{
    return CONTAINER_OF(b, struct wide, b)->waited;
}

static const struct blocked_way wide_way = {
    .stop = stop,
    .free = free_wide,
    .again = again,
    .look = look,
    .is_waiting = is_waiting,
    .op_done = op_done,
};

/* --- the way in ------------------------------------------------------------------------------- */

/* Whether the server would take it; what is odd, it shall explain itself. */
static bool timeout_is_plain(const struct command *cmd, const struct argv *argv)
{
    struct blocking_timeout t = blocking_timeout_of(cmd, argv);
    char text[64], *end;
    int64_t ms;
    struct span s = argv_get(argv, t.arg);
    if (t.in_ms)
        return text_to_i64(s.at, s.len, &ms) && ms >= 0;
    if (s.len == 0 || s.len >= sizeof(text) || isspace((unsigned char)s.at[0]))
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    double seconds = strtod(text, &end);
    return *end == '\0' && isfinite(seconds) && seconds >= 0 && seconds < 9e12;
}

static bool is_end(struct span word)
{
    return span_is(word, "left") || span_is(word, "right");
}

/* The words behind the keys of BLMPOP and BZMPOP: where from, and COUNT. */
static bool tail_is_plain(const struct command *cmd, const struct argv *argv, uint32_t at)
{
    int64_t n;
    bool counted = at + 3 == argv->count && span_is(argv_get(argv, at + 1), "count");
    if (at + 1 != argv->count && !counted)
        return false;
    struct span from = argv_get(argv, at), count = argv_get(argv, argv->count - 1);
    if (counted && (!text_to_i64(count.at, count.len, &n) || n <= 0))
        return false;
    return cmd->name[1] == 'l' ? is_end(from) : span_is(from, "min") || span_is(from, "max");
}

static bool is_plain(const struct wide *w, const struct command *cmd, const struct argv *argv)
{
    if (!timeout_is_plain(cmd, argv))
        return false;
    if (w->kind == WIDE_MOVE && argv->count == 6)
        return is_end(argv_get(argv, 3)) && is_end(argv_get(argv, 4));
    if (w->kind == WIDE_POP && strcmp(cmd->name + 2, "mpop") == 0)
        return tail_is_plain(cmd, argv, w->keys[w->key_count - 1] + 1);
    return true;
}

static void find_keys(struct wide *w, const struct command *cmd, const struct argv *argv)
{
    struct key_walk walk;
    w->keys = calloc(argv->count, sizeof(w->keys[0]));
    REQUIRE(w->keys != NULL);
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk))
        w->keys[w->key_count++] = walk.key.arg;
}

/* A malformed one goes to the node of its first key with that key in the place of all others: it
   is an error there, and never waits. */
static void let_server_explain(struct client *c, const struct command *cmd, const struct argv *argv,
                               const struct wide *w)
{
    struct arg *args = malloc(argv->count * sizeof(args[0]));
    REQUIRE(args != NULL);
    memcpy(args, argv->v, argv->count * sizeof(args[0]));
    for (uint32_t i = 1; i < w->key_count; i++)
        args[w->keys[i]] = args[w->keys[0]];
    struct argv one = { .base = argv->base, .v = args, .count = argv->count };
    blocking_single(c, cmd, &one, keyslot_of(argv_get(&one, w->keys[0])));
    free(args);
}

static enum wide_kind kind_of(const struct command *cmd)
{
    if (cmd->name[0] == 'x')
        return WIDE_STREAMS;
    bool moves = strcmp(cmd->name, "blmove") == 0 || strcmp(cmd->name, "brpoplpush") == 0;
    return moves ? WIDE_MOVE : WIDE_POP;
}

void blocking_wide(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct worker *worker = c->worker;
    struct wide *w = calloc(1, sizeof(*w));
    REQUIRE(w != NULL);
    w->kind = (uint8_t)kind_of(cmd);
    w->zset = cmd->name[1] == 'z';
    find_keys(w, cmd, argv);
    if (!is_plain(w, cmd, argv)) {
        let_server_explain(c, cmd, argv, w);
        free(w->keys);
        free(w);
        return;
    }
    uint64_t now = uv_now(&worker->loop);
    blocked_begin(&w->b, c, cmd, argv, &wide_way, blocking_deadline(cmd, argv, now));
    stream_ids_open(&w->ids, cmd, &w->b.argv);
    w->order = worker->blocked.total;
    if (w->kind == WIDE_STREAMS)
        worker->blocked.polled_keys += w->key_count;
    else
        w->wants = calloc(w->key_count, sizeof(w->wants[0]));
    REQUIRE(w->kind == WIDE_STREAMS || w->wants != NULL);
    attempt(w);
}
