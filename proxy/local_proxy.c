/* PROXY: what the proxy tells of itself. No Redis has it, so no application calls it by chance. */
#include "proxy/command_doc.h"
#include "proxy/local.h"
#include "proxy/worker.h"

enum which { ALL, UNSUPPORTED, ONE_SLOT };

static bool read_which(const struct argv *argv, enum which *out)
{
    *out = ALL;
    if (argv->count == 2)
        return true;
    struct span word = argv_get(argv, 2);
    *out = span_is(word, "unsupported") ? UNSUPPORTED : ONE_SLOT;
    return argv->count == 3 && (*out == UNSUPPORTED || span_is(word, "crossslot-unsupported") ||
                                span_is(word, "crossslots-unsupported"));
}

/* A container is shown by its subcommands. */
static bool is_shown(const struct command *c, const struct command_note *n, enum which which)
{
    if (c->subs != NULL)
        return false;
    return which == ALL || (which == UNSUPPORTED ? n->unsupported : n->one_slot);
}

/* One element for each: its name, how it is handled, and a remark. */
bool local_proxy_command(struct client *c, const struct argv *argv, struct writer *w)
{
    const struct worker *worker = c->worker;
    uint32_t size = command_table_size(worker->commands), count = 0;
    bool cross_slot = worker->config.enable_cross_slot;
    enum which which;
    if (!read_which(argv, &which)) {
        write_error(w, "ERR syntax error, try PROXY HELP");
        return true;
    }
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            write_array(w, count);
        for (uint32_t i = 0; i < size; i++) {
            const struct command *cmd = command_at(worker->commands, i);
            struct command_note n = command_note_of(cmd, worker->locals, cross_slot);
            if (!is_shown(cmd, &n, which))
                continue;
            count++;
            if (pass == 0)
                continue;
            write_array(w, 3);
            write_bulk_text(w, n.name);
            write_bulk_text(w, n.how);
            write_bulk_text(w, n.note);
        }
    }
    return true;
}

bool local_proxy_help(struct client *c, const struct argv *argv, struct writer *w)
{
    static const char *const lines[] = {
        "PROXY <subcommand> [<arg> ...]. Subcommands are:",
        "BIGKEYS [<count>|RESET]",
        "    Return the keys with the largest requests and replies, the largest first: key, bytes",
        "    of the largest request and reply, command.",
        "CLIENT ID|THREAD",
        "    Return the id of this connection, or the number of the worker that serves it.",
        "CLUSTER [INFO|STATUS|CONNECTION|NODES]",
        "    Return what the proxy knows of the cluster: as text; whether that is up to date;",
        "    shared or private; or for each shard its master, its number of slots, its replicas.",
        "CLUSTER UPDATE",
        "    Ask the cluster for its slots soon. For the admin.",
        "COMMAND [UNSUPPORTED|CROSSSLOT-UNSUPPORTED]",
        "    Return how each command is handled: its name, how, and a remark. UNSUPPORTED: only",
        "    those that are not executed; CROSSSLOT-UNSUPPORTED: only those whose keys have to",
        "    lie in one slot.",
        "CONFIG GET <pattern> [<pattern> ...]",
        "    Return the proxy's own options and their values.",
        "CONFIG SET <option> <value> [<option> <value> ...]",
        "    Change options while the proxy runs. For the admin.",
        "FENCE [<client-name> <id> [FORCE]]",
        "    Return the id of the worker that serves this connection. With a name and that id: end",
        "    all other connections of that name, and return when nothing of them can be executed",
        "    any more. FORCE: the worker with that id is gone; end what it has left at the nodes.",
        "HELP",
        "    Print this help.",
        "HOTKEYS [<count>|RESET]",
        "    Return the keys that are asked for most, in about the last two minutes: key, calls",
        "    (an estimate), and by how much that may be too high.",
        "INFO [<section> ...]",
        "    Return what the proxy knows of itself: proxy, clients, cluster, slotgate.",
        "LOG [debug|info|success|warning|error] <message>",
        "    Write a line to the proxy's log. For the admin.",
        "METRICS [<worker>]",
        "    Return the numbers that docs/metrics.md explains, of all workers or of one.",
        "SHUTDOWN [ASAP]",
        "    Stop the proxy as SIGTERM does, or at once. For the admin: AUTH admin <password>.",
        "SLOWLOG [<count>]",
        "    Return the slowest commands of late as SLOWLOG GET does, each with two more fields:",
        "    the microseconds that its last try took at a node, and the node.",
    };
    (void)c;
    (void)argv;
    write_array(w, ARRAY_LEN(lines));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        write_simple(w, lines[i]);
    return true;
}
