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

/* As COMMAND shows them: the first and the last key, and the step between two; 0: it is not so
 * easy.
 */
static void write_key_range(const struct command *cmd, struct writer *w)
{
    int first = 0, last = 0, step = 0;
    for (int i = 0; i < cmd->spec_count; i++) {
        const struct key_spec *s = &cmd->specs[i];
        if (s->begin != KEY_BEGIN_INDEX || s->find != KEY_FIND_RANGE)
            continue;
        int end = s->last < 0 ? s->last : s->pos + s->last;
        step = step == 0 ? s->step : 1;
        first = first == 0 || s->pos < first ? s->pos : first;
        last = end < 0 || (last >= 0 && end > last) ? end : last;
    }
    write_integer(w, first);
    write_integer(w, last);
    write_integer(w, step);
}

/* The six fields of the old tool; how it is handled, and a remark. */
static void write_command(const struct command *cmd, const struct command_note *n, struct writer *w)
{
    write_array(w, 8);
    write_bulk_text(w, n->name);
    write_integer(w, cmd->arity);
    write_key_range(cmd, w);
    write_integer(w, !n->unsupported);
    write_bulk_text(w, n->how);
    write_bulk_text(w, n->note);
}

/* One element for each. */
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
            if (pass == 1)
                write_command(cmd, &n, w);
        }
    }
    return true;
}

void local_write_lines(struct writer *w, const char *const *lines, size_t count)
{
    write_array(w, count);
    for (size_t i = 0; i < count; i++)
        write_simple(w, lines[i]);
}

bool local_proxy_help(struct client *c, const struct argv *argv, struct writer *w)
{
    static const char *const lines[] = {
        "PROXY <subcommand> [<arg> ...]. Subcommands are:",
        "BIGKEYS [<count>|RESET]",
        "    Return the keys with the largest requests and replies, the largest first: key, bytes",
        "    of the largest request and reply, command.",
        "CLIENT ID|THREAD|HELP",
        "    Return the id of this connection, or the number of the worker that serves it.",
        "CLUSTER [INFO|STATUS|CONNECTION|NODES|HELP]",
        "    Return what the proxy knows of the cluster: names and values of all of these; whether",
        "    it is up to date; whether this client has connections of its own; the masters.",
        "CLUSTER UPDATE",
        "    Ask the cluster for its slots soon. For the admin.",
        "COMMAND [UNSUPPORTED|CROSSSLOT-UNSUPPORTED]",
        "    Return each command: name, arity, first key, last key, step, whether it is executed,",
        "    how, and a remark. UNSUPPORTED: only those that are not executed;",
        "    CROSSSLOT-UNSUPPORTED: only those whose keys have to lie in one slot.",
        "CONFIG GET <pattern> [<pattern> ...]",
        "    Return the proxy's own options and their values.",
        "CONFIG SET <option> <value> [<option> <value> ...]",
        "    Change options while the proxy runs. For the admin.",
        "DEBUG SEGFAULT|ASSERT|HELP",
        "    End the worker that serves this connection as a crash would. For the admin.",
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
        "MULTIPLEXING STATUS|OFF",
        "    Return whether this client shares its connections to the nodes: on or off. It cannot",
        "    be turned off; a client gets a connection of its own when it needs one.",
        "SHUTDOWN [ASAP]",
        "    Stop the proxy as SIGTERM does, or at once. For the admin: AUTH admin <password>.",
        "SLOWLOG [<count>]",
        "    Return the slowest commands of late as SLOWLOG GET does, each with two more fields:",
        "    the microseconds that its last try took at a node, and the node.",
    };
    (void)c;
    (void)argv;
    local_write_lines(w, lines, ARRAY_LEN(lines));
    return true;
}
