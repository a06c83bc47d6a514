/*
 * categories.h: the categories of commands by which the rules of users speak of them ("+@read").
 *
 * They are those of Redis 7.0 (what ACL CAT lists; test/integration/test_acl.c compares each
 * command's with a running server). Most follow from a row's family and flags, as in Redis itself;
 * the exceptions stand in a table.
 */
#ifndef CLUSTER_CATEGORIES_H
#define CLUSTER_CATEGORIES_H

#include "cluster/command.h"

enum command_category {
    CAT_KEYSPACE = 1u << 0,
    CAT_READ = 1u << 1,
    CAT_WRITE = 1u << 2,
    CAT_SET = 1u << 3,
    CAT_SORTEDSET = 1u << 4,
    CAT_LIST = 1u << 5,
    CAT_HASH = 1u << 6,
    CAT_STRING = 1u << 7,
    CAT_BITMAP = 1u << 8,
    CAT_HYPERLOGLOG = 1u << 9,
    CAT_GEO = 1u << 10,
    CAT_STREAM = 1u << 11,
    CAT_PUBSUB = 1u << 12,
    CAT_ADMIN = 1u << 13,
    CAT_FAST = 1u << 14,
    CAT_SLOW = 1u << 15,
    CAT_BLOCKING = 1u << 16,
    CAT_DANGEROUS = 1u << 17,
    CAT_CONNECTION = 1u << 18,
    CAT_TRANSACTION = 1u << 19,
    CAT_SCRIPTING = 1u << 20,
};

/* The bit of a name without its '@', in any case; 0: there is no such category. */
uint32_t category_of_name(struct span name);

/* All categories of a built-in row. family: that of the rows among which it stands, or 0. */
uint32_t categories_derive(const struct command *c, uint32_t family);

#endif
