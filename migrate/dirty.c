#include "migrate/dirty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"

enum { SEEN_FIRST = 1024, SUFFIX_ROOM = 8 };

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

static void give_up(struct dirty *d, int error)
{
    if (!d->broken)
        log_error("the repair set cannot be written", "file=%s reason=%s action=%s",
                  log_text(d->path), log_text(strerror(error)),
                  log_text(advice_on(ADVICE_REPAIR_SET, NULL)));
    d->broken = true;
}

void dirty_add(struct dirty *d, struct span key, const char *why)
{
    if (!note(d, key))
        return;
    d->count++;
    if (d->file == NULL && !d->broken)
        d->file = fopen(d->path, "ae");
    if (d->file == NULL) {
        give_up(d, errno);
        return;
    }
    size_t room = key.len * 4 + 8;
    char *quoted = malloc(room);
    REQUIRE(quoted != NULL);
    text_quote(quoted, room, key.at, key.len);
    if (fprintf(d->file, "%s %s\n", quoted, why) < 0 || fflush(d->file) != 0)
        give_up(d, errno);
    free(quoted);
}

long dirty_load(struct dirty *d, const char *path)
{
    FILE *f = fopen(path, "re");
    struct writer key;
    char *line = NULL;
    const char *why;
    long lines = 0;
    if (f == NULL)
        return -errno;
    writer_init(&key, 2);
    for (; next_line(f, &key, &line, &why); lines++)
        dirty_add(d, writer_span(&key), why);
    free(line);
    writer_close(&key);
    fclose(f);
    return lines;
}

/* Reads what is there, by way of the other name, so that no line is there twice. */
static void take_up(struct dirty *d)
{
    char pass[DIRTY_PATH_MAX + SUFFIX_ROOM];
    pass_path(d, pass);
    if (access(pass, F_OK) == 0) {
        long lines = dirty_load(d, pass);
        if (lines >= 0)
            unlink(pass);
    }
    if (rename(d->path, pass) != 0)
        return;
    if (d->file != NULL)
        fclose(d->file);
    d->file = NULL;
    forget(d);
    if (dirty_load(d, pass) >= 0)
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
    *d = (struct dirty){ 0 };
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
    if (d->file != NULL)
        fclose(d->file);
    if (d->path[0] != '\0' && d->count == 0)
        unlink(d->path);
    forget(d);
    d->file = NULL;
}

static void close_pass(struct dirty *d)
{
    char pass[DIRTY_PATH_MAX + SUFFIX_ROOM];
    pass_path(d, pass);
    fclose(d->pass);
    d->pass = NULL;
    d->left = 0;
    unlink(pass);
}

void dirty_forget(struct dirty *d)
{
    if (d->pass != NULL)
        close_pass(d);
    if (d->file != NULL)
        fclose(d->file);
    d->file = NULL;
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
    if (d->file != NULL)
        fclose(d->file);
    d->file = NULL;
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
    struct writer key;
    char *line = NULL;
    const char *why;
    if (d->pass == NULL)
        return;
    writer_init(&key, 2);
    while (next_line(d->pass, &key, &line, &why))
        dirty_add(d, writer_span(&key), why);
    free(line);
    writer_close(&key);
    close_pass(d);
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
