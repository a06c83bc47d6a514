#include "proxy/key_report.h"

#include <stdlib.h>

#include "base/text.h"
#include "cluster/keys.h"
#include "proxy/client_reply.h"
#include "proxy/local.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

enum { AGE_MS = 60 * 1000, SHOWN = 10, SHOWN_MAX = 1000 };

/* What another worker was told to forget, this one forgets, too. */
static void forget_if_told(struct worker *w)
{
    struct stats_block *b = w->stats.block;
    uint64_t hot = atomic_load(&w->stats.page->hot_resets);
    uint64_t big = atomic_load(&w->stats.page->big_resets);
    if (b->hot_resets != hot)
        top_hot_clear(&b->hot);
    if (b->big_resets != big)
        top_big_clear(&b->big);
    __atomic_store_n(&b->hot_resets, hot, __ATOMIC_RELEASE);
    __atomic_store_n(&b->big_resets, big, __ATOMIC_RELEASE);
    w->router.watch.big_after = (uint32_t)top_big_least(&b->big);
}

/* --- hot -------------------------------------------------------------------------------------- */

/* Random, so that no rhythm of the calls hides a key; `every` on average. */
static uint32_t next_gap(struct worker *w)
{
    uint32_t every = w->stats.key_every;
    return every == 0 ? UINT32_MAX : 1 + (uint32_t)(worker_random(w) % (2 * (uint64_t)every - 1));
}

/* One of its keys, each with the same chance. */
void key_report_sample(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct worker *w = c->worker;
    struct key_walk walk;
    uint32_t seen = 0, chosen = 0;
    w->stats.key_gap = next_gap(w);
    if (w->stats.key_every == 0)
        return;
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk))
        if (worker_random(w) % ++seen == 0)
            chosen = walk.key.arg;
    forget_if_told(w);
    if (seen > 0)
        top_hot_see(&w->stats.block->hot, argv_get(argv, chosen), w->stats.key_every);
}

/* --- big -------------------------------------------------------------------------------------- */

static void see_big(struct worker *w, const struct request *r, const struct argv *argv,
                    uint64_t bytes, bool is_reply)
{
    struct key_walk walk;
    if (key_walk_start(&walk, r->cmd, argv) <= 0)
        return;
    struct span key = argv_get(argv, walk.key.arg);
    if (key_walk_next(&walk) != 0)
        return; /* of several keys nobody knows which one it was */
    forget_if_told(w);
    top_big_see(&w->stats.block->big, key, bytes, is_reply, r->cmd->tally);
    w->router.watch.big_after = (uint32_t)top_big_least(&w->stats.block->big);
}

static void on_big(struct router *rt, const struct request *r, uint64_t bytes, bool is_reply)
{
    struct worker *w = CONTAINER_OF(rt, struct worker, router);
    struct request_parser parser = { 0 };
    struct arg_room room = { 0 };
    struct argv argv;
    const char *error;
    size_t used;
    if (r->flow == NULL || r->flow->user != &client_flow_user || r->cmd == NULL || r->call.lead > 0)
        return;
    if (request_parse(&parser, &w->limits, &room, r->bytes, r->len, &argv, &used, &error) ==
        REQUEST_ARGS)
        see_big(w, r, &argv, bytes, is_reply);
    request_parser_reset(&parser);
    arg_room_close(&room);
}

/* --- life ------------------------------------------------------------------------------------- */

void key_report_beat(struct worker *w)
{
    uint64_t now = uv_now(&w->loop);
    forget_if_told(w);
    if (now - w->stats.keys_aged_at < AGE_MS)
        return;
    w->stats.keys_aged_at = now;
    top_hot_age(&w->stats.block->hot);
}

void key_report_set_options(struct worker *w)
{
    w->stats.key_every = (uint32_t)w->config.hotkeys_sample;
    w->stats.key_gap = next_gap(w);
}

void key_report_open(struct worker *w)
{
    top_hot_clear(
        &w->stats.block->hot); /* of the worker before, which may have died in the middle */
    top_big_clear(&w->stats.block->big);
    w->stats.keys_aged_at = uv_now(&w->loop);
    w->router.watch.on_big = on_big;
    w->router.watch.big_after = TOP_BIG_MIN;
    key_report_set_options(w);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct found_keys {
    struct hot_key *hot;
    struct big_key *big;
    uint32_t count, room;
};

static void *more_room(void *v, struct found_keys *f, uint32_t more, size_t size)
{
    if (f->count + more <= f->room)
        return v;
    f->room = f->room * 2 + more;
    v = realloc(v, f->room * size);
    REQUIRE(v != NULL);
    return v;
}

uint32_t key_report_hot(const struct worker *w, struct hot_key *out, uint32_t room)
{
    const struct stats_block *b;
    struct found_keys f = { 0 };
    struct hot_keys *t = calloc(1, sizeof(*t));
    REQUIRE(t != NULL);
    for (uint32_t i = 0; (b = stats_next_alive(w, &i)) != NULL;) {
        if (__atomic_load_n(&b->hot_resets, __ATOMIC_ACQUIRE) !=
            atomic_load(&w->stats.page->hot_resets))
            continue;
        top_hot_copy(t, &b->hot);
        f.hot = more_room(f.hot, &f, t->count, sizeof(f.hot[0]));
        for (uint32_t k = 0; k < t->count; k++)
            f.count = top_hot_merge(f.hot, f.count, &t->v[k]);
    }
    free(t);
    if (f.count > 0)
        top_hot_sort(f.hot, f.count);
    uint32_t shown = f.count < room ? f.count : room;
    if (shown > 0)
        memcpy(out, f.hot, shown * sizeof(out[0]));
    free(f.hot);
    return shown;
}

uint32_t key_report_big(const struct worker *w, struct big_key *out, uint32_t room)
{
    const struct stats_block *b;
    struct found_keys f = { 0 };
    struct big_keys *t = calloc(1, sizeof(*t));
    REQUIRE(t != NULL);
    for (uint32_t i = 0; (b = stats_next_alive(w, &i)) != NULL;) {
        if (__atomic_load_n(&b->big_resets, __ATOMIC_ACQUIRE) !=
            atomic_load(&w->stats.page->big_resets))
            continue;
        top_big_copy(t, &b->big);
        f.big = more_room(f.big, &f, t->count, sizeof(f.big[0]));
        for (uint32_t k = 0; k < t->count; k++)
            f.count = top_big_merge(f.big, f.count, &t->v[k]);
    }
    free(t);
    if (f.count > 0)
        top_big_sort(f.big, f.count);
    uint32_t shown = f.count < room ? f.count : room;
    if (shown > 0)
        memcpy(out, f.big, shown * sizeof(out[0]));
    free(f.big);
    return shown;
}

/* --- PROXY HOTKEYS, BIGKEYS ------------------------------------------------------------------- */

/* [count|RESET]. False: *count is not set, and an error or OK has been written. */
static bool read_words(const struct argv *argv, _Atomic uint64_t *resets, int64_t *count,
                       struct writer *w)
{
    *count = SHOWN;
    if (argv->count == 2)
        return true;
    struct span word = argv_get(argv, 2);
    if (argv->count == 3 && span_is(word, "reset")) {
        atomic_fetch_add(resets, 1);
        write_simple(w, "OK");
        return false;
    }
    if (argv->count == 3 && text_to_i64(word.at, word.len, count) && *count >= 0 &&
        *count <= SHOWN_MAX)
        return true;
    write_error(w, "ERR syntax error, try PROXY HELP");
    return false;
}

bool local_proxy_hotkeys(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t count;
    if (!read_words(argv, &c->worker->stats.page->hot_resets, &count, w)) {
        forget_if_told(c->worker);
        return true;
    }
    struct hot_key *keys = calloc((size_t)count + 1, sizeof(keys[0]));
    REQUIRE(keys != NULL);
    uint32_t n = key_report_hot(c->worker, keys, (uint32_t)count);
    write_array(w, n);
    for (uint32_t i = 0; i < n; i++) {
        write_array(w, 3);
        write_bulk(w, top_key_text(&keys[i].key));
        write_integer(w, (long long)keys[i].calls);
        write_integer(w, (long long)keys[i].over);
    }
    free(keys);
    return true;
}

bool local_proxy_bigkeys(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t count;
    char room[STATS_NAME_MAX];
    if (!read_words(argv, &c->worker->stats.page->big_resets, &count, w)) {
        forget_if_told(c->worker);
        return true;
    }
    struct big_key *keys = calloc((size_t)count + 1, sizeof(keys[0]));
    REQUIRE(keys != NULL);
    uint32_t n = key_report_big(c->worker, keys, (uint32_t)count);
    write_array(w, n);
    for (uint32_t i = 0; i < n; i++) {
        write_array(w, 4);
        write_bulk(w, top_key_text(&keys[i].key));
        write_integer(w, (long long)keys[i].request);
        write_integer(w, (long long)keys[i].reply);
        write_bulk_text(w, stats_command_name(c->worker, keys[i].tally, room));
    }
    free(keys);
    return true;
}
