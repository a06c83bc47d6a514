#include "migrate/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"

enum { PATH_ROOM = 4200, LINE_ROOM = STATE_PEERS_MAX + 100 };

/* A line each: "name value". len 0: a number. */
static const struct field {
    const char *name;
    size_t offset, len;
} fields[] = {
    { "name", offsetof(struct state, name), STATE_NAME_MAX },
    { "boot", offsetof(struct state, boot), STATE_ID_LEN },
    { "token", offsetof(struct state, token), STATE_TOKEN_LEN },
    { "work", offsetof(struct state, work), STATE_TOKEN_LEN },
    { "history", offsetof(struct state, history), STATE_ID_LEN },
    { "id", offsetof(struct state, id), STATE_ID_LEN },
    { "peers", offsetof(struct state, peers), STATE_PEERS_MAX },
    { "begin", offsetof(struct state, begin), 0 },
    { "payload", offsetof(struct state, payload), 0 },
    { "stream", offsetof(struct state, stream), 0 },
    { "copied", offsetof(struct state, copied), 0 },
    { "masters", offsetof(struct state, masters), 0 },
    { "sweep", offsetof(struct state, sweep), 0 },
    { "live", offsetof(struct state, live), 0 },
    { "applied", offsetof(struct state, applied), 0 },
    { "db", offsetof(struct state, db), 0 },
    { "spool-begin", offsetof(struct state, spool_begin), 0 },
    { "spool-end", offsetof(struct state, spool_end), 0 },
};

static const char first_line[] = "slotgate-migrate 2\n", last_line[] = "end\n";

static void name_file(const char *folder, const char *name, char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s/%s", folder, name);
}

int state_lock(const char *folder)
{
    char path[PATH_ROOM];
    name_file(folder, "lock", path);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static bool take_line(struct state *s, const char *line, const struct field *f)
{
    size_t len = strlen(f->name), end = strcspn(line, "\n");
    if (strncmp(line, f->name, len) != 0 || line[len] != ' ' || line[end] != '\n')
        return false;
    const char *value = line + len + 1;
    size_t n = end - len - 1;
    char *at = (char *)s + f->offset;
    if (f->len == 0)
        return text_to_u64(value, n, (uint64_t *)(void *)at);
    if (n > f->len)
        return false;
    memcpy(at, value, n);
    at[n] = '\0';
    return true;
}

int state_read(struct state *s, const char *folder)
{
    char path[PATH_ROOM], line[LINE_ROOM];
    *s = (struct state){ 0 };
    name_file(folder, "state", path);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return errno;
    bool good = fgets(line, sizeof(line), in) != NULL && strcmp(line, first_line) == 0;
    for (size_t i = 0; good && i < ARRAY_LEN(fields); i++)
        good = fgets(line, sizeof(line), in) != NULL && take_line(s, line, &fields[i]);
    good = good && fgets(line, sizeof(line), in) != NULL && strcmp(line, last_line) == 0;
    fclose(in);
    return good ? 0 : EINVAL;
}

static int write_all(const struct state *s, FILE *out)
{
    fputs(first_line, out);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const char *at = (const char *)s + fields[i].offset;
        if (fields[i].len > 0)
            fprintf(out, "%s %s\n", fields[i].name, at);
        else
            fprintf(out, "%s %llu\n", fields[i].name,
                    (unsigned long long)*(const uint64_t *)(const void *)at);
    }
    fputs(last_line, out);
    return fflush(out) == 0 && fsync(fileno(out)) == 0 ? 0 : errno;
}

int state_write(const struct state *s, const char *folder)
{
    char path[PATH_ROOM], before[PATH_ROOM];
    name_file(folder, "state", path);
    name_file(folder, "state.new", before);
    FILE *out = fopen(before, "we");
    if (out == NULL)
        return errno;
    int error = write_all(s, out);
    fclose(out);
    if (error == 0 && rename(before, path) != 0)
        error = errno;
    int fd = error == 0 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return error != 0 ? error : errno;
    error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}

int state_try(const char *folder)
{
    char path[PATH_ROOM];
    struct state most;
    memset(&most, 'x', sizeof(most));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (fields[i].len > 0)
            ((char *)&most)[fields[i].offset + fields[i].len] = '\0';
    name_file(folder, "state.new", path);
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return errno;
    int error = write_all(&most, out);
    fclose(out);
    unlink(path);
    return error;
}

void state_remove(const char *folder)
{
    char path[PATH_ROOM];
    name_file(folder, "state", path);
    unlink(path);
}

void state_boot(char out[STATE_ID_LEN + 1])
{
    out[0] = '\0';
    FILE *in = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (in == NULL)
        return;
    if (fscanf(in, "%40s", out) != 1)
        out[0] = '\0';
    fclose(in);
}
