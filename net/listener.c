#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

enum {
    ACCEPT_MAX = 64, /* in one turn: the clients that are there wait meanwhile */
    REST_MS = 100,
};

/* --- sockets ---------------------------------------------------------------------------------- */

static int set_options(int fd, int family, bool shared)
{
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0))
        return uv_translate_sys_error(errno);
    /* An IPv6 socket leaves IPv4 to a socket of its own. */
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        return uv_translate_sys_error(errno);
    return 0;
}

/* Gives the length, 0 if that is no address. */
static socklen_t read_address(const char *address, uint16_t port, struct sockaddr_storage *a)
{
    memset(a, 0, sizeof(*a));
    if (uv_ip4_addr(address, port, (struct sockaddr_in *)a) == 0)
        return sizeof(struct sockaddr_in);
    return uv_ip6_addr(address, port, (struct sockaddr_in6 *)a) == 0 ? sizeof(struct sockaddr_in6)
                                                                     : 0;
}

static int bind_to(const char *address, uint16_t port, bool shared)
{
    struct sockaddr_storage a;
    socklen_t len = read_address(address, port, &a);
    if (len == 0)
        return UV_EINVAL;
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    int rc = set_options(fd, a.ss_family, shared);
    if (rc == 0 && bind(fd, (const struct sockaddr *)&a, len) != 0)
        rc = uv_translate_sys_error(errno);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int listener_bind(const char *address, uint16_t port)
{
    return bind_to(address, port, true);
}

int listener_bind_alone(const char *address, uint16_t port)
{
    return bind_to(address, port, false);
}

bool listener_is_at(int fd, const char *address, uint16_t port)
{
    struct sockaddr_storage a, bound = { 0 };
    socklen_t len = read_address(address, port, &a), bound_len = sizeof(bound);
    return len > 0 && getsockname(fd, (struct sockaddr *)&bound, &bound_len) == 0 &&
           bound_len == len && memcmp(&a, &bound, len) == 0;
}

void listener_hush(int fd)
{
    shutdown(fd, SHUT_RDWR); /* Linux: the socket leaves the listening state and stays bound */
}

/* --- accepting -------------------------------------------------------------------------------- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void watch(struct listener *l)
{
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void on_rested(uv_timer_t *timer)
{
    watch(timer->data);
}

static void rest(struct listener *l)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->rest, on_rested, REST_MS, 0);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* There are no descriptors left. A connection that is only left waiting would look healthy from
   outside, so the spare one is given up for the time that it takes to say no. */
static bool refuse_one(struct listener *l)
{
    if (l->spare < 0)
        return false;
    close(l->spare);
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = write(fd, l->user->refusal->at, l->user->refusal->len);
        (void)ignored; /* whoever left meanwhile misses nothing */
        close(fd);
    }
    l->spare = open_spare();
    return fd >= 0;
}

/* What accept says of the one connection, and not of us: the next one may be fine. */
static bool is_of_the_peer(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM: /* a firewall rule */
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case ENONET:
        return true;
    default:
        return false;
    }
}

/* False: nobody waits, or it makes no sense to go on now. */
static bool accept_one(struct listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        l->user->on_accept(l->context, fd);
        return l->open;
    }
    int error = errno;
    if (error == EAGAIN || is_of_the_peer(error))
        return error != EAGAIN;
    if (error == EINVAL) { /* somebody who shares the socket has hushed it */
        uv_poll_stop(&l->poll);
        return false;
    }
    log_error("cannot accept", "reason=%s", log_text(uv_strerror(uv_translate_sys_error(error))));
    if ((error == EMFILE || error == ENFILE) && refuse_one(l))
        return true;
    rest(l);
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_MAX && accept_one(l); i++)
        ;
}

int listener_start(struct listener *l, struct net *net, int fd, int backlog,
                   const struct listener_user *user, void *context)
{
    *l = (struct listener){ .net = net, .user = user, .context = context, .fd = fd };
    if (listen(fd, backlog) != 0)
        return uv_translate_sys_error(errno);
    int rc = uv_poll_init(net->loop, &l->poll, fd);
    if (rc != 0)
        return rc;
    uv_timer_init(net->loop, &l->rest);
    l->poll.data = l->rest.data = l;
    l->spare = open_spare();
    l->open = true;
    watch(l);
    return 0;
}

void listener_accept_waiting(struct listener *l)
{
    while (l->open && accept_one(l))
        ;
}

void listener_close(struct listener *l)
{
    if (!l->open)
        return;
    l->open = false;
    uv_close((uv_handle_t *)&l->poll, NULL);
    uv_close((uv_handle_t *)&l->rest, NULL);
    if (l->spare >= 0)
        close(l->spare);
}
