#include "migrate/expiry.h"

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/databases.h"
#include "migrate/replay.h"

/* A master that fails may have lost what it answered so long ago; see SYNC_SAFE_S. */
enum { SAFE_MS = 60 * 1000 };

/* A key that has been removed, or written anew without a time, must not get one. Servers that know
   no XX get a script. */
static const char script[] = "if redis.call('pttl',KEYS[1])>0 then "
                             "return redis.call('pexpireat',KEYS[1],ARGV[1]) end return 0";

void expiry_open(struct expiry *e, const struct expiry_options *options, struct target *target)
{
    *e = (struct expiry){ .options = options, .target = target };
    expiry_table_open(&e->table, options->folder);
    expiry_fields_open(&e->fields, options->folder);
    writer_init(&e->command, 2);
}

/* Each has a log of its own. */
enum { TABLES = 3 };

static struct expiry_table *table_of(struct expiry *e, int i)
{
    struct expiry_table *const all[TABLES] = { &e->table, &e->fields.fields, &e->fields.hashes };
    return all[i];
}

void expiry_keep(struct expiry *e, const char *folder)
{
    static const char *const names[TABLES] = { "expiry", "expiry.fields", "expiry.hashes" };
    for (int i = 0; i < TABLES; i++)
        expiry_table_keep(table_of(e, i), folder, names[i]);
}

void expiry_close(struct expiry *e)
{
    for (int i = 0; i < TABLES; i++)
        expiry_table_close(table_of(e, i));
    writer_close(&e->fields.name);
    writer_close(&e->command);
}

/* The first error is the one to tell. */
static void note_error(struct expiry *e, int error)
{
    if (e->broken == 0)
        e->broken = error;
}

int expiry_error(const struct expiry *e)
{
    const int all[] = { e->broken, e->table.failed, e->fields.fields.failed,
                        e->fields.hashes.failed };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] != 0)
            return all[i];
    return 0;
}

/* --- which time ---------------------------------------------------------------------------- */

static int64_t hold(struct expiry *e, struct span key, int64_t at, int64_t now)
{
    if (at >= now + EXPIRY_HORIZON_MS) {
        expiry_table_forget(&e->table, key);
        return at;
    }
    int error = expiry_table_put(&e->table, key, at > 0 ? at : 1);
    note_error(e, error);
    *(error == 0 ? &e->deferred : &e->unset) += 1;
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

bool expiry_is_behind(const struct expiry *e, int64_t received, int64_t now)
{
    return !e->live || now - received > EXPIRY_LAG_MS;
}

/* Whether it is behind. */
static bool look_at_lag(struct expiry *e, int64_t received, int64_t now)
{
    if (now - received > EXPIRY_LAG_MS) {
        e->live = false;
        e->calm_since = 0;
    }
    return !e->live;
}

int64_t expiry_of_stream(struct expiry *e, struct span key, int64_t at, int64_t received,
                         int64_t now)
{
    if (look_at_lag(e, received, now))
        return hold(e, key, at, now);
    expiry_table_forget(&e->table, key);
    return with_slack(e, at, now);
}

static void hold_field(struct expiry *e, struct span key, struct span field, int64_t at)
{
    int error = expiry_fields_put(&e->fields, key, field, at > 0 ? at : 1);
    note_error(e, error);
    *(error == 0 ? &e->deferred : &e->unset) += 1;
}

int64_t expiry_of_copied_field(struct expiry *e, struct span key, struct span field, int64_t at,
                               int64_t begun)
{
    if (at >= begun + EXPIRY_HORIZON_MS)
        return at;
    hold_field(e, key, field, at);
    return begun + 2 * (int64_t)EXPIRY_HORIZON_MS;
}

int64_t expiry_of_fields(struct expiry *e, struct span key, const struct span *fields,
                         uint32_t count, int64_t at, int64_t received, int64_t now)
{
    bool behind = look_at_lag(e, received, now);
    bool holds = behind && at < now + EXPIRY_HORIZON_MS;
    for (uint32_t i = 0; i < count; i++) {
        if (holds)
            hold_field(e, key, fields[i], at);
        else
            expiry_fields_forget(&e->fields, key, fields[i]);
    }
    if (holds)
        return (at > now ? at : now) + EXPIRY_HORIZON_MS;
    return behind ? at : with_slack(e, at, now);
}

int64_t expiry_true_time(const struct expiry *e, struct span key)
{
    return expiry_table_get(&e->table, key);
}

void expiry_give(struct expiry *e, struct span key, int64_t at)
{
    int error = at != 0 ? expiry_table_put(&e->table, key, at) : 0;
    if (at == 0)
        expiry_table_forget(&e->table, key);
    note_error(e, error);
}

bool expiry_follow(struct expiry *e, struct span from, struct span to)
{
    bool lost = expiry_fields_replace(&e->fields, from);
    expiry_fields_replace(&e->fields, to);
    expiry_give(e, to, expiry_true_time(e, from));
    return lost;
}

void expiry_forget_key(struct expiry *e, struct span key)
{
    expiry_table_forget(&e->table, key);
    expiry_fields_replace(&e->fields, key);
}

uint64_t expiry_held(const struct expiry *e)
{
    return e->table.held + e->fields.fields.held;
}

/* --- settling ------------------------------------------------------------------------------ */

static void on_settled(void *context, const struct target_call *call)
{
    struct expiry *e = context;
    size_t shown = call->key_len < TARGET_KEY_SHOWN ? call->key_len : TARGET_KEY_SHOWN;
    bool other_type = strncmp(call->error, "WRONGTYPE", 9) == 0; /* the hash is gone */
    e->pending--;
    if (call->error[0] == '\0' || other_type) {
        e->settled++;
        return;
    }
    if (e->returns && replay_is_needed(call->error)) {
        e->refused = true;
        return;
    }
    e->unset++;
    log_error("time to live not set; it is a day too long", "key=%s reason=%s action=%s",
              log_bytes(call->key, shown), log_text(call->error),
              log_text(advice_on(ADVICE_TIME, NULL)));
}

/* On the connections of the stream, so behind all that has been sent about the key. */
static void send_words(struct expiry *e, struct span key, uint64_t db, const struct span *words,
                       size_t count)
{
    struct writer *w = &e->command;
    writer_clear(w, 2);
    uint32_t commands = databases_write(w, databases_at_target(e->options->copy, db), words, count);
    e->pending++;
    if (commands > 1)
        target_send_block(e->target, key, writer_span(w), commands, true, on_settled, e);
    else
        target_send(e->target, words[0], key, writer_span(w), true, on_settled, e);
}

static void send_field_time(struct expiry *e, const struct expiry_field *f, int64_t at)
{
    char digits[TEXT_NUMBER_MAX];
    uint64_t db;
    struct span key = databases_name(e->options->copy, f->key, &db);
    struct span words[] = { SPAN("HPEXPIREAT"), key,       { digits, 0 }, SPAN("XX"),
                            SPAN("FIELDS"),     SPAN("1"), f->name };
    words[2].len = text_from_i64(digits, at);
    send_words(e, key, db, words, ARRAY_LEN(words));
}

static void send_time(struct expiry *e, struct span label, int64_t at)
{
    char digits[TEXT_NUMBER_MAX];
    uint64_t db;
    struct span key = databases_name(e->options->copy, label, &db);
    struct span ms = { digits, text_from_i64(digits, at) };
    if (e->target->facts.expire_if)
        send_words(e, key, db, (struct span[]){ SPAN("PEXPIREAT"), key, ms, SPAN("XX") }, 4);
    else
        send_words(
            e, key, db,
            (struct span[]){ SPAN("EVAL"), { script, sizeof(script) - 1 }, SPAN("1"), key, ms }, 5);
}

/* As many as there is room for. */
static void settle_fields(struct expiry *e, int64_t now)
{
    struct expiry_table *held = &e->fields.fields;
    struct expiry_field f;
    int rc = 1;
    while (held->held > 0 && target_has_room(e->target)) {
        rc = expiry_fields_next(&e->fields, &f);
        if (rc <= 0)
            break;
        send_field_time(e, &f, with_slack(e, f.at, now));
    }
    if (rc < 0)
        note_error(e, -rc);
    if (rc == 0)
        expiry_table_rewind(held);
}

static void settle_keys(struct expiry *e, int64_t now)
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
        expiry_table_settle(&e->table, key);
    }
    if (rc < 0)
        note_error(e, -rc);
    if (rc == 0) /* what was held anew behind the walk */
        expiry_table_rewind(&e->table);
}

/* Every time has been answered, so long ago that nobody has to send one again. */
static void end_settled(struct expiry *e, int64_t now)
{
    if (e->pending > 0 || expiry_held(e) > 0)
        e->settled_at = now;
    if (e->pending > 0 || (e->returns && now - e->settled_at < SAFE_MS))
        return;
    if (e->table.held == 0 && e->table.used > 0)
        expiry_table_clear(&e->table);
    if (e->fields.fields.held == 0 && e->fields.hashes.used > 0)
        expiry_fields_clear(&e->fields);
}

static void settle_some(struct expiry *e, int64_t now)
{
    if (e->table.held > 0)
        settle_keys(e, now);
    if (e->fields.fields.held > 0)
        settle_fields(e, now);
    end_settled(e, now);
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
        log_info("the stream is caught up; held times to live are set", "keys=%llu fields=%llu",
                 (unsigned long long)e->table.held, (unsigned long long)e->fields.fields.held);
    e->live = true;
    settle_some(e, now);
}

void expiry_at(struct expiry *e, uint64_t offset)
{
    for (int i = 0; i < TABLES; i++)
        table_of(e, i)->point = offset;
}

int expiry_go_back(struct expiry *e, uint64_t offset)
{
    e->live = false;
    e->calm_since = 0;
    e->pending = 0;
    e->refused = false;
    expiry_at(e, offset);
    int error = 0;
    for (int i = 0; i < TABLES && error == 0; i++)
        error = expiry_table_go_back(table_of(e, i), offset);
    return error;
}

int expiry_sync(struct expiry *e)
{
    int error = 0;
    for (int i = 0; i < TABLES && error == 0; i++)
        error = expiry_table_sync(table_of(e, i));
    return error;
}

void expiry_again(struct expiry *e)
{
    expiry_table_clear(&e->table);
    expiry_fields_clear(&e->fields);
    expiry_at(e, 0);
    e->live = false;
    e->calm_since = 0;
    e->unset = e->pending = 0;
    e->broken = 0;
    e->refused = false;
}

bool expiry_settle(struct expiry *e, int64_t now)
{
    e->live = true;
    settle_some(e, now);
    return expiry_held(e) == 0 && e->pending == 0 && !e->refused;
}

void expiry_end(struct expiry *e)
{
    if (expiry_held(e) > 0 || e->pending > 0 || e->refused)
        return;
    expiry_table_clear(&e->table);
    expiry_fields_clear(&e->fields);
}
