#include "proxy/slowlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "cluster/group.h"
#include "proxy/client_reply.h"
#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/survey_rows.h"
#include "proxy/worker.h"
#include "resp/request.h"
#include "resp/value.h"

/* As slowlog.h of Redis: more arguments, and more bytes of each, are only counted. */
enum { ARGS_MAX = 32, ARG_MAX = 128, ADDRESS_MAX = 64 };

struct entry {
    struct list_node link;
    uint64_t id;
    int64_t at; /* s since 1970 */
    uint32_t us;
    uint32_t node_us;   /* of these, the last try at the node */
    char *node;         /* NULL: none, or several */
    struct writer text; /* arguments, address and name as they are sent; in both protocols alike */
};

/* --- entries ------------------------------------------------------------------------------- */

static void drop(struct slowlog *s, struct entry *e)
{
    list_remove(&e->link);
    writer_close(&e->text);
    free(e->node);
    free(e);
    s->count--;
}

static void trim(struct slowlog *s, uint32_t max)
{
    struct list_node *oldest = s->entries.prev;
    while (s->count > max) {
        struct list_node *younger = oldest->prev;
        drop(s, LIST_ENTRY(oldest, struct entry, link));
        oldest = younger;
    }
}

static void write_arg(struct writer *w, struct span arg)
{
    if (arg.len <= ARG_MAX) {
        write_bulk(w, arg);
        return;
    }
    char text[ARG_MAX + 48];
    memcpy(text, arg.at, ARG_MAX);
    int n =
        snprintf(text + ARG_MAX, sizeof(text) - ARG_MAX, "... (%zu more bytes)", arg.len - ARG_MAX);
    write_bulk(w, (struct span){ text, ARG_MAX + (size_t)n });
}

static void write_args(struct writer *w, const struct argv *argv)
{
    uint32_t shown = argv->count <= ARGS_MAX ? argv->count : ARGS_MAX - 1;
    write_array(w, argv->count <= ARGS_MAX ? argv->count : ARGS_MAX);
    for (uint32_t i = 0; i < shown; i++)
        write_arg(w, argv_get(argv, i));
    if (shown < argv->count)
        write_bulk_format(w, "... (%u more arguments)", argv->count - shown);
}

struct slow {
    const struct client *client;
    const struct command *cmd;
    const struct argv *argv;
    const struct node *node;
    uint32_t us, node_us;
};

static void add(struct slowlog *s, const struct slow *slow)
{
    const struct client *c = slow->client;
    struct board *board = c->worker->crew->board;
    struct entry *e = calloc(1, sizeof(*e));
    char address[ADDRESS_MAX], node[ENDPOINT_TEXT_MAX];
    REQUIRE(e != NULL);
    e->id = atomic_fetch_add(&board->slow_ever, 1);
    e->at = (int64_t)time(NULL);
    e->us = slow->us;
    e->node_us = slow->node_us;
    if (slow->node != NULL)
        e->node = strdup(endpoint_text(&slow->node->endpoint, node));
    writer_init(&e->text, 2);
    write_args(&e->text, slow->argv);
    stream_peer_text(&c->stream, address, sizeof(address));
    write_bulk_text(&e->text, address);
    write_bulk_text(&e->text, c->labels != NULL && c->labels->name != NULL ? c->labels->name : "");
    list_prepend(&s->entries, &e->link);
    s->count++;
    trim(s, s->max);
}

void slowlog_reset(struct slowlog *s)
{
    trim(s, 0);
}

static void write_entry(struct writer *w, const struct entry *e, enum slowlog_form form)
{
    write_array(w, form == SLOWLOG_LONG ? 8 : 6);
    write_integer(w, (long long)e->id);
    write_integer(w, (long long)e->at);
    write_integer(w, e->us);
    write_raw(w, writer_span(&e->text));
    if (form != SLOWLOG_LONG)
        return;
    write_integer(w, e->node_us);
    write_bulk_text(w, e->node != NULL ? e->node : "");
}

void slowlog_write(const struct slowlog *s, uint32_t count, enum slowlog_form form,
                   struct writer *w)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->entries, n, safe) {
        if (count-- == 0)
            break;
        write_entry(w, LIST_ENTRY(n, struct entry, link), form);
    }
}

/* --- what is slow -------------------------------------------------------------------------- */

static void see(const struct slow *slow)
{
    if (slow->cmd != NULL && (slow->cmd->flags & CMD_SKIP_SLOWLOG) == 0)
        add(&slow->client->worker->slowlog, slow);
}

/* The request is parsed once more, but only here, where it took long. Of a command that was split
   only the part that was waited for last is seen. */
static void on_slow(struct router *rt, const struct request *r, const struct node *by)
{
    if (r->flow == NULL || r->flow->user != &client_flow_user ||
        (r->group != NULL && r->group->open > 1))
        return;
    struct client *c = client_of_flow(r->flow);
    struct worker *w = c->worker;
    uint32_t now = (uint32_t)rt->net->clock, us = now - r->began;
    latency_see(w, r->cmd, us);
    if (us < w->slowlog.least_us)
        return;
    struct request_parser parser = { 0 };
    struct arg_room room = { 0 };
    struct argv argv;
    const char *error;
    size_t used;
    struct slow slow = { .client = c,
                         .cmd = r->cmd,
                         .argv = &argv,
                         .node = by,
                         .us = us,
                         .node_us = by != NULL ? now - r->put : 0 };
    if (r->chunk != NULL && request_parse(&parser, &w->limits, &room, r->bytes, r->len, &argv,
                                          &used, &error) == REQUEST_ARGS)
        see(&slow);
    request_parser_reset(&parser);
    arg_room_close(&room);
}

void slowlog_see_op(const struct op *op)
{
    struct worker *w = op->worker;
    uint32_t us = (uint32_t)net_clock(&w->net) - op->began;
    if (us < w->router.watch.slow_after)
        return;
    latency_see(w, op->cmd, us);
    if (us >= w->slowlog.least_us)
        see(&(struct slow){ .client = op->client, .cmd = op->cmd, .argv = &op->argv, .us = us });
}

void slowlog_set_options(struct worker *w)
{
    struct slowlog *s = &w->slowlog;
    int us = w->config.slowlog_log_slower_than;
    s->max = (uint32_t)w->config.slowlog_max_len;
    s->least_us = us < 0 ? UINT32_MAX : (uint32_t)us;
    w->router.watch.slow_after =
        s->least_us < w->latency.least_us ? s->least_us : w->latency.least_us;
    trim(s, s->max);
}

void slowlog_open(struct worker *w)
{
    list_init(&w->slowlog.entries);
    w->router.watch.on_slow = on_slow;
    slowlog_set_options(w);
}

/* --- SLOWLOG ------------------------------------------------------------------------------- */

/* False: an error has been written. */
static bool read_count(uint32_t *count, const struct argv *argv, struct writer *w)
{
    int64_t wanted = 10;
    if (argv->count > 3) {
        struct span get = argv_get(argv, 1);
        write_error(w,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try SLOWLOG "
                    "HELP.",
                    (int)get.len, get.at);
        return false;
    }
    if (argv->count == 3) {
        struct span text = argv_get(argv, 2);
        if (!text_to_i64(text.at, text.len, &wanted) || wanted < -1) {
            write_error(w, "ERR count should be greater than or equal to -1");
            return false;
        }
    }
    *count = wanted < 0 || wanted > UINT32_MAX ? UINT32_MAX : (uint32_t)wanted;
    return true;
}

static void get_here(struct worker *w, struct client *c, const struct argv *argv,
                     struct writer *out)
{
    uint32_t count;
    (void)c;
    if (read_count(&count, argv, out))
        slowlog_write(&w->slowlog, count, SLOWLOG_AS_REDIS, out);
}

static void get_long_here(struct worker *w, struct client *c, const struct argv *argv,
                          struct writer *out)
{
    uint32_t count;
    (void)c;
    if (read_count(&count, argv, out))
        slowlog_write(&w->slowlog, count, SLOWLOG_LONG, out);
}

/* The entry at the front: its id, and how long it is; -1: there is none. */
static int64_t front_entry(struct span entries, size_t *len)
{
    struct value_cursor at = { entries.at, entries.at + entries.len }, inside;
    struct value entry, id;
    if (!value_next(&at, &entry) || entry.kind != VALUE_LIST)
        return -1;
    inside = at;
    if (!value_next(&inside, &id) || id.kind != VALUE_INTEGER || !value_skip_children(&at, &entry))
        return -1;
    *len = (size_t)(at.at - entries.at);
    return id.number;
}

/* Ids rise over all workers, so the entry with the greatest one is the youngest. */
static bool take_youngest(struct survey_part *parts, uint32_t count, struct writer *w)
{
    struct survey_part *from = NULL;
    int64_t youngest = -1;
    size_t len = 0, taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t id = front_entry(parts[i].bytes, &len);
        if (id <= youngest)
            continue;
        youngest = id;
        from = &parts[i];
        taken = len;
    }
    if (from == NULL)
        return false;
    write_raw(w, (struct span){ from->bytes.at, taken });
    from->bytes = (struct span){ from->bytes.at + taken, from->bytes.len - taken };
    return true;
}

static void merge_entries(struct survey_part *parts, uint32_t count, const struct argv *argv,
                          struct writer *w)
{
    uint32_t wanted, got = 0;
    struct writer entries;
    writer_init(&entries, 2);
    if (!read_count(&wanted, argv, &entries))
        wanted = 0; /* cannot be: it has been read before */
    while (got < wanted && take_youngest(parts, count, &entries))
        got++;
    write_array(w, got);
    write_raw(w, writer_span(&entries));
    writer_close(&entries);
}

static void len_here(struct worker *w, struct client *c, const struct argv *argv,
                     struct writer *out)
{
    (void)c;
    (void)argv;
    survey_write_number(out, w->slowlog.count);
}

static void reset_here(struct worker *w, struct client *c, const struct argv *argv,
                       struct writer *out)
{
    (void)c;
    (void)argv;
    (void)out;
    slowlog_reset(&w->slowlog);
}

const struct survey_row survey_slowlog_get = { .command = "slowlog|get",
                                               .part = get_here,
                                               .merge = merge_entries };
const struct survey_row survey_proxy_slowlog = { .command = "proxy|slowlog",
                                                 .part = get_long_here,
                                                 .merge = merge_entries };
const struct survey_row survey_slowlog_len = { .command = "slowlog|len",
                                               .part = len_here,
                                               .merge = survey_merge_sum };
const struct survey_row survey_slowlog_reset = { .command = "slowlog|reset",
                                                 .part = reset_here,
                                                 .merge = survey_merge_ok };

bool local_slowlog_get(struct client *c, const struct argv *argv, struct writer *w)
{
    uint32_t count;
    return !read_count(&count, argv, w) || survey_run(c, argv, w, &survey_slowlog_get);
}

bool local_proxy_slowlog(struct client *c, const struct argv *argv, struct writer *w)
{
    uint32_t count;
    return !read_count(&count, argv, w) || survey_run(c, argv, w, &survey_proxy_slowlog);
}

bool local_slowlog_len(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_slowlog_len);
}

bool local_slowlog_reset(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_slowlog_reset);
}
