#include "test/lib/chance.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static int number_from(const char *variable, int fallback)
{
    const char *text = getenv(variable);
    return text != NULL && text[0] != '\0' ? atoi(text) : fallback;
}

unsigned chance_below(unsigned n)
{
    static uint64_t state;
    static bool begun;
    if (!begun)
        state = (uint64_t)number_from("SLOTGATE_SEED", 1);
    begun = true;
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % n;
}

int chance_points(int fallback)
{
    return number_from("SLOTGATE_POINTS", fallback);
}
