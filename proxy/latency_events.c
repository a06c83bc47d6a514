#include "proxy/latency_events.h"

#include <string.h>

#include "resp/value.h"

const char *const latency_event_names[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = "command",
    [LATENCY_FAST_COMMAND] = "fast-command",
    [LATENCY_EVENT_LOOP] = "event-loop",
};

const struct latency_sample *latency_newest(const struct latency_series *s)
{
    return &s->v[s->count - 1];
}

/* Samples of other workers come in between; those of this one at the end. */
static void add_sample(struct latency_series *s, struct latency_sample new)
{
    uint32_t i = s->count;
    while (i > 0 && s->v[i - 1].at > new.at)
        i--;
    if (i > 0 && s->v[i - 1].at == new.at) {
        if (s->v[i - 1].ms < new.ms)
            s->v[i - 1].ms = new.ms;
        return;
    }
    if (s->count < LATENCY_SAMPLES) {
        memmove(&s->v[i + 1], &s->v[i], (s->count - i) * sizeof(s->v[0]));
        s->v[i] = new;
        s->count++;
    } else if (i > 0) {
        memmove(&s->v[0], &s->v[1], (i - 1) * sizeof(s->v[0]));
        s->v[i - 1] = new;
    }
}

static void add_max(struct latency_series *s, uint32_t ms)
{
    if (s->max < ms)
        s->max = ms;
}

void latency_events_add(struct latency_events *e, enum latency_event event, int64_t at, uint32_t ms)
{
    add_sample(&e->of[event], (struct latency_sample){ at, ms });
    add_max(&e->of[event], ms);
}

/* A list for each event that is known: its number, the longest ever, and pairs of second and ms. */
void latency_events_write(const struct latency_events *e, struct writer *w)
{
    for (uint32_t event = 0; event < LATENCY_EVENTS; event++) {
        const struct latency_series *s = &e->of[event];
        if (s->count == 0)
            continue;
        write_array(w, 2 + 2 * (size_t)s->count);
        write_integer(w, event);
        write_integer(w, s->max);
        for (uint32_t i = 0; i < s->count; i++) {
            write_integer(w, s->v[i].at);
            write_integer(w, s->v[i].ms);
        }
    }
}

static bool read_number(struct value_cursor *at, int64_t *n)
{
    struct value v;
    if (!value_next(at, &v) || v.kind != VALUE_INTEGER || v.number < 0)
        return false;
    *n = v.number;
    return true;
}

void latency_events_read(struct latency_events *e, struct span bytes)
{
    struct value_cursor at = { bytes.at, bytes.at + bytes.len };
    struct value list;
    int64_t event, max, second, ms;
    while (value_next(&at, &list) && list.kind == VALUE_LIST) {
        if (!read_number(&at, &event) || event >= LATENCY_EVENTS || !read_number(&at, &max))
            return;
        for (uint64_t left = list.count; left > 3; left -= 2) {
            if (!read_number(&at, &second) || !read_number(&at, &ms))
                return;
            latency_events_add(e, (enum latency_event)event, second, (uint32_t)ms);
        }
        add_max(&e->of[event], (uint32_t)max);
    }
}
