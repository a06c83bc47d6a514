/*
 * rdb_payload.h: what RESTORE takes: type, value, RDB version, checksum.
 */
#ifndef MIGRATE_RDB_PAYLOAD_H
#define MIGRATE_RDB_PAYLOAD_H

#include "migrate/crc64.h"
#include "migrate/rdb_type.h"
#include "resp/writer.h"

enum { RDB_PAYLOAD_EXTRA = 11 }; /* bytes beside the value */

/* Appends the payload. version: the lowest that knows the type, so that older servers take it. */
void rdb_payload_write(struct writer *w, const struct crc64_tables *tables, uint8_t type,
                       struct span value, uint16_t version);

/* What the payload is of, and the bytes of its value; NULL: of nothing that is known here. */
const struct rdb_type *rdb_payload_open(struct span payload, struct span *value);

#endif
