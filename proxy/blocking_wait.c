/*
 * WAIT: the client's writes may lie at every master, so each is asked, and the least counts.
 *
 * On a leased connection the server sets the offset to wait for at each command (c->woff in
 * processCommand, server.c). So a PING first, and then WAIT waits for all that this master has been
 * told by now, which holds at least what this client has had acknowledged.
 * A master that is lost meanwhile makes it an error: what it had not replicated is gone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "cluster/lease.h"
#include "proxy/blocked.h"
#include "proxy/blocking.h"
#include "proxy/worker.h"

struct wait;

struct wait_part {
    struct wait *wait;
    struct lease *lease; /* NULL once it has answered */
    int64_t replicas;
    char text[24]; /* its reply so far */
    uint8_t len;
    bool greeted; /* PING is answered */
};

struct wait {
    struct blocked b;
    uint32_t count, open;
    struct wait_part parts[]; /* one per master */
};

static struct wait *wait_of(const struct blocked *b)
{
    return CONTAINER_OF(b, struct wait, b);
}

static void stop(struct blocked *b)
{
    struct wait *wait = wait_of(b);
    for (uint32_t i = 0; i < wait->count; i++) {
        struct wait_part *p = &wait->parts[i];
        if (p->lease != NULL)
            lease_drop(p->lease);
        p->lease = NULL;
    }
}

static void fail(struct wait *wait, struct span error)
{
    stop(&wait->b);
    blocked_answer(&wait->b, error);
}

static void answer_least(struct wait *wait)
{
    struct writer *w = worker_writer(wait->b.worker, wait->b.client->flow.protocol);
    int64_t least = wait->parts[0].replicas;
    for (uint32_t i = 1; i < wait->count; i++)
        if (wait->parts[i].replicas < least)
            least = wait->parts[i].replicas;
    write_integer(w, least);
    blocked_answer(&wait->b, writer_span(w));
}

/* ":1" in pieces perhaps; anything but an integer is the server's own trouble. */
static void take_number(struct wait_part *p, struct span bytes)
{
    size_t room = sizeof(p->text) - p->len;
    size_t n = bytes.len < room ? bytes.len : room;
    memcpy(p->text + p->len, bytes.at, n);
    p->len = (uint8_t)(p->len + n);
}

static void on_reply(struct lease *l, void *context, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct wait_part *p = context;
    struct wait *wait = p->wait;
    (void)chunk;
    if (first == '-' || first == '!') {
        fail(wait, bytes); /* the connection that holds them closes at the end of the turn */
        return;
    }
    if (!p->greeted) {
        p->greeted = done;
        return;
    }
    take_number(p, bytes);
    if (!done)
        return;
    p->lease = NULL;
    lease_give_back(l);
    size_t end = p->len > 3 ? (size_t)p->len - 3 : 0; /* without ':' and the line end */
    if (!text_to_i64(p->text + 1, end, &p->replicas))
        p->replicas = 0;
    if (--wait->open == 0)
        answer_least(wait);
}

static void on_lost(struct lease *l, void *context, bool wrote, int why)
{
    struct wait_part *p = context;
    struct wait *wait = p->wait;
    char to[ENDPOINT_TEXT_MAX];
    (void)wrote;
    p->lease = NULL;
    struct writer *w = worker_writer(wait->b.worker, wait->b.client->flow.protocol);
    write_error(w, "ERR slotgate: %s while waiting for the replicas of node %s", error_text(why),
                endpoint_text(&lease_node(l)->endpoint, to));
    fail(wait, writer_span(w));
}

static const struct lease_user wait_user = { on_reply, on_lost, .waits = true };

static void free_wait(struct blocked *b)
{
    free(wait_of(b));
}

static void again(struct blocked *b)
{
    (void)b; /* it never pauses */
}

/* A master that hangs would make it wait for longer than it said. */
static void look(struct blocked *b, uint64_t now)
{
    if (b->deadline == BLOCKED_FOR_EVER || now < b->deadline + b->worker->config.request_timeout)
        return;
    fail(wait_of(b),
         SPAN("-ERR slotgate: a master did not say in time how many replicas it has\r\n"));
}

static bool is_waiting(const struct blocked *b)
{
    const struct wait *wait = wait_of(b);
    bool waiting = true;
    for (uint32_t i = 0; i < wait->count; i++)
        waiting = waiting && wait->parts[i].greeted;
    return waiting;
}

static const struct blocked_way wait_way = {
    .stop = stop,
    .free = free_wait,
    .again = again,
    .look = look,
    .is_waiting = is_waiting,
    .timed_out = ":0\r\n",
};

static void write_words(struct writer *w, const struct argv *argv)
{
    write_array(w, 1);
    write_bulk_text(w, "PING");
    write_array(w, argv->count);
    for (uint32_t i = 0; i < argv->count; i++)
        write_bulk(w, argv_get(argv, i));
}

void blocking_wait(struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct worker *w = c->worker;
    const struct router *rt = &w->router;
    uint32_t masters = rt->map == NULL ? 0 : rt->map->shard_count;
    struct wait *wait = calloc(1, sizeof(*wait) + masters * sizeof(wait->parts[0]));
    REQUIRE(wait != NULL);
    uint64_t deadline = blocking_deadline(cmd, argv, uv_now(&w->loop));
    blocked_begin(&wait->b, c, cmd, argv, &wait_way, deadline);
    wait->count = wait->open = masters;
    struct writer *words = worker_writer(w, 2);
    write_words(words, argv);
    for (uint32_t i = 0; i < masters; i++) {
        struct wait_part *p = &wait->parts[i];
        p->wait = wait;
        p->lease = lease_take(&w->leases, rt->masters[i], 2, 0, &wait_user, p);
        if (p->lease == NULL) {
            fail(wait, BLOCKING_LIMIT_ERROR);
            return;
        }
        lease_send(p->lease, writer_span(words), 2);
    }
    if (masters == 0)
        fail(wait, SPAN("-CLUSTERDOWN Hash slot not served\r\n"));
}
