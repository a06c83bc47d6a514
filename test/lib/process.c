#include "test/lib/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/lib/testenv.h"

enum { PORT_FIRST = 12000, PORT_COUNT = 1000, BUS_OFFSET = 10000 };

static int port_lock[PORT_COUNT]; /* descriptor + 1 of the lock file of each port we hold */

/* Our environment without SLOTGATE_*, and what is to be added; made before the fork, because a
   child of a program with threads may not allocate. */
static char **environment_with(const char *const env[])
{
    size_t n = 0, room = 1;

    for (char **e = environ; *e != NULL; e++)
        room++;
    for (const char *const *e = env; e != NULL && *e != NULL; e++)
        room++;
    char **all = calloc(room, sizeof(*all));
    REQUIRE(all != NULL);
    for (char **e = environ; *e != NULL; e++)
        if (strncmp(*e, "SLOTGATE_", 9) != 0)
            all[n++] = *e;
    for (const char *const *e = env; e != NULL && *e != NULL; e++)
        all[n++] = (char *)(uintptr_t)*e;
    return all;
}

static _Noreturn void become(const struct process *p, const char *const argv[], char **env,
                             pid_t parent)
{
    int in = open("/dev/null", O_RDONLY);
    int out = open(p->out, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int err = open(p->err, O_WRONLY | O_CREAT | O_APPEND, 0600);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we could ask to die with it */
        _exit(126);
    signal(SIGPIPE, SIG_DFL); /* tests ignore it, and that would be inherited */
    if (in < 0 || out < 0 || err < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    close(in);
    close(out);
    close(err);
    execvpe(argv[0], (char *const *)(uintptr_t)argv, env);
    _exit(127);
}

bool process_start(struct process *p, const char *name, const char *const argv[],
                   const char *const env[])
{
    char **all = environment_with(env);
    pid_t parent = getpid();

    *p = (struct process){ .pid = 0 };
    snprintf(p->out, sizeof(p->out), "%s/%s.out", testenv_dir(), name);
    snprintf(p->err, sizeof(p->err), "%s/%s.err", testenv_dir(), name);
    p->pid = fork();
    if (p->pid == 0)
        become(p, argv, all, parent);
    free(all);
    if (p->pid < 0) {
        fprintf(stderr, "cannot start %s: %s\n", argv[0], strerror(errno));
        p->pid = 0;
        return false;
    }
    return true;
}

bool process_ended(struct process *p)
{
    int status;

    if (p->pid == 0)
        return true;
    if (waitpid(p->pid, &status, WNOHANG) != p->pid)
        return false;
    p->pid = 0;
    p->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return true;
}

static bool has_ended(void *arg)
{
    return process_ended(arg);
}

bool process_wait(struct process *p, int timeout_ms)
{
    return wait_until(has_ended, p, timeout_ms);
}

void process_signal(const struct process *p, int signal)
{
    if (p->pid != 0)
        kill(p->pid, signal);
}

void process_signal_all(const struct process *p, int signal)
{
    if (p->pid != 0 && kill(-p->pid, signal) != 0)
        kill(p->pid, signal); /* it has no group of its own yet */
}

void process_kill(struct process *p)
{
    process_signal_all(p, SIGKILL);
    if (!process_wait(p, 10000))
        testenv_problem("process %d does not die", (int)p->pid);
}

static bool port_is_free(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (s < 0)
        return false;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool is_free = bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0;
    close(s);
    return is_free;
}

uint16_t port_take(void)
{
    static int next = -1;

    if (next < 0) /* Programs that start at the same time begin to look at different places. */
        next = (int)(getpid() * 37L % PORT_COUNT);
    for (int tries = 0; tries < PORT_COUNT; tries++) {
        int i = next;
        char path[64];

        next = (next + 1) % PORT_COUNT;
        if (port_lock[i] != 0)
            continue;
        snprintf(path, sizeof(path), "/tmp/slotgate-test-port-%d", PORT_FIRST + i);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && port_is_free(PORT_FIRST + i) &&
            port_is_free(PORT_FIRST + i + BUS_OFFSET)) {
            port_lock[i] = fd + 1;
            return (uint16_t)(PORT_FIRST + i);
        }
        close(fd);
    }
    fprintf(stderr, "no free port between %d and %d\n", PORT_FIRST, PORT_FIRST + PORT_COUNT - 1);
    exit(1);
}

void port_give_back(uint16_t port)
{
    int i = port - PORT_FIRST;

    REQUIRE(i >= 0 && i < PORT_COUNT);
    if (port_lock[i] != 0)
        close(port_lock[i] - 1);
    port_lock[i] = 0;
}
