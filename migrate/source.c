#include "migrate/source.h"

#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/source_login.h"
#include "resp/writer.h"

enum { TICK_MS = 1000, REST_MS = 500, REST_MAX_MS = 60000, KEEPALIVE_S = 60 };

static void dial(struct source *s);

static uint64_t now_of(const struct source *s)
{
    return uv_now(s->net->loop);
}

void source_fail(struct source *s, const char *why)
{
    if (s->closing || s->state == SOURCE_CLOSED)
        return;
    s->state = SOURCE_CLOSED;
    if (s->open)
        stream_close(&s->stream, ERR_CANCELED);
    s->user->on_failed(s->context, why);
}

void source_send(struct source *s, const char *const *words, size_t count)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, words, count);
    stream_send(&s->stream, writer_span(&w));
    writer_close(&w);
}

void source_acknowledge(struct source *s)
{
    char offset[TEXT_NUMBER_MAX + 1];
    bool awaited = s->state >= SOURCE_PAYLOAD_HEAD && s->state <= SOURCE_STREAM;
    if (!awaited || !s->acknowledges || !s->open || s->closing)
        return;
    offset[text_from_u64(offset, s->acknowledged)] = '\0';
    source_send(s, (const char *[]){ "REPLCONF", "ACK", offset }, 3);
}

/* --- what comes ---------------------------------------------------------------------------- */

static void give_payload(void *context, struct span bytes)
{
    struct source *s = context;
    s->payload_bytes += bytes.len;
    s->user->on_payload(s->context, bytes);
}

static void payload_ended(struct source *s)
{
    s->state = SOURCE_STREAM;
    s->resuming = true;
    s->broken = 0;
    log_info("payload received", "bytes=%llu", (unsigned long long)s->payload_bytes);
    s->user->on_payload_end(s->context);
    source_acknowledge(s); /* a diskless source starts the stream with the next one it gets */
}

static size_t take_payload(struct source *s, struct span bytes)
{
    size_t used = bytes.len;
    bool ended;
    if (s->marked) {
        ended = eof_mark_find(&s->eof, bytes, give_payload, s, &used);
    } else {
        used = s->payload_left < bytes.len ? (size_t)s->payload_left : bytes.len;
        s->payload_left -= used;
        ended = s->payload_left == 0;
        give_payload(s, (struct span){ bytes.at, used });
    }
    if (ended && s->state == SOURCE_PAYLOAD)
        payload_ended(s);
    return used;
}

static size_t take_stream(struct source *s, struct span bytes)
{
    s->offset += bytes.len;
    s->user->on_stream(s->context, bytes);
    return bytes.len;
}

/* Collects a line; a lone line end, which a busy source sends to show that it lives, is dropped. */
static size_t take_line(struct source *s, struct span bytes)
{
    const char *end = memchr(bytes.at, '\n', bytes.len);
    size_t len = end != NULL ? (size_t)(end - bytes.at) : bytes.len;
    if (s->line_len + len >= SOURCE_LINE_MAX) {
        source_fail(s, "the source sends a line without an end; is it a Redis?");
        return bytes.len;
    }
    memcpy(s->line + s->line_len, bytes.at, len);
    s->line_len += (uint32_t)len;
    if (end == NULL)
        return bytes.len;
    if (s->line_len > 0 && s->line[s->line_len - 1] == '\r')
        s->line_len--;
    s->line[s->line_len] = '\0';
    bool empty = s->line_len == 0;
    s->line_len = 0;
    if (!empty)
        source_on_line(s, s->line);
    return len + 1;
}

static void on_data(struct stream *stream, struct chunk *chunk, const char *at, size_t len)
{
    struct source *s = CONTAINER_OF(stream, struct source, stream);
    struct span bytes = { at, len };
    (void)chunk;
    s->heard_at = now_of(s);
    while (bytes.len > 0 && !s->stream.closing) {
        size_t used = s->state == SOURCE_STREAM    ? take_stream(s, bytes)
                      : s->state == SOURCE_PAYLOAD ? take_payload(s, bytes)
                                                   : take_line(s, bytes);
        bytes.at += used;
        bytes.len -= used;
    }
}

/* --- connecting ---------------------------------------------------------------------------- */

/* A source that cannot get its full copy through must not make one after the other. */
static uint64_t rest_ms(const struct source *s)
{
    uint64_t ms = REST_MS;
    for (uint32_t i = 1; i < s->broken && ms < REST_MAX_MS; i++)
        ms *= 2;
    return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

/* Whether a lost connection is no failure yet. */
static bool may_return(const struct source *s)
{
    return !s->old_sync && (s->resuming || (s->begun && s->options->again));
}

void source_rest(struct source *s)
{
    s->state = SOURCE_RESTING;
    s->rest_until = now_of(s) + rest_ms(s);
    if (s->open)
        stream_close(&s->stream, ERR_CANCELED);
}

static void on_closed(struct stream *stream, int why)
{
    struct source *s = CONTAINER_OF(stream, struct source, stream);
    s->open = false;
    if (s->closing || s->state == SOURCE_CLOSED || s->state == SOURCE_RESTING)
        return;
    if (may_return(s)) {
        bool whole = s->resuming || s->state < SOURCE_PAYLOAD_HEAD;
        s->broken += !whole;
        log_warn("connection to the source lost", "reason=%s offset=%llu action=%s",
                 error_name(why), (unsigned long long)s->offset,
                 log_text(advice_on(ADVICE_AGAIN_LATER, NULL)));
        source_rest(s);
        return;
    }
    char text[128];
    snprintf(text, sizeof(text), "the connection to the source was lost%s: %s",
             s->paused ? " while the spool was full" : "", error_text(why));
    source_fail(s, text);
}

static const struct stream_user source_stream_user = { .on_data = on_data, .on_closed = on_closed };

static void on_dialled(void *context, int status)
{
    struct source *s = context;
    char text[128];
    s->dial = NULL;
    if (status == 0) {
        s->open = true;
        s->heard_at = now_of(s);
        stream_start(&s->stream, KEEPALIVE_S);
        if (s->closing)
            stream_close(&s->stream, ERR_CANCELED);
        else
            source_login(s);
        return;
    }
    if (s->closing)
        return;
    if (may_return(s)) {
        source_rest(s);
        return;
    }
    snprintf(text, sizeof(text), "the source cannot be reached: %s", error_text(status));
    source_fail(s, text);
}

static void dial(struct source *s)
{
    s->state = SOURCE_DIALLING;
    s->line_len = 0;
    s->paused = false; /* the user will say so again, of this connection */
    s->dial = dial_start(s->net, &s->options->endpoint, s->options->connect_timeout,
                         s->options->tls, &s->stream, &source_stream_user, on_dialled, s);
}

static void on_tick(uv_timer_t *timer)
{
    struct source *s = timer->data;
    uint64_t now = now_of(s);
    if (s->state == SOURCE_RESTING && !s->open && now >= s->rest_until)
        dial(s);
    source_acknowledge(s);
    if (s->open && !s->paused && now - s->heard_at > s->options->silence)
        stream_close(&s->stream, ERR_TIMEOUT);
}

/* --- life ---------------------------------------------------------------------------------- */

void source_open(struct source *s, struct net *net, const struct source_options *options,
                 const struct source_user *user, void *context)
{
    *s = (struct source){ .options = options, .user = user, .context = context, .net = net };
    uv_timer_init(net->loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_tick, TICK_MS, TICK_MS);
    dial(s);
}

void source_go_on(struct source *s, const char *id, uint64_t offset)
{
    snprintf(s->id, sizeof(s->id), "%s", id);
    s->offset = offset;
    s->resuming = s->begun = true;
}

void source_close(struct source *s)
{
    if (s->closing)
        return;
    s->closing = true;
    uv_close((uv_handle_t *)&s->timer, NULL);
    if (s->dial != NULL)
        dial_cancel(s->dial);
    if (s->open)
        stream_close(&s->stream, ERR_SHUTDOWN);
}

void source_pause(struct source *s)
{
    if (s->paused)
        return;
    s->paused = true;
    if (s->open)
        stream_pause(&s->stream);
}

void source_resume(struct source *s)
{
    if (!s->paused)
        return;
    s->paused = false;
    s->heard_at = now_of(s);
    if (s->open)
        stream_resume(&s->stream);
}
