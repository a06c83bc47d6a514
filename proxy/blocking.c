#include "proxy/blocking.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cluster/keys.h"
#include "proxy/blocked.h"
#include "proxy/worker.h"

/* --- timeouts --------------------------------------------------------------------------------- */

static bool is_xread(const struct command *cmd)
{
    return strncmp(cmd->name, "xread", 5) == 0;
}

static bool is_wait(const struct command *cmd)
{
    return strcmp(cmd->name, "wait") == 0;
}

/* The argument behind BLOCK; 0 without. */
static uint32_t behind_block(const struct command *cmd, const struct argv *argv)
{
    bool group = strcmp(cmd->name, "xreadgroup") == 0; /* GROUP name consumer: any names */
    for (uint32_t i = group ? 4 : 1; i + 1 < argv->count; i++) {
        struct span a = argv_get(argv, i);
        if (span_is(a, "block"))
            return i + 1;
        if (span_is(a, "streams"))
            return 0;
    }
    return 0;
}

bool blocking_waits(const struct command *cmd, const struct argv *argv)
{
    return !is_xread(cmd) || behind_block(cmd, argv) > 0;
}

struct blocking_timeout blocking_timeout_of(const struct command *cmd, const struct argv *argv)
{
    static const char *const at_the_end[] = { "blpop",    "brpop",    "blmove",
                                              "bzpopmin", "bzpopmax", "brpoplpush" };
    if (is_xread(cmd))
        return (struct blocking_timeout){ behind_block(cmd, argv), true };
    if (is_wait(cmd))
        return (struct blocking_timeout){ 2, true };
    if (strcmp(cmd->name, "blmpop") == 0 || strcmp(cmd->name, "bzmpop") == 0)
        return (struct blocking_timeout){ 1, false };
    for (size_t i = 0; i < ARRAY_LEN(at_the_end); i++)
        if (strcmp(cmd->name, at_the_end[i]) == 0)
            return (struct blocking_timeout){ argv->count - 1, false };
    return (struct blocking_timeout){ 0, false };
}

uint64_t blocking_deadline(const struct command *cmd, const struct argv *argv, uint64_t now)
{
    struct blocking_timeout t = blocking_timeout_of(cmd, argv);
    char text[64];
    struct span s = argv_get(argv, t.arg);
    if (t.arg == 0 || s.len == 0 || s.len >= sizeof(text))
        return BLOCKED_FOR_EVER;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    char *end;
    double ms = strtod(text, &end) * (t.in_ms ? 1 : 1000);
    bool fits = *end == '\0' && ms > 0 && ms < 9e15;
    return fits ? now + (uint64_t)(ms + 0.999) : BLOCKED_FOR_EVER;
}

struct span blocking_timeout_text(struct blocking_timeout t, uint64_t deadline, uint64_t now,
                                  char *room, size_t size)
{
    if (deadline == BLOCKED_FOR_EVER)
        return SPAN("0");
    unsigned long long ms = deadline > now ? deadline - now : 1;
    int n = t.in_ms ? snprintf(room, size, "%llu", ms)
                    : snprintf(room, size, "%llu.%03llu", ms / 1000, ms % 1000);
    return (struct span){ room, (size_t)n };
}

bool blocking_may_be_wide(const struct command *cmd, const struct argv *argv)
{
    return blocking_timeout_of(cmd, argv).arg > 0;
}

/* --- which way -------------------------------------------------------------------------------- */

bool blocking_start(struct client *c, const struct command *cmd, const struct argv *argv)
{
    if (!blocked_may_begin(c))
        return false;
    if (is_wait(cmd)) {
        blocking_wait(c, cmd, argv);
        return true;
    }
    int slot = keys_slot(cmd, argv);
    if (slot == KEYS_CROSS) {
        blocking_wide(c, cmd, argv);
        return true;
    }
    /* Without a key, or malformed: any node explains it, but it may not do so on a shared link. */
    blocking_single(c, cmd, argv, slot >= 0 ? (uint16_t)slot : SLOT_ANY);
    return true;
}
