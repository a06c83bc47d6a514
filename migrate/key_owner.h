/*
 * key_owner.h: whether a proxy before several sources, Twemproxy or Codis, would look for a key at
 * this one. Pure.
 *
 * A key that it would not is a stale copy: left behind by a server that was ejected for a while, or
 * by a slot that moved. Among the good copies it would overwrite what its true owner has.
 *
 *   codis:slots=0-511|800
 *   twemproxy:hash=fnv1a_64,distribution=ketama,hash_tag={},servers=HOST:PORT:WEIGHT
 * NAME|...,me=NAME
 */
#ifndef MIGRATE_KEY_OWNER_H
#define MIGRATE_KEY_OWNER_H

#include <stdbool.h>

#include "base/check.h"
#include "resp/span.h"

enum { KEY_OWNER_CODIS_SLOTS = 1024 };

struct key_owner;

/* NULL: the text is wrong, and err says why. */
struct key_owner *key_owner_new(const char *text, char *err, size_t cap);
void key_owner_free(struct key_owner *o);
/* Whether a key is one server's and no other's; not so with Twemproxy's "random". */
bool key_owner_parts(const struct key_owner *o);
bool key_owner_is_me(const struct key_owner *o, struct span key);
/* Twemproxy's server for the key, counted from 0 in the order given; -1: any (random, Codis). */
int key_owner_server(const struct key_owner *o, struct span key);

#endif
