#include "proxy/publish.h"

#include <stdlib.h>

#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/pubsub_say.h"
#include "proxy/talk_topics.h"
#include "proxy/worker.h"
#include "resp/request.h"

static bool has_topics(struct seat *seat)
{
    return atomic_load_explicit(&seat->topics, memory_order_relaxed) > 0;
}

bool publish_may_be_heard(const struct worker *w)
{
    static const struct talk_asker asker = { .concerns = has_topics };
    return topics_counted(&w->pubsub.topics) > 0 || talk_has_company(&w->talk, &asker);
}

/* --- notes: an index, a kind and a channel each ------------------------------------------------
 */

static bool next_integer(struct value_cursor *at, int64_t *n)
{
    struct value v;
    bool sound = value_next(at, &v) && v.kind == VALUE_INTEGER;
    if (sound)
        *n = v.number;
    return sound;
}

static bool next_note(struct value_cursor *at, int64_t *index, enum topic_kind *kind,
                      struct span *channel)
{
    int64_t number;
    struct value v;
    if (!next_integer(at, index) || !next_integer(at, &number) || !value_next(at, &v) ||
        v.kind != VALUE_STRING)
        return false;
    *kind = number == TOPIC_SHARD ? TOPIC_SHARD : TOPIC_CHANNEL;
    *channel = v.text;
    return true;
}

static void write_note(struct writer *notes, uint32_t index, const struct command *cmd,
                       const struct argv *argv)
{
    write_integer(notes, index);
    write_integer(notes, *cmd->name == 's' ? TOPIC_SHARD : TOPIC_CHANNEL);
    write_bulk(notes, argv_get(argv, 1));
}

void publish_note(struct writer *notes, uint32_t index, const struct command *cmd,
                  struct span request)
{
    struct arg_room room = { 0 };
    size_t used;
    if (cmd->how != HOW_PUBLISH)
        return;
    struct argv argv = request_again(request, &room, &used);
    write_note(notes, index, cmd, &argv);
    arg_room_close(&room);
}

/* --- what each worker says ---------------------------------------------------------------------
 */

static void say(const struct worker *w, struct span notes, struct writer *out)
{
    struct value_cursor at = { notes.at, notes.at + notes.len };
    enum topic_kind kind;
    struct span channel;
    int64_t index;
    while (next_note(&at, &index, &kind, &channel))
        pubsub_say_receivers(&w->pubsub.topics, kind, channel, out);
}

void publish_on_asked(void *context, const struct talk_letter *letter)
{
    struct worker *w = context;
    struct writer out;
    writer_init(&out, 2);
    say(w, letter->body, &out);
    talk_answer(&w->talk, letter, writer_span(&out));
    writer_close(&out);
}

void publish_count(struct client *c, struct group *g, struct span notes)
{
    struct writer own;
    if (notes.len == 0)
        return;
    writer_init(&own, 2);
    say(c->worker, notes, &own);
    counting_add(counting_begin(c, g, TALK_PUBLISHED, notes, true), writer_span(&own));
    writer_close(&own);
}

/* --- what becomes of the node's number ---------------------------------------------------------
 */

static bool read_receivers(struct value_cursor *at, struct receivers *r)
{
    return next_integer(at, &r->reached) && next_integer(at, &r->at_main) &&
           next_integer(at, &r->elsewhere) && next_integer(at, &r->main);
}

static void read_note(struct publish_counts *p)
{
    enum topic_kind kind;
    struct span channel;
    if (!next_note(&p->notes, &p->index, &kind, &channel))
        p->index = INT64_MAX;
}

void publish_open(struct publish_counts *p, const struct group *g)
{
    *p = (struct publish_counts){ .n = counting_of(g), .index = INT64_MAX };
    if (p->n == NULL)
        return;
    struct span notes = writer_span(&p->n->question);
    p->notes = (struct value_cursor){ notes.at, notes.at + notes.len };
    p->parts = counting_parts(p->n);
    p->said = calloc(p->n->count, sizeof(p->said[0]));
    REQUIRE(p->said != NULL);
    for (uint32_t i = 0; i < p->n->count; i++) {
        struct span said = p->parts[i].bytes;
        p->said[i] = (struct value_cursor){ said.at, said.at + said.len };
    }
    writer_init(&p->text, 2);
    read_note(p);
}

/* What all workers say of the note that is next. */
static void add_up(struct publish_counts *p, uint32_t node, int64_t *reached, int64_t *own)
{
    struct receivers r;
    *reached = *own = 0;
    for (uint32_t i = 0; i < p->n->count; i++) {
        if (!read_receivers(&p->said[i], &r))
            continue;
        *reached += r.reached;
        *own += r.main == (int64_t)node ? r.at_main : r.elsewhere;
    }
    read_note(p);
}

struct span publish_element(struct publish_counts *p, uint32_t index, struct span element,
                            uint32_t node)
{
    struct value_cursor at = { element.at, element.at + element.len };
    int64_t reached, own, at_node;
    while (p->index < index) /* that one got no answer */
        add_up(p, node, &reached, &own);
    if (p->index != index)
        return element;
    add_up(p, node, &reached, &own);
    if (!next_integer(&at, &at_node))
        return element;
    writer_clear(&p->text, 2);
    write_integer(&p->text, reached + (at_node > own ? at_node - own : 0));
    return writer_span(&p->text);
}

void publish_close(struct publish_counts *p)
{
    if (p->n == NULL)
        return;
    writer_close(&p->text);
    free(p->said);
    free(p->parts);
    counting_end(p->n);
}

/* --- the commands ------------------------------------------------------------------------------
 */

static void send_receivers(struct client *c, const struct group *g, struct replies *all)
{
    struct publish_counts p;
    struct part_reply *node = &all->part[0];
    publish_open(&p, g);
    if (node->failed)
        merge_send_part(c, node);
    else
        merge_send(c, node, publish_element(&p, 0, merge_rest(node), node->node));
    publish_close(&p);
}

static bool publish_to(struct client *c, const struct argv *argv, uint16_t slot)
{
    static const struct merge_rule rule = { .send = send_receivers, .takes_failures = true };
    struct writer notes;
    if (c->reply_mode != REPLY_ON) {
        local_route(c, argv, slot);
        return true;
    }
    struct group *g = group_one(&c->worker->router, &c->flow, c->last_command, NULL, slot,
                                local_request(argv), false);
    g->rule = &rule;
    writer_init(&notes, 2);
    write_note(&notes, 0, c->last_command, argv);
    publish_count(c, g, writer_span(&notes));
    writer_close(&notes);
    return true;
}

bool local_publish(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)w;
    return publish_to(c, argv, SLOT_ANY);
}

bool local_spublish(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)w;
    return publish_to(c, argv, keyslot_of(argv_get(argv, 1)));
}
