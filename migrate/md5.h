/* md5.h: MD5 as in RFC 1321, for the hash rings that are built with it. Pure. */
#ifndef MIGRATE_MD5_H
#define MIGRATE_MD5_H

#include <stdint.h>

#include "resp/span.h"

enum { MD5_WORDS = 4 };

/* The digest as words; the first byte of the digest is the lowest one of the first word. */
void md5_of(struct span bytes, uint32_t digest[MD5_WORDS]);

#endif
