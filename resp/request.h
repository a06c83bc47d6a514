/*
 * request.h: finds one request after the other in a client's bytes.
 *
 * Understands what Redis does (networking.c, processMultibulkBuffer and processInlineBuffer): an
 * array of bulk strings, or an inline command. Copies no token: the result is positions, counted
 * from the request's first byte. May be called again with more bytes of the same request, at the
 * same or another address, and goes on where it stopped, so that a request in many pieces costs
 * one pass. A fresh parser owns no memory; a parser with half a request may own its positions.
 */
#ifndef RESP_REQUEST_H
#define RESP_REQUEST_H

#include <stdbool.h>

#include "resp/span.h"

struct request_limits {
    uint64_t max_bulk;    /* proto-max-bulk-len, bytes; Redis: 512 MiB */
    uint64_t max_request; /* client-query-buffer-limit, bytes, below 4 GiB; Redis: 1 GiB */
    uint32_t max_args;    /* Redis: 1024 * 1024 */
    uint32_t max_inline;  /* bytes of an inline command or of a header line; Redis: 64 KiB */
};

extern const struct request_limits request_limits_default;

/* Room for the positions of one request; zero is empty, grows as needed. One per worker will do. */
struct arg_room {
    struct arg *v;
    uint32_t capacity;
    char error[52]; /* the text of an error that names a byte of the request */
};

void arg_room_close(struct arg_room *r);

struct request_parser {
    size_t at;        /* where to go on */
    uint64_t bulk;    /* length of the bulk that is being read */
    uint32_t args;    /* arguments that the header announced */
    uint32_t got;     /* of those, complete ones */
    uint8_t state;    /* private; 0 when fresh */
    struct arg *kept; /* positions found so far, when a request came in pieces */
    uint32_t kept_capacity;
};

enum request_result {
    REQUEST_BAD = -1,   /* *error says what to answer; then the connection has to be closed */
    REQUEST_MORE = 0,   /* incomplete: call again with these bytes and more behind them */
    REQUEST_ARGS = 1,   /* argv is set and borrows from bytes and room; *used bytes are done */
    REQUEST_INLINE = 2, /* an inline command of *used bytes incl. its line end: see inline.h */
    REQUEST_EMPTY = 3,  /* "*0", "*-1" or an empty line: *used bytes, nothing to answer */
};

/* bytes: begins with the first byte of the request, len > 0. error: a text as it stands after "-",
   in Redis's own words ("ERR Protocol error: invalid bulk length"). */
enum request_result request_parse(struct request_parser *p, const struct request_limits *limits,
                                  struct arg_room *room, const char *bytes, size_t len,
                                  struct argv *argv, size_t *used, const char **error);

/* The arguments of a request that has been parsed before; aborts if it is none. *used: its bytes,
   which others may follow. */
struct argv request_again(struct span bytes, struct arg_room *room, size_t *used);

/* After REQUEST_MORE: how many bytes of this request are missing at least (1 when unknown). */
size_t request_missing(const struct request_parser *p, size_t len);

/* Frees what half a request kept; the parser is fresh afterwards. */
void request_parser_reset(struct request_parser *p);

#endif
