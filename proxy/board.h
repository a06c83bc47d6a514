/*
 * board.h: a small shared page on which the workers of one proxy and their supervisor see each
 * other: signs of life, states, how many clients each has.
 *
 * It lies in a memfd, so that it outlives a takeover: the next generation of workers takes other
 * seats, while the last one drains. A seat is written by its worker, once started; others only
 * read it, but for `coming`.
 */
#ifndef PROXY_BOARD_H
#define PROXY_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/check.h"
#include "proxy/config.h"

enum { BOARD_GENERATIONS = 16 }; /* that may be alive at once */

enum seat_state {
    SEAT_EMPTY,
    SEAT_STARTING,
    SEAT_SERVING,
    SEAT_CUT_OFF, /* runs, but does not listen: no master answers */
    SEAT_LEAVING, /* drains */
    SEAT_LEFT,    /* its loop has ended */
};

struct seat {
    _Alignas(64) _Atomic uint64_t beat; /* goes up while the worker's loop turns */
    _Atomic uint32_t state;             /* enum seat_state */
    _Atomic uint32_t clients;
    _Atomic uint32_t topics; /* that its clients are subscribed to */
    _Atomic uint32_t coming; /* connections handed to it that it has not taken yet */
    _Atomic uint32_t slots;  /* that its slot map covers */
};

struct board {
    _Atomic uint64_t clients_ever; /* ids of clients come from here, over all generations */
    _Atomic uint64_t slow_ever;    /* ids in the slow log */
    _Atomic uint64_t sets_ever;    /* stamps of CONFIG SET, see config_sets.h */
    /* Takeovers begun, and the last one that failed: a launcher that is killed in the middle cannot
       say whom it has started, so its workers look here. */
    _Atomic uint32_t launches, failed_launch;
    _Atomic uint32_t departing; /* not 0: told to end, and still serves for shutdown-delay */
    struct seat seats[BOARD_GENERATIONS * CREW_MAX];
};

struct stats_page;

/* Gives the descriptor of a new board, close-on-exec, or -1. */
MUST_USE int board_make(void);
/* NULL when it cannot be mapped. */
MUST_USE struct board *board_map(int fd);
void board_unmap(struct board *b);
/* The statistics behind it. A program whose statistics have another layout than those of the one
   that it takes over from finds fresh ones. */
struct stats_page *board_stats(struct board *b);

static inline struct seat *board_seat(struct board *b, uint32_t generation, uint32_t number)
{
    REQUIRE(number < CREW_MAX);
    return &b->seats[generation % BOARD_GENERATIONS * CREW_MAX + number];
}

static inline uint32_t seat_state(struct seat *s)
{
    return atomic_load_explicit(&s->state, memory_order_relaxed);
}

static inline void seat_enter(struct seat *s, enum seat_state state)
{
    atomic_store_explicit(&s->state, state, memory_order_relaxed);
}

#endif
