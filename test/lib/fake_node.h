/*
 * fake_node.h: a node that does what a real one never would.
 *
 * One thread per fake, which listens on 127.0.0.1. To what a proxy asks for its own sake (CLUSTER,
 * HELLO, AUTH, PING, COMMAND, INFO, CLIENT, CONFIG, READONLY, ASKING) it answers properly, unless
 * it is told to misbehave in everything; to all other requests it does what fake_node_behave said
 * last. A well-behaved fake (FAKE_ECHO) answers with the request's first argument, so that
 * a client sees whether it got its own reply. The functions belong to the main thread.
 */
#ifndef TEST_LIB_FAKE_NODE_H
#define TEST_LIB_FAKE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_behaviour {
    FAKE_ECHO,          /* the first argument as a bulk string */
    FAKE_ANSWER,        /* the text it was given */
    FAKE_BYTE_BY_BYTE,  /* the text, each byte in a packet of its own */
    FAKE_CLOSE,         /* closes instead of an answer */
    FAKE_CLOSE_INSIDE,  /* sends the text, which is only a part of a reply, and closes */
    FAKE_HALF,          /* sends the text, which is only a part of a reply, then nothing more */
    FAKE_SILENT,        /* never answers */
    FAKE_UNASKED,       /* echoes and sends the text behind it, which nobody asked for */
    FAKE_CLOSE_AT_EXEC, /* plays a transaction; at EXEC sends the text, then closes */
};

struct fake_range {
    int from, to;
    uint16_t port;
};

struct fake_node;

/* Listens at once. The port is the caller's (port_take). Answers CLUSTER SLOTS with "*0" until it
   is given a map. Asserts that it can listen. */
struct fake_node *fake_node_start(uint16_t port);
/* Closes everything and ends the thread. NULL is fine. */
void fake_node_stop(struct fake_node *f);

/* The map of its CLUSTER SLOTS reply from now on. */
void fake_node_map(struct fake_node *f, const struct fake_range *range, size_t count);
/* Raw bytes instead of a well-formed CLUSTER SLOTS reply. */
void fake_node_map_raw(struct fake_node *f, const char *bytes);

/* What it does to each request from now on; the text may be NULL where none is needed.
   everything: to the proxy's own questions too. */
void fake_node_behave(struct fake_node *f, enum fake_behaviour b, const char *text);
void fake_node_behave_in_everything(struct fake_node *f, enum fake_behaviour b, const char *text);

/* Sends bytes on all its connections, asked or not; gives how many those are. */
unsigned fake_node_say(struct fake_node *f, const char *bytes);

/* How many requests of that name it has read ("GET"; case does not matter). */
unsigned fake_node_count(struct fake_node *f, const char *name);
/* How many connections it has accepted so far. */
unsigned fake_node_accepted(struct fake_node *f);
/* How many connections are open on which it said something that nobody had asked for. */
unsigned fake_node_tainted(struct fake_node *f);

#endif
