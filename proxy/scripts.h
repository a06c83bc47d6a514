/*
 * scripts.h: the scripts and function libraries that clients have brought, to this worker or to
 * another one (script_news.h), so that a node that lacks one can be given it.
 *
 * One Redis keeps a script until SCRIPT FLUSH. A shard that is new, or whose replica took over, has
 * never seen it and answers NOSCRIPT; then the body is loaded there and the call is sent again
 * (router->rescue). Such an answer means that nothing was executed, so this cannot execute twice.
 * The scripts used last are also given to each new connection and each new master (router->greet).
 * Before a transaction go the scripts that it calls (router->prepare).
 * What is remembered is bounded in number and bytes; the one not used for longest goes first.
 */
#ifndef PROXY_SCRIPTS_H
#define PROXY_SCRIPTS_H

#include "base/list.h"
#include "cluster/router.h"
#include "resp/writer.h"

enum {
    SCRIPTS_MAX = 1024,
    SCRIPTS_BYTES_MAX = 8 * 1024 * 1024,
    SCRIPTS_BUCKETS = 1024,
    SCRIPTS_SHA_LEN = 40,
    LIBRARIES_MAX = 128,
    GREETING_SCRIPTS_MAX = 128, /* what a new connection is given at once */
    GREETING_BYTES_MAX = 256 * 1024,
};

struct scripts {
    struct router *router;
    struct list_node by_use; /* struct script, the one not used for longest first */
    struct script *buckets[SCRIPTS_BUCKETS];
    uint32_t count;
    uint64_t bytes;
    struct list_node libraries; /* struct library, oldest first */
    uint32_t library_count;
    void *sha1; /* OpenSSL's handle of the algorithm */
};

/* Becomes the router's rescue, greet and prepare. */
void scripts_open(struct scripts *s, struct router *rt);
void scripts_close(struct scripts *s);

/* To be called with every command that brings, uses or forgets a script or library, before it is
   sent; others are ignored. True: the other workers have to see it, too. */
bool scripts_see(struct scripts *s, const struct command *cmd, const struct argv *argv);

/* Writes a SCRIPT LOAD or FUNCTION LOAD for each one known. */
void scripts_write_all(const struct scripts *s, struct writer *w);
/* The same for those that the calls in a block may need, for
   inside EXEC's reply NOSCRIPT comes too late to make it good. Gives how many. */
uint32_t scripts_write_loads(struct scripts *s, struct span block, struct writer *w);

/* Whether the error is that of a call whose script or library the node lacked, and has been given
   by now (by the router's rescue, which came too late for this call): then it may be tried again.
 */
bool scripts_heal(struct scripts *s, const struct command *cmd, const struct argv *argv,
                  struct span error);

/* sha: 40 hex digits in any case. */
bool scripts_knows(struct scripts *s, struct span sha);

#endif
