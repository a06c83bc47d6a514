#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/supervisor_private.h"
#include "proxy/takeover.h"

enum {
    TICK_MS = 100,
    SOON_MS = 2000,       /* a worker that dies sooner than this has died at once */
    DEATHS_MAX = 6,       /* at once and in a row, then it makes no sense to go on */
    REST_MS = 50,         /* after the second such death; doubles */
    FIRST_BEAT_MS = 5000, /* a worker that has never shown a sign of life gets so long */
    KILL_AFTER_MS = 2000, /* past shutdown-timeout */
};

static const int watched[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR2, SIGCHLD };

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- leaving ---------------------------------------------------------------------------------- */

void supervisor_add_leaver(struct supervisor *s, pid_t pid)
{
    size_t size = (s->leaver_count + 1) * sizeof(s->leavers[0]);
    s->leavers = realloc(s->leavers, size);
    REQUIRE(s->leavers != NULL);
    uint64_t patience = s->worker->config.shutdown_timeout + KILL_AFTER_MS;
    s->leavers[s->leaver_count++] = (struct leaver){ .pid = pid, .kill_by = s->now + patience };
}

static void leave(struct supervisor *s)
{
    if (!s->leaving) {
        notify_stopping(&s->notify);
        takeover_fail(s, "shutdown");
        s->leave_by = s->now + s->worker->config.shutdown_timeout + KILL_AFTER_MS;
    }
    s->leaving = true;
    crew_signal(&s->crew, SIGTERM);
    for (size_t i = 0; i < s->leaver_count; i++)
        kill(s->leavers[i].pid, SIGTERM);
}

static bool somebody_serves(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->crew.count; i++)
        if (seat_state(crew_seat(&s->crew, i)) == SEAT_SERVING)
            return true;
    return false;
}

/* Told to end: at once, or after shutdown-delay, in which only /readyz tells of it. */
static void depart(struct supervisor *s)
{
    uint64_t delay = s->worker->config.shutdown_delay;
    if (s->leaving || delay == 0 || !somebody_serves(s)) {
        leave(s);
        return;
    }
    if (s->depart_at != 0)
        return;
    s->depart_at = s->now + delay;
    atomic_store(&s->board->departing, 1);
    notify_stopping(&s->notify);
    takeover_fail(s, "shutdown");
    log_info("will leave", "delay_ms=%llu", (unsigned long long)delay);
}

static void give_up(struct supervisor *s, const char *why)
{
    log_error("giving up", "reason=%s", why);
    s->failed = true;
    leave(s);
}

/* --- deaths ----------------------------------------------------------------------------------- */

/* Each death soon after a start doubles the pause, and too many of them in a row are the end. */
static void plan_restart(struct supervisor *s, struct crew_member *m)
{
    bool soon = s->now - m->started_at < SOON_MS;
    m->deaths = soon ? m->deaths + 1 : 0;
    m->start_at = s->now;
    if (m->deaths > 1)
        m->start_at += (uint64_t)REST_MS << (m->deaths - 2);
    if (m->deaths >= DEATHS_MAX)
        give_up(s, "workers_die_at_once");
}

static void member_ended(struct supervisor *s, uint32_t number, int status)
{
    struct crew_member *m = &s->crew.members[number];
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (WIFSIGNALED(status))
        log_error("worker ended", "worker=%u process=%d signal=%d", number, (int)m->pid,
                  WTERMSIG(status));
    else if (!clean)
        log_error("worker ended", "worker=%u process=%d code=%d", number, (int)m->pid,
                  WEXITSTATUS(status));
    m->pid = 0;
    if (s->leaving)
        s->failed = s->failed || !clean;
    else
        plan_restart(s, m);
}

static bool leaver_ended(struct supervisor *s, pid_t pid)
{
    for (size_t i = 0; i < s->leaver_count; i++) {
        if (s->leavers[i].pid != pid)
            continue;
        s->leavers[i] = s->leavers[--s->leaver_count];
        if (s->leaver_count == 0)
            crew_forget_elders(&s->crew);
        return true;
    }
    return false;
}

static void ended(struct supervisor *s, pid_t pid, int status)
{
    for (uint32_t i = 0; i < s->crew.count; i++) {
        if (s->crew.members[i].pid == pid) {
            member_ended(s, i, status);
            return;
        }
    }
    if (!leaver_ended(s, pid) && !takeover_ended(s, pid, status))
        log_debug("foreign child reaped", "process=%d", (int)pid);
}

static void reap(struct supervisor *s)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        ended(s, pid, status);
}

/* --- looking after the workers ---------------------------------------------------------------- */

static bool hangs(struct supervisor *s, uint32_t number)
{
    struct crew_member *m = &s->crew.members[number];
    struct seat *seat = crew_seat(&s->crew, number);
    uint64_t beat = atomic_load(&seat->beat), limit = s->worker->config.worker_timeout;
    if (beat != m->beat) {
        m->beat = beat;
        m->beat_at = s->now;
    }
    if (beat == 0 && limit < FIRST_BEAT_MS)
        limit = FIRST_BEAT_MS;
    /* One that has left its loop does not beat any more, and is on its way out. */
    if (seat_state(seat) == SEAT_LEFT)
        limit = s->worker->config.shutdown_timeout + KILL_AFTER_MS;
    return s->worker->config.worker_timeout != 0 && s->now - m->beat_at >= limit;
}

/* The descriptors that a forked worker must close. */
static void set_withheld(struct supervisor *s)
{
    const int fds[] = { s->signal_fd, s->board_fd, s->lifeline[1], s->takeover.wire };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            s->withheld[n++] = fds[i];
    s->withheld[n] = -1;
    s->crew.withheld = s->withheld;
}

static void look_after(struct supervisor *s, uint32_t number)
{
    struct crew_member *m = &s->crew.members[number];
    if (m->pid > 0 && hangs(s, number)) {
        log_error("worker hangs: killed", "worker=%u process=%d silent_ms=%llu", number,
                  (int)m->pid, (unsigned long long)(s->now - m->beat_at));
        kill(m->pid, SIGKILL);
        m->beat_at = s->now; /* it may take a moment to die */
    }
    if (m->pid > 0 || s->leaving || s->now < m->start_at)
        return;
    set_withheld(s);
    if (!crew_start(&s->crew, number, s->worker, s->now)) {
        log_error("cannot start worker", "worker=%u reason=%s", number, log_text(strerror(errno)));
        plan_restart(s, m);
    }
}

/* When this process itself has not run for a while (the machine slept), the workers may not have
   either: their silence begins anew. */
static void forgive_own_absence(struct supervisor *s, uint64_t since)
{
    if (s->now - since < 5 * TICK_MS)
        return;
    for (uint32_t i = 0; i < s->crew.count; i++)
        s->crew.members[i].beat_at = s->now;
}

static void kill_overdue(struct supervisor *s)
{
    for (size_t i = 0; i < s->leaver_count; i++) {
        if (s->now < s->leavers[i].kill_by)
            continue;
        log_error("worker does not leave: killed", "process=%d", (int)s->leavers[i].pid);
        kill(s->leavers[i].pid, SIGKILL);
        s->leavers[i].kill_by = s->now + KILL_AFTER_MS;
    }
    if (!s->leaving || s->now < s->leave_by)
        return;
    log_error("workers do not leave: killed", "workers=%u", crew_alive(&s->crew));
    s->leave_by = s->now + KILL_AFTER_MS;
    crew_signal(&s->crew, SIGKILL);
}

static void tick(struct supervisor *s)
{
    reap(s);
    if (s->depart_at != 0 && !s->leaving && s->now >= s->depart_at)
        leave(s);
    for (uint32_t i = 0; i < s->crew.count; i++)
        look_after(s, i);
    kill_overdue(s);
    takeover_step(s);
    notify_tick(&s->notify, &s->crew, s->now);
    log_tick();
}

/* --- signals ---------------------------------------------------------------------------------- */

static void reload(struct supervisor *s)
{
    notify_reloading(&s->notify);
    if (reload_config(&s->worker->config, &s->worker->words, true)) {
        log_open((enum log_level)s->worker->config.log_level);
        log_set_format((enum log_format)s->worker->config.log_format);
        crew_signal(&s->crew, SIGHUP);
    }
    notify_reloaded(&s->notify);
}

static void on_signal(struct supervisor *s, uint32_t signum)
{
    switch (signum) {
    case SIGTERM:
    case SIGINT:
        depart(s);
        break;
    case SIGQUIT: /* at once, whatever is in flight */
        leave(s);
        s->leave_by = s->now;
        break;
    case SIGHUP:
        if (!s->leaving)
            reload(s);
        break;
    case SIGUSR2:
        if (!s->leaving && s->depart_at == 0)
            takeover_begin(s);
        break;
    default: /* SIGCHLD: every tick reaps */
        break;
    }
}

static void wait_for_something(struct supervisor *s)
{
    struct pollfd fds[] = { { s->signal_fd, POLLIN, 0 }, { s->takeover.wire, POLLIN, 0 } };
    struct signalfd_siginfo info;
    uint64_t since = s->now;
    poll(fds, 2, TICK_MS);
    s->now = clock_ms();
    forgive_own_absence(s, since);
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        on_signal(s, info.ssi_signo);
}

static sigset_t watched_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++)
        sigaddset(&set, watched[i]);
    return set;
}

/* --- life ------------------------------------------------------------------------------------- */

static bool begin(struct supervisor *s)
{
    s->board_fd = board_make();
    s->board = s->board_fd >= 0 ? board_map(s->board_fd) : NULL;
    if (s->board == NULL || pipe2(s->lifeline, O_CLOEXEC | O_NONBLOCK) != 0) {
        log_error("cannot start", "reason=%s", log_text(strerror(errno)));
        return false;
    }
    return crew_open(&s->crew, &s->worker->config, s->board, s->lifeline[0], 0, NULL);
}

static void end(struct supervisor *s)
{
    sigset_t set = watched_set();
    crew_close(&s->crew);
    board_unmap(s->board);
    const int fds[] = { s->board_fd, s->signal_fd, s->lifeline[0], s->lifeline[1] };
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(s->leavers);
    signal(SIGTERM, SIG_IGN); /* one more of them changes nothing, not even now */
    signal(SIGINT, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int supervisor_run(struct worker *w, struct baton *baton)
{
    struct supervisor s = { .worker = w,
                            .board_fd = -1,
                            .lifeline = { -1, -1 },
                            .takeover = { .wire = -1 },
                            .now = clock_ms() };
    sigset_t set = watched_set();
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* workers that a launcher leaves behind become ours */
    s.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    notify_open(&s.notify);
    s.failed = s.signal_fd < 0 || !(baton != NULL ? takeover_adopt(&s, baton) : begin(&s));
    s.leaving = s.failed;
    s.crew.supervisor = getpid();
    tick(&s);
    while (!s.leaving || crew_alive(&s.crew) + s.leaver_count > 0) {
        wait_for_something(&s);
        tick(&s);
    }
    end(&s);
    log_flush();
    return s.failed ? 1 : 0;
}
