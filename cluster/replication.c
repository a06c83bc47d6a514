#include "cluster/replication.h"

#include <string.h>

#include "base/text.h"

struct span replication_field(struct span info, const char *name)
{
    size_t len = strlen(name);
    const char *end = info.at + info.len;
    for (const char *line = info.at; line < end;) {
        const char *nl = memchr(line, '\n', (size_t)(end - line));
        const char *stop = nl == NULL ? end : nl;
        size_t n = (size_t)(stop - line);
        if (n > len && memcmp(line, name, len) == 0 && line[len] == ':') {
            struct span value = { line + len + 1, n - len - 1 };
            while (value.len > 0 && value.at[value.len - 1] == '\r')
                value.len--;
            return value;
        }
        line = stop + 1;
    }
    return (struct span){ "", 0 };
}

bool replication_read(struct span info, struct replication *out)
{
    struct replication r = { .master = span_is(replication_field(info, "role"), "master") };
    struct span id = replication_field(info, "master_replid");
    struct span offset =
        replication_field(info, r.master ? "master_repl_offset" : "slave_repl_offset");
    r.syncing = span_is(replication_field(info, "master_sync_in_progress"), "1");
    if (id.len == 0 || id.len > REPLICATION_ID_MAX ||
        !text_to_i64(offset.at, offset.len, &r.offset))
        return false;
    memcpy(r.id, id.at, id.len);
    *out = r;
    return true;
}

void lag_note(struct lag_history *h, uint64_t at, const struct replication *master)
{
    if (strcmp(h->id, master->id) != 0) {
        memcpy(h->id, master->id, sizeof(h->id));
        h->count = 0;
    }
    uint32_t i = h->count++ % LAG_NOTES;
    h->note[i].at = at;
    h->note[i].offset = master->offset;
}

uint64_t lag_of(const struct lag_history *h, uint64_t now, const struct replication *replica)
{
    uint32_t kept = h->count < LAG_NOTES ? h->count : LAG_NOTES;
    if (strcmp(h->id, replica->id) != 0)
        return UINT64_MAX;
    for (uint32_t back = 1; back <= kept; back++) {
        uint32_t i = (h->count - back) % LAG_NOTES;
        if (replica->offset >= h->note[i].offset)
            return now > h->note[i].at ? now - h->note[i].at : 0;
    }
    return UINT64_MAX;
}
