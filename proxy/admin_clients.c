/* /clients: every client with what it costs, as JSON; and /top-clients: some of them. */
#include <stdio.h>

#include "proxy/access.h"
#include "proxy/admin.h"
#include "proxy/admin_gather.h"
#include "proxy/admin_pages.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"

enum {
    ADDRESS_MAX = 64,
    NAME_MAX_SHOWN = 128,
    TOP_CLIENTS = 20,      /* of each worker */
    MUCH_HELD = 64 * 1024, /* bytes; who holds less is judged by what he asks for */
};

/* A name may be of any length, and there may be ten thousand of them. */
static void write_name(struct json *j, const char *key, const char *name)
{
    size_t len = name != NULL ? strnlen(name, NAME_MAX_SHOWN) : 0;
    json_bytes(j, key, (struct span){ name, len });
}

static void write_command(struct json *j, const struct command *cmd)
{
    char text[64] = "";
    if (cmd != NULL)
        snprintf(text, sizeof(text), "%s%s%s", cmd->parent != NULL ? cmd->parent->name : "",
                 cmd->parent != NULL ? "|" : "", cmd->name);
    json_text(j, "command", text);
}

static const char *doing(const struct client *c)
{
    if (c->blocked != NULL && c->blocked->way->is_waiting(c->blocked))
        return "waits";
    if (c->subscriber != NULL)
        return list_is_linked(&c->subscriber->in_monitors) ? "monitor" : "subscribed";
    if (c->transaction != NULL)
        return "transaction";
    return c->flow.count > 0 || c->op != NULL ? "busy" : "idle";
}

/* Bytes that the proxy holds for it: what it has sent half, and what it has not read. */
static uint64_t held_by(const struct client *c)
{
    uint64_t input = c->input != NULL ? c->input->used - c->input_at : 0;
    return c->stream.out.bytes + c->flow.held + input;
}

static void write_client(struct json *j, const struct worker *w, const struct client *c)
{
    static const struct client_labels none;
    const struct client_labels *labels = c->labels != NULL ? c->labels : &none;
    uint64_t now = uv_now(&w->loop);
    char peer[ADDRESS_MAX];
    stream_peer_text(&c->stream, peer, sizeof(peer));
    json_object(j, NULL);
    json_u64(j, "id", c->id);
    json_u64(j, "worker", w->number);
    json_text(j, "address", peer);
    write_name(j, "name", labels->name);
    write_name(j, "library", labels->lib_name);
    write_name(j, "user", access_user_name(c));
    json_text(j, "doing", doing(c));
    write_command(j, c->last_command);
    json_u64(j, "age_ms", now - c->created_at);
    json_u64(j, "idle_ms", now - c->active_at);
    json_u64(j, "commands", c->commands);
    json_u64(j, "errors", c->errors);
    json_u64(j, "took_us", c->took_us);
    json_u64(j, "slowest_us", c->slowest_us);
    json_u64(j, "in_flight", c->flow.count);
    json_u64(j, "bytes_in", c->stream.received);
    json_u64(j, "bytes_out", stream_sent(&c->stream));
    json_u64(j, "unread_bytes", c->stream.out.bytes + c->flow.held);
    json_u64(j, "held_bytes", held_by(c));
    json_u64(j, "protocol", c->flow.protocol);
    json_object_end(j);
}

static void write_clients(struct worker *w, struct json *j)
{
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe) {
        const struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (!c->stream.closing)
            write_client(j, w, c);
    }
}

const struct admin_part admin_clients_part = { "clients", write_clients };

/* --- the most interesting ones ---------------------------------------------------------------- */

/* Whether a is to be shown before b: those who hold much, then those who ask for most. */
static bool is_before(const struct client *a, const struct client *b, uint64_t now)
{
    uint64_t held_a = held_by(a), held_b = held_by(b);
    if (held_a >= MUCH_HELD || held_b >= MUCH_HELD)
        return held_a > held_b;
    double rate_a = (double)a->commands / (double)(now - a->created_at + 1000);
    double rate_b = (double)b->commands / (double)(now - b->created_at + 1000);
    return rate_a > rate_b;
}

static void write_top_clients(struct worker *w, struct json *j)
{
    const struct client *top[TOP_CLIENTS];
    size_t count = 0;
    uint64_t now = uv_now(&w->loop);
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe) {
        const struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (c->stream.closing)
            continue;
        size_t at = count;
        while (at > 0 && is_before(c, top[at - 1], now))
            at--;
        if (at == TOP_CLIENTS)
            continue;
        count += count < TOP_CLIENTS;
        memmove(&top[at + 1], &top[at], (count - at - 1) * sizeof(struct client *));
        top[at] = c;
    }
    for (size_t i = 0; i < count; i++)
        write_client(j, w, top[i]);
}

const struct admin_part admin_top_clients_part = { "top_clients", write_top_clients };

void admin_top_clients(struct worker *w, struct http_exchange *x)
{
    admin_gather(w, x, &admin_top_clients_part);
}

void admin_clients(struct worker *w, struct http_exchange *x)
{
    admin_gather(w, x, &admin_clients_part);
}
