#include "migrate/limit.h"

enum { BUCKETS_A_SECOND = 10 };

static double room_of(const struct limit_bucket *b)
{
    double room = (double)b->rate / BUCKETS_A_SECOND;
    return room > 1 ? room : 1;
}

static void fill(struct limit_bucket *b, uint64_t ms)
{
    b->level += (double)b->rate * (double)ms / 1000;
    if (b->level > room_of(b))
        b->level = room_of(b);
}

static uint64_t wait_of(const struct limit_bucket *b)
{
    if (b->rate == 0 || b->level > 0)
        return 0;
    return (uint64_t)(-b->level * 1000 / (double)b->rate) + 1;
}

void limit_init(struct limit *l, uint64_t bytes, uint64_t commands, uint64_t now_ms)
{
    *l = (struct limit){ .bytes.rate = bytes, .commands.rate = commands, .at = now_ms };
    l->bytes.level = room_of(&l->bytes);
    l->commands.level = room_of(&l->commands);
}

uint64_t limit_wait(struct limit *l, uint64_t now_ms)
{
    if (now_ms > l->at) {
        fill(&l->bytes, now_ms - l->at);
        fill(&l->commands, now_ms - l->at);
        l->at = now_ms;
    }
    uint64_t bytes = wait_of(&l->bytes), commands = wait_of(&l->commands);
    return bytes > commands ? bytes : commands;
}

void limit_spend(struct limit *l, uint64_t bytes, uint64_t commands)
{
    if (l->bytes.rate > 0)
        l->bytes.level -= (double)bytes;
    if (l->commands.rate > 0)
        l->commands.level -= (double)commands;
}
