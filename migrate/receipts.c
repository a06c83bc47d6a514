#include "migrate/receipts.h"

#include <stdlib.h>

#include "base/check.h"

enum { STEP_MS = 20 };

struct receipt {
    uint64_t offset;
    int64_t ms;
};

/* Room for one more at the end: the front is free, or there is more room. */
static void make_room(struct receipts *r)
{
    uint32_t count = r->end - r->first;
    if (r->end < r->room)
        return;
    uint32_t room = r->first > count ? r->room : (r->room + 64) * 2;
    struct receipt *more = malloc(room * sizeof(*more));
    REQUIRE(more != NULL);
    for (uint32_t i = 0; i < count; i++)
        more[i] = r->all[r->first + i];
    free(r->all);
    r->all = more;
    r->room = room;
    r->at -= r->first;
    r->end = count;
    r->first = 0;
}

void receipts_add(struct receipts *r, uint64_t offset, int64_t ms)
{
    int64_t step = r->end > r->first ? ms - r->all[r->end - 1].ms : STEP_MS;
    if (step >= 0 && step < STEP_MS) { /* else the clock may have been set */
        r->all[r->end - 1].offset = offset;
        return;
    }
    make_room(r);
    r->all[r->end++] = (struct receipt){ offset, ms };
}

int64_t receipts_time(struct receipts *r, uint64_t offset, uint64_t applied)
{
    while (r->at + 1 < r->end && r->all[r->at].offset < offset)
        r->at++;
    while (r->first < r->at && r->all[r->first].offset < applied)
        r->first++;
    return r->end > r->first ? r->all[r->at].ms : 0;
}

void receipts_rewind(struct receipts *r)
{
    r->at = r->first;
}

void receipts_close(struct receipts *r)
{
    free(r->all);
    *r = (struct receipts){ 0 };
}
