/*
 * latency_text.h: latency events for people to read. Both append to a growing text (write_raw) of
 * the caller and know no clock.
 */
#ifndef PROXY_LATENCY_TEXT_H
#define PROXY_LATENCY_TEXT_H

#include "proxy/latency_events.h"

/* LATENCY GRAPH: a bar for each sample, as high as it was long beside the others, and below it how
   long ago it was; 80 in a row. The series is not empty. */
void latency_graph(const char *event, const struct latency_series *s, int64_t now,
                   struct writer *out);

/* LATENCY DOCTOR: threshold in ms, slow_us as slowlog-log-slower-than. */
void latency_doctor(const struct latency_events *e, int64_t now, int threshold, int slow_us,
                    struct writer *out);

#endif
