/*
 * repair_fetch.h: the values of some keys as the source had them at one point of its stream.
 *
 * A connection of its own, so that a large value is read no faster than it can be used: what is not
 * taken stays in the kernel's buffers and the source's. One transaction tells the point first, then
 * each key's time to live and its value, as DUMP gives it. Memory: FETCH_AHEAD and one read.
 *
 * Life: open (nothing is connected yet) -> ask -> next until END or BAD, again and again; stop at
 * any time -> close -> the loop runs empty -> free.
 */
#ifndef MIGRATE_REPAIR_FETCH_H
#define MIGRATE_REPAIR_FETCH_H

#include "migrate/dump_reply.h"
#include "migrate/target.h"
#include "net/pipe.h"

enum { FETCH_AHEAD = 256 * 1024, FETCH_LINE_MAX = TARGET_ERROR_SHOWN };

enum fetch_fact {
    FETCH_BAD = -1, /* error says why; the rest will not come */
    FETCH_MORE = 0, /* not yet; the net is hurried when there is more */
    FETCH_POINT,    /* offset */
    FETCH_ABSENT,   /* the next key's: the source has none such */
    FETCH_KEY,      /* the next key's value begins: expire_at, type, size */
    FETCH_VALUE,    /* value: some of its bytes */
    FETCH_KEY_END,  /* stamp */
    FETCH_END,      /* all keys have been told */
};

struct repair_fetch {
    uint64_t offset;
    int64_t expire_at; /* ms since 1970, by the source's clock if it is `absolute`; -1: never */
    bool absolute;     /* the source knows PEXPIRETIME; the user's, before add */
    uint8_t type;
    uint16_t stamp;
    uint64_t size;
    struct span value; /* lent until the next call */
    char error[TARGET_ERROR_SHOWN];
    /* Private from here on. */
    struct net *net;
    const struct target_options *options;
    struct pipe pipe;
    struct pipe_call call;
    struct writer request, bytes; /* what to ask; what has come and was not taken */
    struct writer info;
    size_t at; /* in bytes */
    uint32_t greetings, keys, told;
    uint64_t info_left;
    uint32_t line_len;
    char line[FETCH_LINE_MAX];
    struct dump_reply dump;
    uint8_t step;
    bool connected, ready; /* there is a pipe; it has logged in */
    bool asked, sent, whole, paused, closing;
};

/* Borrows both. */
void repair_fetch_open(struct repair_fetch *f, struct net *net,
                       const struct target_options *options);
/* The same for each key, before ask. */
void repair_fetch_add(struct repair_fetch *f, uint64_t db, struct span key);
void repair_fetch_ask(struct repair_fetch *f);
enum fetch_fact repair_fetch_next(struct repair_fetch *f);
/* Wants no more of it. */
void repair_fetch_stop(struct repair_fetch *f);
/* The user has waited for long enough: the next fact is BAD. */
void repair_fetch_fail(struct repair_fetch *f, const char *why);
/* Ms of loop time: when something came last. */
uint64_t repair_fetch_heard(const struct repair_fetch *f);
void repair_fetch_close(struct repair_fetch *f);
void repair_fetch_free(struct repair_fetch *f);

#endif
