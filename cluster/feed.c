#include "cluster/feed.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "resp/value.h"

/* --- what we ask ------------------------------------------------------------------------------ */

enum ask_kind { ASK_LOGIN, ASK_JOIN, ASK_LEAVE, ASK_PING };

struct ask {
    struct list_node in_feed;
    void *tag;     /* of a join; NULL: nobody waits for it any more */
    uint8_t what;  /* enum ask_kind */
    uint8_t topic; /* enum topic_kind */
    size_t len;
    char name[]; /* of a leave */
};

static void put_ask(struct feed *f, enum ask_kind what, enum topic_kind kind, struct span name,
                    void *tag)
{
    struct ask *a = malloc(sizeof(*a) + name.len);
    REQUIRE(a != NULL);
    *a = (struct ask){ .tag = tag, .what = (uint8_t)what, .topic = (uint8_t)kind, .len = name.len };
    if (name.len > 0)
        memcpy(a->name, name.at, name.len);
    list_append(&f->asks, &a->in_feed);
}

static struct ask *oldest(const struct feed *f)
{
    if (list_is_empty(&f->asks))
        return NULL;
    return LIST_ENTRY(f->asks.next, struct ask, in_feed); /* NOLINT(clang-analyzer-unix.Malloc) */
}

static void drop_oldest(struct feed *f)
{
    struct ask *a = oldest(f);
    f->leaving -= a->what == ASK_LEAVE;
    list_remove(&a->in_feed);
    free(a);
}

static bool is_leave_of(const struct ask *a, enum topic_kind kind, struct span name)
{
    return a->what == ASK_LEAVE && a->topic == kind &&
           span_equal((struct span){ a->name, a->len }, name);
}

static void send_words(struct feed *f, const struct span *words, size_t count)
{
    writer_clear(&f->out, 2);
    write_array(&f->out, count);
    for (size_t i = 0; i < count; i++)
        write_bulk(&f->out, words[i]);
    stream_send(&f->stream, writer_span(&f->out));
}

void feed_join(struct feed *f, enum topic_kind kind, struct span name, void *tag)
{
    static const struct span verbs[TOPIC_KINDS] = { { "SUBSCRIBE", 9 },
                                                    { "PSUBSCRIBE", 10 },
                                                    { "SSUBSCRIBE", 10 } };
    REQUIRE(f->state == FEED_READY);
    send_words(f, (const struct span[]){ verbs[kind], name }, 2);
    put_ask(f, ASK_JOIN, kind, SPAN(""), tag);
}

void feed_leave(struct feed *f, enum topic_kind kind, struct span name)
{
    static const struct span verbs[TOPIC_KINDS] = { { "UNSUBSCRIBE", 11 },
                                                    { "PUNSUBSCRIBE", 12 },
                                                    { "SUNSUBSCRIBE", 12 } };
    REQUIRE(f->state == FEED_READY);
    send_words(f, (const struct span[]){ verbs[kind], name }, 2);
    put_ask(f, ASK_LEAVE, kind, name, NULL);
    f->leaving++;
}

void feed_forget(struct feed *f, const void *tag)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->asks, n, safe) {
        struct ask *a = LIST_ENTRY(n, struct ask, in_feed);
        if (a->tag == tag)
            a->tag = NULL;
    }
}

bool feed_is_leaving(const struct feed *f, enum topic_kind kind, struct span name)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->asks, n, safe)
        if (is_leave_of(LIST_ENTRY(n, struct ask, in_feed), kind, name))
            return true;
    return false;
}

void feed_each_leaving(const struct feed *f, enum topic_kind kind,
                       void (*each)(void *context, struct span name), void *context)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->asks, n, safe) {
        const struct ask *a = LIST_ENTRY(n, struct ask, in_feed);
        if (a->what == ASK_LEAVE && a->topic == kind)
            each(context, (struct span){ a->name, a->len });
    }
}

/* --- what the node says ----------------------------------------------------------------------- */

enum said { SAID_MESSAGE, SAID_JOINED, SAID_LEFT, SAID_PONG };

static const struct {
    const char *word;
    uint8_t said; /* enum said */
    uint8_t kind; /* enum topic_kind */
} words[] = {
    { "message", SAID_MESSAGE, TOPIC_CHANNEL },   { "pmessage", SAID_MESSAGE, TOPIC_PATTERN },
    { "smessage", SAID_MESSAGE, TOPIC_SHARD },    { "subscribe", SAID_JOINED, TOPIC_CHANNEL },
    { "psubscribe", SAID_JOINED, TOPIC_PATTERN }, { "ssubscribe", SAID_JOINED, TOPIC_SHARD },
    { "unsubscribe", SAID_LEFT, TOPIC_CHANNEL },  { "punsubscribe", SAID_LEFT, TOPIC_PATTERN },
    { "sunsubscribe", SAID_LEFT, TOPIC_SHARD },   { "pong", SAID_PONG, TOPIC_CHANNEL },
};

static void become_ready(struct feed *f)
{
    char to[ENDPOINT_TEXT_MAX];
    f->state = FEED_READY;
    log_debug("subscription connection ready", "node=%s", endpoint_text(&f->to, to));
    f->user->on_ready(f);
}

/* False: it is no reply to what was asked. */
static bool take_confirmation(struct feed *f, enum said said, enum topic_kind kind,
                              struct span name)
{
    struct ask *a = oldest(f);
    if (said == SAID_LEFT && kind == TOPIC_SHARD && (a == NULL || !is_leave_of(a, kind, name))) {
        f->user->on_dropped(f, name);
        return true;
    }
    enum ask_kind wanted = said == SAID_JOINED ? ASK_JOIN : ASK_LEAVE;
    if (a == NULL || a->what != wanted || a->topic != kind)
        return false;
    void *tag = a->tag;
    drop_oldest(f);
    if (said != SAID_JOINED)
        return true;
    f->last_error = 0;
    f->rest = f->options->rest_min;
    if (tag != NULL)
        f->user->on_joined(f, tag);
    return true;
}

static bool take_list(struct feed *f, struct span whole, struct value_cursor *at, uint64_t count)
{
    struct value word, second, third;
    if (count < 2 || !value_next(at, &word) || word.kind != VALUE_STRING ||
        !value_next(at, &second))
        return false;
    size_t i = 0;
    while (i < ARRAY_LEN(words) &&
           !span_equal(word.text, (struct span){ words[i].word, strlen(words[i].word) }))
        i++;
    if (i == ARRAY_LEN(words) || second.kind != VALUE_STRING)
        return false;
    enum topic_kind kind = (enum topic_kind)words[i].kind;
    if (words[i].said == SAID_PONG) {
        struct ask *a = oldest(f);
        bool asked = a != NULL && a->what == ASK_PING;
        if (asked)
            drop_oldest(f);
        return asked;
    }
    if (words[i].said != SAID_MESSAGE)
        return take_confirmation(f, (enum said)words[i].said, kind, second.text);
    struct feed_message m = { kind, second.text, second.text, whole };
    if (kind == TOPIC_PATTERN) {
        if (count != 4 || !value_next(at, &third) || third.kind != VALUE_STRING)
            return false;
        m.channel = third.text;
    }
    f->user->on_message(f, &m);
    return true;
}

static bool take_error(struct feed *f, struct span whole)
{
    struct ask *a = oldest(f);
    if (a == NULL)
        return false;
    enum ask_kind what = (enum ask_kind)a->what;
    void *tag = a->tag;
    drop_oldest(f);
    if (what == ASK_LOGIN) {
        char to[ENDPOINT_TEXT_MAX];
        log_warn("login refused", "node=%s for=subscriptions", endpoint_text(&f->to, to));
        feed_close(f, ERR_AUTH);
    } else if (what == ASK_JOIN && tag != NULL) {
        f->user->on_refused(f, tag, whole);
    }
    return true;
}

static bool take_status(struct feed *f)
{
    struct ask *a = oldest(f);
    if (a == NULL || (a->what != ASK_LOGIN && a->what != ASK_PING))
        return false;
    bool login = a->what == ASK_LOGIN;
    drop_oldest(f);
    if (login)
        become_ready(f);
    return true;
}

static void take_reply(struct feed *f, struct span whole)
{
    struct value_cursor at = { whole.at, whole.at + whole.len };
    struct value v;
    bool sound = value_next(&at, &v);
    if (sound && v.kind == VALUE_LIST)
        sound = take_list(f, whole, &at, v.count);
    else if (sound && v.kind == VALUE_ERROR)
        sound = take_error(f, whole);
    else if (sound)
        sound = take_status(f);
    if (!sound)
        feed_close(f, ERR_PROTOCOL);
}

static void forget_part(struct feed *f)
{
    if (f->part.capacity > FEED_KEEP_MAX) {
        writer_close(&f->part);
        writer_init(&f->part, 2);
    }
    writer_clear(&f->part, 2);
}

static void on_data(struct stream *s, struct chunk *chunk, const char *at, size_t len)
{
    struct feed *f = CONTAINER_OF(s, struct feed, stream);
    (void)chunk;
    f->heard_at = uv_now(f->net->loop);
    f->pinged = false;
    while (len > 0 && f->state != FEED_CLOSING) {
        size_t used;
        struct span whole = { at, 0 };
        enum reply_result rc = reply_scan(&f->scanner, at, len, &used);
        if (rc == REPLY_BAD || f->part.len + used > FEED_MESSAGE_MAX) {
            feed_close(f, rc == REPLY_BAD ? ERR_PROTOCOL : ERR_LIMIT);
            return;
        }
        whole.len = used;
        if (rc == REPLY_MORE || f->part.len > 0) {
            write_raw(&f->part, whole);
            whole = writer_span(&f->part);
        }
        if (rc == REPLY_DONE) {
            take_reply(f, whole);
            forget_part(f);
        }
        at += used;
        len -= used;
    }
}

/* --- connecting and losing -------------------------------------------------------------------- */

static void rest(struct feed *f, int why)
{
    f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t jitter = f->rest / 2 + (f->random >> 33) % (f->rest + 1);
    f->rest_until = uv_now(f->net->loop) + jitter;
    f->rest = f->rest * 2 < f->options->rest_max ? f->rest * 2 : f->options->rest_max;
    f->state = FEED_RESTING;
    f->last_error = why;
    while (!list_is_empty(&f->asks))
        drop_oldest(f);
    f->user->on_down(f, why);
}

static void on_closed(struct stream *s, int why)
{
    rest(CONTAINER_OF(s, struct feed, stream), why);
}

static const struct stream_user feed_stream_user = { .on_data = on_data, .on_closed = on_closed };

static void on_dialled(void *context, int status)
{
    struct feed *f = context;
    const struct link_options *o = f->options;
    f->dial = NULL;
    if (status != 0) {
        rest(f, status);
        return;
    }
    f->heard_at = uv_now(f->net->loop);
    f->pinged = false;
    f->scanner = (struct reply_scanner){ 0 };
    forget_part(f);
    stream_start(&f->stream, 60);
    if (f->state == FEED_CLOSING || f->stream.closing) { /* while it was being made */
        f->state = FEED_CLOSING;
        stream_close(&f->stream, ERR_SHUTDOWN);
        return;
    }
    if (o->auth_password == NULL || o->auth_password[0] == '\0') {
        become_ready(f);
        return;
    }
    f->state = FEED_GREETING;
    struct span auth[3] = { { "AUTH", 4 } };
    size_t count = 1;
    if (o->auth_user != NULL && o->auth_user[0] != '\0')
        auth[count++] = (struct span){ o->auth_user, strlen(o->auth_user) };
    auth[count++] = (struct span){ o->auth_password, strlen(o->auth_password) };
    send_words(f, auth, count);
    put_ask(f, ASK_LOGIN, TOPIC_CHANNEL, SPAN(""), NULL);
}

void feed_dial(struct feed *f)
{
    REQUIRE(f->state == FEED_RESTING);
    f->state = FEED_DIALLING;
    f->dial = dial_start(f->net, &f->to, f->options->connect_timeout, f->options->tls, &f->stream,
                         &feed_stream_user, on_dialled, f);
}

void feed_close(struct feed *f, int why)
{
    if (f->state == FEED_RESTING || f->state == FEED_CLOSING)
        return;
    f->state = FEED_CLOSING;
    if (f->dial != NULL)
        dial_cancel(f->dial);
    else
        stream_close(&f->stream, why);
}

void feed_tick(struct feed *f, uint64_t silent_max)
{
    uint64_t silent = uv_now(f->net->loop) - f->heard_at;
    if (f->state == FEED_GREETING)
        silent_max = f->options->connect_timeout;
    else if (f->state != FEED_READY)
        return;
    if (silent >= silent_max) {
        char to[ENDPOINT_TEXT_MAX];
        log_warn("subscription connection is silent", "node=%s ms=%llu", endpoint_text(&f->to, to),
                 (unsigned long long)silent);
        feed_close(f, ERR_TIMEOUT);
    } else if (silent >= FEED_PING_MS && !f->pinged && f->state == FEED_READY) {
        f->pinged = true;
        send_words(f, (const struct span[]){ { "PING", 4 } }, 1);
        put_ask(f, ASK_PING, TOPIC_CHANNEL, SPAN(""), NULL);
    }
}

struct feed *feed_new(struct net *net, const struct endpoint *to,
                      const struct link_options *options, const struct feed_user *user,
                      void *context)
{
    struct feed *f = calloc(1, sizeof(*f));
    REQUIRE(f != NULL);
    f->net = net;
    f->to = *to;
    f->options = options;
    f->user = user;
    f->context = context;
    f->rest = options->rest_min;
    f->random = uv_hrtime() | 1;
    list_init(&f->asks);
    list_init(&f->carriers);
    list_init(&f->in_topics);
    writer_init(&f->part, 2);
    writer_init(&f->out, 2);
    return f;
}

void feed_free(struct feed *f)
{
    REQUIRE(f->state == FEED_RESTING);
    writer_close(&f->part);
    writer_close(&f->out);
    free(f);
}
