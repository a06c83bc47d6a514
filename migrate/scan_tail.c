#include "migrate/scan_tail.h"

#include "resp/value.h"

enum { HEAD = 4 };

/* FNV-1a, 64 bits. */
static uint64_t hash_of(struct span key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * UINT64_C(0x100000001b3);
    return hash != 0 ? hash : 1;
}

static void fail(struct scan_tail *t, const char *why)
{
    if (!t->closing)
        t->user->on_failed(t->context, why);
}

static void put(struct scan_tail *t, struct span key)
{
    uint64_t hash = hash_of(key), *seen = &t->seen[hash % SCAN_TAIL_SEEN];
    uint32_t len = (uint32_t)key.len;
    if (*seen == hash)
        return;
    *seen = hash;
    if (t->queue.len > SCAN_TAIL_MAX) {
        fail(t, "more keys change than can be fetched");
        return;
    }
    write_raw(&t->queue, (struct span){ (const char *)&len, HEAD });
    write_raw(&t->queue, key);
    t->waiting++;
}

bool scan_tail_next(struct scan_tail *t, struct span *key)
{
    uint32_t len;
    if (t->waiting == 0) {
        writer_clear(&t->queue, 2);
        t->at = 0;
        return false;
    }
    if (t->at > t->queue.len / 2) { /* what has been taken makes room */
        memmove(t->queue.at, t->queue.at + t->at, t->queue.len - t->at);
        t->queue.len -= t->at;
        t->at = 0;
    }
    memcpy(&len, t->queue.at + t->at, HEAD);
    *key = (struct span){ t->queue.at + t->at + HEAD, len };
    t->at += HEAD + len;
    t->waiting--;
    uint64_t hash = hash_of(*key), *seen = &t->seen[hash % SCAN_TAIL_SEEN];
    if (*seen == hash)
        *seen = 0; /* what changes from now on is fetched again */
    return true;
}

/* --- the subscription ---------------------------------------------------------------------- */

static void on_ready(struct feed *f)
{
    feed_join(f, TOPIC_PATTERN, SPAN("__keyevent@0__:*"), f->context);
}

static void on_joined(struct feed *f, void *tag)
{
    struct scan_tail *t = f->context;
    (void)tag;
    t->ready = true;
    t->user->on_ready(t->context);
}

static void on_refused(struct feed *f, void *tag, struct span error)
{
    (void)tag, (void)error;
    fail(f->context, "the source refuses the subscription to its keyspace notifications");
}

static void on_dropped(struct feed *f, struct span channel)
{
    (void)f, (void)channel;
}

/* pmessage, pattern, channel, key */
static void on_message(struct feed *f, const struct feed_message *m)
{
    struct scan_tail *t = f->context;
    struct value_cursor c = { m->whole.at, m->whole.at + m->whole.len };
    struct value v;
    for (int i = 0; i < 5; i++)
        if (!value_next(&c, &v))
            return;
    t->events++;
    if (v.kind != VALUE_STRING || t->closing)
        return;
    put(t, v.text);
    t->user->on_key(t->context);
}

static void on_down(struct feed *f, int why)
{
    (void)why;
    fail(f->context, "the subscription to the source's keyspace notifications is lost");
}

static const struct feed_user feed_user = {
    .on_ready = on_ready,
    .on_joined = on_joined,
    .on_refused = on_refused,
    .on_dropped = on_dropped,
    .on_message = on_message,
    .on_down = on_down,
};

void scan_tail_open(struct scan_tail *t, struct net *net, const struct endpoint *source,
                    const struct link_options *options, const struct scan_tail_user *user,
                    void *context)
{
    *t = (struct scan_tail){ .user = user, .context = context, .options = *options };
    writer_init(&t->queue, 2);
    t->feed = feed_new(net, source, &t->options, &feed_user, t);
    feed_dial(t->feed);
}

void scan_tail_close(struct scan_tail *t)
{
    if (t->closing || t->feed == NULL)
        return;
    t->closing = true;
    feed_close(t->feed, 0);
}

void scan_tail_free(struct scan_tail *t)
{
    if (t->feed != NULL)
        feed_free(t->feed);
    writer_close(&t->queue);
}
