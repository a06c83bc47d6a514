/*
 * crc64.h: the checksum of RDB files and of DUMP payloads.
 *
 * CRC-64 with the polynomial 0xad93d23594c935a9, reflected, starting from 0, no final xor (Redis's
 * crc64.c): "123456789" gives 0xe9c6d914c4b8d9ca. The tables are filled once by their owner; there
 * is no global state.
 */
#ifndef MIGRATE_CRC64_H
#define MIGRATE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Eight bytes are taken at once: table[k] is the effect of a byte k bytes before the end. */
struct crc64_tables {
    uint64_t of[8][256];
};

void crc64_fill(struct crc64_tables *t);
/* The checksum of what crc stands for and the bytes behind it. Begin with 0. */
uint64_t crc64_add(const struct crc64_tables *t, uint64_t crc, const void *bytes, size_t len);

#endif
