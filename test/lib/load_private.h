/* load_private.h: what load.c (runs the clients) and load_check.c (looks at the data) share. */
#ifndef TEST_LIB_LOAD_PRIVATE_H
#define TEST_LIB_LOAD_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "test/lib/load.h"

enum { LOAD_CLIENTS_MAX = 64, LOAD_KEYS_MAX = 16, LOAD_SHARED = 4 };

enum fate { FATE_ACKNOWLEDGED = 1, FATE_REFUSED, FATE_UNCERTAIN };

struct counter_tally {
    uint64_t acknowledged, uncertain;
};

/* What one client did to one of its lists: the fate of each number it pushed. */
struct list_tally {
    uint8_t *fate;
    uint32_t count, room;
};

struct load_client {
    struct load *load;
    int index;
    pthread_t thread;
    struct counter_tally own[LOAD_KEYS_MAX];
    struct counter_tally shared[LOAD_SHARED];
    struct list_tally list[LOAD_KEYS_MAX];
    uint32_t token[LOAD_KEYS_MAX];      /* number of the last SET that was acknowledged; 0: none */
    uint32_t token_high[LOAD_KEYS_MAX]; /* the last SET that was sent */
    bool token_open[LOAD_KEYS_MAX];     /* an uncertain SET came after it */
};

struct load {
    struct load_options options;
    int number; /* stands in the key names, so that a second load begins with empty keys */
    atomic_bool stop;
    bool stopped;
    pthread_mutex_t lock; /* over the tally */
    struct load_tally tally;
    struct load_client client[LOAD_CLIENTS_MAX];
};

/* The name of a key; client < 0 for the shared ones. */
void load_key(const struct load *l, char kind, int client, int key, char out[64]);
void load_wrong(struct load *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
