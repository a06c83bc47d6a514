/*
 * visible_names.h: lists of keys that nodes give (SCAN, KEYS) without the temporary ones that
 * proxies make (op_temp_name).
 *
 * A list without any, which is nearly every list, is searched once and handed on as it came.
 */
#ifndef PROXY_VISIBLE_NAMES_H
#define PROXY_VISIBLE_NAMES_H

#include "proxy/merge.h"

struct visible_names {
    uint64_t count; /* keys to be shown */
    bool all;       /* nothing is to be left out */
};

/* Enters the array that comes next in the part. False: there is none. */
MUST_USE bool visible_names_enter(struct part_reply *p, struct visible_names *out);
/* Sends the elements of the array entered, no header. */
void visible_names_send(struct client *c, struct part_reply *p, const struct visible_names *names);

#endif
