#include "proxy/crew.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listener.h"
#include "proxy/worker.h"

/* --- sockets ---------------------------------------------------------------------------------- */

static bool same_address(int a, int b)
{
    struct sockaddr_storage x = { 0 }, y = { 0 };
    socklen_t x_len = sizeof(x), y_len = sizeof(y);
    return getsockname(a, (struct sockaddr *)&x, &x_len) == 0 &&
           getsockname(b, (struct sockaddr *)&y, &y_len) == 0 && x_len == y_len &&
           memcmp(&x, &y, x_len) == 0;
}

/* The socket that this member of the last generation has for the same address; -1: none. */
static int find_inherited(const struct crew *inherited, uint32_t number, int like)
{
    if (inherited == NULL || number >= inherited->count)
        return -1;
    for (uint32_t i = 0; i < inherited->addresses; i++)
        if (same_address(inherited->members[number].listeners[i], like))
            return inherited->members[number].listeners[i];
    return -1;
}

/* "*" is every IPv4 and "::*" every IPv6 address. */
static const char *numeric(const char *address)
{
    if (strcmp(address, "*") == 0)
        return "0.0.0.0";
    return strcmp(address, "::*") == 0 ? "::" : address;
}

/* "-" in front: it may be missing, as in redis.conf. Gives the socket, -1 for an address that may
 * be missing, or -2. */
static int bind_address(const struct config *config, const char *address)
{
    bool optional = address[0] == '-';
    address = numeric(address + optional);
    int fd = listener_bind(address, (uint16_t)config->port);
    if (fd >= 0)
        return fd;
    if (optional && fd != UV_EADDRINUSE)
        return -1;
    log_error("cannot bind", "address=%s port=%d reason=%s", address, config->port,
              log_text(uv_strerror(fd)));
    return -2;
}

/* A socket is bound even where one is inherited, because only then do we know its address. */
static bool bind_member(struct crew *crew, uint32_t number, const struct config *config,
                        const struct crew *inherited)
{
    struct crew_member *m = &crew->members[number];
    uint32_t n = 0;
    for (size_t i = 0; i < config->bind.count && n < CREW_ADDRESSES_MAX; i++) {
        int fd = bind_address(config, config->bind.items[i]);
        if (fd == -2)
            return false;
        if (fd < 0)
            continue;
        int old = find_inherited(inherited, number, fd);
        if (old >= 0) {
            close(fd);
            fd = fcntl(old, F_DUPFD_CLOEXEC, 0);
            REQUIRE(fd >= 0);
        }
        m->listeners[n++] = fd;
        crew->addresses = n;
    }
    if (n == 0)
        log_error("cannot bind", "port=%d reason=no_address", config->port);
    return n > 0;
}

/* The inherited socket of that address; -1: there is none. */
static int inherited_admin(const struct crew *inherited, const char *address, uint16_t port)
{
    for (uint32_t i = 0; inherited != NULL && i < inherited->admin_count; i++)
        if (listener_is_at(inherited->admin[i], address, port))
            return fcntl(inherited->admin[i], F_DUPFD_CLOEXEC, 0);
    return -1;
}

static bool bind_admin(struct crew *crew, const struct config *config, const struct crew *inherited)
{
    uint16_t port = (uint16_t)config->admin_port;
    for (size_t i = 0; port != 0 && i < config->admin_bind.count && i < CREW_ADMIN_MAX; i++) {
        const char *address = numeric(config->admin_bind.items[i]);
        int fd = inherited_admin(inherited, address, port);
        if (fd < 0)
            fd = listener_bind_alone(address, port);
        if (fd < 0) {
            log_error("cannot bind", "address=%s port=%u reason=%s", address, port,
                      log_text(uv_strerror(fd)));
            return false;
        }
        crew->admin[crew->admin_count++] = fd;
    }
    return true;
}

static bool open_inboxes(struct crew_member *m)
{
    const int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
    return socketpair(AF_UNIX, type, 0, &m->inbox[INBOX_READ]) == 0 &&
           socketpair(AF_UNIX, type, 0, &m->inbox[TALK_READ]) == 0;
}

bool crew_open(struct crew *crew, const struct config *config, struct board *board, int lifeline,
               uint32_t generation, const struct crew *inherited)
{
    *crew = (struct crew){ .generation = generation,
                           .count = config_worker_count(config),
                           .board = board,
                           .lifeline = lifeline };
    crew->members = calloc(crew->count, sizeof(crew->members[0]));
    REQUIRE(crew->members != NULL);
    for (uint32_t i = 0; i < crew->count; i++) {
        struct crew_member *m = &crew->members[i];
        memset(m->inbox, -1, sizeof(m->inbox));
        memset(m->listeners, -1, sizeof(m->listeners));
    }
    for (uint32_t i = 0; i < crew->count; i++) {
        if (!open_inboxes(&crew->members[i]) || !bind_member(crew, i, config, inherited))
            return false;
        memset(crew_seat(crew, i), 0, sizeof(struct seat));
    }
    return bind_admin(crew, config, inherited);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void crew_close_admin(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->admin_count; i++)
        close_fd(&crew->admin[i]);
    crew->admin_count = 0;
}

void crew_close(struct crew *crew)
{
    crew_close_admin(crew);
    for (uint32_t i = 0; i < crew->count && crew->members != NULL; i++) {
        for (int end = 0; end < INBOX_ENDS; end++)
            close_fd(&crew->members[i].inbox[end]);
        for (uint32_t a = 0; a < crew->addresses; a++)
            close_fd(&crew->members[i].listeners[a]);
    }
    free(crew->members);
    crew->members = NULL;
    crew->count = 0;
    crew_forget_elders(crew);
}

void crew_forget_elders(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->elder_count; i++)
        close_fd(&crew->elders[i].inbox);
    free(crew->elders);
    crew->elders = NULL;
    crew->elder_count = 0;
}

void crew_add_elder(struct crew *crew, struct crew_elder elder)
{
    size_t size = (crew->elder_count + 1) * sizeof(crew->elders[0]);
    crew->elders = realloc(crew->elders, size);
    REQUIRE(crew->elders != NULL);
    crew->elders[crew->elder_count++] = elder;
}

static void inherit(struct crew *crew, uint32_t generation, uint32_t number, int inbox)
{
    uint32_t state = seat_state(board_seat(crew->board, generation, number));
    if (inbox < 0 || state == SEAT_EMPTY || state == SEAT_LEFT)
        return;
    int copy = fcntl(inbox, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0)
        crew_add_elder(crew, (struct crew_elder){ generation, number, copy });
}

void crew_inherit_elders(struct crew *crew, const struct crew *last)
{
    for (uint32_t i = 0; i < last->count; i++)
        inherit(crew, last->generation, i, last->members[i].inbox[TALK_WRITE]);
    for (uint32_t i = 0; i < last->elder_count; i++)
        inherit(crew, last->elders[i].generation, last->elders[i].number, last->elders[i].inbox);
}

/* --- processes -------------------------------------------------------------------------------- */

/* In the child: whatever is not this worker's. Of the others it keeps the way into their inboxes.
 */
static void keep_only(struct crew *crew, uint32_t number)
{
    for (const int *fd = crew->withheld; fd != NULL && *fd >= 0; fd++)
        close(*fd);
    for (uint32_t i = 0; i < crew->count; i++) {
        if (i == number)
            continue;
        close_fd(&crew->members[i].inbox[INBOX_READ]);
        close_fd(&crew->members[i].inbox[TALK_READ]);
        for (uint32_t a = 0; a < crew->addresses; a++)
            close_fd(&crew->members[i].listeners[a]);
    }
}

static _Noreturn void become_worker(struct crew *crew, uint32_t number, struct worker *w)
{
    keep_only(crew, number);
    w->crew = crew;
    w->number = number;
    int code = worker_run(w);
    crew_close(crew);
    config_free(&w->config);
    exit(code);
}

bool crew_start(struct crew *crew, uint32_t number, struct worker *w, uint64_t now)
{
    struct crew_member *m = &crew->members[number];
    struct seat *seat = crew_seat(crew, number);
    atomic_store(&seat->beat, 0);
    atomic_store(&seat->clients, 0);
    atomic_store(&seat->topics, 0);
    seat_enter(seat, SEAT_STARTING);
    log_flush(); /* or the child would tell what is still owed once more */
    pid_t pid = fork();
    if (pid == 0)
        become_worker(crew, number, w);
    m->started_at = m->beat_at = now;
    m->beat = 0;
    m->again = true;
    m->pid = pid > 0 ? pid : 0;
    return pid > 0;
}

void crew_signal(const struct crew *crew, int signum)
{
    for (uint32_t i = 0; i < crew->count; i++)
        if (crew->members[i].pid > 0)
            kill(crew->members[i].pid, signum);
}

bool crew_tell_supervisor(const struct crew *crew, int signum)
{
    return getppid() == crew->supervisor && kill(crew->supervisor, signum) == 0;
}

uint32_t crew_alive(const struct crew *crew)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < crew->count; i++)
        n += crew->members[i].pid > 0;
    return n;
}

uint32_t crew_in_state(const struct crew *crew, enum seat_state state)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < crew->count; i++)
        n += seat_state(crew_seat(crew, i)) == state;
    return n;
}
