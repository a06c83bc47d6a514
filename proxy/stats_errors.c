#include "proxy/stats_errors.h"

#include "base/check.h"
#include "proxy/stats_block.h"

/* The first three are told apart by what follows "ERR slotgate: ". */
static const char *const kinds[] = {
    "other",
    "slotgate_timeout",
    "slotgate_maybe_executed",
    "slotgate",
    "ERR",
    "WRONGTYPE",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "LOADING",
    "MASTERDOWN",
    "READONLY",
    "BUSY",
    "BUSYKEY",
    "BUSYGROUP",
    "NOGROUP",
    "UNBLOCKED",
    "NOSCRIPT",
    "EXECABORT",
    "NOAUTH",
    "NOPERM",
    "WRONGPASS",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "NOPROTO",
    "INPROG",
    "IOERR",
    "NOTBUSY",
    "UNKILLABLE",
    "NOMASTERLINK",
    "STALE",
    "DENIED",
    "NOGOODSLAVE",
};
enum { OTHER, TIMEOUT, MAYBE_EXECUTED, OURS, FIRST };

BUILD_ASSERT(ARRAY_LEN(kinds) <= STATS_ERRORS, "a place for each kind");

static bool begins(struct span text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.at, with, len) == 0;
}

/* "-ERR ..." and "!12\r\nERR ..." without what stands before the text. */
static struct span text_of(struct span error)
{
    const char *at = error.at + 1, *end = error.at + error.len;
    if (error.len > 0 && error.at[0] == '!') {
        at = memchr(error.at, '\n', error.len);
        at = at == NULL ? end : at + 1;
    }
    return at < end ? (struct span){ at, (size_t)(end - at) } : (struct span){ "", 0 };
}

/* As the texts in settle.c and blocking_single.c begin and end. */
static uint32_t ours(struct span text)
{
    static const char fate[] = "may have been executed";
    if (memmem(text.at, text.len, fate, sizeof(fate) - 1) != NULL)
        return MAYBE_EXECUTED;
    return begins(text, "ERR slotgate: no answer from node") ? TIMEOUT : OURS;
}

uint32_t stats_error_of(struct span error)
{
    struct span text = text_of(error), word = text;
    if (begins(text, "ERR slotgate:"))
        return ours(text);
    word.len = 0;
    while (word.len < text.len && text.at[word.len] != ' ' && text.at[word.len] != '\r')
        word.len++;
    for (uint32_t i = FIRST; i < ARRAY_LEN(kinds); i++)
        if (word.len == strlen(kinds[i]) && memcmp(word.at, kinds[i], word.len) == 0)
            return i;
    return OTHER;
}

const char *stats_error_name(uint32_t kind)
{
    return kind < ARRAY_LEN(kinds) ? kinds[kind] : NULL;
}
