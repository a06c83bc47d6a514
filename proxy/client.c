#include "proxy/client.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "net/stream_secure.h"
#include "proxy/access.h"
#include "proxy/blocked.h"
#include "proxy/client_reply.h"
#include "proxy/counting.h"
#include "proxy/dispatch.h"
#include "proxy/op.h"
#include "proxy/parting.h"
#include "proxy/subscriber.h"
#include "proxy/transaction.h"
#include "proxy/watch.h"
#include "proxy/worker.h"
#include "resp/inline.h"

/* A client may have this many bytes of requests under way before it is read no further. */
enum { FLOW_BYTES_MAX = 4 * 1024 * 1024 };

static struct client *client_of(struct stream *s)
{
    return CONTAINER_OF(s, struct client, stream);
}

/* --- input --------------------------------------------------------------------------------- */

static bool may_take_more(const struct client *c)
{
    return c->flow.count < c->window && c->flow.bytes < FLOW_BYTES_MAX && c->op == NULL &&
           c->blocked == NULL && !stream_is_behind(&c->stream);
}

static void pause_reading(struct client *c)
{
    c->paused = true;
    stream_pause(&c->stream);
    if (c->blocked != NULL)
        blocked_watch(c);
}

static void drop_input(struct client *c)
{
    if (c->input == NULL)
        return;
    stream_read_into(&c->stream, NULL);
    chunk_unref(c->input);
    c->input = NULL;
    c->input_at = 0;
}

static void protocol_error(struct client *c, const char *text)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_error(w, "%s", text);
    client_reply(c, writer_span(w));
    request_parser_reset(&c->parser);
    client_finish(c, ERR_PROTOCOL);
}

/*
 * What is left of the input is kept in a chunk of the client's own, with room behind it for what is
 * missing, so that a request always lies in one piece and a large one is read straight into place.
 */
static void keep_input(struct client *c, struct chunk *chunk, const char *at, size_t len)
{
    size_t missing = c->paused ? 1 : request_missing(&c->parser, len);
    if (chunk == c->input && chunk_room(chunk) >= missing) {
        c->input_at = (uint32_t)(at - chunk->bytes);
        stream_read_into(&c->stream, chunk);
        return;
    }
    struct chunk_pool *pool = &c->worker->net.store.chunks;
    uint64_t size = len + missing;
    if (missing == 1 || missing > UINT32_MAX)
        size = len * 2;
    struct chunk *fresh = chunk_try_take(pool, size > CHUNK_SMALL ? size : CHUNK_SMALL);
    if (fresh == NULL) {
        protocol_error(c, "ERR slotgate: out of memory for the request");
        return;
    }
    memcpy(fresh->bytes, at, len);
    fresh->used = (uint32_t)len;
    drop_input(c);
    c->input = fresh;
    stream_read_into(&c->stream, fresh);
}

/* Rewrites an inline command into an array, and that is what everybody behind sees. */
static bool dispatch_inline(struct client *c, struct span line)
{
    struct worker *w = c->worker;
    writer_clear(&w->inline_request, 2);
    int rc = inline_to_request(line, &w->inline_request);
    if (rc == INLINE_UNBALANCED) {
        protocol_error(c, "ERR Protocol error: unbalanced quotes in request");
        return true;
    }
    if (rc == INLINE_EMPTY)
        return true;
    struct request_parser p = { 0 };
    struct argv argv;
    size_t used;
    const char *error;
    struct span request = writer_span(&w->inline_request);
    enum request_result parsed =
        request_parse(&p, &w->limits, &w->args, request.at, request.len, &argv, &used, &error);
    REQUIRE(parsed == REQUEST_ARGS);
    return dispatch(c, &argv, request, NULL);
}

/* One request. False: the client must wait; the request stays in the input. */
static bool take_one(struct client *c, struct chunk *chunk, const char *at, size_t len,
                     size_t *used, bool *more)
{
    struct worker *w = c->worker;
    struct argv argv;
    const char *error;
    const struct request_limits *limits = access_limits(c, &w->limits);
    switch (request_parse(&c->parser, limits, &w->args, at, len, &argv, used, &error)) {
    case REQUEST_ARGS:
        return dispatch(c, &argv, (struct span){ at, *used }, chunk);
    case REQUEST_INLINE:
        return dispatch_inline(c, (struct span){ at, *used });
    case REQUEST_EMPTY:
        return true;
    case REQUEST_MORE:
        *more = true;
        return true;
    case REQUEST_BAD:
    default:
        protocol_error(c, error);
        *used = len;
        return true;
    }
}

static void process(struct client *c, struct chunk *chunk, const char *at, size_t len)
{
    while (len > 0) {
        if (UNLIKELY(!may_take_more(c))) {
            pause_reading(c);
            break;
        }
        size_t used = 0;
        bool more = false;
        if (UNLIKELY(!take_one(c, chunk, at, len, &used, &more))) {
            c->wants_drain = true;
            pause_reading(c);
            break;
        }
        if (c->stream.closing || c->finishing)
            return;
        if (more)
            break;
        at += used;
        len -= used;
    }
    if (c->flow.count > 0)
        LIST_ENTRY(c->flow.requests.prev, struct request, in_flow)->ends_batch = true;
    if (len > 0)
        keep_input(c, chunk, at, len);
    else if (c->input != NULL)
        drop_input(c);
}

/* Who has left looks the same as one that only has no more to ask, so what was asked is answered;
   but nothing is taken out of a list for somebody who may not be there. */
static void part_with_ended(struct client *c)
{
    if (c->blocked != NULL)
        blocked_dismiss(c->blocked, ERR_CLOSED_BY_PEER);
    else if (!c->paused)
        client_finish(c, ERR_CLOSED_BY_PEER);
}

static void on_end(struct stream *s)
{
    struct client *c = client_of(s);
    c->ended = true;
    c->worker->ended_clients++;
    part_with_ended(c);
}

static void on_data(struct stream *s, struct chunk *chunk, const char *at, size_t len)
{
    struct client *c = client_of(s);
    c->active_at = uv_now(s->net->loop);
    if (UNLIKELY(c->input != NULL)) {
        at = c->input->bytes + c->input_at;
        len = c->input->used - c->input_at;
    }
    process(c, chunk, at, len);
    if (UNLIKELY(c->parting))
        client_look_later(c);
}

static bool may_resume(const struct client *c)
{
    if (c->wants_drain)
        return c->flow.count == 0;
    return c->flow.count <= c->window / 2 && may_take_more(c);
}

static void resume_reading(struct client *c)
{
    bool ends = c->stream.closing || (c->finishing && !transaction_has_begun(c));
    if (!c->paused || ends || !may_resume(c))
        return;
    c->paused = c->wants_drain = false;
    if (c->input != NULL)
        process(c, c->input, c->input->bytes + c->input_at, c->input->used - c->input_at);
    if (c->finishing)
        return;
    if (UNLIKELY(c->ended))
        part_with_ended(c);
    else if (!c->paused)
        stream_resume(&c->stream);
}

void client_resume(struct client *c)
{
    list_remove(&c->in_resume);
    resume_reading(c);
    if (UNLIKELY(c->parting))
        parting_behind_reply(c);
}

void client_look_later(struct client *c)
{
    if (!list_is_linked(&c->in_resume) && !c->stream.closing)
        list_append(&c->worker->to_resume, &c->in_resume);
}

static void on_drained(struct stream *s)
{
    client_wake(client_of(s));
}

void client_wake(struct client *c)
{
    if (c->paused)
        client_look_later(c);
}

/* --- life ---------------------------------------------------------------------------------- */

static void free_labels(struct client *c)
{
    if (c->labels == NULL)
        return;
    free(c->labels->name);
    free(c->labels->lib_name);
    free(c->labels->lib_ver);
    free(c->labels);
    c->labels = NULL;
}

void client_abandon(struct client *c)
{
    if (c->op != NULL)
        op_forget_client(c->op);
    if (c->blocked != NULL)
        blocked_forget_client(c->blocked);
    transaction_drop(c);
    watch_drop(c);
    subscriber_free(c);
    counting_forget_client(c);
    flow_abandon(&c->worker->router, &c->flow);
}

static void on_closed(struct stream *s, int why)
{
    struct client *c = client_of(s);
    struct worker *w = c->worker;
    stats_closed(&w->stats, why);
    log_debug("client closed",
              "id=%llu reason=%s age_ms=%llu commands=%llu errors=%u received=%llu",
              (unsigned long long)c->id, error_name(why),
              (unsigned long long)(uv_now(w->net.loop) - c->created_at),
              (unsigned long long)c->commands, c->errors, (unsigned long long)s->received);
    client_abandon(c);
    w->exact_clients -= c->exact;
    if (c->input != NULL)
        chunk_unref(c->input);
    if (c->stash != NULL)
        chunk_unref(c->stash);
    request_parser_reset(&c->parser);
    free_labels(c);
    list_remove(&c->in_worker);
    list_remove(&c->in_resume);
    w->client_count--;
    w->ended_clients -= c->ended;
    slab_give(&w->client_slab, c);
    worker_client_left(w);
}

static const struct stream_user client_stream_user = {
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_closed = on_closed,
    .side = NET_CLIENT,
};

void client_finish_later(struct client *c, int why)
{
    c->finish_why = why;
    c->finishing = true;
    stream_pause(&c->stream);
}

void client_finish(struct client *c, int why)
{
    client_finish_later(c, why);
    client_finish_if_quiet(c);
}

const struct span client_refusal = { "-ERR max number of clients reached\r\n", 36 };

static void log_accepted(const struct client *c)
{
    char from[STREAM_ADDRESS_MAX];
    stream_peer_text(&c->stream, from, sizeof(from));
    log_debug("client accepted", "id=%llu addr=%s", (unsigned long long)c->id, from);
}

/* The oldest one of those who have probably left goes, for somebody who has come. */
static bool make_room(struct worker *w)
{
    struct list_node *n, *safe;
    if (w->ended_clients == 0)
        return false;
    LIST_EACH (&w->clients, n, safe) {
        struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (!c->ended || c->stream.closing)
            continue;
        stream_close(&c->stream, ERR_LIMIT);
        return true;
    }
    return false;
}

void client_accept(struct worker *w, int fd)
{
    struct client *c = slab_take(&w->client_slab);
    *c = (struct client){ .worker = w };
    if (stream_adopt(&c->stream, &w->net, &client_stream_user, fd) != 0) {
        slab_give(&w->client_slab, c);
        return;
    }
    c->id = worker_next_client_id(w);
    c->created_at = c->active_at = uv_now(w->net.loop);
    list_init(&c->in_resume);
    list_append(&w->clients, &c->in_worker);
    w->client_count++;
    c->window = w->max_pipeline < CLIENT_WINDOW_START ? w->max_pipeline : CLIENT_WINDOW_START;
    flow_init(&c->flow, &client_flow_user, (uint32_t)c->id);
    c->flow.may_roam = true;
    access_begin(c);
    if (w->secure.clients != NULL)
        stream_secure_server(&c->stream, w->secure.clients, w->secure.plain_too);
    if (c->stream.closing)
        return;
    stream_start(&c->stream, w->keepalive);
    if (log_wants(LOG_LEVEL_DEBUG))
        log_accepted(c);
    /* Who has been told to go does not count. */
    uint32_t room = w->max_clients + w->net.parted_count;
    if (LIKELY(w->client_count <= room) || make_room(w))
        return;
    w->stats.own.clients_refused++;
    log_warn("client refused: maxclients is reached", "id=%llu clients=%u worker=%u",
             (unsigned long long)c->id, w->client_count - 1, w->number);
    stream_send(&c->stream, client_refusal);
    stream_finish(&c->stream, ERR_LIMIT);
}
