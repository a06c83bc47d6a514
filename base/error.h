/*
 * error.h: the one list of what can go wrong outside this program: peers, the network, files.
 *
 * A function that can fail returns 0 or one of these. The numbers lie apart from errno and from
 * libuv's codes, so that one taken for the other is seen at once (error_name says "unknown"); they
 * mean nothing outside the process. What only a bug can break is in check.h.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum error {
    ERR_NONE = 0,
    /* How a connection ended. */
    ERR_CLOSED_BY_PEER = -10001,
    ERR_RESET = -10002,
    ERR_CONNECT = -10003,
    ERR_UNREACHABLE = -10004,
    ERR_TIMEOUT = -10005,
    ERR_RESOLVE = -10006,
    ERR_TLS = -10007,
    ERR_IO = -10008,
    ERR_IDLE = -10009,
    ERR_KILLED = -10010,
    ERR_SHUTDOWN = -10011,
    ERR_CANCELED = -10012,
    /* What a peer sent. */
    ERR_PROTOCOL = -10013,
    ERR_AUTH = -10014,
    ERR_LIMIT = -10015,
    ERR_SLOW_READER = -10016,
    ERR_REPLY = -10017,
    /* The cluster. */
    ERR_NO_NODE = -10018,
    ERR_NO_SLOT = -10019,
    ERR_LOST = -10020,
    ERR_MAYBE_DONE = -10021,
    ERR_REDIRECTS = -10022,
    /* The machine and its files. */
    ERR_ADDRESS = -10023,
    ERR_ADDRESS_IN_USE = -10024,
    ERR_DENIED = -10025,
    ERR_FILE = -10026,
    ERR_NO_MEMORY = -10027,
    ERR_NO_FILES = -10028,
    ERR_OPTION = -10029,
    ERR_INTERNAL = -10030,
    ERR_AGE = -10031, /* how a connection ended, too */

    ERR_LAST = ERR_AGE,
};

/* A short sentence for people, without a full stop: "the peer closed the connection". */
const char *error_text(int code);
/* The name in the list without "ERR_", lower case, for logs and counters: "closed_by_peer". */
const char *error_name(int code);

#endif
