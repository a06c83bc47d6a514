/*
 * acl_private.h: what a user is, for the acl*.c files only.
 */
#ifndef PROXY_ACL_PRIVATE_H
#define PROXY_ACL_PRIVATE_H

#include <openssl/sha.h>

#include "proxy/acl.h"

enum { ACL_BUILT_IN_MAX = 512 }; /* rows of the command table before anything was learned */

/* "+get", "-@dangerous". */
struct acl_rule {
    char *text;        /* lower case, without the sign: "get", "config|get", "@read" */
    uint32_t category; /* of the last of these; else 0 */
    bool allow;
};

enum { ACL_READ = 1 << 0, ACL_WRITE = 1 << 1 };

struct acl_pattern {
    char *text;
    size_t len;
    uint8_t kinds; /* of keys: ACL_READ, ACL_WRITE */
};

struct acl_patterns {
    struct acl_pattern *items;
    size_t count;
    bool all;
};

struct acl_hash {
    unsigned char bytes[SHA256_DIGEST_LENGTH];
};

struct acl_user {
    char *name;
    struct acl_hash *hashes;
    size_t hash_count;
    struct acl_patterns keys, channels;
    bool on, no_password;
    bool all_first;         /* the rules begin with "+@all", not with "-@all" */
    bool all_commands;      /* ... and nothing was taken away since */
    struct acl_rule *rules; /* in their order; the last one that concerns a command counts */
    size_t rule_count;
    uint32_t built_in;                   /* rows of the table before anything was learned */
    uint64_t may[ACL_BUILT_IN_MAX / 64]; /* what the rules come to, by row index */
};

/* A user as Redis makes a new one: off, without any right. */
void acl_user_init(struct acl_user *u, struct span name);
void acl_user_free(struct acl_user *u);
/* Applies one rule, "on", ">password", "~key*", "+@read" ...; NULL, or what is wrong with it. */
const char *acl_user_apply(struct acl_user *u, const struct command_table *t, struct span rule);
/* All rules are there. */
void acl_user_finish(struct acl_user *u, const struct command_table *t);

/* Whether the command may be used, whatever its keys. */
bool acl_has_command(const struct acl_user *u, const struct command *cmd);

#endif
