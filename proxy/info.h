/*
 * info.h: INFO of one Redis, made from that of every master and what the proxy knows of itself.
 */
#ifndef PROXY_INFO_H
#define PROXY_INFO_H

#include <stddef.h>

struct worker;

enum { INFO_ID_SIZE = 41 };

/* 40 hex digits that stand for a text, always the same ones; for run_id and the like. */
void info_id_of(const char *text, char out[INFO_ID_SIZE]);

/* Asks every master of the map for its version; the lowest is what HELLO says then. */
void info_learn_version(struct worker *w);

#endif
