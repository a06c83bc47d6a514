#include "proxy/latency.h"

#include <time.h>

#include "proxy/latency_text.h"
#include "proxy/local.h"
#include "proxy/survey_rows.h"
#include "proxy/worker.h"
#include "resp/value.h"

/* --- what took long --------------------------------------------------------------------------- */

static void add(struct latency *l, enum latency_event event, uint32_t us)
{
    latency_events_add(&l->events, event, (int64_t)time(NULL), us / 1000);
}

void latency_see(struct worker *w, const struct command *cmd, uint32_t us)
{
    if (cmd != NULL && us >= w->latency.least_us)
        add(&w->latency, (cmd->flags & CMD_FAST) != 0 ? LATENCY_FAST_COMMAND : LATENCY_COMMAND, us);
}

static void on_long_turn(void *context, uint32_t us)
{
    add(context, LATENCY_EVENT_LOOP, us);
}

void latency_set_options(struct worker *w)
{
    uint64_t us = (uint64_t)w->config.latency_monitor_threshold * 1000;
    w->latency.least_us = us > 0 && us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    turn_watch_set(&w->latency.turns, w->latency.least_us);
}

void latency_open(struct worker *w)
{
    turn_watch_open(&w->latency.turns, &w->net, on_long_turn, &w->latency);
    latency_set_options(w);
}

void latency_close(struct worker *w)
{
    turn_watch_close(&w->latency.turns);
}

/* --- of all workers --------------------------------------------------------------------------- */

static void events_here(struct worker *w, struct client *c, const struct argv *argv,
                        struct writer *out)
{
    (void)c;
    (void)argv;
    latency_events_write(&w->latency.events, out);
}

/* Options are the same in all workers, so those of the one that asks are sent along. */
static void doctor_here(struct worker *w, struct client *c, const struct argv *argv,
                        struct writer *out)
{
    if (c != NULL) {
        write_integer(out, w->config.latency_monitor_threshold);
        write_integer(out, w->config.slowlog_log_slower_than);
    }
    events_here(w, c, argv, out);
}

static void gather(struct latency_events *e, const struct survey_part *parts, uint32_t count)
{
    *e = (struct latency_events){ 0 };
    for (uint32_t i = 0; i < count; i++)
        latency_events_read(e, parts[i].bytes);
}

/* --- LATEST, HISTORY, GRAPH, DOCTOR ----------------------------------------------------------- */

static void merge_latest(struct survey_part *parts, uint32_t count, const struct argv *argv,
                         struct writer *w)
{
    struct latency_events e;
    size_t known = 0;
    (void)argv;
    gather(&e, parts, count);
    for (uint32_t event = 0; event < LATENCY_EVENTS; event++)
        known += e.of[event].count > 0;
    write_array(w, known);
    for (uint32_t event = 0; event < LATENCY_EVENTS; event++) {
        const struct latency_series *s = &e.of[event];
        if (s->count == 0)
            continue;
        write_array(w, 4);
        write_bulk_text(w, latency_event_names[event]);
        write_integer(w, latency_newest(s)->at);
        write_integer(w, latency_newest(s)->ms);
        write_integer(w, s->max);
    }
}

/* NULL: there is no event of that name, or nothing of it. */
static const struct latency_series *series_named(const struct latency_events *e, struct span name)
{
    for (uint32_t event = 0; event < LATENCY_EVENTS; event++) {
        const char *known = latency_event_names[event];
        if (span_equal(name, (struct span){ known, strlen(known) }) && e->of[event].count > 0)
            return &e->of[event];
    }
    return NULL;
}

static void merge_history(struct survey_part *parts, uint32_t count, const struct argv *argv,
                          struct writer *w)
{
    struct latency_events e;
    gather(&e, parts, count);
    const struct latency_series *s = series_named(&e, argv_get(argv, 2));
    write_array(w, s != NULL ? s->count : 0);
    for (uint32_t i = 0; s != NULL && i < s->count; i++) {
        write_array(w, 2);
        write_integer(w, s->v[i].at);
        write_integer(w, s->v[i].ms);
    }
}

static void merge_graph(struct survey_part *parts, uint32_t count, const struct argv *argv,
                        struct writer *w)
{
    struct span name = argv_get(argv, 2);
    struct latency_events e;
    struct writer text;
    gather(&e, parts, count);
    const struct latency_series *s = series_named(&e, name);
    if (s == NULL) {
        write_error(w, "ERR No samples available for event '%.*s'", (int)name.len, name.at);
        return;
    }
    writer_init(&text, 2);
    latency_graph(latency_event_names[s - e.of], s, (int64_t)time(NULL), &text);
    write_verbatim(w, "txt", writer_span(&text));
    writer_close(&text);
}

/* The first part begins with the options; see doctor_here. */
static int take_option(struct span *bytes)
{
    struct value_cursor at = { bytes->at, bytes->at + bytes->len };
    struct value v = { .number = 0 };
    bool read = value_next(&at, &v) && v.kind == VALUE_INTEGER;
    *bytes = (struct span){ at.at, (size_t)(at.end - at.at) };
    return read ? (int)v.number : 0;
}

static void merge_doctor(struct survey_part *parts, uint32_t count, const struct argv *argv,
                         struct writer *w)
{
    int threshold = take_option(&parts[0].bytes), slow_us = take_option(&parts[0].bytes);
    struct latency_events e;
    struct writer text;
    (void)argv;
    gather(&e, parts, count);
    writer_init(&text, 2);
    latency_doctor(&e, (int64_t)time(NULL), threshold, slow_us, &text);
    write_verbatim(w, "txt", writer_span(&text));
    writer_close(&text);
}

/* --- RESET ------------------------------------------------------------------------------------ */

static bool is_to_reset(const struct argv *argv, const char *event)
{
    bool named = argv->count == 2;
    for (uint32_t i = 2; i < argv->count && !named; i++)
        named = span_is(argv_get(argv, i), event);
    return named;
}

/* A bit for each event that there was. */
static void reset_here(struct worker *w, struct client *c, const struct argv *argv,
                       struct writer *out)
{
    uint64_t reset = 0;
    (void)c;
    for (uint32_t event = 0; event < LATENCY_EVENTS; event++) {
        struct latency_series *s = &w->latency.events.of[event];
        if (s->count == 0 || !is_to_reset(argv, latency_event_names[event]))
            continue;
        *s = (struct latency_series){ 0 };
        reset |= UINT64_C(1) << event;
    }
    survey_write_number(out, reset);
}

static void merge_reset(struct survey_part *parts, uint32_t count, const struct argv *argv,
                        struct writer *w)
{
    uint64_t reset = 0;
    (void)argv;
    for (uint32_t i = 0; i < count; i++)
        reset |= survey_number(&parts[i]);
    write_integer(w, __builtin_popcountll(reset));
}

/* --- rows ------------------------------------------------------------------------------------- */

const struct survey_row survey_latency_latest = { .command = "latency|latest",
                                                  .part = events_here,
                                                  .merge = merge_latest };
const struct survey_row survey_latency_history = { .command = "latency|history",
                                                   .part = events_here,
                                                   .merge = merge_history };
const struct survey_row survey_latency_graph = { .command = "latency|graph",
                                                 .part = events_here,
                                                 .merge = merge_graph };
const struct survey_row survey_latency_doctor = { .command = "latency|doctor",
                                                  .part = doctor_here,
                                                  .merge = merge_doctor };
const struct survey_row survey_latency_reset = { .command = "latency|reset",
                                                 .part = reset_here,
                                                 .merge = merge_reset };

bool local_latency_latest(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_latency_latest);
}

bool local_latency_history(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_latency_history);
}

bool local_latency_graph(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_latency_graph);
}

bool local_latency_doctor(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_latency_doctor);
}

bool local_latency_reset(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_latency_reset);
}
