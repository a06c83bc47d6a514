/*
 * key_hash.h: the hash functions by which Twemproxy and Codis choose a server. Pure.
 *
 * From their public definitions, with Twemproxy's own turns: its crc32 keeps 15 bits, its crc16 is
 * never cut to 16, its fnv1a_64 computes in 32 bits, and several of them take a byte above 127 for
 * a negative number.
 */
#ifndef MIGRATE_KEY_HASH_H
#define MIGRATE_KEY_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "resp/span.h"

typedef uint32_t key_hash(struct span key);

/* By Twemproxy's name; NULL: there is none such. */
key_hash *key_hash_find(const char *name);
/* The usual CRC-32 (IEEE). */
uint32_t key_hash_crc32(struct span key);

#endif
