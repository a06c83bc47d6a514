#include "migrate/sweep.h"

#include <stdio.h>

#include "base/text.h"
#include "migrate/replay.h"

enum { PENDING_MAX = 1024 };

/* --- whose key it is ----------------------------------------------------------------------- */

/* "dbN:key" of a target of several databases: N, and the key is cut down to its name there. */
static uint64_t database_of(struct span *key)
{
    const char *end = key->len > 3 ? memchr(key->at, ':', key->len) : NULL;
    uint64_t db;
    if (end == NULL || memcmp(key->at, "db", 2) != 0 || key->at[2] == '0' ||
        !text_to_u64(key->at + 2, (size_t)(end - key->at) - 2, &db))
        return 0;
    key->len -= (size_t)(end + 1 - key->at);
    key->at = end + 1;
    return db;
}

bool sweep_is_ours(const struct copy_options *o, struct span key)
{
    const struct filter *f = o->filter;
    if (replay_is_own_key(key))
        return false;
    uint64_t db = o->databases == COPY_DB_PREFIX ? database_of(&key) : o->only;
    return f == NULL || (filter_key(f, key) == FILTER_TAKE && filter_database(f, db));
}

/* --- keys ---------------------------------------------------------------------------------- */

static void on_removed(void *context, const struct target_call *call)
{
    struct sweep *s = context;
    s->pending--;
    s->removed += call->error[0] == '\0' && !call->zero;
    if (call->error[0] != '\0' && s->error[0] == '\0')
        memcpy(s->error, call->error, sizeof(s->error));
}

static void look_at(struct sweep *s, struct span key)
{
    struct writer w;
    struct span own = key;
    s->looked_at++;
    if (s->one && database_of(&own) != s->db)
        return;
    if (!sweep_is_ours(s->options, key) || key_set_has(s->keys, key))
        return;
    struct span name = s->target->facts.absolute ? SPAN("UNLINK") : SPAN("DEL");
    writer_init(&w, 2);
    write_array(&w, 2);
    write_bulk(&w, name);
    write_bulk(&w, key);
    s->pending++;
    target_send(s->target, name, key, writer_span(&w), true, on_removed, s);
    writer_close(&w);
}

/* --- all of them --------------------------------------------------------------------------- */

/* Proxies are each the whole of the target. */
static uint32_t shards_of(const struct sweep *s)
{
    return s->target->options->cluster ? target_shards(s->target) : 1;
}

static void on_key(void *context, struct span key)
{
    look_at(context, key);
}

static bool take_batch(struct sweep *s)
{
    s->ready = false;
    if (!scan_reply_take(writer_span(&s->scanned), s->cursor, on_key, s))
        return false;
    if (strcmp(s->cursor, "0") == 0)
        s->over = ++s->shard == shards_of(s);
    return true;
}

static void on_scanned(void *context, const struct target_call *call)
{
    struct sweep *s = context;
    s->scanning = false;
    s->ready = call->error[0] == '\0';
    if (call->error[0] != '\0' && s->error[0] == '\0')
        memcpy(s->error, call->error, sizeof(s->error));
}

static void scan(struct sweep *s)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, (const char *[]){ "SCAN", s->cursor, "COUNT", "1000" }, 4);
    writer_clear(&s->scanned, 2);
    s->scanning = true;
    target_ask_shard(s->target, s->shard, SPAN("scan"), writer_span(&w), &s->scanned, on_scanned,
                     s);
    writer_close(&w);
}

void sweep_begin(struct sweep *s)
{
    strcpy(s->cursor, "0");
    s->shard = s->pending = 0;
    s->epoch = s->target->router.epoch;
    s->scanning = s->ready = s->over = false;
    s->error[0] = '\0';
}

enum sweep_result sweep_step(struct sweep *s)
{
    if (s->error[0] != '\0')
        return SWEEP_BAD;
    if (s->scanning)
        return SWEEP_MORE;
    if (s->epoch != s->target->router.epoch && s->pending == 0)
        sweep_begin(s); /* a slot that moved may have been missed */
    if (s->ready && !take_batch(s)) {
        snprintf(s->error, sizeof(s->error), "an answer to SCAN cannot be understood");
        return SWEEP_BAD;
    }
    if (s->over)
        return s->pending == 0 && s->epoch == s->target->router.epoch ? SWEEP_DONE : SWEEP_MORE;
    if (s->pending < PENDING_MAX && target_has_room(s->target))
        scan(s);
    return SWEEP_MORE;
}

void sweep_open(struct sweep *s, const struct copy_options *options, struct target *target,
                struct key_set *keys)
{
    *s = (struct sweep){ .options = options, .target = target, .keys = keys };
    writer_init(&s->scanned, 2);
}

void sweep_only(struct sweep *s, uint64_t db)
{
    s->one = true;
    s->db = db;
}

void sweep_close(struct sweep *s)
{
    writer_close(&s->scanned);
}
