/*
 * rewrite_stream.h: a stream's entries, groups, consumers and pending entries as commands. Private
 * to rewrite.c.
 */
#ifndef MIGRATE_REWRITE_STREAM_H
#define MIGRATE_REWRITE_STREAM_H

#include "migrate/rewrite.h"

/* False: error is set. */
bool rewrite_stream_item(struct rewrite *w, const struct rdb_item *item);

/* What rewrite.c lends: one more argument, and the command made of those so far. */
void rewrite_arg(struct rewrite *w, struct span arg);
void rewrite_number(struct rewrite *w, int64_t n);
/* name [sub] KEY arguments */
void rewrite_give(struct rewrite *w, const char *name, const char *sub, bool again);

#endif
