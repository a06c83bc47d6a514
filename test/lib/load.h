/*
 * load.h: clients that keep the proxy busy while a test disturbs the cluster, and that know what
 * they may believe afterwards.
 *
 * Each client is a thread with one connection and sends pipelines of mixed requests. It checks
 * each reply at once (exactly one per request, and its own), and keeps for each key what was
 * acknowledged, what was refused and what "may have been executed". load_check then compares that
 * with the data:
 *   counters  acknowledged <= value <= acknowledged + uncertain        (promise 2)
 *   lists     pushed numbers strictly increase, nothing refused is there, nothing acknowledged
 *             is missing                                                (promises 2 and 3)
 * With `replicas` a GET may bring an older number of its key, unless a SET of the same pipeline is
 * before it. With `lossy` (a master is killed, and replication is asynchronous) acknowledged writes
 * may be missing; all the rest still holds.
 */
#ifndef TEST_LIB_LOAD_H
#define TEST_LIB_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "test/lib/redis_cluster.h"

enum load_kind {
    LOAD_COUNT = 1 << 0, /* INCR of own and of shared counters */
    LOAD_LIST = 1 << 1,  /* RPUSH of rising numbers to own lists */
    LOAD_TOKEN = 1 << 2, /* SET and GET of own keys */
    LOAD_ECHO = 1 << 3,  /* ECHO of a token, which no node sees */
    LOAD_ALL = (1 << 4) - 1,
};

struct load_options {
    uint16_t port;
    unsigned kinds;  /* 0: all */
    int clients;     /* 0: 6 */
    int depth;       /* requests in one pipeline; 0: 12 */
    int keys;        /* own keys of each kind and client; 0: 4 */
    int rest_us;     /* between two pipelines; 0: 4000 */
    int patience_ms; /* how long a reply may take; 0: 10 s */
    bool lossy;
    bool replicas; /* every other pipeline is GETs alone, and may be answered out of date */
    const char *const
        *tags; /* hash tags for the key names, so that a test knows the slots; or NULL */
    int tag_count;
};

struct load_tally {
    uint64_t answered;  /* replies that were no errors */
    uint64_t errors;    /* errors that say that nothing was done */
    uint64_t uncertain; /* "may have been executed" */
    uint64_t wrong;     /* broken promises */
    uint64_t slowest_ms;
    char first_error[160];
    char first_wrong[240];
};

struct load;

struct load *load_start(const struct load_options *options);
/* What happened so far. May be called while it runs. */
struct load_tally load_now(struct load *l);
/* Whether so many more replies without error come within the time; counted from the call. */
bool load_goes_on(struct load *l, uint64_t replies, int timeout_ms);
/* Ends the threads; the data can be checked afterwards. May be called twice. */
void load_stop(struct load *l);
/* Stops, reads the data from the nodes themselves and asserts that no promise was broken. Frees. */
void load_check(struct load *l, struct redis_cluster *c);

#endif
