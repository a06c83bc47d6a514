#include "proxy/parting.h"

#include <sys/ioctl.h>

#include "base/error.h"
#include "net/tls.h"
#include "proxy/worker.h"

static bool has_unread_bytes(const struct client *c)
{
    int bytes = 0;
    if (c->stream.tls != NULL && tls_has_unread(c->stream.tls))
        return true;
    return ioctl(stream_fd(&c->stream), FIONREAD, &bytes) == 0 && bytes > 0;
}

static bool is_between_requests(const struct client *c)
{
    const struct stream *s = &c->stream;
    bool quiet = c->flow.count == 0 && c->op == NULL && c->input == NULL && !c->paused;
    bool stateless = c->blocked == NULL && c->transaction == NULL && c->watch == NULL &&
                     c->subscriber == NULL && c->flow.database == 0;
    return !s->closing && !c->finishing && quiet && stateless && !has_unread_bytes(c);
}

bool parting_is_possible(const struct client *c)
{
    return rope_is_empty(&c->stream.out) && !c->stream.writing && is_between_requests(c);
}

void parting_begin(struct client *c, int why)
{
    if (c->finishing || c->parting)
        return;
    c->parting = true;
    c->finish_why = why;
}

void parting_behind_reply(struct client *c)
{
    if (is_between_requests(c))
        client_finish(c, c->finish_why);
}

/* Between nine and eleven tenths of the age, the same for a client each time. */
static uint64_t age_limit(const struct client *c, uint64_t age)
{
    uint64_t scattered = c->id * UINT64_C(0x9e3779b97f4a7c15) >> 44; /* 20 bits */
    return age - age / 10 + age / 5 * scattered / (1 << 20);
}

/* Clients stand in the order in which they came, so the first one that cannot be old yet ends the
   walk. */
void parting_of_the_old(struct worker *w)
{
    uint64_t age = w->config.max_connection_age, now = uv_now(&w->loop);
    if (age == 0 || w->draining)
        return;
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe) {
        struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (now - c->created_at < age - age / 10)
            break;
        if (now - c->created_at < age_limit(c, age))
            continue;
        parting_begin(c, ERR_AGE);
        if (now - c->active_at >= PARTING_QUIET_MS && parting_is_possible(c))
            client_finish(c, ERR_AGE);
    }
}
