/*
 * LATENCY. Events are those of a Redis whose latency-monitor-threshold is 0: there are none. The
 * histograms of commands are the masters', added up.
 */
#include <stdlib.h>

#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/worker.h"

bool local_latency_none(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_array(w, 0);
    return true;
}

bool local_latency_reset(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_integer(w, 0);
    return true;
}

bool local_latency_graph(struct client *c, const struct argv *argv, struct writer *w)
{
    struct span event = argv_get(argv, 2);
    (void)c;
    write_error(w, "ERR No samples available for event '%.*s'", (int)event.len, event.at);
    return true;
}

bool local_latency_doctor(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_verbatim(w, "txt",
                   SPAN("I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this "
                        "Redis instance. You may use \"CONFIG SET latency-monitor-threshold "
                        "<milliseconds>.\" in order to enable it. If we weren't in a deep space "
                        "mission I'd suggest to take a look at "
                        "https://redis.io/topics/latency-monitor.\n"));
    return true;
}

/* --- HISTOGRAM ---------------------------------------------------------------------------------
 */

enum { BUCKETS_MAX = 64 };

/* Calls that took up to so many microseconds, and longer than those of the bucket before. */
struct bucket {
    int64_t us, calls;
};

struct command_times {
    struct span command;
    int64_t calls;
    struct bucket bucket[BUCKETS_MAX]; /* by time */
    uint32_t count;
};

struct histograms {
    struct command_times *v;
    uint32_t count, room;
};

static struct command_times *histogram_of(struct histograms *all, struct span command)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (span_equal(all->v[i].command, command))
            return &all->v[i];
    if (all->count == all->room) {
        all->room = all->room > 0 ? 2 * all->room : 16;
        all->v = realloc(all->v, all->room * sizeof(all->v[0]));
        REQUIRE(all->v != NULL);
    }
    all->v[all->count] = (struct command_times){ .command = command };
    return &all->v[all->count++];
}

static bool add_calls(struct command_times *h, int64_t us, int64_t calls)
{
    uint32_t at = 0;
    while (at < h->count && h->bucket[at].us < us)
        at++;
    if (at == h->count || h->bucket[at].us != us) {
        if (h->count == BUCKETS_MAX)
            return false;
        memmove(&h->bucket[at + 1], &h->bucket[at], (h->count - at) * sizeof(h->bucket[0]));
        h->bucket[at] = (struct bucket){ .us = us };
        h->count++;
    }
    h->bucket[at].calls += calls;
    return true;
}

/* A map, or the array that stands for one in RESP2. */
static bool enter(struct value_cursor *at, uint64_t *pairs)
{
    struct value v;
    if (!value_next(at, &v) || (v.kind != VALUE_LIST && v.kind != VALUE_MAP))
        return false;
    *pairs = v.kind == VALUE_MAP ? v.count : v.count / 2;
    return true;
}

static bool take_number(struct value_cursor *at, int64_t *out)
{
    struct value v;
    if (!value_next(at, &v) || v.kind != VALUE_INTEGER)
        return false;
    *out = v.number;
    return true;
}

/* A node counts in each bucket the calls of those before it, too. */
static bool add_command(struct value_cursor *at, struct histograms *all)
{
    struct value name, word;
    uint64_t pairs, buckets;
    int64_t calls, us, up_to, before = 0;
    if (!value_next(at, &name) || name.kind != VALUE_STRING || !enter(at, &pairs) || pairs != 2 ||
        !value_next(at, &word) || !take_number(at, &calls) || !value_next(at, &word) ||
        !enter(at, &buckets))
        return false;
    struct command_times *h = histogram_of(all, name.text);
    h->calls += calls;
    for (uint64_t i = 0; i < buckets; i++) {
        if (!take_number(at, &us) || !take_number(at, &up_to) || !add_calls(h, us, up_to - before))
            return false;
        before = up_to;
    }
    return true;
}

static bool add_part(struct part_reply *p, struct histograms *all)
{
    uint64_t commands;
    if (!enter(&p->at, &commands))
        return false;
    for (uint64_t i = 0; i < commands; i++)
        if (!add_command(&p->at, all))
            return false;
    return true;
}

static void write_histogram(struct writer *w, const struct command_times *h)
{
    int64_t up_to = 0;
    write_bulk(w, h->command);
    write_map(w, 2);
    write_bulk_text(w, "calls");
    write_integer(w, h->calls);
    write_bulk_text(w, "histogram_usec");
    write_map(w, h->count);
    for (uint32_t i = 0; i < h->count; i++) {
        up_to += h->bucket[i].calls;
        write_integer(w, h->bucket[i].us);
        write_integer(w, up_to);
    }
}

static void send_histograms(struct client *c, const struct group *g, struct replies *parts)
{
    struct histograms all = { .count = 0 };
    bool sound = true;
    (void)g;
    for (uint32_t i = 0; i < parts->count && sound; i++)
        sound = add_part(&parts->part[i], &all);
    if (!sound) {
        free(all.v);
        merge_odd_reply(c);
        return;
    }
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_map(w, all.count);
    for (uint32_t i = 0; i < all.count; i++)
        write_histogram(w, &all.v[i]);
    stream_send(&c->stream, writer_span(w));
    free(all.v);
}

bool local_latency_histogram(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_histograms };
    (void)w;
    return local_broadcast(c, local_request(argv), &rule) != NULL;
}
