#include "proxy/argv_copy.h"

#include <stdlib.h>

#include "base/check.h"

struct argv argv_copy(const struct argv *argv, char **memory)
{
    const struct arg *last = &argv->v[argv->count - 1];
    size_t positions = argv->count * sizeof(argv->v[0]);
    size_t bytes = (size_t)last->off + last->len;
    char *copy = malloc(positions + bytes);
    REQUIRE(copy != NULL);
    memcpy(copy, argv->v, positions);
    memcpy(copy + positions, argv->base, bytes);
    *memory = copy;
    return (struct argv){ .base = copy + positions,
                          .v = (const struct arg *)(const void *)copy,
                          .count = argv->count };
}
