/*
 * http_server.h: a small HTTP/1.x server on the loop: connections, keep-alive, limits.
 *
 * Knows no path and no worker. Everything has a bound: connections, the time that a request may
 * take to come, the time that a connection may be idle or not read its answer, head and body
 * (http_request.h), and how much is owed to a peer: its next request is looked at only when most
 * of the last answer is out.
 *
 *   accepted -> a request comes in -> on_request -> http_answer -> ... -> closed
 *                                        |             ^
 *                                        +-- later ----+  by its ticket; the peer may have left
 *
 * A request that is refused is answered, then what still comes is dropped for a second: a
 * connection that is closed while bytes come in would be reset, and the answer with it.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "net/http_request.h"
#include "net/listener.h"
#include "net/stream.h"

enum { HTTP_LISTENERS_MAX = 8, HTTP_CONNECTIONS_MAX = 32 };

struct http_server;
struct http_exchange; /* a request that waits for its answer */

struct http_server_user {
    /* Answers x at once, or takes its ticket and answers later. */
    void (*on_request)(void *context, struct http_exchange *x);
};

struct http_server {
    struct net *net;
    const struct http_server_user *user;
    void *context;
    struct listener listeners[HTTP_LISTENERS_MAX];
    uint32_t listening;
    struct list_node connections;
    uint32_t count;
    uint64_t tickets; /* given so far */
    uv_timer_t sweep; /* runs while there are connections */
    bool last_words;  /* every answer closes its connection */
    bool closing;
};

struct http_answer {
    int status;
    const char *type;  /* "text/plain; charset=utf-8"; NULL: no body */
    const char *extra; /* further header lines, each with its line end; or NULL */
    struct span body;
};

void http_server_open(struct http_server *s, struct net *net, const struct http_server_user *user,
                      void *context);
/* Accepts from a bound socket, which it borrows. 0 or libuv's error. */
MUST_USE int http_server_listen(struct http_server *s, int fd);
/* Somebody else accepts from the sockets: accepts no more, closes what is idle, and each other
   connection with its next answer. */
void http_server_retire(struct http_server *s);
/* Whether nobody is in the middle of a request, or has only just connected to make one. */
bool http_server_is_quiet(const struct http_server *s);
/* Ends everything; the loop then runs empty. May be called twice. */
void http_server_close(struct http_server *s);

const struct http_request *http_exchange_request(const struct http_exchange *x);
/* Whether the peer reached us over the loopback. */
bool http_exchange_is_local(const struct http_exchange *x);
/* x is answered later, and not to be named any more. */
uint64_t http_exchange_ticket(struct http_exchange *x);
/* The exchange of a ticket; NULL: its peer has left. */
struct http_exchange *http_server_find(struct http_server *s, uint64_t ticket);
/* Once for each exchange, which is gone then. Copies. */
void http_answer(struct http_exchange *x, const struct http_answer *a);

const char *http_status_text(int status);

#endif
