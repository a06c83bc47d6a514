/*
 * scan_cursor.h: the cursor that SCAN shows to clients, for a keyspace that lies on many nodes.
 *
 * It is one decimal number below 2^53 (a double holds it), and it says everything: no instance of
 * the proxy remembers a scan, so any other can go on with it. Shards are scanned one after the
 * other, in the order of their lowest slot. From the highest bit:
 *
 *     12 bits        1 bit   14 bits   26 bits
 *     which shard    0       check     the node's own cursor
 *     which shard    1       8 bits    32 bits, when the node's cursor does not fit into 26
 *
 * The check is folded from the nodes whose shards are done, in their order, and from the node
 * being scanned if it has been begun. When it does not fit the present map, a failover or a
 * resharding has changed one of them. A node's cursor means nothing to the node that took over
 * (each has a hash seed of its own), and a shard that now stands earlier in the order might be left
 * out; so the scan begins again. Keys may come twice, which SCAN allows; none is missed that stays
 * where it is. What happens after the shards done does not matter.
 *
 * Pure: no node, no client.
 */
#ifndef PROXY_SCAN_CURSOR_H
#define PROXY_SCAN_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"

enum { SCAN_SHARDS_MAX = 4096 };

/* The check of no node at all. */
#define SCAN_CHECK_NONE 0x9e3779b1u

struct scan_cursor {
    uint32_t shard; /* index in the order */
    uint32_t check; /* cut to as many bits as there is room for */
    uint64_t at;    /* the node's own cursor; 0: the shard has not been begun */
    bool wide;      /* `at` has 32 bits, `check` 8 */
};

/* The check of the nodes folded so far and one more. */
uint32_t scan_check_add(uint32_t check, uint32_t node);

/* A number above 0 and below 2^53; 0 when `at` has more than 32 bits. check is given whole. */
uint64_t scan_cursor_pack(uint32_t shard, uint32_t check, uint64_t at);
/* False: no number that scan_cursor_pack gives. */
MUST_USE bool scan_cursor_unpack(uint64_t number, struct scan_cursor *out);
/* Whether the cursor was made with this (whole) check. */
bool scan_cursor_fits(const struct scan_cursor *c, uint32_t check);

/* What Redis takes for a cursor (db.c, parseScanCursorOrReply). */
MUST_USE bool scan_cursor_parse(struct span text, uint64_t *out);

#endif
