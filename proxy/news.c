#include "proxy/news.h"

#include "proxy/monitor.h"
#include "proxy/script_news.h"
#include "proxy/talk_topics.h"
#include "proxy/worker.h"
#include "resp/value.h"

/* Scripts may be megabytes, so only one worker is asked for them. */
struct question {
    uint32_t generation;                       /* of who asks */
    uint32_t scripts_generation, scripts_from; /* ... for scripts: that worker */
};

/* What is said: ms of pause left, whether of all commands, whether there are monitors, options as
   for TALK_CONFIG, scripts as for TALK_SCRIPTS. */
enum { PARTS = 5 };

/* --- answering -------------------------------------------------------------------------------- */

static void write_pause(const struct worker *w, struct writer *out)
{
    uint64_t now = uv_now(&w->loop), until = w->pause.until;
    write_integer(out, until > now ? (long long)(until - now) : 0);
    write_integer(out, w->pause.all);
}

void news_on_asked(void *context, const struct talk_letter *letter)
{
    struct worker *w = context;
    struct question q;
    struct writer out, part;
    if (letter->body.len != sizeof(q))
        return;
    memcpy(&q, letter->body.at, sizeof(q));
    monitor_watch(w, letter->from, false); /* the monitors of its predecessor have gone with it */
    writer_init(&out, 2);
    writer_init(&part, 2);
    write_array(&out, PARTS);
    write_pause(w, &out);
    write_integer(&out, !list_is_empty(&w->pubsub.monitors));
    if (q.generation == w->crew->generation)
        config_sets_write(&w->config_sets, 0, &part);
    write_bulk(&out, writer_span(&part));
    writer_clear(&part, 2);
    if (q.scripts_generation == w->crew->generation && q.scripts_from == w->number)
        scripts_write_all(&w->scripts, &part);
    write_bulk(&out, writer_span(&part));
    talk_answer(&w->talk, letter, writer_span(&out));
    writer_close(&part);
    writer_close(&out);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void on_answer(void *context, const struct talk_letter *answer)
{
    struct worker *w = context;
    struct value_cursor at = { answer->body.at, answer->body.at + answer->body.len };
    struct value list, part[PARTS] = { 0 };
    if (!value_next(&at, &list) || list.kind != VALUE_LIST || list.count != PARTS)
        return;
    for (int i = 0; i < PARTS; i++)
        if (!value_next(&at, &part[i]))
            return;
    if (part[0].number > 0)
        pause_begin(w, (uint64_t)part[0].number, part[1].number != 0);
    if (part[2].number != 0)
        monitor_watch(w, answer->from, true);
    config_sets_read(w, part[3].text);
    script_news_read(w, part[4].text);
}

void news_ask(struct worker *w)
{
    static const struct talk_asker asker = { .on_answer = on_answer };
    const struct talk_peer *one = talk_anybody(&w->talk);
    if (one == NULL)
        return;
    struct question q = { .generation = w->crew->generation,
                          .scripts_generation = one->generation,
                          .scripts_from = one->number };
    talk_ask(&w->talk, TALK_NEWS, (struct span){ (const char *)&q, sizeof(q) }, &asker, w);
}
