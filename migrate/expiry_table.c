#include "migrate/expiry_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/key_print.h"
#include "migrate/scratch.h"

enum { ROOM_MIN = 4096, CHUNK = 64 * 1024 };

/* In the log, behind which the key follows. */
struct record {
    uint64_t point;
    int64_t at; /* 0: forgotten */
    uint64_t len;
};

enum { HEAD = sizeof(struct record) };

void expiry_table_open(struct expiry_table *t, const char *folder)
{
    *t = (struct expiry_table){ .folder = folder, .log = -1 };
    while (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
        continue;
    writer_init(&t->unwritten, 2);
    writer_init(&t->chunk, 2);
}

void expiry_table_keep(struct expiry_table *t, const char *folder, const char *name)
{
    size_t room = strlen(folder) + strlen(name) + 2;
    t->path = malloc(room);
    REQUIRE(t->path != NULL);
    snprintf(t->path, room, "%s/%s", folder, name);
}

static void drop_entries(struct expiry_table *t)
{
    if (t->entries != NULL)
        munmap(t->entries, t->room * sizeof(*t->entries));
    t->entries = NULL;
    t->room = t->used = t->held = 0;
}

static void drop_log(struct expiry_table *t)
{
    if (t->log >= 0)
        close(t->log);
    t->log = -1;
    t->written = 0;
    t->dirty = false;
    t->failed = 0;
    writer_close(&t->unwritten);
    expiry_table_rewind(t);
    writer_close(&t->chunk);
}

void expiry_table_clear(struct expiry_table *t)
{
    drop_entries(t);
    drop_log(t);
    if (t->path != NULL)
        unlink(t->path);
}

void expiry_table_close(struct expiry_table *t)
{
    drop_entries(t);
    drop_log(t);
    free(t->path);
    t->path = NULL;
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

/* --- the log ------------------------------------------------------------------------------- */

static int open_log(struct expiry_table *t)
{
    if (t->log >= 0)
        return 0;
    t->log = t->path != NULL ? open(t->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)
                             : scratch_file(t->folder);
    return t->log >= 0 ? 0 : errno;
}

/* The rest goes behind that, once there is room. */
static void take_written(struct writer *w, size_t done)
{
    size_t rest = w->len - done;
    if (rest > 0 && done > 0)
        memmove(w->at, w->at + done, rest);
    w->len = rest;
    if (rest == 0)
        writer_clear(w, 2);
}

static int flush(struct expiry_table *t)
{
    size_t done = 0;
    int error = t->unwritten.len > 0 ? open_log(t) : 0;
    while (error == 0 && done < t->unwritten.len) {
        ssize_t n =
            pwrite(t->log, t->unwritten.at + done, t->unwritten.len - done, (off_t)t->written);
        if (n < 0 && errno != EINTR)
            error = errno;
        done += n > 0 ? (size_t)n : 0;
        t->written += n > 0 ? (uint64_t)n : 0;
    }
    t->dirty |= done > 0;
    take_written(&t->unwritten, done);
    return error;
}

int expiry_table_sync(struct expiry_table *t)
{
    int error = t->failed != 0 ? t->failed : flush(t);
    if (error == 0 && t->dirty && fdatasync(t->log) != 0)
        error = errno;
    t->dirty = t->dirty && error != 0;
    return error;
}

static int write_record(struct expiry_table *t, struct span key, int64_t at)
{
    struct record r = { t->point, at, key.len };
    int error = t->unwritten.len > CHUNK ? flush(t) : 0;
    if (error != 0)
        return error;
    write_raw(&t->unwritten, (struct span){ (const char *)&r, HEAD });
    write_raw(&t->unwritten, key);
    return 0;
}

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
    uint64_t left = t->written - t->taken;
    ssize_t n =
        pread(t->log, bytes, left < sizeof(bytes) ? (size_t)left : sizeof(bytes), (off_t)t->taken);
    if (n <= 0)
        return n < 0 ? -errno : -EIO;
    write_raw(&t->chunk, (struct span){ bytes, (size_t)n });
    t->taken += (uint64_t)n;
    return 1;
}

/* The key is lent until the next call. 1, 0 at the end, or minus an errno. */
static int next_record(struct expiry_table *t, struct record *r, struct span *key)
{
    for (;;) {
        size_t left = t->chunk.len - t->chunk_at;
        bool begun = left >= HEAD;
        if (begun)
            memcpy(r, t->chunk.at + t->chunk_at, HEAD);
        if (begun && left - HEAD >= r->len) {
            *key = (struct span){ t->chunk.at + t->chunk_at + HEAD, (size_t)r->len };
            t->chunk_at += HEAD + (size_t)r->len;
            return 1;
        }
        int rc = read_more(t);
        if (rc <= 0)
            return rc;
    }
}

int expiry_table_next(struct expiry_table *t, struct span *key)
{
    struct record r;
    return next_record(t, &r, key);
}

/* --- the keys ------------------------------------------------------------------------------ */

static int set(struct expiry_table *t, struct span key, int64_t at)
{
    int error = make_room(t);
    if (error != 0)
        return error;
    uint64_t hash = hash_of(t, key);
    struct expiry_entry *e = place_of(t, hash);
    t->used += e->hash == 0;
    e->hash = hash;
    t->held += at != 0;
    t->held -= e->at != 0;
    e->at = at;
    return 0;
}

int expiry_table_put(struct expiry_table *t, struct span key, int64_t at)
{
    if (at == expiry_table_get(t, key))
        return 0;
    int error = make_room(t);
    if (error == 0)
        error = write_record(t, key, at);
    return error != 0 ? error : set(t, key, at);
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
    if (e->hash == 0)
        return;
    int error = write_record(t, key, 0); /* also if it is settled: the log does not know that */
    t->failed = error != 0 ? error : t->failed;
    t->held -= e->at != 0;
    e->at = 0;
}

void expiry_table_settle(struct expiry_table *t, struct span key)
{
    if (t->entries == NULL)
        return;
    struct expiry_entry *e = place_of(t, hash_of(t, key));
    t->held -= e->at != 0;
    e->at = 0;
}

/* --- back ---------------------------------------------------------------------------------- */

/* What an earlier program has left. */
static int find_log(struct expiry_table *t)
{
    struct stat st;
    int error = flush(t);
    if (error != 0 || t->log >= 0 || t->path == NULL || access(t->path, F_OK) != 0)
        return error;
    error = open_log(t);
    if (error == 0 && fstat(t->log, &st) != 0)
        error = errno;
    t->written = error == 0 ? (uint64_t)st.st_size : 0;
    t->dirty = true; /* it need not have waited for all of it */
    return error;
}

/* Nothing behind that byte; a record that was not written whole has none, either. */
static int cut(struct expiry_table *t, uint64_t end)
{
    expiry_table_rewind(t);
    if (end == t->written)
        return 0;
    t->written = end;
    t->dirty = true;
    return ftruncate(t->log, (off_t)end) == 0 ? 0 : errno;
}

int expiry_table_go_back(struct expiry_table *t, uint64_t point)
{
    struct record r;
    struct span key;
    uint64_t end = 0;
    drop_entries(t);
    expiry_table_rewind(t);
    int error = find_log(t), rc = 1;
    while (error == 0 && (rc = next_record(t, &r, &key)) > 0 && r.point <= point) {
        error = set(t, key, r.at);
        end += HEAD + r.len;
    }
    if (error == 0 && rc < 0)
        error = -rc;
    return error == 0 && t->log >= 0 ? cut(t, end) : error;
}
