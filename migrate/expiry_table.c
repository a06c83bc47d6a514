#include "migrate/expiry_table.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "migrate/key_print.h"
#include "migrate/scratch.h"

enum { ROOM_MIN = 4096, CHUNK = 64 * 1024 };

/* A key in the file: its length in 4 bytes, and itself. */
enum { HEAD = 4 };

void expiry_table_open(struct expiry_table *t, const char *folder)
{
    *t = (struct expiry_table){ .folder = folder, .keys = -1 };
    while (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
        continue;
    writer_init(&t->unwritten, 2);
    writer_init(&t->chunk, 2);
}

void expiry_table_clear(struct expiry_table *t)
{
    if (t->entries != NULL)
        munmap(t->entries, t->room * sizeof(*t->entries));
    if (t->keys >= 0)
        close(t->keys);
    t->entries = NULL;
    t->keys = -1;
    t->room = t->used = t->held = t->written = 0;
    writer_close(&t->unwritten);
    expiry_table_rewind(t);
    writer_close(&t->chunk);
}

/* --- the table ----------------------------------------------------------------------------- */

static uint64_t hash_of(const struct expiry_table *t, struct span key)
{
    return key_print(t->seed, key);
}

/* The hash's place, or the free one where it would be. */
static struct expiry_entry *place_of(const struct expiry_table *t, uint64_t hash)
{
    uint64_t i = hash & (t->room - 1);
    while (t->entries[i].hash != 0 && t->entries[i].hash != hash)
        i = (i + 1) & (t->room - 1);
    return &t->entries[i];
}

static int make_room(struct expiry_table *t)
{
    struct expiry_entry *old = t->entries;
    uint64_t room = t->room;
    if (room > 0 && t->used < room / 2)
        return 0;
    uint64_t more = room > 0 ? room * 2 : ROOM_MIN;
    struct expiry_entry *entries = scratch_map(t->folder, more * sizeof(*entries));
    if (entries == NULL)
        return errno;
    t->entries = entries;
    t->room = more;
    for (uint64_t i = 0; i < room; i++)
        if (old[i].hash != 0)
            *place_of(t, old[i].hash) = old[i];
    if (room > 0)
        munmap(old, room * sizeof(*old));
    return 0;
}

/* --- the keys ------------------------------------------------------------------------------ */

static int flush(struct expiry_table *t)
{
    size_t done = 0;
    if (t->keys < 0 && t->unwritten.len > 0)
        t->keys = scratch_file(t->folder);
    if (t->keys < 0 && t->unwritten.len > 0)
        return errno;
    while (done < t->unwritten.len) {
        ssize_t n = pwrite(t->keys, t->unwritten.at + done, t->unwritten.len - done,
                           (off_t)(t->written + done));
        if (n < 0 && errno != EINTR)
            return errno;
        done += n > 0 ? (size_t)n : 0;
    }
    t->written += done;
    writer_clear(&t->unwritten, 2);
    return 0;
}

static int write_key(struct expiry_table *t, struct span key)
{
    uint32_t len = (uint32_t)key.len;
    if (t->unwritten.len > CHUNK) {
        int error = flush(t);
        if (error != 0)
            return error;
    }
    write_raw(&t->unwritten, (struct span){ (const char *)&len, HEAD });
    write_raw(&t->unwritten, key);
    return 0;
}

int expiry_table_put(struct expiry_table *t, struct span key, int64_t at)
{
    int error = make_room(t);
    if (error != 0)
        return error;
    uint64_t hash = hash_of(t, key);
    struct expiry_entry *e = place_of(t, hash);
    if (e->hash == 0) {
        error = write_key(t, key);
        if (error != 0)
            return error;
        e->hash = hash;
        t->used++;
    }
    t->held += e->at == 0;
    e->at = at;
    return 0;
}

int64_t expiry_table_get(const struct expiry_table *t, struct span key)
{
    return t->entries != NULL ? place_of(t, hash_of(t, key))->at : 0;
}

void expiry_table_forget(struct expiry_table *t, struct span key)
{
    if (t->entries == NULL)
        return;
    struct expiry_entry *e = place_of(t, hash_of(t, key));
    t->held -= e->at != 0;
    e->at = 0;
}

/* --- the walk ------------------------------------------------------------------------------ */

void expiry_table_rewind(struct expiry_table *t)
{
    t->taken = 0;
    t->chunk_at = 0;
    writer_clear(&t->chunk, 2);
}

/* More of the file behind what is left of the chunk. 1, 0 at the end, or minus an errno. */
static int read_more(struct expiry_table *t)
{
    char bytes[16 * 1024];
    int error = flush(t);
    if (error != 0)
        return -error;
    t->chunk.len -= t->chunk_at;
    if (t->chunk.len > 0 && t->chunk_at > 0)
        memmove(t->chunk.at, t->chunk.at + t->chunk_at, t->chunk.len);
    t->chunk_at = 0;
    if (t->taken == t->written)
        return 0;
    ssize_t n = pread(t->keys, bytes, sizeof(bytes), (off_t)t->taken);
    if (n <= 0)
        return n < 0 ? -errno : -EIO;
    write_raw(&t->chunk, (struct span){ bytes, (size_t)n });
    t->taken += (uint64_t)n;
    return 1;
}

int expiry_table_next(struct expiry_table *t, struct span *key)
{
    for (;;) {
        size_t left = t->chunk.len - t->chunk_at;
        uint32_t len = 0;
        if (left >= HEAD)
            memcpy(&len, t->chunk.at + t->chunk_at, HEAD);
        if (left >= HEAD && left - HEAD >= len) {
            *key = (struct span){ t->chunk.at + t->chunk_at + HEAD, len };
            t->chunk_at += HEAD + len;
            return 1;
        }
        int rc = read_more(t);
        if (rc <= 0)
            return rc;
    }
}
