/*
 * config_sets.h: what CONFIG SET has changed, in any worker of this generation.
 *
 * Each SET has a stamp from a counter on the board, so that of two at the same time the same one
 * wins in all workers. The values are remembered as well, for a worker that starts later; a reload
 * forgets them, for then the file speaks.
 */
#ifndef PROXY_CONFIG_SETS_H
#define PROXY_CONFIG_SETS_H

#include "proxy/talk.h"

struct worker;

struct config_value {
    char *name, *value;
    uint64_t stamp;
};

struct config_sets {
    struct config_value *v;
    uint32_t count;
};

uint64_t config_sets_stamp(struct worker *w);
/* This worker has given the parameter that value. */
void config_sets_note(struct worker *w, const char *name, struct span value, uint64_t stamp);
void config_sets_forget(struct config_sets *sets);
/* The file has been read again: what it speaks of is forgotten. */
void config_sets_reloaded(struct config_sets *sets);

/* Those from that stamp on, as a letter for TALK_CONFIG. */
void config_sets_write(const struct config_sets *sets, uint64_t from, struct writer *out);
/* Takes over what is younger than what this worker has. A letter that makes no sense is ignored. */
void config_sets_read(struct worker *w, struct span letter);
/* TALK_CONFIG. */
talk_handler config_sets_on_letter;

#endif
