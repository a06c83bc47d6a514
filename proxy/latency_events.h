/*
 * latency_events.h: what took long, as a Redis with a latency-monitor-threshold keeps it: of each
 * event the longest time per second, for the last 160 seconds in which there was one, and the
 * longest ever. Plain memory without a clock; zeroed it is empty.
 */
#ifndef PROXY_LATENCY_EVENTS_H
#define PROXY_LATENCY_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "resp/writer.h"

enum { LATENCY_SAMPLES = 160 };

/* Their numbers are sent to other workers, so they stay. */
enum latency_event { LATENCY_COMMAND, LATENCY_FAST_COMMAND, LATENCY_EVENT_LOOP, LATENCY_EVENTS };

extern const char *const latency_event_names[LATENCY_EVENTS];

struct latency_sample {
    int64_t at; /* s since 1970 */
    uint32_t ms;
};

struct latency_series {
    struct latency_sample v[LATENCY_SAMPLES]; /* oldest first */
    uint32_t count;                           /* 0: the event is not known */
    uint32_t max;                             /* ms, ever */
};

struct latency_events {
    struct latency_series of[LATENCY_EVENTS];
};

/* The last one of a series that is not empty. */
const struct latency_sample *latency_newest(const struct latency_series *s);

void latency_events_add(struct latency_events *e, enum latency_event event, int64_t at,
                        uint32_t ms);

/* For another worker; and adds what another worker has written. Of bytes that make no sense the
   rest is left out. */
void latency_events_write(const struct latency_events *e, struct writer *w);
void latency_events_read(struct latency_events *e, struct span bytes);

#endif
