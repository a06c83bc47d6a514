#include "migrate/dirty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"

enum { SEEN_FIRST = 1024, SUFFIX_ROOM = 8, WRITE_AT = 64 * 1024 };

static const char pass_suffix[] = ".pass";

static void pass_path(const struct dirty *d, char out[DIRTY_PATH_MAX + SUFFIX_ROOM])
{
    snprintf(out, DIRTY_PATH_MAX + SUFFIX_ROOM, "%s%s", d->path, pass_suffix);
}

/* --- which keys are in it ------------------------------------------------------------------ */

/* FNV-1a; never 0. */
static uint64_t fingerprint(struct span key)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.at[i]) * 1099511628211u;
    h ^= h >> 32;
    return h != 0 ? h : 1;
}

/* False: it is there already. */
static bool insert(uint64_t *seen, uint32_t room, uint64_t print)
{
    uint32_t at = (uint32_t)print & (room - 1);
    while (seen[at] != 0 && seen[at] != print)
        at = (at + 1) & (room - 1);
    if (seen[at] == print)
        return false;
    seen[at] = print;
    return true;
}

static void grow(struct dirty *d)
{
    uint32_t room = d->seen_room > 0 ? d->seen_room * 2 : SEEN_FIRST;
    uint64_t *more = calloc(room, sizeof(*more));
    REQUIRE(more != NULL);
    for (uint32_t i = 0; i < d->seen_room; i++)
        if (d->seen[i] != 0)
            insert(more, room, d->seen[i]);
    free(d->seen);
    d->seen = more;
    d->seen_room = room;
}

/* True: it is new, or nobody knows any more. */
static bool note(struct dirty *d, struct span key)
{
    if (d->seen_count * 2 >= d->seen_room && d->seen_room < DIRTY_SEEN_MAX * 2)
        grow(d);
    if (d->seen_count >= DIRTY_SEEN_MAX)
        return true;
    bool fresh = insert(d->seen, d->seen_room, fingerprint(key));
    d->seen_count += fresh;
    return fresh;
}

static void forget(struct dirty *d)
{
    free(d->seen);
    d->seen = NULL;
    d->seen_count = d->seen_room = 0;
    d->count = 0;
}

/* --- lines --------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape stands for, as text_quote writes it; the cursor moves behind it. */
static bool unescape(const char **at, char *out)
{
    static const char names[] = "nrtabv", bytes[] = "\n\r\t\a\b\v";
    const char *p = *at;
    const char *known = *p != '\0' ? strchr(names, *p) : NULL;
    if (*p == 'x') {
        int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
        if (low < 0)
            return false;
        *out = (char)(high << 4 | low);
        *at = p + 3;
        return true;
    }
    if (*p == '\0')
        return false;
    *out = known != NULL ? bytes[known - names] : *p;
    *at = p + 1;
    return true;
}

/* Puts the key of a line; *why: the rest of it. False: the line has another form. */
static bool read_line(char *line, struct writer *key, const char **why)
{
    const char *p = line;
    char byte;
    writer_clear(key, 2);
    if (*p++ != '"')
        return false;
    while (*p != '"') {
        if (*p == '\0')
            return false;
        byte = *p++;
        if (byte == '\\' && !unescape(&p, &byte))
            return false;
        write_raw(key, (struct span){ &byte, 1 });
    }
    p++;
    line[strcspn(line, "\n")] = '\0';
    *why = *p == ' ' ? p + 1 : p;
    return true;
}

/* The next line of that form. */
static bool next_line(FILE *f, struct writer *key, char **line, const char **why)
{
    size_t room = 0;
    free(*line);
    *line = NULL;
    while (getline(line, &room, f) > 0)
        if (read_line(*line, key, why))
            return true;
    return false;
}

/* --- the file ------------------------------------------------------------------------------ */

static int open_file(struct dirty *d)
{
    if (d->file < 0)
        d->file = open(d->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return d->file >= 0 ? 0 : errno;
}

static void close_file(struct dirty *d)
{
    if (d->file >= 0)
        close(d->file);
    d->file = -1;
    d->unsynced = false;
}

/* A line that was begun is ended by what comes behind it. */
static int write_waiting(struct dirty *d)
{
    struct writer *w = &d->waiting;
    size_t done = 0;
    int error = w->len > 0 ? open_file(d) : 0;
    while (error == 0 && done < w->len) {
        ssize_t n = write(d->file, w->at + done, w->len - done);
        if (n < 0 && errno != EINTR)
            error = errno;
        done += n > 0 ? (size_t)n : 0;
    }
    d->unsynced |= done > 0;
    w->len -= done;
    if (w->len > 0 && done > 0)
        memmove(w->at, w->at + done, w->len);
    return error;
}

/* Says so when that begins and when it is over. */
static int flush(struct dirty *d)
{
    int error = write_waiting(d);
    if (error != 0 && !d->broken)
        log_error("the repair set cannot be written", "file=%s reason=%s action=%s",
                  log_text(d->path), log_text(strerror(error)),
                  log_text(advice_on(ADVICE_REPAIR_SET, NULL)));
    if (error == 0 && d->broken)
        log_info("the repair set is written again", "file=%s keys=%llu", log_text(d->path),
                 (unsigned long long)d->count);
    d->broken = error != 0;
    return error;
}

int dirty_sync(struct dirty *d)
{
    int error = flush(d);
    if (error == 0 && d->unsynced && fdatasync(d->file) != 0)
        error = errno;
    d->unsynced = d->unsynced && error != 0;
    return error;
}

/* Not into the file yet. */
static void put(struct dirty *d, struct span key, const char *why)
{
    if (!note(d, key))
        return;
    if (d->waiting.len > DIRTY_WAITING_MAX) {
        d->unlisted++;
        return;
    }
    d->count++;
    size_t room = key.len * 4 + 8;
    char *quoted = malloc(room);
    REQUIRE(quoted != NULL);
    size_t len = text_quote(quoted, room, key.at, key.len);
    write_raw(&d->waiting, (struct span){ quoted, len });
    write_raw(&d->waiting, SPAN(" "));
    write_raw(&d->waiting, (struct span){ why, strlen(why) });
    write_raw(&d->waiting, SPAN("\n"));
    free(quoted);
}

void dirty_add(struct dirty *d, struct span key, const char *why)
{
    put(d, key, why);
    (void)flush(d); /* dirty_sync tries again */
}

/* Every line of that file; a write for many of them. 0 or an errno. */
static int add_lines(struct dirty *d, FILE *f, long *lines)
{
    struct writer key;
    char *line = NULL;
    const char *why;
    int error = 0;
    writer_init(&key, 2);
    for (*lines = 0; next_line(f, &key, &line, &why); ++*lines) {
        put(d, writer_span(&key), why);
        if (d->waiting.len > WRITE_AT)
            error = flush(d);
    }
    free(line);
    writer_close(&key);
    return d->waiting.len > 0 ? flush(d) : error;
}

/* Gives how many lines it has, or minus an errno; all: each of them is in our file. */
static long load(struct dirty *d, const char *path, bool *all)
{
    FILE *f = fopen(path, "re");
    uint64_t unlisted = d->unlisted;
    long lines;
    if (f == NULL)
        return -errno;
    *all = add_lines(d, f, &lines) == 0 && d->unlisted == unlisted;
    fclose(f);
    return lines;
}

long dirty_load(struct dirty *d, const char *path)
{
    bool all;
    return load(d, path, &all);
}

/* Reads what is there, by way of the other name, so that no line is there twice. */
static void take_up(struct dirty *d)
{
    char pass[DIRTY_PATH_MAX + SUFFIX_ROOM];
    pass_path(d, pass);
    bool all = true;
    if (access(pass, F_OK) == 0 && (load(d, pass, &all) < 0 || !all))
        return; /* both files stay */
    if (rename(d->path, pass) != 0)
        return;
    close_file(d);
    forget(d);
    if (load(d, pass, &all) >= 0 && all)
        unlink(pass);
}

static void throw_away(struct dirty *d)
{
    char pass[DIRTY_PATH_MAX + SUFFIX_ROOM];
    pass_path(d, pass);
    unlink(d->path);
    unlink(pass);
}

void dirty_open(struct dirty *d, const char *path, bool keep)
{
    *d = (struct dirty){ .file = -1 };
    writer_init(&d->waiting, 2);
    snprintf(d->path, sizeof(d->path), "%s", path);
    if (keep)
        take_up(d);
    else
        throw_away(d);
    if (d->count > 0)
        log_warn("an earlier run has left keys to repair", "file=%s keys=%llu action=%s",
                 log_text(d->path), (unsigned long long)d->count,
                 log_text(advice_on(ADVICE_LEFT, NULL)));
}

void dirty_close(struct dirty *d)
{
    dirty_end(d);
    if (d->waiting.len > 0 && flush(d) != 0)
        log_error("the end of the repair set is lost", "file=%s bytes=%zu action=%s",
                  log_text(d->path), d->waiting.len, log_text(advice_on(ADVICE_REPAIR_SET, NULL)));
    close_file(d);
    if (d->path[0] != '\0' && d->count == 0)
        unlink(d->path);
    forget(d);
    writer_close(&d->waiting);
}

/* keep: what is in it is not all elsewhere; a later start takes it up. */
static void close_pass(struct dirty *d, bool keep)
{
    char pass[DIRTY_PATH_MAX + SUFFIX_ROOM];
    pass_path(d, pass);
    fclose(d->pass);
    d->pass = NULL;
    d->left = 0;
    if (!keep)
        unlink(pass);
}

void dirty_forget(struct dirty *d)
{
    if (d->pass != NULL)
        close_pass(d, false);
    close_file(d);
    writer_clear(&d->waiting, 2);
    d->unlisted = 0;
    forget(d);
    throw_away(d);
}

/* --- a pass -------------------------------------------------------------------------------- */

int dirty_begin(struct dirty *d)
{
    char pass[DIRTY_PATH_MAX + SUFFIX_ROOM];
    pass_path(d, pass);
    dirty_end(d);
    if (d->count == 0)
        return 0;
    int error = flush(d);
    if (error != 0)
        return error;
    close_file(d);
    if (rename(d->path, pass) != 0 || (d->pass = fopen(pass, "re")) == NULL)
        return errno;
    d->left = d->count;
    forget(d);
    return 0;
}

bool dirty_take(struct dirty *d, struct writer *key)
{
    char *line = NULL;
    const char *why;
    if (d->pass == NULL)
        return false;
    bool found = next_line(d->pass, key, &line, &why);
    free(line);
    if (found)
        d->left -= d->left > 0;
    return found;
}

void dirty_end(struct dirty *d)
{
    long lines;
    if (d->pass == NULL)
        return;
    int error = add_lines(d, d->pass, &lines);
    close_pass(d, error != 0);
}

void dirty_print(struct dirty *d, unsigned most, void (*line)(void *context, const char *text),
                 void *context)
{
    FILE *f = d->count > 0 ? fopen(d->path, "re") : NULL;
    char *text = NULL;
    size_t room = 0;
    if (f == NULL)
        return;
    for (unsigned i = 0; i < most && getline(&text, &room, f) > 0; i++) {
        text[strcspn(text, "\n")] = '\0';
        line(context, text);
    }
    free(text);
    fclose(f);
}
