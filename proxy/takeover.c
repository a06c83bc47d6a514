/* The old program's side; the new program's is in takeover_new.c. */
#include "proxy/takeover.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/supervisor_private.h"
#include "proxy/takeover_crew.h"

enum { TAKEOVER_MS = 30 * 1000 }; /* that the new workers may take until they serve */

/* --- the path --------------------------------------------------------------------------------- */

static char *join(const char *folder, size_t folder_len, const char *name)
{
    char *path = NULL;
    REQUIRE(asprintf(&path, "%.*s/%s", (int)folder_len, folder, name) >= 0);
    return path;
}

char *takeover_path(const char *argv0)
{
    char *here = getcwd(NULL, 0);
    const char *path = getenv("PATH");
    char *found = NULL;
    if (strchr(argv0, '/') != NULL) {
        found = argv0[0] == '/' || here == NULL ? strdup(argv0) : join(here, strlen(here), argv0);
        path = NULL;
    }
    while (path != NULL && found == NULL) {
        size_t len = strcspn(path, ":");
        found = len > 0 ? join(path, len, argv0) : strdup(argv0);
        if (access(found, X_OK) != 0) {
            free(found);
            found = NULL;
        }
        path = path[len] == ':' ? path + len + 1 : NULL;
    }
    free(here);
    return found;
}

/* --- failing ---------------------------------------------------------------------------------- */

static void drop_items(struct takeover *t)
{
    for (size_t i = 0; i < t->items.count; i++)
        if (t->items.items[i].fd >= 0 && !t->received)
            close(t->items.items[i].fd);
    baton_free(&t->items);
}

/* The new workers share our sockets, so they leave them alone when they go. */
static void dismiss(struct supervisor *s)
{
    struct takeover *t = &s->takeover;
    for (size_t i = 0; i < t->items.count; i++) {
        const struct baton_item *item = &t->items.items[i];
        if (item->kind != BATON_MEMBER || item->pid <= 0)
            continue;
        kill(item->pid, SIGUSR2);
        supervisor_add_leaver(s, item->pid);
    }
}

void takeover_fail(struct supervisor *s, const char *why)
{
    struct takeover *t = &s->takeover;
    if (!t->going)
        return;
    log_error("takeover failed: the old program goes on", "reason=%s", why);
    atomic_store(&s->board->failed_launch, atomic_load(&s->board->launches));
    dismiss(s);
    drop_items(t);
    crew_close(&t->next);
    if (t->launcher > 0)
        kill(t->launcher, SIGKILL);
    if (t->wire >= 0)
        close(t->wire);
    *t = (struct takeover){ .wire = -1 };
    notify_reloaded(&s->notify);
}

/* --- the launcher ----------------------------------------------------------------------------- */

static void add_shared(struct baton *b, const struct supervisor *s, enum baton_role role,
                       uint32_t generation)
{
    baton_add(b, (struct baton_item){ BATON_ROLE, generation, role, 0, 0, -1 });
    baton_add(b, (struct baton_item){ BATON_BOARD, 0, 0, 0, 0, s->board_fd });
    baton_add(b, (struct baton_item){ BATON_LIFELINE, 0, 0, 0, 0, s->lifeline[0] });
}

static void unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become_launcher(struct supervisor *s, int wire)
{
    struct baton b = { 0 };
    add_shared(&b, s, BATON_LAUNCH, s->crew.generation);
    baton_add(&b, (struct baton_item){ BATON_WIRE, 0, 0, 0, 0, wire });
    takeover_add_crew(&b, &s->crew);
    baton_keep_over_exec(&b, true);
    if (baton_to_environment(&b) >= 0) {
        unblock_signals();
        signal(SIGPIPE, SIG_DFL);
        execv(s->worker->path, s->worker->words.argv);
    }
    log_error("cannot run the new program", "path=%s reason=%s", log_text(s->worker->path),
              log_text(strerror(errno)));
    _exit(1);
}

/* A generation's seats on the board may not be taken again before it has left. */
static bool too_many_generations(const struct supervisor *s)
{
    return s->leaver_count >= (BOARD_GENERATIONS - 2) * s->crew.count;
}

void takeover_begin(struct supervisor *s)
{
    struct takeover *t = &s->takeover;
    int wire[2];
    if (t->going) {
        log_warn("takeover already under way", "launcher=%d", (int)t->launcher);
        return;
    }
    notify_reloading(&s->notify);
    *t = (struct takeover){ .going = true, .wire = -1, .fail_at = s->now + TAKEOVER_MS };
    atomic_fetch_add(&s->board->launches, 1);
    log_info("takeover begins", "path=%s", log_text(s->worker->path));
    if (too_many_generations(s)) {
        takeover_fail(s, "earlier_workers_still_drain");
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wire) != 0) {
        takeover_fail(s, "no_socket");
        return;
    }
    log_flush();
    t->launcher = fork();
    if (t->launcher == 0)
        become_launcher(s, wire[1]);
    close(wire[1]);
    t->wire = wire[0];
    if (t->launcher < 0)
        takeover_fail(s, "no_process");
}

/* --- becoming the new program ----------------------------------------------------------------- */

static bool same_socket(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* Whether each of the member's sockets has a new worker that accepts from it. */
static bool has_successor(const struct supervisor *s, uint32_t number)
{
    const struct crew *next = &s->takeover.next;
    for (uint32_t a = 0; a < s->crew.addresses; a++) {
        int fd = s->crew.members[number].listeners[a];
        bool found = false;
        for (uint32_t b = 0; number < next->count && b < next->addresses; b++)
            found = found || same_socket(fd, next->members[number].listeners[b]);
        if (fd >= 0 && !found)
            return false;
    }
    return true;
}

static void add_leavers(struct baton *b, const struct supervisor *s)
{
    for (size_t i = 0; i < s->leaver_count; i++)
        baton_add(b, (struct baton_item){ BATON_LEAVER, 0, 0, 0, s->leavers[i].pid, -1 });
    for (uint32_t i = 0; i < s->crew.count; i++)
        if (s->crew.members[i].pid > 0)
            baton_add(b,
                      (struct baton_item){ BATON_LEAVER, 0, has_successor(s, i) ? SIGUSR2 : SIGTERM,
                                           0, s->crew.members[i].pid, -1 });
}

/* Returns only when the new program cannot be run. */
static void become_new(struct supervisor *s)
{
    struct baton b = { 0 };
    crew_inherit_elders(&s->takeover.next, &s->crew);
    add_shared(&b, s, BATON_ADOPT, s->takeover.next.generation);
    baton_add(&b, (struct baton_item){ BATON_LIFELINE, 0, 0, 1, 0, s->lifeline[1] });
    takeover_add_crew(&b, &s->takeover.next);
    add_leavers(&b, s);
    baton_keep_over_exec(&b, true);
    int fd = baton_to_environment(&b);
    if (fd >= 0) {
        log_flush();
        execv(s->worker->path, s->worker->words.argv);
        close(fd);
    }
    baton_keep_over_exec(&b, false);
    baton_forget_environment();
    baton_free(&b);
    takeover_fail(s, log_text(strerror(errno)));
}

/* --- what comes over the wire ----------------------------------------------------------------- */

static void read_next(struct supervisor *s)
{
    struct takeover *t = &s->takeover;
    t->received = true; /* its descriptors are the crew's from now on */
    bool whole = takeover_read_crew(&t->next, &t->items, s->crew.generation + 1);
    t->next.board = s->board;
    if (!whole)
        takeover_fail(s, "new_program_said_nonsense");
}

static void receive(struct supervisor *s)
{
    struct takeover *t = &s->takeover;
    struct baton_item item;
    int got;
    while ((got = baton_receive(t->wire, &item)) > 0) {
        if (item.kind == BATON_END)
            break;
        baton_add(&t->items, item);
    }
    if (got == 0)
        return;
    close(t->wire);
    t->wire = -1;
    if (got < 0)
        takeover_fail(s, "new_program_ended");
    else
        read_next(s);
}

/* A new worker that dies has no place in a takeover any more. */
static bool forget_pid(struct baton *items, pid_t pid)
{
    for (size_t i = 0; i < items->count; i++) {
        if (items->items[i].kind != BATON_MEMBER || items->items[i].pid != pid)
            continue;
        items->items[i].pid = 0;
        return true;
    }
    return false;
}

bool takeover_ended(struct supervisor *s, pid_t pid, int status)
{
    struct takeover *t = &s->takeover;
    if (t->going && t->wire >= 0)
        receive(s); /* it may tell who that was */
    if (!t->going)
        return false;
    if (pid == t->launcher) {
        t->launcher = 0;
        bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!clean) {
            log_error("the new program ended", "process=%d status=%d", (int)pid, status);
            takeover_fail(s, "new_program_ended");
        }
        return true;
    }
    if (!forget_pid(&t->items, pid))
        return false;
    log_error("a new worker ended", "process=%d status=%d", (int)pid, status);
    takeover_fail(s, "new_worker_ended");
    return true;
}

void takeover_step(struct supervisor *s)
{
    struct takeover *t = &s->takeover;
    if (t->going && t->wire >= 0)
        receive(s);
    if (!t->going)
        return;
    if (t->received && t->launcher == 0 && crew_in_state(&t->next, SEAT_SERVING) == t->next.count)
        become_new(s);
    else if (s->now >= t->fail_at)
        takeover_fail(s, "new_workers_do_not_serve_in_time");
}
