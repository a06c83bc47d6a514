/*
 * info.h: INFO of one Redis, made from that of every master and what the proxy knows of itself.
 */
#ifndef PROXY_INFO_H
#define PROXY_INFO_H

#include <stddef.h>

struct worker;
struct writer;

enum { INFO_ID_SIZE = 41 };

/* 40 hex digits that stand for a text, always the same ones; for run_id and the like. */
void info_id_of(const char *text, char out[INFO_ID_SIZE]);

/* Appends the section of our own. */
void info_print_slotgate(const struct worker *w, struct writer *out);

#endif
