/*
 * client.h: a client that sends exactly the bytes it is told and shows each reply raw.
 *
 * Beside hiredis, which hides the bytes and knows no RESP3. Blocking, with a deadline on each call.
 * The functions report failures in the state and never call cmocka, so that any thread may use
 * them; the client_expect macros assert and belong to the main thread.
 */
#ifndef TEST_LIB_CLIENT_H
#define TEST_LIB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum client_state { CLIENT_OPEN, CLIENT_TIMEOUT, CLIENT_CLOSED, CLIENT_GARBAGE };

struct client {
    int fd; /* -1 when closed */
    enum client_state state;
    int timeout_ms; /* of each call; may be changed */
    bool deaf;      /* while sending, do not read what comes: a slow reader */
    char *in;       /* received and not yet given out: in[at..len) */
    size_t at, len, room;
    char *reply; /* the reply that was given out last */
    size_t reply_room;
};

/* Connects to 127.0.0.1:port. Whether it succeeded or not, client_close must follow. */
bool client_open(struct client *c, uint16_t port);
/* With a small receive buffer, so that what this client does not read piles up at the server. For
   one that never reads much: by chance Linux offers less than half of such a window, and then a
   server that honours RFC 1122 sends two kilobytes in a fifth of a second. */
bool client_open_narrow(struct client *c, uint16_t port);
void client_close(struct client *c);
/* The port that the server sees it at. Asserts nothing; 0 when closed. */
uint16_t client_own_port(const struct client *c);
/* Closes with a reset instead of an orderly end. */
void client_abort(struct client *c);

/* Sends all of it; meanwhile keeps what arrives (unless deaf), so that long pipelines cannot lock
   up two sides that both wait to be read. */
bool client_send(struct client *c, const char *bytes, size_t len);
bool client_send_text(struct client *c, const char *text);
/* A request of these words, the last one NULL. */
bool client_send_command(struct client *c, const char *word, ...) __attribute__((sentinel));
bool client_send_argv(struct client *c, size_t argc, const char *const argv[], const size_t len[]);

/* Exactly one reply with a NUL behind it, lent until the next read; NULL and state otherwise. */
const char *client_read(struct client *c, size_t *len);
/* Send and read in one. */
const char *client_ask(struct client *c, const char *word, ...) __attribute__((sentinel));

/* Whether the server ends the connection within its timeout without sending anything more. */
bool client_sees_end(struct client *c);
/* Whether nothing at all comes for so long. */
bool client_hears_nothing(struct client *c, int ms);

const char *client_state_text(const struct client *c);

/* Length of the one reply at the front of the bytes; 0 when incomplete, -1 when it is none. */
long reply_length(const char *bytes, size_t len);

#define client_expect(c, raw) client_expect_at(c, raw, sizeof(raw) - 1, __FILE__, __LINE__)
#define client_expect_bytes(c, raw, len) client_expect_at(c, raw, len, __FILE__, __LINE__)
/* The reply only has to begin so. */
#define client_expect_start(c, start) client_expect_start_at(c, start, __FILE__, __LINE__)
/* Sends the words as one request and expects this reply, a string without NUL. */
#define client_ask_expect(c, raw, ...)                                                             \
    client_ask_expect_at(c, raw, __FILE__, __LINE__, __VA_ARGS__, NULL)
void client_expect_at(struct client *c, const char *raw, size_t len, const char *file, int line);
const char *client_expect_start_at(struct client *c, const char *start, const char *file, int line);
void client_ask_expect_at(struct client *c, const char *raw, const char *file, int line,
                          const char *word, ...) __attribute__((sentinel));

#endif
