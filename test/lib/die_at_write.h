/*
 * die_at_write.h: what a test and test/lib/preload/die_at_write.c share: a proxy that ends or stops
 * just before its n-th write to a node.
 */
#ifndef TEST_LIB_DIE_AT_WRITE_H
#define TEST_LIB_DIE_AT_WRITE_H

#include <stdatomic.h>

enum { DIE_AT_WRITE_CODE = 9 };

struct die_at_write {
    _Atomic int left;       /* writes to nodes, the fatal one included; 0: for ever */
    _Atomic int stops;      /* it only stops there, until stopped_at is 0 again */
    _Atomic int stopped_at; /* port of the node that it was about to write to */
};

#endif
