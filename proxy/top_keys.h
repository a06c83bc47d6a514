/*
 * top_keys.h: the keys that are asked for most, and those that are largest: two small tables of
 * fixed size. Pure.
 *
 * Hot keys are counted by the space-saving algorithm (Metwally, Agrawal, El Abbadi, 2005) over a
 * sample of the calls: a key with more than a 1/TOP_HOT of all calls is always there, and its count
 * is too high by `over` at most. All counts are halved now and then, so that they tell of now.
 *
 * A table lies in shared memory: its one writer makes the version odd while it changes something,
 * and a reader takes a copy by top_hot_copy or top_big_copy. Of a long key the beginning is kept.
 */
#ifndef PROXY_TOP_KEYS_H
#define PROXY_TOP_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "resp/span.h"

enum { TOP_HOT = 64, TOP_BIG = 64, TOP_SHOWN = 96, TOP_BIG_MIN = 16 * 1024 };

struct top_key {
    uint64_t hash; /* of the whole key */
    uint32_t len;  /* of the whole key */
    char text[TOP_SHOWN];
};

struct hot_key {
    struct top_key key;
    uint64_t calls, over;
};

struct hot_keys {
    uint32_t version, count;
    struct hot_key v[TOP_HOT];
};

struct big_key {
    struct top_key key;
    uint64_t request, reply; /* bytes of the largest */
    uint32_t tally;          /* of the command that was so large last */
};

struct big_keys {
    uint32_t version, count;
    struct big_key v[TOP_BIG];
};

static inline struct span top_key_text(const struct top_key *k)
{
    return (struct span){ k->text, k->len < TOP_SHOWN ? k->len : TOP_SHOWN };
}

/* The key was asked for, which stands for so many calls. */
void top_hot_see(struct hot_keys *t, struct span key, uint32_t calls);
void top_hot_age(struct hot_keys *t);
void top_hot_clear(struct hot_keys *t);
/* Adds another table's key to an array of `count` keys, which has room; gives the new count. */
uint32_t top_hot_merge(struct hot_key *all, uint32_t count, const struct hot_key *k);
void top_hot_sort(struct hot_key *all, uint32_t count);

/* A request about the key, or a reply to one, was so large. */
void top_big_see(struct big_keys *t, struct span key, uint64_t bytes, bool is_reply,
                 uint32_t tally);
/* What is smaller would not get in. */
uint64_t top_big_least(const struct big_keys *t);
void top_big_clear(struct big_keys *t);
uint32_t top_big_merge(struct big_key *all, uint32_t count, const struct big_key *k);
void top_big_sort(struct big_key *all, uint32_t count);

/* Of a table that another process may be changing; after some tries what is there is taken. */
void top_hot_copy(struct hot_keys *to, const struct hot_keys *from);
void top_big_copy(struct big_keys *to, const struct big_keys *from);

#endif
