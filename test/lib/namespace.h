/*
 * namespace.h: for tests that need a network or mounts of their own. The whole program enters, and
 * stays; whatever it starts is inside, too.
 */
#ifndef TEST_LIB_NAMESPACE_H
#define TEST_LIB_NAMESPACE_H

/* flags: CLONE_NEWNET, CLONE_NEWNS. Whoever is not root becomes so in a namespace of users.
   Asserts; to be called before there is a thread. */
void namespace_enter(int flags);

#endif
