#include "base/error.h"

#include <stddef.h>

#include "base/check.h"

struct error_row {
    const char *name;
    const char *text;
};

enum { FIRST = -ERR_CLOSED_BY_PEER, COUNT = -ERR_LAST - FIRST + 1 };

#define ROW(code) [-(code)-FIRST]

static const struct error_row rows[] = {
    ROW(ERR_CLOSED_BY_PEER) = { "closed_by_peer", "the peer closed the connection" },
    ROW(ERR_RESET) = { "reset", "the connection was reset" },
    ROW(ERR_CONNECT) = { "connect", "the connection was refused" },
    ROW(ERR_UNREACHABLE) = { "unreachable", "the host or network cannot be reached" },
    ROW(ERR_TIMEOUT) = { "timeout", "it took longer than allowed" },
    ROW(ERR_RESOLVE) = { "resolve", "the name could not be resolved" },
    ROW(ERR_TLS) = { "tls", "the TLS session failed" },
    ROW(ERR_IO) = { "io", "reading or writing failed" },
    ROW(ERR_IDLE) = { "idle", "the connection was idle for too long" },
    ROW(ERR_KILLED) = { "killed", "the connection was closed on request" },
    ROW(ERR_AGE) = { "age", "the connection had reached its age limit" },
    ROW(ERR_SHUTDOWN) = { "shutdown", "the program is shutting down" },
    ROW(ERR_CANCELED) = { "canceled", "it was given up before it was done" },
    ROW(ERR_PROTOCOL) = { "protocol", "the peer broke the protocol" },
    ROW(ERR_AUTH) = { "auth", "the password or user was not accepted" },
    ROW(ERR_LIMIT) = { "limit", "a limit was exceeded" },
    ROW(ERR_SLOW_READER) = { "slow_reader", "the peer reads its replies too slowly" },
    ROW(ERR_REPLY) = { "reply", "the peer answered with an error" },
    ROW(ERR_NO_NODE) = { "no_node", "no node of the cluster can be reached" },
    ROW(ERR_NO_SLOT) = { "no_slot", "no node serves the hash slot" },
    ROW(ERR_LOST) = { "lost", "the connection to the node was lost" },
    ROW(ERR_MAYBE_DONE) = { "maybe_done",
                            "the connection to the node was lost after the command was "
                            "sent: it may have been executed" },
    ROW(ERR_REDIRECTS) = { "redirects", "too many redirections" },
    ROW(ERR_ADDRESS) = { "address", "the address is not valid here" },
    ROW(ERR_ADDRESS_IN_USE) = { "address_in_use", "the address is already in use" },
    ROW(ERR_DENIED) = { "denied", "permission denied" },
    ROW(ERR_FILE) = { "file", "the file cannot be read" },
    ROW(ERR_NO_MEMORY) = { "no_memory", "out of memory" },
    ROW(ERR_NO_FILES) = { "no_files", "too many open files" },
    ROW(ERR_OPTION) = { "option", "an option is wrong" },
    ROW(ERR_INTERNAL) = { "internal", "internal error" },
};

BUILD_ASSERT(ARRAY_LEN(rows) == COUNT, "each code has its row");

static const struct error_row *row_of(int code)
{
    static const struct error_row none = { "none", "no error" };
    static const struct error_row unknown = { "unknown", "unknown error" };
    if (code == ERR_NONE)
        return &none;
    return code <= ERR_CLOSED_BY_PEER && code >= ERR_LAST ? &rows[-code - FIRST] : &unknown;
}

const char *error_text(int code)
{
    return row_of(code)->text;
}

const char *error_name(int code)
{
    return row_of(code)->name;
}
