/*
 * talk_wire.h: letters on their way between two workers: cut into packets, put together again.
 * Knows nothing of what the letters say; talk.c does.
 *
 * Each worker has an inbox, a pair of SOCK_SEQPACKET sockets (crew.h) into which all others write
 * and which outlives it. To each peer goes a stream of letters, packed into packets; many small
 * letters share one, a large letter takes many. A packet says who sends it and in which life of
 * that worker, its number, and where in it the first letter begins: so a reader that starts in the
 * middle, or follows one that died with half a letter, finds its place.
 *
 * Nobody waits: what an inbox does not take stays with the sender, in order, up to TALK_QUEUE_MAX
 * bytes for each peer; past that a letter is dropped whole.
 */
#ifndef PROXY_TALK_WIRE_H
#define PROXY_TALK_WIRE_H

#include "resp/writer.h"

enum {
    TALK_QUEUE_MAX = 64 * 1024 * 1024, /* bytes that wait for one peer; so no letter is longer */
    TALK_PACKET_MAX = 32 * 1024,
};

enum talk_kind { TALK_TOLD, TALK_ASKED, TALK_ANSWERED };

/* Another worker. */
struct talk_peer {
    uint32_t generation, number;
    int fd;         /* the writing end of its inbox; -1: it has gone */
    bool owns_fd;   /* or it is the crew's */
    bool introduce; /* the next packet brings it the way into our own inbox */
    bool silent;    /* it let somebody wait in vain, and nothing has been heard of it since */
    struct writer out;
    size_t out_at;      /* sent already */
    size_t letter_left; /* bytes at out_at that belong to a letter begun before */
    uint32_t sequence;  /* of the next packet to it */
    struct writer in;   /* a letter that is not whole yet */
    uint32_t life;      /* of the process that the last packet came from; 0: none yet */
    uint32_t expected;  /* sequence of its next packet */
    bool lost;          /* no letter has begun since a packet was missed */
};

/* Who sends, for the packets. */
struct talk_self {
    uint32_t generation, number, life;
    int inbox; /* the writing end, to introduce ourselves with */
};

struct talk_packet {
    uint32_t generation, number, life, sequence, first;
    int fd; /* the caller's; -1: none */
    struct span bytes;
};

struct talk_raw_letter {
    uint16_t topic;
    uint8_t kind; /* enum talk_kind */
    uint64_t ask;
    struct span body;
};

void talk_peer_close(struct talk_peer *p);

/* Puts a letter at the end of what goes to this peer. False: it is dropped, too much waits. */
MUST_USE bool talk_wire_post(struct talk_peer *p, const struct talk_raw_letter *letter);
/* Sends what its inbox takes. True: nothing is left. */
bool talk_wire_send(struct talk_peer *p, const struct talk_self *self);

/* Reads one packet into room, TALK_PACKET_MAX bytes. False: nothing waits. A packet that makes no
   sense has no bytes and life 0. */
MUST_USE bool talk_wire_read(int inbox, char *room, struct talk_packet *packet);
/* Adds a packet to what has come from this peer. */
void talk_wire_take(struct talk_peer *p, const struct talk_packet *packet);
/* The next whole letter, from *at on, which begins with 0; its body is lent until the next packet
   is taken. */
MUST_USE bool talk_wire_next(struct talk_peer *p, size_t *at, struct talk_raw_letter *letter);
/* Forgets the letters that have been read. */
void talk_wire_taken(struct talk_peer *p, size_t at);

#endif
