#include "proxy/dispatch.h"

#include <stdio.h>

#include "cluster/group.h"
#include "cluster/keys.h"
#include "proxy/access.h"
#include "proxy/blocking.h"
#include "proxy/client_reply.h"
#include "proxy/gather.h"
#include "proxy/gather_sort.h"
#include "proxy/key_report.h"
#include "proxy/local.h"
#include "proxy/monitor.h"
#include "proxy/publish.h"
#include "proxy/script_news.h"
#include "proxy/transaction.h"
#include "proxy/watch.h"
#include "proxy/worker.h"

/* --- answers to what cannot be executed ----------------------------------------------------- */

enum { SHOWN_MAX = 128 }; /* bytes of a bad command's name and arguments in the error */

static bool reply(struct client *c, struct writer *w)
{
    client_reply(c, writer_span(w));
    return true;
}

static struct writer *writer_of(struct client *c)
{
    return worker_writer(c->worker, c->flow.protocol);
}

static int shown(struct span s)
{
    return s.len < SHOWN_MAX ? (int)s.len : SHOWN_MAX;
}

/* Redis's text, see rejectCommandFormat in server.c: as many arguments as fit in 128 bytes. */
static bool unknown_command(struct client *c, const struct argv *argv)
{
    char args[SHOWN_MAX * 2 + 8];
    size_t len = 0;
    for (uint32_t i = 1; i < argv->count && len < SHOWN_MAX; i++) {
        struct span a = argv_get(argv, i);
        int room = SHOWN_MAX - (int)len;
        int n = snprintf(args + len, sizeof(args) - len, "'%.*s' ",
                         shown(a) < room ? shown(a) : room, a.at);
        len += (size_t)n;
    }
    args[len] = '\0';
    struct span name = argv_get(argv, 0);
    struct writer *w = writer_of(c);
    write_error(w, "ERR unknown command '%.*s', with args beginning with: %s", shown(name), name.at,
                args);
    return reply(c, w);
}

static void upper(char *to, const char *from, size_t size)
{
    size_t i = 0;
    for (; from[i] != '\0' && i + 1 < size; i++)
        to[i] = (char)(from[i] >= 'a' && from[i] <= 'z' ? from[i] - 32 : from[i]);
    to[i] = '\0';
}

static bool unknown_subcommand(struct client *c, const struct command *container,
                               const struct argv *argv)
{
    char name[32];
    upper(name, container->name, sizeof(name));
    struct span sub = argv_get(argv, 1);
    struct writer *w = writer_of(c);
    write_error(w, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown(sub), sub.at, name);
    return reply(c, w);
}

static bool abort_exec(struct client *c, const char *why)
{
    struct writer *w = writer_of(c);
    transaction_drop(c);
    watch_drop(c);
    write_error(w, "EXECABORT Transaction discarded because of: %s", why);
    return reply(c, w);
}

static bool wrong_arity(struct client *c, const struct command *cmd)
{
    if (strcmp(cmd->name, "exec") == 0)
        return abort_exec(c, "wrong number of arguments for 'exec' command");
    struct writer *w = writer_of(c);
    stats_failed(&c->worker->stats, cmd);
    write_error(w, "ERR wrong number of arguments for '%s%s%s' command",
                cmd->parent != NULL ? cmd->parent->name : "", cmd->parent != NULL ? "|" : "",
                cmd->name);
    return reply(c, w);
}

void local_refuse_as(const struct command *cmd, const char *why, struct writer *w)
{
    char name[64], full[80];
    snprintf(full, sizeof(full), "%s%s%s", cmd->parent != NULL ? cmd->parent->name : "",
             cmd->parent != NULL ? " " : "", cmd->name);
    upper(name, full, sizeof(name));
    write_error(w, "ERR slotgate: %s %s", name, why);
}

static bool refuse(struct client *c, const struct command *cmd, const char *why)
{
    struct writer *w = writer_of(c);
    stats_failed(&c->worker->stats, cmd);
    local_refuse_as(cmd, why, w);
    return reply(c, w);
}

void local_refuse(const struct command *cmd, struct writer *w)
{
    char why[200];
    snprintf(why, sizeof(why), "is refused: %s", cmd->refuse);
    local_refuse_as(cmd, why, w);
}

/* --- one function per kind of command -------------------------------------------------------- */

struct call {
    struct client *client;
    const struct command *cmd;
    const struct argv *argv;
    struct span bytes;
    struct chunk *chunk;
};

static bool route(const struct call *call, uint16_t slot)
{
    struct client *c = call->client;
    struct router *rt = &c->worker->router;
    struct request *r = router_request(rt, &c->flow, call->cmd, slot);
    r->silent = c->reply_mode != REPLY_ON;
    router_submit(rt, r, call->bytes, call->chunk);
    return true;
}

static bool cross_slot(const struct call *call)
{
    struct writer *w = writer_of(call->client);
    stats_failed(&call->client->worker->stats, call->cmd);
    write_error(w, "CROSSSLOT Keys in request don't hash to the same slot");
    return reply(call->client, w);
}

static bool by_keys(const struct call *call)
{
    int slot = keys_slot(call->cmd, call->argv);
    if (LIKELY(slot >= 0))
        return route(call, (uint16_t)slot);
    if (slot == KEYS_CROSS)
        return cross_slot(call);
    /* No key at all (EVAL with none), or a syntax error that any node can explain. */
    return route(call, SLOT_ANY);
}

/* MGET, DEL and their like have a key every argument, MSET every two. */
static bool by_parts(const struct call *call)
{
    int slot = keys_slot(call->cmd, call->argv);
    if (slot != KEYS_CROSS || !call->client->worker->config.enable_cross_slot)
        return by_keys(call);
    struct client *c = call->client;
    uint32_t step = (uint32_t)call->cmd->specs[0].step;
    if ((call->argv->count - 1) % step != 0)
        return wrong_arity(c, call->cmd);
    c->worker->stats.own.splits++;
    group_split(&c->worker->router, &c->flow, call->cmd, call->argv, step,
                c->reply_mode != REPLY_ON);
    return true;
}

static bool by_gathering(const struct call *call)
{
    if (sort_has_patterns(call->cmd, call->argv) && call->client->worker->config.enable_cross_slot)
        return sort_by_patterns(call->client, call->cmd, call->argv);
    int slot = keys_slot(call->cmd, call->argv);
    if (slot != KEYS_CROSS || !call->client->worker->config.enable_cross_slot)
        return by_keys(call);
    return gather(call->client, call->cmd, call->argv);
}

static bool by_proxy(const struct call *call);

static bool by_any(const struct call *call)
{
    return route(call, SLOT_ANY);
}

/* PUBLISH tells how many receive it, so those who are connected to us have to be counted. */
static bool by_publishing(const struct call *call)
{
    return publish_may_be_heard(call->client->worker) ? by_proxy(call) : by_keys(call);
}

static void answer_at_once(struct client *c, const struct command *cmd, struct span answer)
{
    if (*answer.at == '-')
        stats_failed(&c->worker->stats, cmd);
    stats_latency(&c->worker->stats, cmd, 0);
    client_reply(c, answer);
}

static bool by_proxy(const struct call *call)
{
    struct client *c = call->client;
    struct writer *w = writer_of(c);
    if (!c->worker->locals[call->cmd->index](c, call->argv, w))
        return false;
    if (w->len > 0)
        answer_at_once(c, call->cmd, writer_span(w));
    client_finish_if_quiet(c);
    return true;
}

/* XREAD, XREADGROUP. */
static bool by_streams(const struct call *call)
{
    int slot = keys_slot(call->cmd, call->argv);
    if (slot != KEYS_CROSS || !call->client->worker->config.enable_cross_slot)
        return by_keys(call);
    gather_streams(call->client, call->cmd, call->argv);
    return true;
}

static bool by_blocking(const struct call *call)
{
    if (!blocking_waits(call->cmd, call->argv))
        return by_streams(call);
    bool may_be_wide = call->client->worker->config.enable_cross_slot &&
                       blocking_may_be_wide(call->cmd, call->argv);
    if (!may_be_wide && keys_slot(call->cmd, call->argv) == KEYS_CROSS)
        return cross_slot(call);
    return blocking_start(call->client, call->cmd, call->argv);
}

static bool by_broadcast(const struct call *call)
{
    struct client *c = call->client;
    if (c->worker->locals[call->cmd->index] != NULL)
        return by_proxy(call);
    if (call->cmd->merge != MERGE_SPECIAL)
        return group_broadcast(&c->worker->router, &c->flow, call->cmd, call->bytes,
                               c->reply_mode != REPLY_ON) != NULL;
    return refuse(call->client, call->cmd, "concerns every node; it is not supported yet");
}

static bool by_session(const struct call *call)
{
    if (call->client->worker->locals[call->cmd->index] != NULL)
        return by_proxy(call);
    return refuse(call->client, call->cmd, "is not supported yet");
}

static bool by_refusal(const struct call *call)
{
    struct client *c = call->client;
    if (c->worker->locals[call->cmd->index] != NULL)
        return by_proxy(call);
    struct writer *w = writer_of(c);
    stats_failed(&c->worker->stats, call->cmd);
    local_refuse(call->cmd, w);
    return reply(c, w);
}

static bool (*const executors[])(const struct call *) = {
    [HOW_KEYS] = by_keys,           [HOW_SPLIT] = by_parts,
    [HOW_GATHER] = by_gathering,    [HOW_ANY] = by_any,
    [HOW_BROADCAST] = by_broadcast, [HOW_LOCAL] = by_proxy,
    [HOW_SESSION] = by_session,     [HOW_BLOCK] = by_blocking,
    [HOW_REFUSE] = by_refusal,      [HOW_PUBLISH] = by_publishing,
};

/* --- the way in ------------------------------------------------------------------------------ */

static inline bool run_row(const struct call *call)
{
    const struct command *cmd = call->cmd;
    if (LIKELY(cmd->how == HOW_KEYS))
        return by_keys(call);
    if (cmd->how == HOW_GATHER || cmd->how == HOW_BROADCAST)
        script_news_see(call->client->worker, cmd, call->argv);
    return executors[cmd->how](call);
}

/* The worker's commands are paused, or shown to a monitor. */
static bool run_with_attention(const struct call *call)
{
    if (pause_holds(call->client, call->cmd) || !run_row(call))
        return false;
    monitor_feed(call->client, call->cmd, call->argv);
    return true;
}

static bool execute(const struct call *call)
{
    const struct command *cmd = call->cmd;
    struct client *c = call->client;
    c->last_command = cmd;
    if (UNLIKELY(!command_arity_ok(cmd, call->argv->count)))
        return wrong_arity(c, cmd);
    if (UNLIKELY(c->subscriber != NULL) && !subscriber_allows(c, cmd, writer_of(c)))
        return reply(c, &c->worker->reply);
    if (UNLIKELY(c->worker->attention))
        return run_with_attention(call);
    return run_row(call);
}

static inline bool run(const struct call *call, const struct command *container)
{
    if (LIKELY(call->cmd != NULL)) {
        struct stats *stats = &call->client->worker->stats;
        if (stats_samples(stats))
            key_report_sample(call->client, call->cmd, call->argv);
        bool done = execute(call);
        stats_call(stats, call->cmd, done);
        return done;
    }
    if (container != NULL)
        return unknown_subcommand(call->client, container, call->argv);
    return unknown_command(call->client, call->argv);
}

/* Inside MULTI: what Redis refuses at once is refused at once, all else waits for EXEC. */
static bool queue(const struct call *call, const struct command *container)
{
    struct client *c = call->client;
    const struct command *cmd = call->cmd;
    bool known = cmd != NULL && command_arity_ok(cmd, call->argv->count);
    if (known && transaction_passes(cmd))
        return run(call, container);
    if (!known) {
        transaction_spoil(c);
        return run(call, container);
    }
    if (c->worker->attention && pause_holds(c, cmd))
        return false;
    c->last_command = cmd;
    monitor_feed(c, cmd, call->argv);
    if (cmd->how == HOW_GATHER)
        script_news_see(c->worker, cmd, call->argv);
    struct writer *w = writer_of(c);
    stats_call(&c->worker->stats, cmd, true);
    transaction_queue(c, cmd, call->argv, call->bytes, w);
    return reply(c, w);
}

static bool refuse_nobody(struct client *c)
{
    struct writer *w = writer_of(c);
    write_error(w, "NOAUTH Authentication required.");
    return reply(c, w);
}

/* The user may not do this. */
static bool refuse_user(struct client *c, const struct command *cmd, struct writer *w)
{
    stats_failed(&c->worker->stats, cmd);
    if (strcmp(cmd->name, "exec") == 0)
        return abort_exec(c, "NOPERM this user has no permissions to run the 'exec' command");
    if (c->transaction != NULL)
        transaction_spoil(c);
    return reply(c, w);
}

static bool run_if_allowed(const struct call *call, const struct command *container)
{
    struct client *c = call->client;
    bool sound = call->cmd != NULL && command_arity_ok(call->cmd, call->argv->count);
    if (sound && !access_allows(c, call->cmd))
        return refuse_nobody(c);
    if (sound && (c->special & SPECIAL_LIMITED) != 0) {
        struct writer *w = writer_of(c);
        c->last_command = call->cmd;
        if (!access_permits(c, call->cmd, call->argv, w))
            return refuse_user(c, call->cmd, w);
    }
    return c->transaction != NULL ? queue(call, container) : run(call, container);
}

/* A client that has to log in or may not do everything, with a transaction, or whose replies are
   not all wanted. CLIENT REPLY SKIP is about the command after it, whatever becomes of that. */
static bool run_special(const struct call *call, const struct command *container)
{
    struct client *c = call->client;
    if (c->reply_mode == REPLY_SKIP_NEXT)
        client_set_reply_mode(c, REPLY_SKIP);
    bool done = run_if_allowed(call, container);
    if (done && c->reply_mode == REPLY_SKIP)
        client_set_reply_mode(c, REPLY_ON);
    return done;
}

bool dispatch(struct client *c, const struct argv *argv, struct span bytes, struct chunk *chunk)
{
    const struct command *container = NULL;
    struct call call = { .client = c, .argv = argv, .bytes = bytes, .chunk = chunk };
    call.cmd = command_resolve(c->worker->commands, argv, &container);
    bool done = LIKELY(c->special == 0) ? run(&call, container) : run_special(&call, container);
    if (STATISTICS)
        c->commands += done;
    return done;
}

bool dispatch_queued(struct client *c, const struct command *cmd, const struct argv *argv,
                     struct span bytes)
{
    struct call call = { .client = c, .cmd = cmd, .argv = argv, .bytes = bytes };
    bool may_roam = c->flow.may_roam;
    c->flow.may_roam = false; /* a transaction sees what it has written */
    bool done = run_row(&call);
    c->flow.may_roam = may_roam;
    return done;
}
