/*
 * FUNCTION RESTORE: only a node can read its payload, so once all have taken it, a master is asked
 * which libraries there are, and these are remembered like those of FUNCTION LOAD, by all workers.
 * The client does not wait for that.
 */
#include "base/error.h"
#include "base/log.h"
#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/script_news.h"
#include "proxy/talk_topics.h"
#include "proxy/worker.h"

/* --- what a master has ------------------------------------------------------------------------ */

static void write_load(struct writer *w, struct span code)
{
    write_array(w, 4);
    write_bulk_text(w, "FUNCTION");
    write_bulk_text(w, "LOAD");
    write_bulk_text(w, "REPLACE");
    write_bulk(w, code);
}

/* A library is a list of names and values; its text is behind library_code. */
static bool read_library(struct value_cursor *at, struct writer *loads)
{
    struct value list, name, v;
    if (!value_next(at, &list) || list.kind != VALUE_LIST)
        return false;
    for (uint64_t pair = 0; pair < list.count / 2; pair++) {
        if (!value_next(at, &name) || name.kind != VALUE_STRING || !value_next(at, &v))
            return false;
        if (span_is(name.text, "library_code") && v.kind == VALUE_STRING)
            write_load(loads, v.text);
        else if (!value_skip_children(at, &v))
            return false;
    }
    return true;
}

static bool read_libraries(struct span reply, struct writer *loads)
{
    struct value_cursor at = { reply.at, reply.at + reply.len };
    struct value list;
    bool sound = value_next(&at, &list) && list.kind == VALUE_LIST;
    for (uint64_t i = 0; sound && i < list.count; i++)
        sound = read_library(&at, loads);
    return sound;
}

static void remember(struct worker *w, const struct rope *reply, bool flushed)
{
    struct writer flat, letter;
    writer_init(&flat, 2);
    writer_init(&letter, 2);
    for (const struct piece *p = reply->head; p != NULL; p = p->next)
        write_raw(&flat, (struct span){ p->at, p->len });
    if (flushed)
        write_request(&letter, (const char *const[]){ "FUNCTION", "FLUSH" }, 2);
    if (read_libraries(writer_span(&flat), &letter)) {
        script_news_read(w, writer_span(&letter));
        talk_tell(&w->talk, TALK_SCRIPTS, writer_span(&letter));
    } else {
        log_warn("libraries of FUNCTION RESTORE are not remembered", "reason=odd_reply");
    }
    writer_close(&flat);
    writer_close(&letter);
}

static void note(struct request *asked, int status, bool flushed)
{
    if (status == 0)
        remember(asked->own_context, &asked->reply, flushed);
    else
        log_warn("libraries of FUNCTION RESTORE are not remembered", "reason=%s",
                 error_name(status));
}

static void on_more(struct request *asked, int status)
{
    note(asked, status, false);
}

/* With the policy FLUSH those from before are gone. */
static void on_all(struct request *asked, int status)
{
    note(asked, status, true);
}

/* --- the command ------------------------------------------------------------------------------ */

static void ask(struct worker *w, bool flushed)
{
    static const struct span question = SPAN("*3\r\n$8\r\nFUNCTION\r\n$4\r\nLIST\r\n$8\r\n"
                                             "WITHCODE\r\n");
    struct router *rt = &w->router;
    router_ask(rt, rt->masters[0], question, rt->options->request_timeout,
               flushed ? on_all : on_more, w);
}

/* No part has failed. */
static void send_restored(struct client *c, const struct group *g, struct replies *all)
{
    merge_send_part(c, &all->part[0]);
    ask(c->worker, g->note != 0);
}

bool local_function_restore(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_restored };
    struct group *g = local_broadcast(c, local_request(argv), &rule);
    if (g == NULL)
        write_error(w, "CLUSTERDOWN Hash slot not served");
    else
        g->note = argv->count > 3 && span_is(argv_get(argv, 3), "flush");
    return true;
}
