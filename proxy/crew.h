/*
 * crew.h: one generation of workers, and what lasts while single workers come and go: their
 * listening sockets, their inboxes, their seats on the board.
 *
 * Each worker has a socket of its own per address, all with SO_REUSEPORT. The supervisor holds
 * them too, so what waits in the queue of a worker that dies is served by the one that replaces it.
 * Of the admin port there is one socket per address for all of them: whoever is free answers, and
 * one that hangs is asked nothing.
 * An inbox is a socket pair over which other workers hand over connections (balance.h), a second
 * one brings their letters (talk.h). All workers of all generations hold the reading end of the
 * lifeline: it ends when the supervisor does.
 */
#ifndef PROXY_CREW_H
#define PROXY_CREW_H

#include <sys/types.h>

#include "proxy/board.h"

enum { CREW_ADDRESSES_MAX = 32, CREW_ADMIN_MAX = 8 };

/* Ends of a member's inboxes: for connections (balance.h) and for letters (talk.h). */
enum { INBOX_READ, INBOX_WRITE, TALK_READ, TALK_WRITE, INBOX_ENDS };

struct worker;

struct crew_member {
    pid_t pid;           /* 0: none runs */
    uint64_t started_at; /* ms of the monotonic clock, as all times of the supervisor */
    uint64_t start_at;   /* when to start the next one, while none runs */
    uint64_t beat;       /* as last seen */
    uint64_t beat_at;    /* ... first seen so */
    uint32_t deaths;     /* soon after the start, in a row */
    bool again;          /* has been started before */
    int inbox[INBOX_ENDS];
    int listeners[CREW_ADDRESSES_MAX];
};

/* A worker of an earlier generation that may still drain. */
struct crew_elder {
    uint32_t generation, number;
    int inbox; /* the writing end, for letters */
};

struct crew {
    uint32_t generation;
    uint32_t count;
    uint32_t addresses; /* sockets of each member */
    struct crew_member *members;
    uint32_t admin_count;
    int admin[CREW_ADMIN_MAX]; /* sockets of the admin server, which all members accept from */
    pid_t supervisor;          /* whom a worker may ask to end them all */
    struct crew_elder *elders;
    uint32_t elder_count;
    /* Lent: */
    struct board *board;
    int lifeline;        /* the reading end */
    const int *withheld; /* descriptors that a worker must not keep: up to -1, or NULL */
};

/* Binds the sockets that the config wants. Those in `inherited` (-1: used up) that are bound to
   such an address are taken instead, member for member. What cannot be bound is logged, and the
   result is false; crew_close is due all the same. */
MUST_USE bool crew_open(struct crew *crew, const struct config *config, struct board *board,
                        int lifeline, uint32_t generation, const struct crew *inherited);
/* Forks one worker; it never returns in the child. The worker's signals are blocked in the caller,
   and it unblocks them when it can take them. False: no process could be made. */
MUST_USE bool crew_start(struct crew *crew, uint32_t number, struct worker *w, uint64_t now);
/* In a worker that leaves to a successor: gives up its part of the admin sockets. */
void crew_close_admin(struct crew *crew);
/* Makes the members of the last generation, and its elders, the elders of this one, as far as they
   have not left. Copies the descriptors. */
void crew_inherit_elders(struct crew *crew, const struct crew *last);
void crew_add_elder(struct crew *crew, struct crew_elder elder);
/* They have all left. */
void crew_forget_elders(struct crew *crew);
/* Closes the descriptors and frees; ends no process. May be called twice. */
void crew_close(struct crew *crew);

void crew_signal(const struct crew *crew, int signum);
/* A member says it to the supervisor; once that has ended, its number may be somebody else's.
   False: it has ended, or hands over to a younger one just now. */
MUST_USE bool crew_tell_supervisor(const struct crew *crew, int signum);
uint32_t crew_alive(const struct crew *crew);
/* How many members are in that state. */
uint32_t crew_in_state(const struct crew *crew, enum seat_state state);

static inline struct seat *crew_seat(const struct crew *crew, uint32_t number)
{
    return board_seat(crew->board, crew->generation, number);
}

#endif
