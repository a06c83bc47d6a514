#include "migrate/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "migrate/admin.h"
#include "migrate/advice.h"

static FILE *dial(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (strlen(path) >= sizeof(at.sun_path) ||
        connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    return fdopen(fd, "r+e");
}

/* The command and what belongs to it; the file's name must be good at the other end, too. */
static bool ask(FILE *f, const struct config *c)
{
    fputs(c->command->name, f);
    if (strcmp(c->command->name, "cutover") == 0) {
        fprintf(f, " sample=%d pause=%llu", c->sample, (unsigned long long)c->pause_source);
        char *path = c->repair_from != NULL ? realpath(c->repair_from, NULL) : NULL;
        if (c->repair_from != NULL && path == NULL) {
            fprintf(stderr, "slotgate-migrate: %s: %s; %s\n", c->repair_from, strerror(errno),
                    advice_on(ADVICE_CHOICE, NULL));
            return false;
        }
        if (path != NULL)
            fprintf(f, " from=%s", path);
        free(path);
    }
    fputc('\n', f);
    return fflush(f) == 0;
}

/* Prints all but the last line, which says how it went. */
static bool take_answer(FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    bool good = false, told = false;
    while (!told && getline(&line, &room, f) > 0) {
        line[strcspn(line, "\n")] = '\0';
        good = strcmp(line, "OK") == 0;
        told = good || strncmp(line, "ERR ", 4) == 0;
        if (!told) {
            puts(line);
            fflush(stdout);
        }
    }
    if (!good)
        fprintf(
            stderr, "slotgate-migrate: %s\n",
            told ? line + 4
                 : "the process has gone without an answer; look at its log, and start it again");
    free(line);
    return good;
}

int control_run(const struct config *config)
{
    const char *path = config->words[0];
    FILE *f = dial(path);
    if (f == NULL) {
        fprintf(stderr, "slotgate-migrate: %s: %s; is a sync running with this --admin-socket?\n",
                path, strerror(errno));
        return 1;
    }
    bool good = ask(f, config) && take_answer(f);
    fclose(f);
    return good ? 0 : 1;
}
