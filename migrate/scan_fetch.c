#include "migrate/scan_fetch.h"

#include <stdlib.h>

#include "migrate/copy.h"
#include "resp/value.h"

struct scan_fetch {
    struct list_node link; /* in the list of all */
    struct target *server;
    scan_fetch_done *done;
    void *context;
    uint32_t pending;
    bool absolute;                   /* the server tells times as moments */
    struct writer key, payload, ttl; /* the replies, whole */
    char error[TARGET_ERROR_SHOWN];
};

static void free_fetch(struct scan_fetch *f)
{
    list_remove(&f->link);
    writer_close(&f->key);
    writer_close(&f->payload);
    writer_close(&f->ttl);
    free(f);
}

static bool read_value(const struct writer *reply, struct value *v)
{
    struct value_cursor cursor = { reply->at, reply->at + reply->len };
    return value_next(&cursor, v);
}

static void finish(struct scan_fetch *f)
{
    struct value payload, ttl;
    struct span none = { "", 0 };
    bool known = read_value(&f->payload, &payload) && read_value(&f->ttl, &ttl) &&
                 ttl.kind == VALUE_INTEGER &&
                 (payload.kind == VALUE_STRING || payload.kind == VALUE_NULL);
    if (f->error[0] != '\0' || !known)
        f->done(f->context, writer_span(&f->key), none, -1,
                f->error[0] != '\0' ? f->error : "an answer about it cannot be understood");
    else if (payload.kind == VALUE_NULL || ttl.number == -2)
        f->done(f->context, writer_span(&f->key), none, -1, NULL);
    else
        f->done(f->context, writer_span(&f->key), payload.text,
                ttl.number >= 0 && !f->absolute ? copy_now(NULL) + ttl.number : ttl.number, NULL);
}

static void on_answer(void *context, const struct target_call *call)
{
    struct scan_fetch *f = context;
    if (call->error[0] != '\0')
        memcpy(f->error, call->error, sizeof(f->error));
    if (--f->pending > 0)
        return;
    finish(f);
    free_fetch(f);
}

static void ask(struct scan_fetch *f, struct span name, struct writer *reply)
{
    struct writer w;
    writer_init(&w, 2);
    write_array(&w, 2);
    write_bulk(&w, name);
    write_bulk(&w, writer_span(&f->key));
    f->pending++;
    target_ask(f->server, name, writer_span(&f->key), writer_span(&w), reply, on_answer, f);
    writer_close(&w);
}

void scan_fetch_start(struct list_node *all, struct target *server, struct span key,
                      scan_fetch_done *done, void *context)
{
    struct scan_fetch *f = calloc(1, sizeof(*f));
    REQUIRE(f != NULL);
    f->server = server;
    f->done = done;
    f->context = context;
    list_append(all, &f->link);
    writer_init(&f->key, 2);
    writer_init(&f->payload, 2);
    writer_init(&f->ttl, 2);
    write_raw(&f->key, key);
    ask(f, SPAN("DUMP"), &f->payload);
    f->absolute = server->facts.expire_if; /* came with the same version */
    ask(f, f->absolute ? SPAN("PEXPIRETIME") : SPAN("PTTL"), &f->ttl);
}

void scan_fetch_free_all(struct list_node *all)
{
    struct list_node *n, *safe;
    LIST_EACH (all, n, safe)
        free_fetch(LIST_ENTRY(n, struct scan_fetch, link));
}
