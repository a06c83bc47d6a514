#include "test/lib/slow_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/process.h"
#include "test/lib/testenv.h"

enum { PAIRS = 32, PIECE = 64 * 1024, HELD_MAX = 1024 * 1024, BACKLOG = 64 };

/* Bytes on their way, due at a time. */
struct piece {
    struct piece *next;
    uint64_t due;
    size_t len, sent;
    char bytes[];
};

/* One direction of a connection. */
struct way {
    int from, to;
    struct piece *first, *last;
    size_t held;
    bool ended; /* nothing more comes; closes when all is sent */
};

struct pair {
    struct way ways[2];
    bool open;
};

static void free_pieces(struct way *w)
{
    while (w->first != NULL) {
        struct piece *p = w->first;
        w->first = p->next;
        free(p);
    }
    w->last = NULL;
    w->held = 0;
}

static void end_pair(struct pair *p)
{
    if (!p->open)
        return;
    close(p->ways[0].from);
    close(p->ways[0].to);
    free_pieces(&p->ways[0]);
    free_pieces(&p->ways[1]);
    p->open = false;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void take_one(struct slow_link *l, struct pair *pairs)
{
    int one = 1, fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
    int up = fd >= 0 ? connect_to(l->to) : -1;
    struct pair *p = pairs;
    while (p < pairs + PAIRS && p->open)
        p++;
    if (up < 0 || p == pairs + PAIRS) {
        close(fd);
        if (up >= 0)
            close(up);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(up, F_SETFL, O_NONBLOCK);
    *p = (struct pair){ .open = true,
                        .ways = { { .from = fd, .to = up }, { .from = up, .to = fd } } };
}

static void read_some(struct slow_link *l, struct way *w)
{
    struct piece *p = malloc(sizeof(*p) + PIECE);
    ssize_t n = p != NULL ? recv(w->from, p->bytes, PIECE, 0) : -1;
    if (n <= 0) {
        free(p);
        w->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    p->next = NULL;
    p->due = now_ms() + (uint64_t)l->delay_ms;
    p->len = (size_t)n;
    p->sent = 0;
    *(w->last != NULL ? &w->last->next : &w->first) = p;
    w->last = p;
    w->held += p->len;
}

/* False: the connection is over. */
static bool send_due(struct way *w)
{
    uint64_t now = now_ms();
    while (w->first != NULL && w->first->due <= now) {
        struct piece *p = w->first;
        ssize_t n = send(w->to, p->bytes + p->sent, p->len - p->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        p->sent += (size_t)n;
        if (p->sent < p->len)
            return true;
        w->held -= p->len;
        w->first = p->next;
        if (w->first == NULL)
            w->last = NULL;
        free(p);
    }
    return !w->ended || w->first != NULL;
}

static void serve(struct slow_link *l, struct pair *p, const struct pollfd *fds)
{
    for (int i = 0; i < 2 && p->open; i++) {
        struct way *w = &p->ways[i];
        bool readable = (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        if (readable && !w->ended && w->held < HELD_MAX)
            read_some(l, w);
        if (!send_due(w))
            end_pair(p);
    }
}

static void *run(void *arg)
{
    struct slow_link *l = arg;
    struct pair *pairs = calloc(PAIRS, sizeof(*pairs));
    struct pollfd fds[1 + 2 * PAIRS];
    while (pairs != NULL && !atomic_load(&l->stop)) {
        fds[0] = (struct pollfd){ .fd = l->listener, .events = POLLIN };
        for (int i = 0; i < PAIRS; i++)
            for (int k = 0; k < 2; k++) {
                const struct way *w = &pairs[i].ways[k];
                bool wants = pairs[i].open && !w->ended && w->held < HELD_MAX;
                fds[1 + 2 * i + k] =
                    (struct pollfd){ .fd = wants ? w->from : -1, .events = POLLIN };
            }
        poll(fds, 1 + 2 * PAIRS, 1);
        for (int i = 0; i < PAIRS; i++)
            if (pairs[i].open)
                serve(l, &pairs[i], fds + 1 + 2 * i);
        if (atomic_load(&l->cut)) {
            for (int i = 0; i < PAIRS; i++)
                end_pair(&pairs[i]);
            atomic_store(&l->cut, false);
        }
        if (fds[0].revents != 0)
            take_one(l, pairs);
    }
    for (int i = 0; i < PAIRS && pairs != NULL; i++)
        end_pair(&pairs[i]);
    free(pairs);
    return NULL;
}

void slow_link_open(struct slow_link *l, uint16_t to, int delay_ms)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int one = 1;
    l->to = to;
    l->delay_ms = delay_ms;
    l->port = port_take();
    l->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(l->listener >= 0);
    a.sin_port = htons(l->port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(l->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(l->listener, BACKLOG), 0);
    atomic_init(&l->stop, false);
    atomic_init(&l->cut, false);
    assert_int_equal(pthread_create(&l->thread, NULL, run, l), 0);
}

static bool is_cut(void *arg)
{
    struct slow_link *l = arg;
    return !atomic_load(&l->cut);
}

void slow_link_cut(struct slow_link *l)
{
    atomic_store(&l->cut, true);
    assert_true(wait_until(is_cut, l, scaled_ms(5000)));
}

void slow_link_close(struct slow_link *l)
{
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
    close(l->listener);
    port_give_back(l->port);
}
