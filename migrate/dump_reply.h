/*
 * dump_reply.h: a server's reply to DUMP, in any pieces: the type, the value's bytes as an RDB file
 * has them, and the version stamp, without keeping any of it. Pure.
 */
#ifndef MIGRATE_DUMP_REPLY_H
#define MIGRATE_DUMP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "resp/span.h"

enum dump_fact {
    DUMP_BAD = -1, /* no reply to DUMP, or an error */
    DUMP_MORE = 0, /* all bytes used */
    DUMP_ABSENT,   /* there is no such key; the reply is over */
    DUMP_TYPE,     /* type and size are known */
    DUMP_VALUE,    /* some of its bytes */
    DUMP_END,      /* the reply is over; stamp is known */
};

enum { DUMP_HEAD_MAX = 24, DUMP_TAIL = 10 };

/* Zero is fresh. */
struct dump_reply {
    uint8_t type;
    uint16_t stamp;
    uint64_t size; /* of the value alone */
    /* Private from here on. */
    uint64_t left; /* of the value */
    uint8_t state, head_len, tail_len;
    char head[DUMP_HEAD_MAX];
    unsigned char tail[DUMP_TAIL + 2]; /* with the line end */
};

/* bytes.len > 0. value: those of DUMP_VALUE; they lie in bytes. */
enum dump_fact dump_reply_read(struct dump_reply *d, struct span bytes, size_t *used,
                               struct span *value);

#endif
