#include "migrate/expiry.h"

#include "base/log.h"
#include "base/text.h"

/* A key that has been removed, or written anew without a time, must not get one. Servers that know
   no XX get a script. */
static const char script[] = "if redis.call('pttl',KEYS[1])>0 then "
                             "return redis.call('pexpireat',KEYS[1],ARGV[1]) end return 0";

void expiry_open(struct expiry *e, const struct expiry_options *options, struct target *target)
{
    *e = (struct expiry){ .options = options, .target = target };
    expiry_table_open(&e->table, options->folder);
    writer_init(&e->command, 2);
}

void expiry_close(struct expiry *e)
{
    expiry_table_clear(&e->table);
    writer_close(&e->command);
}

static void give_up_holding(struct expiry *e, int error)
{
    if (!e->broken)
        log_error("expiry cannot be held back any more; keys may die early at the target",
                  "folder=%s reason=%s", log_text(e->options->folder), log_text(strerror(error)));
    e->broken = true;
}

/* --- which time ---------------------------------------------------------------------------- */

static int64_t hold(struct expiry *e, struct span key, int64_t at, int64_t now)
{
    if (at >= now + EXPIRY_HORIZON_MS) {
        expiry_table_forget(&e->table, key);
        return at;
    }
    int error = e->broken ? 0 : expiry_table_put(&e->table, key, at > 0 ? at : 1);
    if (error != 0)
        give_up_holding(e, error);
    if (e->broken)
        return at;
    e->deferred++;
    return (at > now ? at : now) + EXPIRY_HORIZON_MS;
}

static int64_t with_slack(const struct expiry *e, int64_t at, int64_t now)
{
    if (e->options->slack == 0)
        return at;
    return (at > now ? at : now) + e->options->slack;
}

int64_t expiry_of_copy(struct expiry *e, struct span key, int64_t at, int64_t now)
{
    return hold(e, key, at, now);
}

int64_t expiry_of_stream(struct expiry *e, struct span key, int64_t at, int64_t received,
                         int64_t now)
{
    if (now - received > EXPIRY_LAG_MS) {
        e->live = false;
        e->calm_since = 0;
    }
    if (!e->live)
        return hold(e, key, at, now);
    expiry_table_forget(&e->table, key);
    return with_slack(e, at, now);
}

int64_t expiry_of_field(const struct expiry *e, int64_t at, int64_t now)
{
    return with_slack(e, at, now);
}

int64_t expiry_held(const struct expiry *e, struct span key)
{
    return expiry_table_get(&e->table, key);
}

void expiry_give(struct expiry *e, struct span key, int64_t at)
{
    int error = at != 0 ? expiry_table_put(&e->table, key, at) : 0;
    if (at == 0)
        expiry_table_forget(&e->table, key);
    if (error != 0)
        give_up_holding(e, error);
}

void expiry_follow(struct expiry *e, struct span from, struct span to)
{
    expiry_give(e, to, expiry_held(e, from));
}

/* --- settling ------------------------------------------------------------------------------ */

static void on_settled(void *context, const struct target_call *call)
{
    struct expiry *e = context;
    size_t shown = call->key_len < TARGET_KEY_SHOWN ? call->key_len : TARGET_KEY_SHOWN;
    e->pending--;
    if (call->error[0] == '\0') {
        e->settled++;
        return;
    }
    e->unset++;
    log_error("time to live not set; it is a day too long", "key=%s reason=%s",
              log_bytes(call->key, shown), log_text(call->error));
}

static void send_time(struct expiry *e, struct span key, int64_t at)
{
    struct writer *w = &e->command;
    bool plain = e->target->facts.expire_if;
    char digits[TEXT_NUMBER_MAX];
    struct span ms = { digits, text_from_i64(digits, at) };
    struct span name = plain ? SPAN("PEXPIREAT") : SPAN("EVAL");
    writer_clear(w, 2);
    write_array(w, plain ? 4 : 5);
    write_bulk(w, name);
    if (!plain) {
        write_bulk_text(w, script);
        write_bulk(w, SPAN("1"));
    }
    write_bulk(w, key);
    write_bulk(w, ms);
    if (plain)
        write_bulk(w, SPAN("XX"));
    e->pending++;
    target_send(e->target, name, key, writer_span(w), true, on_settled, e);
}

/* As many as there is room for. */
static void settle_some(struct expiry *e, int64_t now)
{
    struct span key;
    int rc = 1;
    while (e->table.held > 0 && target_has_room(e->target)) {
        rc = expiry_table_next(&e->table, &key);
        if (rc <= 0)
            break;
        int64_t at = expiry_table_get(&e->table, key);
        if (at == 0)
            continue;
        send_time(e, key, with_slack(e, at, now));
        expiry_table_forget(&e->table, key);
    }
    if (rc < 0) {
        give_up_holding(e, -rc);
        e->unset += e->table.held;
        expiry_table_clear(&e->table);
    }
    if (rc == 0) /* what was held anew behind the walk */
        expiry_table_rewind(&e->table);
    if (e->table.held == 0)
        expiry_table_clear(&e->table);
}

void expiry_turn(struct expiry *e, bool behind, int64_t now)
{
    if (behind)
        e->calm_since = 0;
    else if (e->calm_since == 0)
        e->calm_since = now;
    if (e->calm_since == 0 || now - e->calm_since < e->options->calm)
        return;
    if (!e->live)
        log_info("the stream is caught up; held times to live are set", "keys=%llu",
                 (unsigned long long)e->table.held);
    e->live = true;
    if (e->table.held > 0)
        settle_some(e, now);
}

void expiry_forget(struct expiry *e)
{
    e->unset += e->pending;
    e->pending = 0;
}

bool expiry_settle(struct expiry *e, int64_t now)
{
    e->live = true;
    if (e->table.held > 0)
        settle_some(e, now);
    return e->table.held == 0 && e->pending == 0;
}
