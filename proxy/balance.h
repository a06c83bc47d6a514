/*
 * balance.h: spreads the clients evenly over the workers, also when they are few and stay long.
 *
 * The kernel deals connections out by a hash: with twenty of them on four workers the busiest has
 * half as many again as its share. So a worker that has clearly more than the one with the fewest
 * hands a connection that it has just accepted over to that one, as a descriptor through its inbox.
 * Nothing has been read from the connection then. Numbers come from the board.
 */
#ifndef PROXY_BALANCE_H
#define PROXY_BALANCE_H

#include <stdbool.h>
#include <uv.h>

struct worker;

struct balance {
    uv_poll_t inbox;
    uint64_t given, taken; /* connections */
    bool open;
};

void balance_open(struct worker *w);
void balance_close(struct worker *w);

/* True: another worker has it, or will. False: it is still the caller's. */
bool balance_hand_over(struct worker *w, int fd);
/* Takes what lies in the inbox, now. */
void balance_take_waiting(struct worker *w);

#endif
