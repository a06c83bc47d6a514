#include "proxy/merge.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "proxy/client_reply.h"
#include "proxy/worker.h"
#include "resp/reply.h"

/* --- collecting ------------------------------------------------------------------------------- */

static void flatten(struct part_reply *p, const struct rope *rope)
{
    p->flat = malloc(rope->bytes);
    REQUIRE(p->flat != NULL);
    size_t len = 0;
    for (const struct piece *piece = rope->head; piece != NULL; piece = piece->next) {
        memcpy(p->flat + len, piece->at, piece->len);
        len += piece->len;
    }
    p->at = (struct value_cursor){ p->flat, p->flat + len };
}

static void collect(const struct client *c, struct replies *all)
{
    struct list_node *n = c->flow.requests.next;
    for (uint32_t i = 0; i < all->count; i++, n = n->next) {
        const struct request *r = LIST_ENTRY(n, struct request, in_flow);
        const struct rope *rope = &r->reply;
        struct part_reply *p = &all->part[i];
        *p = (struct part_reply){ .node = r->served_by };
        if (rope->head != NULL && rope->head->next == NULL) {
            p->at = (struct value_cursor){ rope->head->at, rope->head->at + rope->head->len };
            p->chunk = rope->head->chunk;
        } else if (rope->head != NULL) {
            flatten(p, rope);
        }
        p->failed = p->at.at != NULL && (*p->at.at == '-' || *p->at.at == '!');
    }
}

struct span merge_rest(const struct part_reply *p)
{
    return (struct span){ p->at.at, (size_t)(p->at.end - p->at.at) };
}

/* --- the rules -------------------------------------------------------------------------------- */

struct span merge_odd_text(void)
{
    return SPAN("-ERR slotgate: a node gave a reply of an unexpected kind\r\n");
}

void merge_odd_reply(struct client *c)
{
    stream_send(&c->stream, merge_odd_text());
}

void merge_send(struct client *c, const struct part_reply *p, struct span bytes)
{
    if (bytes.len >= ROPE_SHARE_MIN && p->chunk != NULL)
        stream_share(&c->stream, p->chunk, bytes);
    else
        stream_send(&c->stream, bytes);
}

void merge_send_part(struct client *c, const struct part_reply *p)
{
    merge_send(c, p, merge_rest(p));
}

static void send_first(struct client *c, const struct group *g, struct replies *all)
{
    (void)g;
    merge_send(c, &all->part[0], merge_rest(&all->part[0]));
}

static void send_header(struct client *c, char type, uint64_t n)
{
    char text[TEXT_NUMBER_MAX + 3];
    text[0] = type;
    size_t len = 1 + text_from_u64(text + 1, n);
    text[len++] = '\r';
    text[len++] = '\n';
    stream_send(&c->stream, (struct span){ text, len });
}

/* Reads the integer that every part has to be. */
static bool read_integer(struct part_reply *p, int64_t *out)
{
    struct value v;
    if (!value_next(&p->at, &v) || v.kind != VALUE_INTEGER)
        return false;
    *out = v.number;
    return true;
}

static void send_integer(struct client *c, int64_t n)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_integer(w, n);
    stream_send(&c->stream, writer_span(w));
}

void merge_send_sum(struct client *c, const struct group *g, struct replies *all)
{
    (void)g;
    int64_t sum = 0, n;
    for (uint32_t i = 0; i < all->count; i++) {
        if (!read_integer(&all->part[i], &n)) {
            merge_odd_reply(c);
            return;
        }
        sum += n;
    }
    send_integer(c, sum);
}

static void send_min(struct client *c, const struct group *g, struct replies *all)
{
    (void)g;
    int64_t least = INT64_MAX, n;
    for (uint32_t i = 0; i < all->count; i++) {
        if (!read_integer(&all->part[i], &n)) {
            merge_odd_reply(c);
            return;
        }
        least = n < least ? n : least;
    }
    send_integer(c, least);
}

/* Enters the array that each part is; *total: their elements. */
static bool enter_arrays(struct replies *all, uint64_t *total)
{
    struct value v;
    *total = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        if (!value_next(&all->part[i].at, &v) || v.kind != VALUE_LIST)
            return false;
        *total += v.count;
    }
    return true;
}

/* The next element of a part, whole and raw. */
struct span merge_take(struct part_reply *p)
{
    struct reply_scanner scanner = { 0 };
    struct span rest = merge_rest(p);
    size_t used;
    if (rest.len == 0 || reply_scan(&scanner, rest.at, rest.len, &used) != REPLY_DONE)
        return (struct span){ NULL, 0 };
    p->at.at += used;
    return (struct span){ rest.at, used };
}

static void send_by_key(struct client *c, const struct group *g, struct replies *all)
{
    uint64_t total;
    if (!enter_arrays(all, &total) || total != g->keys) {
        merge_odd_reply(c);
        return;
    }
    send_header(c, '*', g->keys);
    for (uint32_t i = 0; i < g->keys; i++) {
        struct part_reply *p = &all->part[g->part_of_key[i]];
        struct span element = merge_take(p);
        if (element.at == NULL) { /* the parts' sizes add up, but not one by one */
            stream_close(&c->stream, ERR_REPLY);
            return;
        }
        merge_send(c, p, element);
    }
}

static void send_joined(struct client *c, const struct group *g, struct replies *all)
{
    (void)g;
    uint64_t total;
    if (!enter_arrays(all, &total)) {
        merge_odd_reply(c);
        return;
    }
    send_header(c, '*', total);
    for (uint32_t i = 0; i < all->count; i++)
        merge_send(c, &all->part[i], merge_rest(&all->part[i]));
}

/* Arrays of 0 and 1 of one length: 1 where every part says 1. */
static void send_and(struct client *c, const struct group *g, struct replies *all)
{
    (void)g;
    uint64_t total;
    if (!enter_arrays(all, &total) || total % all->count != 0) {
        merge_odd_reply(c);
        return;
    }
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, total / all->count);
    for (uint64_t i = 0; i < total / all->count; i++) {
        int64_t both = 1, n = 0;
        for (uint32_t part = 0; part < all->count; part++)
            both &= read_integer(&all->part[part], &n) ? n : 0;
        write_integer(w, both);
    }
    stream_send(&c->stream, writer_span(w));
}

static void (*const rules[])(struct client *, const struct group *, struct replies *) = {
    [MERGE_NONE] = send_first,   [MERGE_BY_KEY] = send_by_key, [MERGE_ALL_OK] = send_first,
    [MERGE_ONE_OK] = send_first, [MERGE_SUM] = merge_send_sum, [MERGE_MIN] = send_min,
    [MERGE_AND] = send_and,      [MERGE_CONCAT] = send_joined, [MERGE_SPECIAL] = send_first,
};

/* --- the way in ------------------------------------------------------------------------------- */

/* The part that speaks for all when something failed; NULL: nothing did. With MERGE_ONE_OK one
   success is enough, and that part speaks. */
static const struct part_reply *spokesman(const struct group *g, const struct replies *all)
{
    const struct part_reply *failed = NULL, *good = NULL;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct part_reply *p = &all->part[i];
        if (p->failed && failed == NULL)
            failed = p;
        else if (!p->failed && good == NULL)
            good = p;
    }
    return g->cmd->merge == MERGE_ONE_OK && good != NULL ? good : failed;
}

static void merge_and_send(struct client *c, const struct group *g)
{
    struct replies all = { .count = g->parts };
    struct part_reply few[128];
    all.part = g->parts <= ARRAY_LEN(few) ? few : malloc(g->parts * sizeof(few[0]));
    REQUIRE(all.part != NULL);
    collect(c, &all);
    const struct part_reply *one = spokesman(g, &all);
    const struct merge_rule *rule = g->rule;
    if (one != NULL && (rule == NULL || !rule->takes_failures)) {
        stats_error(&c->worker->stats, g->cmd, merge_rest(one));
        c->errors++;
        merge_send(c, one, merge_rest(one));
    } else if (rule != NULL)
        rule->send(c, g, &all);
    else
        rules[g->cmd->merge](c, g, &all);
    for (uint32_t i = 0; i < all.count; i++)
        free(all.part[i].flat);
    if (all.part != few)
        free(all.part);
}

void merge_group(struct client *c)
{
    const struct request *first = flow_head(&c->flow);
    const struct group *g = first->group;
    uint32_t parts = g->parts;
    if (!first->silent)
        merge_and_send(c, g);
    for (uint32_t i = 0; i < parts; i++) {
        struct request *r = flow_head(&c->flow);
        c->flow.held -= r->reply.bytes;
        if (i > 0)
            r->cmd = NULL; /* the command is counted once, as old as its first part */
        client_take_off(c, r);
    }
}
