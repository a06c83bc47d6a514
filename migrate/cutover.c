#include "migrate/cutover.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "resp/value.h"

enum step { NONE, REACHING, PAUSING, ASKING, CATCHING, SETTLING, COMPARING, REPAIRING, STEPS };

enum { PASSES_MAX = 10 };

void cutover_open(struct cutover *c, struct repair *repair, const char *history,
                  const struct cutover_user *user, void *context)
{
    *c = (struct cutover){ .repair = repair, .history = history, .user = user, .context = context };
    writer_init(&c->reply, 2);
}

void cutover_free(struct cutover *c)
{
    writer_close(&c->reply);
}

bool cutover_is_active(const struct cutover *c)
{
    return c->step != NONE;
}

static void end(struct cutover *c, const char *error)
{
    c->step = NONE;
    c->user->on_over(c->context, error);
}

void cutover_stop(struct cutover *c, const char *why)
{
    if (c->step != NONE)
        end(c, why);
}

static void move(struct cutover *c, enum step step)
{
    static const char *const texts[STEPS] = {
        [REACHING] = "connecting to the source as a client",
        [PAUSING] = "the source holds back writes",
        [ASKING] = "asking the source for its offset",
        [CATCHING] = "waiting until the target has all of it",
        [SETTLING] = "setting the times to live that were held back",
        [COMPARING] = "comparing a sample",
        [REPAIRING] = "repairing",
    };
    c->step = (uint8_t)step;
    c->answered = false;
    c->error[0] = '\0';
    if (texts[step] != NULL)
        c->user->on_step(c->context, texts[step]);
    net_hurry(c->repair->net);
}

/* --- what the source is asked -------------------------------------------------------------- */

static void on_answer(void *context, const struct target_call *call)
{
    struct cutover *c = context;
    c->answered = true;
    snprintf(c->error, sizeof(c->error), "%s", call->error);
    net_hurry(c->repair->net);
}

static void ask(struct cutover *c, const char *const *words, size_t count)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, words, count);
    writer_clear(&c->reply, 2);
    target_ask_shard(&c->repair->source, 0, SPAN("info"), writer_span(&w), &c->reply, on_answer, c);
    writer_close(&w);
}

static void ask_offset(struct cutover *c)
{
    move(c, ASKING);
    ask(c, (const char *[]){ "INFO", "replication" }, 2);
}

static void reach(struct cutover *c)
{
    char ms[TEXT_NUMBER_MAX + 1];
    if (c->repair->unable != NULL) {
        end(c, c->repair->unable);
        return;
    }
    if (!repair_reach_source(c->repair) || !repair_is_idle(c->repair))
        return;
    if (c->pause == 0) {
        ask_offset(c);
        return;
    }
    ms[text_from_u64(ms, c->pause)] = '\0';
    move(c, PAUSING);
    ask(c, (const char *[]){ "CLIENT", "PAUSE", ms, "WRITE" }, 4);
}

static void pausing(struct cutover *c)
{
    if (!c->answered)
        return;
    if (c->error[0] != '\0')
        end(c, c->error);
    else
        ask_offset(c);
}

/* Servers before 4.0 do not tell it. */
static bool is_of_stream(const struct cutover *c, struct span info)
{
    struct span id = target_info_line(info, "master_replid");
    size_t len = strlen(c->history);
    return id.len == 0 || len == 0 || span_equal(id, (struct span){ c->history, len });
}

/* An offset of another history says nothing about what we have: the server has been started again,
   and the stream's connection will learn of it in a moment. */
static void asked(struct cutover *c)
{
    struct value_cursor cursor = { c->reply.at, c->reply.at + c->reply.len };
    struct value v;
    if (!c->answered)
        return;
    if (c->error[0] != '\0') {
        end(c, c->error);
        return;
    }
    struct span digits = { NULL, 0 };
    if (value_next(&cursor, &v) && v.kind == VALUE_STRING)
        digits = target_info_line(v.text, "master_repl_offset");
    if (digits.len > 0 && !is_of_stream(c, v.text))
        end(c, "the source has begun a new history");
    else if (digits.len == 0 || !text_to_u64(digits.at, digits.len, &c->offset))
        end(c, "the source does not tell its offset (INFO replication)");
    else
        move(c, CATCHING);
}

/* --- what is left to do -------------------------------------------------------------------- */

static void catch_up(struct cutover *c)
{
    if (c->repair->apply->applied >= c->offset)
        move(c, SETTLING);
}

static void settle(struct cutover *c)
{
    struct expiry *e = c->repair->options->expiry;
    if (c->repair->apply->applied < c->offset) /* a part of the stream comes again */
        return;
    if (e != NULL && !expiry_settle(e, copy_now(NULL)))
        return;
    move(c, COMPARING);
    repair_sample(c->repair, c->sample);
}

static void repair_again(struct cutover *c)
{
    uint64_t keys = dirty_count(&c->repair->dirty);
    bool better = c->passes == 0 || keys < c->remained;
    if (keys == 0 || !better || c->passes == PASSES_MAX) {
        /* Of keys that remain the report tells. */
        bool whole = keys > 0 || c->repair->counters.given_up == c->before.given_up;
        end(c, whole ? NULL : "not all could be compared or repaired");
        return;
    }
    c->passes++;
    c->remained = keys;
    repair_pass(c->repair);
}

static void compared(struct cutover *c)
{
    if (!repair_is_idle(c->repair))
        return;
    move(c, REPAIRING);
    repair_again(c);
}

static void repaired(struct cutover *c)
{
    if (repair_is_idle(c->repair))
        repair_again(c);
}

void cutover_turn(struct cutover *c)
{
    static void (*const steps[STEPS])(struct cutover * c) = {
        [REACHING] = reach,  [PAUSING] = pausing,    [ASKING] = asked,       [CATCHING] = catch_up,
        [SETTLING] = settle, [COMPARING] = compared, [REPAIRING] = repaired,
    };
    if (c->step != NONE)
        steps[c->step](c);
}

void cutover_start(struct cutover *c, uint64_t sample, uint64_t pause_ms)
{
    c->sample = sample;
    c->pause = pause_ms;
    c->passes = 0;
    c->before = c->repair->counters;
    move(c, REACHING);
}
