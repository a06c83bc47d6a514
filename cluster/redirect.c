#include "cluster/redirect.h"

#include "base/check.h"
#include "cluster/keyslot.h"

static const struct {
    const char *prefix;
    enum verdict verdict;
} verdicts[] = {
    { "MOVED ", VERDICT_MOVED },        { "ASK ", VERDICT_ASK },
    { "TRYAGAIN ", VERDICT_TRY_AGAIN }, { "CLUSTERDOWN ", VERDICT_WAIT },
    { "LOADING ", VERDICT_WAIT },       { "MASTERDOWN ", VERDICT_WAIT },
    { "READONLY ", VERDICT_READ_ONLY },
};

/* The text without type byte, length line and line end. */
static struct span error_line(struct span e)
{
    if (e.len > 0 && e.at[0] == '!') {
        const char *nl = memchr(e.at, '\n', e.len);
        size_t header = nl == NULL ? e.len : (size_t)(nl - e.at) + 1;
        e.at += header;
        e.len -= header;
    } else if (e.len > 0) {
        e.at++;
        e.len--;
    }
    while (e.len > 0 && (e.at[e.len - 1] == '\n' || e.at[e.len - 1] == '\r'))
        e.len--;
    return e;
}

/* "3999 127.0.0.1:6381" */
static bool read_target(struct span s, struct redirect *r)
{
    uint32_t slot = 0;
    size_t i = 0;
    for (; i < s.len && s.at[i] >= '0' && s.at[i] <= '9' && i < 6; i++)
        slot = slot * 10 + (uint32_t)(s.at[i] - '0');
    if (i == 0 || i == s.len || s.at[i] != ' ' || slot >= SLOT_COUNT)
        return false;
    const char *where = s.at + i + 1;
    size_t len = s.len - i - 1;
    r->slot = (uint16_t)slot;
    return endpoint_parse(where, len, true, &r->to);
}

struct redirect redirect_read(struct span error)
{
    struct redirect r = { .verdict = VERDICT_PASS };
    struct span line = error_line(error);
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        size_t n = strlen(verdicts[i].prefix);
        if (line.len < n || memcmp(line.at, verdicts[i].prefix, n) != 0)
            continue;
        r.verdict = verdicts[i].verdict;
        bool aimed = r.verdict == VERDICT_MOVED || r.verdict == VERDICT_ASK;
        if (aimed && !read_target((struct span){ line.at + n, line.len - n }, &r))
            r.verdict = VERDICT_PASS;
        /* A node that should have a host name and has none: it may be any node, so ask around. */
        if (aimed && r.verdict != VERDICT_PASS && strcmp(r.to.host, "?") == 0)
            r = (struct redirect){ .verdict = VERDICT_WAIT };
        return r;
    }
    return r;
}
