#include "proxy/survey.h"

#include <stdlib.h>

#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/survey_rows.h"
#include "proxy/talk_topics.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"
#include "resp/request.h"

struct survey {
    struct op op;
    const struct survey_row *row;
    uint64_t ask;          /* 0: none is open */
    struct list_node idle; /* where the op waits */
    uint16_t topic;
    struct writer question;
    struct writer bytes; /* what the workers have said, one behind the other */
    size_t *ends;        /* of each, in bytes */
    uint32_t count;
};

static struct survey *survey_of(struct op *op)
{
    return CONTAINER_OF(op, struct survey, op);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void note_end(struct survey *s)
{
    s->ends = realloc(s->ends, (s->count + 1) * sizeof(s->ends[0]));
    REQUIRE(s->ends != NULL);
    s->ends[s->count++] = s->bytes.len;
}

static void on_answer(void *context, const struct talk_letter *answer)
{
    struct survey *s = context;
    write_raw(&s->bytes, answer->body);
    note_end(s);
}

static void on_done(void *context, uint32_t missing)
{
    struct survey *s = context;
    (void)missing;
    s->ask = 0;
    list_remove(&s->op.in_ready);
    list_append(&s->op.worker->ops_ready, &s->op.in_ready);
    net_hurry(&s->op.worker->net);
}

/* Its own part comes last, so that a client that kills itself still hears of the others, and is the
   first of the parts all the same. */
static void answer(struct op *op)
{
    struct survey *s = survey_of(op);
    struct survey_part *parts = calloc(s->count + 1, sizeof(parts[0]));
    size_t begin = 0, own = s->bytes.len;
    REQUIRE(parts != NULL);
    s->row->part(op->worker, op->client, &op->argv, &s->bytes);
    parts[0].bytes = (struct span){ s->bytes.at + own, s->bytes.len - own };
    for (uint32_t i = 0; i < s->count; begin = s->ends[i++])
        parts[i + 1].bytes = (struct span){ s->bytes.at + begin, s->ends[i] - begin };
    struct writer w;
    writer_init(&w, op->flow.protocol);
    s->row->merge(parts, s->count + 1, &op->argv, &w);
    op_answer(op, writer_span(&w));
    writer_close(&w);
    free(parts);
    op_end(op);
}

static void ask(struct op *op)
{
    static const struct talk_asker asker = { .on_answer = on_answer, .on_done = on_done };
    struct survey *s = survey_of(op);
    op_wait(op, &s->idle, answer);
    s->ask = talk_ask(&op->worker->talk, s->topic, writer_span(&s->question), &asker, s);
}

static void free_survey(struct op *op)
{
    struct survey *s = survey_of(op);
    if (s->ask != 0)
        talk_forget(&op->worker->talk, s->ask);
    writer_close(&s->question);
    writer_close(&s->bytes);
    free(s->ends);
    free(s);
}

/* EXEC answers what it took for this worker's own affair when it was queued. */
static bool is_part_of_exec(const struct client *c)
{
    const struct transaction *t = c->transaction;
    return t != NULL && t->running && t->commands[t->next].kind != QUEUED_STEP;
}

static bool has_others(const struct client *c)
{
    return talk_has_company(&c->worker->talk, NULL) && !is_part_of_exec(c);
}

bool survey_may_run(const struct client *c)
{
    return op_may_start(c) || !has_others(c);
}

bool survey_concerns(const struct client *c, const struct argv *argv)
{
    return talk_has_company(&c->worker->talk, NULL) && survey_find_row(argv) != NULL;
}

bool survey_run(struct client *c, const struct argv *argv, struct writer *w,
                const struct survey_row *row)
{
    return survey_run_with(c, argv, w, row, TALK_SURVEY, local_request(argv));
}

bool survey_run_with(struct client *c, const struct argv *argv, struct writer *w,
                     const struct survey_row *row, uint16_t topic, struct span question)
{
    if (!has_others(c)) {
        struct writer own;
        writer_init(&own, 2);
        row->part(c->worker, c, argv, &own);
        row->merge(&(struct survey_part){ writer_span(&own) }, 1, argv, w);
        writer_close(&own);
        return true;
    }
    if (!op_may_start(c))
        return false;
    struct survey *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    s->row = row;
    s->topic = topic;
    writer_init(&s->question, 2);
    write_raw(&s->question, question);
    list_init(&s->idle);
    writer_init(&s->bytes, 2);
    op_start(&s->op, c, NULL, argv, ask, free_survey); /* without a row it is never slow */
    return true;
}

/* --- answering -------------------------------------------------------------------------------- */

void survey_on_asked(void *context, const struct talk_letter *letter)
{
    struct worker *w = context;
    struct request_parser parser = { 0 };
    struct arg_room room = { 0 };
    struct argv argv;
    struct writer out;
    const struct survey_row *row = NULL;
    const char *error;
    size_t used;
    writer_init(&out, 2);
    if (letter->body.len > 0 &&
        request_parse(&parser, &request_limits_default, &room, letter->body.at, letter->body.len,
                      &argv, &used, &error) == REQUEST_ARGS)
        row = survey_find_row(&argv);
    if (row != NULL && row->asked != NULL)
        row->asked(w, &argv, letter);
    else if (row != NULL)
        row->part(w, NULL, &argv, &out);
    if (row == NULL || row->asked == NULL)
        talk_answer(&w->talk, letter, writer_span(&out));
    writer_close(&out);
    request_parser_reset(&parser);
    arg_room_close(&room);
}

/* --- parts that are numbers ------------------------------------------------------------------- */

void survey_write_number(struct writer *out, uint64_t n)
{
    write_raw(out, (struct span){ (const char *)&n, sizeof(n) });
}

uint64_t survey_number(const struct survey_part *part)
{
    uint64_t n = 0;
    if (part->bytes.len == sizeof(n))
        memcpy(&n, part->bytes.at, sizeof(n));
    return n;
}

uint64_t survey_sum(const struct survey_part *parts, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += survey_number(&parts[i]);
    return sum;
}

void survey_merge_ok(struct survey_part *parts, uint32_t count, const struct argv *argv,
                     struct writer *w)
{
    (void)parts;
    (void)count;
    (void)argv;
    write_simple(w, "OK");
}

void survey_merge_sum(struct survey_part *parts, uint32_t count, const struct argv *argv,
                      struct writer *w)
{
    (void)argv;
    write_integer(w, (long long)survey_sum(parts, count));
}
