#include "proxy/slowlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "cluster/group.h"
#include "proxy/client_reply.h"
#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/worker.h"
#include "resp/request.h"

/* As slowlog.h of Redis: more arguments, and more bytes of each, are only counted. */
enum { ARGS_MAX = 32, ARG_MAX = 128, ADDRESS_MAX = 64 };

struct entry {
    struct list_node link;
    struct writer text; /* the entry as it is sent; the same in both protocols */
};

/* --- entries -----------------------------------------------------------------------------------
 */

static void drop(struct slowlog *s, struct entry *e)
{
    list_remove(&e->link);
    writer_close(&e->text);
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

static void add(struct slowlog *s, const struct client *c, const struct argv *argv, int64_t ms)
{
    struct entry *e = calloc(1, sizeof(*e));
    char address[ADDRESS_MAX];
    REQUIRE(e != NULL);
    writer_init(&e->text, 2);
    write_array(&e->text, 6);
    write_integer(&e->text, (long long)s->next_id++);
    write_integer(&e->text, (long long)time(NULL));
    write_integer(&e->text, ms * 1000);
    write_args(&e->text, argv);
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

void slowlog_write(const struct slowlog *s, uint32_t count, struct writer *w)
{
    struct list_node *n, *safe;
    count = count < s->count ? count : s->count;
    write_array(w, count);
    LIST_EACH (&s->entries, n, safe) {
        if (count-- == 0)
            break;
        write_raw(w, writer_span(&LIST_ENTRY(n, struct entry, link)->text));
    }
}

/* --- what is slow ------------------------------------------------------------------------------
 */

static void see(const struct client *c, const struct command *cmd, const struct argv *argv,
                int64_t ms)
{
    if (cmd != NULL && (cmd->flags & CMD_SKIP_SLOWLOG) == 0)
        add(&c->worker->slowlog, c, argv, ms);
}

/* The request is parsed once more, but only here, where it took milliseconds. Of a command that was
   split only the part that was waited for last is seen. What waits by intention has no deadline. */
static void on_slow(const struct request *r)
{
    if (r->flow == NULL || r->flow->user != &client_flow_user || r->deadline == UINT64_MAX ||
        (r->group != NULL && r->group->open > 1))
        return;
    struct client *c = client_of_flow(r->flow);
    struct worker *w = c->worker;
    struct request_parser parser = { 0 };
    struct arg_room room = { 0 };
    struct argv argv;
    const char *error;
    size_t used;
    int64_t ms = (int64_t)(uv_now(&w->loop) - (r->deadline - w->config.request_timeout));
    if (r->chunk != NULL && request_parse(&parser, &w->limits, &room, r->bytes, r->len, &argv,
                                          &used, &error) == REQUEST_ARGS)
        see(c, r->cmd, &argv, ms > 0 ? ms : 0);
    request_parser_reset(&parser);
    arg_room_close(&room);
}

void slowlog_see_op(const struct op *op)
{
    struct worker *w = op->worker;
    int64_t ms = (int64_t)(uv_now(&w->loop) - op->began);
    if (ms >= w->slowlog.least_ms)
        see(op->client, op->cmd, &op->argv, ms);
}

void slowlog_set_options(struct worker *w)
{
    struct slowlog *s = &w->slowlog;
    int64_t us = w->config.slowlog_log_slower_than;
    s->max = (uint32_t)w->config.slowlog_max_len;
    s->least_ms = us < 0 ? INT64_MAX : (us + 999) / 1000;
    w->router.slow_after =
        us < 0 ? INT64_MAX : s->least_ms - (int64_t)w->router_options.request_timeout;
    trim(s, s->max);
}

void slowlog_open(struct worker *w)
{
    list_init(&w->slowlog.entries);
    w->router.on_slow = on_slow;
    slowlog_set_options(w);
}

/* --- SLOWLOG -----------------------------------------------------------------------------------
 */

bool local_slowlog_get(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t count = 10;
    if (argv->count > 3) {
        struct span get = argv_get(argv, 1);
        write_error(w,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try SLOWLOG "
                    "HELP.",
                    (int)get.len, get.at);
        return true;
    }
    if (argv->count == 3) {
        struct span text = argv_get(argv, 2);
        if (!text_to_i64(text.at, text.len, &count) || count < -1) {
            write_error(w, "ERR count should be greater than or equal to -1");
            return true;
        }
    }
    bool all = count < 0 || count > UINT32_MAX;
    slowlog_write(&c->worker->slowlog, all ? UINT32_MAX : (uint32_t)count, w);
    return true;
}

bool local_slowlog_len(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    write_integer(w, c->worker->slowlog.count);
    return true;
}

bool local_slowlog_reset(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    slowlog_reset(&c->worker->slowlog);
    write_simple(w, "OK");
    return true;
}
