/*
 * chance.h: moments and choices taken at random, the same ones for the same seed.
 *
 * SLOTGATE_SEED (1) chooses them and SLOTGATE_POINTS how many there are, so that a test which ends
 * things at any moment can be run at others and at more of them (./dev chaos migrate). One row of
 * numbers per test program; main thread only.
 */
#ifndef TEST_LIB_CHANCE_H
#define TEST_LIB_CHANCE_H

/* 0..n-1 */
unsigned chance_below(unsigned n);
/* What the environment says, or this. */
int chance_points(int fallback);

#endif
