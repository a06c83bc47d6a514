#include "migrate/key_print.h"

#include <string.h>

static uint64_t mix(uint64_t n)
{
    n ^= n >> 32;
    n *= UINT64_C(0xd6e8feb86659fd93);
    n ^= n >> 32;
    n *= UINT64_C(0xd6e8feb86659fd93);
    return n ^ n >> 32;
}

uint64_t key_print(uint64_t seed, struct span key)
{
    uint64_t hash = mix(seed ^ key.len), word;
    for (; key.len >= sizeof(word); key.at += sizeof(word), key.len -= sizeof(word)) {
        memcpy(&word, key.at, sizeof(word));
        hash = mix(hash ^ word);
    }
    word = 0;
    memcpy(&word, key.at, key.len);
    hash = mix(hash ^ word);
    return hash != 0 ? hash : 1;
}
