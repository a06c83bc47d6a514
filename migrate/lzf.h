/*
 * lzf.h: unpacks LZF, in which RDB files store long strings, piece by piece.
 *
 * Constant memory: a reference reaches back 8 KiB at most, and so much is kept. Source: the format
 * as Marc Lehmann's liblzf describes it.
 */
#ifndef MIGRATE_LZF_H
#define MIGRATE_LZF_H

#include <stdbool.h>

#include "resp/writer.h"

enum { LZF_WINDOW = 8192 };

/* Zero is fresh. */
struct lzf {
    uint64_t written; /* bytes given so far */
    uint32_t literal; /* bytes still to be taken as they are */
    uint32_t length;  /* of the reference that is being read */
    uint32_t offset;
    uint8_t state; /* private */
    char window[LZF_WINDOW];
};

/* Appends what the bytes stand for; at most 88 bytes come out of one. False: they are no LZF. */
MUST_USE bool lzf_unpack(struct lzf *z, struct span in, struct writer *out);
/* Whether the bytes so far could be all. */
bool lzf_is_whole(const struct lzf *z);
/* Forgets everything; cheaper than to clear the window. */
void lzf_reset(struct lzf *z);

#endif
