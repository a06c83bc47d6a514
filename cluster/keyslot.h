/*
 * keyslot.h: the hash slot of a key.
 *
 * CRC16/XMODEM of the key, or of what stands between the first '{' and the next '}' if that is not
 * empty, modulo 16384. Source: the Redis Cluster specification, "Key distribution model" and
 * appendix A; the same as keyHashSlot in Redis's cluster.c.
 */
#ifndef CLUSTER_KEYSLOT_H
#define CLUSTER_KEYSLOT_H

#include <stdint.h>

#include "resp/span.h"

enum { SLOT_COUNT = 16384 };

uint16_t keyslot_of(struct span key);
/* Exposed for tests: CRC16/XMODEM of "123456789" is 0x31C3. */
uint16_t keyslot_crc16(const char *bytes, size_t len);

#endif
