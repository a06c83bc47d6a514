#include "proxy/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* The supervisor waits for signals synchronously, so that no handler races with it. */
static sigset_t watched_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    return set;
}

/* pids is the supervisor's; the child gives its copy back. */
static pid_t start_worker(struct worker *w, uint32_t number, const sigset_t *old, pid_t *pids)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    free(pids);
    sigprocmask(SIG_SETMASK, old, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    int code = worker_run(w, number);
    config_free(&w->config);
    exit(code);
}

static void signal_all(const pid_t *pids, int count, int signum)
{
    for (int i = 0; i < count; i++)
        if (pids[i] > 0)
            kill(pids[i], signum);
}

/* Takes the workers that have ended. Gives how many did; *failed says whether one did badly. */
static int reap(pid_t *pids, int count, bool leaving, bool *failed)
{
    int ended = 0, status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < count; i++) {
            if (pids[i] != pid)
                continue;
            pids[i] = 0;
            ended++;
            bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (!clean || !leaving) {
                *failed = true;
                log_error("worker ended", "worker=%d pid=%d status=%d", i, (int)pid, status);
            }
        }
    }
    return ended;
}

int supervisor_run(struct worker *w)
{
    int count = w->config.workers;
    pid_t *pids = calloc((size_t)count, sizeof(pids[0]));
    REQUIRE(pids != NULL);
    sigset_t set = watched_signals(), old;
    sigprocmask(SIG_BLOCK, &set, &old);
    int alive = 0;
    bool leaving = false, failed = false;
    for (; alive < count; alive++) {
        pids[alive] = start_worker(w, (uint32_t)alive, &old, pids);
        if (pids[alive] < 0) {
            log_error("cannot start worker", "worker=%d", alive);
            leaving = failed = true;
            break;
        }
    }
    if (leaving)
        signal_all(pids, count, SIGTERM);
    while (alive > 0) {
        int signum = sigwaitinfo(&set, NULL);
        if (signum == SIGCHLD) {
            alive -= reap(pids, count, leaving, &failed);
            if (!failed || leaving)
                continue;
        } else if (signum < 0) {
            continue;
        }
        leaving = true;
        signal_all(pids, count, SIGTERM);
    }
    free(pids);
    return failed ? 1 : 0;
}
