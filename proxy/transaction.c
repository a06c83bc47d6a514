#include "proxy/transaction.h"

#include <stdlib.h>

#include "base/text.h"
#include "cluster/block.h"
#include "cluster/keys.h"
#include "proxy/blocking.h"
#include "proxy/local.h"
#include "proxy/subscriber.h"
#include "proxy/survey.h"
#include "proxy/watch.h"
#include "proxy/worker.h"

/* --- queueing ------------------------------------------------------------------------------ */

bool transaction_passes(const struct command *cmd)
{
    static const char *const names[] = { "discard", "exec", "multi", "quit", "reset", "watch" };
    for (size_t i = 0; cmd->parent == NULL && i < ARRAY_LEN(names); i++)
        if (strcmp(cmd->name, names[i]) == 0)
            return true;
    return false;
}

static bool is_sub_of(const struct command *cmd, const char *container)
{
    return cmd->parent != NULL && strcmp(cmd->parent->name, container) == 0;
}

/* What the proxy answers itself and a node would answer alike. */
static bool is_same_anywhere(const struct command *cmd)
{
    static const char *const names[] = { "echo", "ping", "time" };
    for (size_t i = 0; cmd->parent == NULL && i < ARRAY_LEN(names); i++)
        if (strcmp(cmd->name, names[i]) == 0)
            return true;
    return false;
}

static enum queued_kind kind_by_keys(const struct command *cmd, const struct argv *argv, int *slot)
{
    *slot = keys_slot(cmd, argv);
    if (*slot == KEYS_CROSS)
        return QUEUED_STEP;
    return *slot >= 0 ? QUEUED_KEYED : QUEUED_FREE;
}

static bool is_named(const struct command *cmd, const char *name)
{
    return cmd->parent == NULL && strcmp(cmd->name, name) == 0;
}

static enum queued_kind kind_of(const struct client *c, const struct command *cmd,
                                const struct argv *argv, int *slot)
{
    bool databases = c->worker->learner.databases > 1;
    *slot = KEYS_NONE;
    if (subscriber_is_verb(cmd) || (databases && is_named(cmd, "select")))
        return QUEUED_STEP;
    if (databases && is_named(cmd, "move"))
        return kind_by_keys(cmd, argv, slot);
    switch ((enum command_how)cmd->how) {
    case HOW_KEYS:
    case HOW_SPLIT:
    case HOW_GATHER:
    case HOW_PUBLISH:
    case HOW_BLOCK: /* inside MULTI nothing blocks */
        return kind_by_keys(cmd, argv, slot);
    case HOW_ANY:
    case HOW_SESSION: /* UNWATCH; the others are not queued */
        return QUEUED_FREE;
    case HOW_LOCAL:
        if (is_same_anywhere(cmd)) /* but PING has another reply for who is subscribed */
            return c->transaction->subscribes ? QUEUED_HERE : QUEUED_FREE;
        /* The facade and CLIENT UNBLOCK ask nodes, a survey the other workers. */
        if (is_sub_of(cmd, "client") && strcmp(cmd->name, "unblock") == 0)
            return QUEUED_STEP;
        return is_sub_of(cmd, "cluster") || survey_concerns(c, argv) ? QUEUED_STEP : QUEUED_HERE;
    default:
        return QUEUED_STEP;
    }
}

/* These change what the connection is in the middle of EXEC's reply. */
static bool is_switch(const struct client *c, const struct command *cmd, const struct argv *argv)
{
    int64_t protocol;
    if (cmd->how == HOW_SESSION)
        return strcmp(cmd->name, "unwatch") != 0 && !subscriber_is_verb(cmd);
    if (is_sub_of(cmd, "client") && strcmp(cmd->name, "reply") == 0)
        return span_is(argv_get(argv, 2), "off") || span_is(argv_get(argv, 2), "skip");
    if (strcmp(cmd->name, "hello") != 0 || argv->count == 1)
        return false;
    struct span text = argv_get(argv, 1);
    return text_to_i64(text.at, text.len, &protocol) && (protocol == 2 || protocol == 3) &&
           protocol != c->flow.protocol;
}

/* False: the error has been written. */
static bool may_be_queued(const struct client *c, const struct command *cmd,
                          const struct argv *argv, int slot, struct writer *w)
{
    bool split = cmd->how == HOW_SPLIT || cmd->how == HOW_GATHER ||
                 (cmd->how == HOW_BLOCK && !blocking_waits(cmd, argv));
    if ((cmd->flags & CMD_NO_MULTI) != 0)
        write_error(w, "ERR Command not allowed inside a transaction");
    else if (cmd->how == HOW_REFUSE && c->worker->locals[cmd->index] == NULL)
        local_refuse(cmd, w);
    else if (is_switch(c, cmd, argv))
        local_refuse_as(cmd, "is not supported inside MULTI", w);
    else if (slot == KEYS_CROSS && !(split && c->worker->config.enable_cross_slot))
        write_error(w, "CROSSSLOT Keys in request don't hash to the same slot");
    else
        return true;
    return false;
}

/* False: there is no room for so many bytes more, and for the EXEC behind them. */
static bool make_room(struct client *c, struct transaction *t, size_t more)
{
    struct chunk_pool *pool = &c->worker->net.store.chunks;
    size_t begun = t->bytes != NULL ? t->bytes->used : strlen(BLOCK_BEGIN);
    uint64_t need = begun + more + strlen(BLOCK_END);
    uint64_t records = (t->count + 1) * sizeof(t->commands[0]);
    if (need + records > c->worker->limits.max_request)
        return false;
    if (t->bytes != NULL && t->bytes->size >= need)
        return true;
    uint64_t size = need < CHUNK_SMALL ? CHUNK_SMALL : 2 * need;
    struct chunk *larger = chunk_try_take(pool, size);
    if (larger == NULL)
        return false;
    if (t->bytes == NULL) {
        memcpy(larger->bytes, BLOCK_BEGIN, begun);
    } else {
        memcpy(larger->bytes, t->bytes->bytes, begun);
        chunk_unref(t->bytes);
    }
    larger->used = (uint32_t)begun;
    t->bytes = larger;
    return true;
}

static struct queued *next_record(struct transaction *t)
{
    if (t->count == t->room) {
        t->room = t->room > 0 ? 2 * t->room : 8;
        t->commands = realloc(t->commands, t->room * sizeof(t->commands[0]));
        REQUIRE(t->commands != NULL);
    }
    return &t->commands[t->count++];
}

static void join_slot(struct transaction *t, int slot)
{
    if (slot < 0 || slot == t->slot)
        return;
    t->slot = t->slot == KEYS_NONE ? slot : KEYS_CROSS;
}

static bool may_change_data(const struct command *cmd)
{
    bool reads = (cmd->flags & CMD_READONLY) != 0;
    bool moot = cmd->how == HOW_ANY && (cmd->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) == 0;
    return !reads && !moot && cmd->how != HOW_SESSION && !is_same_anywhere(cmd);
}

static void keep(struct transaction *t, const struct command *cmd, enum queued_kind kind, int slot,
                 struct span bytes)
{
    *next_record(t) = (struct queued){ .cmd = cmd,
                                       .at = t->bytes->used,
                                       .len = (uint32_t)bytes.len,
                                       .slot = (uint16_t)(slot >= 0 ? slot : 0),
                                       .kind = (uint8_t)kind,
                                       .writes = may_change_data(cmd) };
    memcpy(t->bytes->bytes + t->bytes->used, bytes.at, bytes.len);
    t->bytes->used += (uint32_t)bytes.len;
    t->has_steps |= kind == QUEUED_STEP;
    t->in_phases |= kind == QUEUED_HERE || kind == QUEUED_STEP;
    t->writes |= may_change_data(cmd);
    t->subscribes |= subscriber_is_verb(cmd);
    t->publishes |= cmd->how == HOW_PUBLISH;
    join_slot(t, slot);
}

static void forget_commands(struct transaction *t)
{
    if (t->bytes != NULL)
        chunk_unref(t->bytes);
    free(t->commands);
    writer_close(&t->carried);
    writer_close(&t->front);
    *t =
        (struct transaction){ .slot = KEYS_NONE, .carried_slot = KEYS_NONE, .spoiled = t->spoiled };
}

void transaction_spoil(struct client *c)
{
    c->transaction->spoiled = true;
    forget_commands(c->transaction);
}

void transaction_queue(struct client *c, const struct command *cmd, const struct argv *argv,
                       struct span bytes, struct writer *w)
{
    struct transaction *t = c->transaction;
    int slot;
    enum queued_kind kind = kind_of(c, cmd, argv, &slot);
    if (!may_be_queued(c, cmd, argv, slot, w)) {
        transaction_spoil(c);
        return;
    }
    if (!t->spoiled && !make_room(c, t, bytes.len)) {
        write_error(w, "ERR slotgate: the transaction is larger than client-query-buffer-limit");
        transaction_spoil(c);
        return;
    }
    if (!t->spoiled)
        keep(t, cmd, kind, slot, bytes);
    write_simple(w, "QUEUED");
}

int64_t transaction_count(const struct client *c)
{
    return c->transaction == NULL ? -1 : (int64_t)c->transaction->count;
}

void transaction_drop(struct client *c)
{
    struct transaction *t = c->transaction;
    if (t == NULL)
        return;
    forget_commands(t);
    free(t);
    c->transaction = NULL;
    client_set_special(c, SPECIAL_TRANSACTION, false);
    if (c->subscriber != NULL)
        subscriber_reply_ended(c);
}

/* --- the commands -------------------------------------------------------------------------- */

bool local_multi(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    if (c->transaction != NULL) {
        write_error(w, "ERR MULTI calls can not be nested");
        return true;
    }
    c->transaction = calloc(1, sizeof(*c->transaction));
    REQUIRE(c->transaction != NULL);
    c->transaction->slot = c->transaction->carried_slot = KEYS_NONE;
    client_set_special(c, SPECIAL_TRANSACTION, true);
    write_simple(w, "OK");
    return true;
}

bool local_discard(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    if (c->transaction == NULL) {
        write_error(w, "ERR DISCARD without MULTI");
        return true;
    }
    transaction_drop(c);
    watch_drop(c);
    write_simple(w, "OK");
    return true;
}

static bool is_cross_slot(const struct client *c)
{
    return c->transaction->slot == KEYS_CROSS && !c->worker->config.enable_cross_slot;
}

/* False: not now. */
static bool execute(struct client *c, struct writer *w)
{
    struct transaction *t = c->transaction;
    if (c->watch != NULL) {
        enum watch_outcome outcome = watch_exec(c, w);
        if (outcome == WATCH_PENDING || outcome == WATCH_ANSWERED)
            return outcome == WATCH_ANSWERED;
        if (outcome == WATCH_CARRIED)
            transaction_carried(c, c->watch->slot, writer_span(&c->watch->result));
        watch_drop(c);
    }
    if (t->count == 0) {
        write_array(w, 0);
        return true;
    }
    if (t->slot != KEYS_CROSS && !t->in_phases) {
        transaction_send_block(c);
        return true;
    }
    bool done = transaction_run(c);
    writer_clear(w, c->flow.protocol); /* the phases have used it, too */
    return done;
}

bool local_exec(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    struct transaction *t = c->transaction;
    if (t == NULL) {
        write_error(w, "ERR EXEC without MULTI");
        return true;
    }
    if (t->spoiled)
        write_error(w, "EXECABORT Transaction discarded because of previous errors.");
    else if (is_cross_slot(c))
        write_error(w, "CROSSSLOT Keys in request don't hash to the same slot");
    else if (!execute(c, w))
        return false;
    transaction_drop(c);
    watch_drop(c);
    return true;
}
