#include "cluster/read_choice.h"

/* The first replica from the turn's own on that is well; 0: none. */
static int good_replica(const struct read_candidate *c, uint32_t count, uint32_t turn,
                        bool only_near)
{
    for (uint32_t i = 0; i + 1 < count; i++) {
        uint32_t at = 1 + (turn + i) % (count - 1);
        if (c[at].health == READ_GOOD && (c[at].near || !only_near))
            return (int)at;
    }
    return 0;
}

static bool one_is_in_doubt(const struct read_candidate *c, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (c[i].health == READ_DOUBT)
            return true;
    return false;
}

int read_choose(enum read_policy policy, const struct read_candidate *c, uint32_t count,
                uint32_t turn)
{
    if (policy == READ_MASTER)
        return 0;
    if (policy == READ_AZ_AFFINITY) {
        int near = good_replica(c, count, turn, true);
        if (near != 0 || c[0].near)
            return near;
    }
    int any = good_replica(c, count, turn, false);
    if (any == 0 && policy == READ_REPLICA && one_is_in_doubt(c, count))
        return READ_WAIT;
    return any;
}
