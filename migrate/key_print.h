/* key_print.h: 64 bits for a key, for tables that keep no names. Pure. */
#ifndef MIGRATE_KEY_PRINT_H
#define MIGRATE_KEY_PRINT_H

#include <stdint.h>

#include "resp/span.h"

/* Never 0. seed: random, so that nobody can choose keys that collide. */
uint64_t key_print(uint64_t seed, struct span key);

#endif
