/*
 * keyspace_events.h: the letters of notify-keyspace-events, as flags and back. Pure.
 */
#ifndef PROXY_KEYSPACE_EVENTS_H
#define PROXY_KEYSPACE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"

enum { KEYSPACE_EVENTS_MAX = 20 };

/* False when a letter is none of them; *flags is untouched then. */
MUST_USE bool keyspace_events_parse(struct span text, uint32_t *flags);
/* The letters in the order in which Redis 7.0 prints them, with A where it stands for many. */
void keyspace_events_text(uint32_t flags, char out[KEYSPACE_EVENTS_MAX]);

#endif
