#include "cluster/echo.h"

#include <stdlib.h>

/* FNV-1a. */
static uint64_t mix(uint64_t hash, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)at[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t hash_of(struct span m)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ m.len;
    if (m.len <= 2 * (size_t)ECHO_HASH_MAX)
        return mix(hash, m.at, m.len);
    hash = mix(hash, m.at, ECHO_HASH_MAX);
    return mix(hash, m.at + m.len - ECHO_HASH_MAX, ECHO_HASH_MAX);
}

void echo_free(struct echo *e)
{
    free(e->kept);
    e->kept = NULL;
}

void echo_change(struct echo *e, uint64_t now)
{
    e->changed_at = now;
}

static bool take_equal(struct echo *e, uint64_t hash, const void *source, uint64_t now)
{
    for (uint32_t i = 0; i < ECHO_KEPT; i++) {
        struct echo_entry *old = &e->kept[i];
        if (old->hash != hash || old->source == source || old->source == NULL ||
            now - old->at > ECHO_MS)
            continue;
        old->source = NULL;
        return true;
    }
    return false;
}

bool echo_is_repeat(struct echo *e, struct span message, const void *source, uint64_t now)
{
    if (e->kept == NULL) {
        e->kept = calloc(ECHO_KEPT, sizeof(e->kept[0]));
        REQUIRE(e->kept != NULL);
    }
    uint64_t hash = hash_of(message);
    if (UNLIKELY(e->changed_at != 0 && now - e->changed_at <= ECHO_MS) &&
        take_equal(e, hash, source, now))
        return true;
    e->kept[e->next++ % ECHO_KEPT] = (struct echo_entry){ hash, now, source };
    return false;
}
