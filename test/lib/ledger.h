/*
 * ledger.h: a writer at the source whose commands leave other data when one of them is lost,
 * executed twice, or out of order: counters, lists, texts, scores, streams, pops, transactions.
 *
 * A thread of its own. After ledger_end the source holds the truth, and so must the target.
 */
#ifndef TEST_LIB_LEDGER_H
#define TEST_LIB_LEDGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LEDGER_KEYS = 50 };

struct ledger {
    uint16_t port;
    int rest_us; /* between two rounds of commands; it sets the pace */
    bool mortal; /* the source may die, or become a replica: the ledger then just ends */
    pthread_t thread;
    atomic_bool stop;
    atomic_uint rounds;
};

/* rest_us and mortal are set before. */
void ledger_begin(struct ledger *l, uint16_t port);
/* Asserts that it writes so many rounds more, and waits for them. */
void ledger_await(struct ledger *l, unsigned rounds);
/* Notes a problem when the source did not take a command. */
void ledger_end(struct ledger *l);

#endif
