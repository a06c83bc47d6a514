#include "migrate/control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "migrate/admin.h"
#include "migrate/advice.h"

/* A connected socket, or -1 and errno. */
static int dial(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(at.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* The command and what belongs to it; the file's name must be good at the other end, too. Whom the
   line does not reach gives no answer, and that is told. */
static bool ask(int fd, const struct config *c)
{
    if (strcmp(c->command->name, "cutover") != 0) {
        dprintf(fd, "%s\n", c->command->name);
        return true;
    }
    char *path = c->repair_from != NULL ? realpath(c->repair_from, NULL) : NULL;
    if (c->repair_from != NULL && path == NULL) {
        fprintf(stderr, "slotgate-migrate: %s: %s; %s\n", c->repair_from, strerror(errno),
                advice_on(ADVICE_CHOICE, NULL));
        return false;
    }
    dprintf(fd, "cutover sample=%d pause=%llu%s%s\n", c->sample,
            (unsigned long long)c->pause_source, path != NULL ? " from=" : "",
            path != NULL ? path : "");
    free(path);
    return true;
}

/* Prints all but the last line, which says how it went, and closes the socket. */
static bool take_answer(int fd)
{
    FILE *f = fdopen(fd, "r");
    REQUIRE(f != NULL);
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
    fclose(f);
    return good;
}

int control_run(const struct config *config)
{
    const char *path = config->words[0];
    signal(SIGPIPE, SIG_IGN); /* the process at the other end may go at any moment */
    int fd = dial(path);
    if (fd < 0) {
        fprintf(stderr, "slotgate-migrate: %s: %s; is a sync running with this --admin-socket?\n",
                path, strerror(errno));
        return 1;
    }
    if (ask(fd, config))
        return take_answer(fd) ? 0 : 1;
    close(fd);
    return 1;
}
