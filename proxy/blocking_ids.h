/*
 * blocking_ids.h: what "$" meant when an XREAD began.
 *
 * "$" is the stream's last id at the moment when the node sees it. A second try, after a failover,
 * would begin later and miss what came in between. So the first try asks for the last entry of each
 * such stream right before the command (XREVRANGE), and a further one names that id.
 */
#ifndef PROXY_BLOCKING_IDS_H
#define PROXY_BLOCKING_IDS_H

#include "cluster/command.h"
#include "resp/writer.h"

enum { STREAM_ID_MAX = 48 };

struct stream_id {
    uint32_t key, arg; /* arguments: the key, and the "$" */
    char text[STREAM_ID_MAX];
    uint8_t len; /* 0: not known */
};

struct stream_ids {
    const struct argv *argv;
    struct stream_id *v;
    uint32_t count;
    uint32_t next;  /* whose answer comes next */
    char head[128]; /* the beginning of that answer */
    uint8_t head_len;
};

/* argv is borrowed until stream_ids_close. Finds the "$" of an XREAD; other commands have none. */
void stream_ids_open(struct stream_ids *ids, const struct command *cmd, const struct argv *argv);
void stream_ids_close(struct stream_ids *ids);
/* Writes the questions that are still open, each behind prefix. Gives the number of replies. */
uint32_t stream_ids_ask(struct stream_ids *ids, struct writer *w, struct span prefix);
/* A piece of a reply to one of them, or to a prefix. */
void stream_ids_take(struct stream_ids *ids, struct span bytes, bool done);
/* The id that argument stands for, or the argument itself. */
struct span stream_ids_known(const struct stream_ids *ids, uint32_t arg, struct span as_given);

#endif
