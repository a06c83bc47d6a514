/*
 * liar_case.h: the scene of tests about a node that lies: the proxy of beside.h before two fakes,
 * which share the slots: "foo" (12182) is the liar's, "bar" (5061) the honest one's. A request has
 * half a second.
 *
 * For each test anew. The functions belong to the main thread and assert.
 */
#ifndef TEST_LIB_LIAR_CASE_H
#define TEST_LIB_LIAR_CASE_H

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/fake_node.h"

extern struct fake_node *honest, *liar;
extern uint16_t honest_port, liar_port;

/* Both nodes behave, and c, a client of the proxy, has had an answer of each. */
void liar_begin(struct client *c);
void liar_end(struct client *c);

/* Both tell again which slots they have. */
void liar_tell_map(void);

#endif
