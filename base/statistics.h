/*
 * statistics.h: whether this build counts, times and samples requests. Every build does, but the
 * one that `./dev bench stats` makes to see what that costs (cmake -DSLOTGATE_STATS=OFF).
 */
#ifndef BASE_STATISTICS_H
#define BASE_STATISTICS_H

#ifdef SLOTGATE_NO_STATS
enum { STATISTICS = 0 };
#else
enum { STATISTICS = 1 };
#endif

#endif
