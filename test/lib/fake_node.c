#include "test/lib/fake_node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/testenv.h"

enum { CONNS_MAX = 128, NAMES_MAX = 32, NAME_MAX_LEN = 24, TEXT_MAX = 64 * 1024 };

struct conn {
    int fd;
    bool resp3;
    bool tainted; /* it said something here that nobody had asked for */
    bool mute;    /* it owes a reply here that never comes, so nothing behind it may come either */
    char *in;
    size_t len, room;
};

struct fake_node {
    uint16_t port;
    int listener;
    int wake[2]; /* a byte in this pipe ends the thread */
    pthread_t thread;
    pthread_mutex_t lock; /* over all that follows; the thread holds it except while it polls */
    enum fake_behaviour behaviour;
    bool in_everything;
    char *text, *slots;
    struct conn conn[CONNS_MAX];
    int conns;
    unsigned accepted;
    struct {
        char name[NAME_MAX_LEN];
        unsigned count;
    } seen[NAMES_MAX];
};

static void say(struct conn *c, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

static void say_text(struct conn *c, const char *text)
{
    say(c, text, strlen(text));
}

static void note(struct fake_node *f, const char *name)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        if (f->seen[i].count == 0)
            snprintf(f->seen[i].name, NAME_MAX_LEN, "%.*s", NAME_MAX_LEN - 1, name);
        if (strcasecmp(f->seen[i].name, name) == 0) {
            f->seen[i].count++;
            return;
        }
    }
}

/* Answers what the proxy asks for its own sake; false when this is nothing of the kind. */
static bool answer_housekeeping(struct fake_node *f, struct conn *c, size_t argc, char words[][64])
{
    static const char *const fine[] = { "AUTH",      "CLIENT", "CONFIG", "READONLY",
                                        "READWRITE", "ASKING", "SELECT", "RESET" };
    const char *name = words[0];

    if (strcasecmp(name, "CLUSTER") == 0 && argc > 1 && strcasecmp(words[1], "SLOTS") == 0) {
        say_text(c, f->slots);
    } else if (strcasecmp(name, "CLUSTER") == 0) {
        say_text(c, "-ERR Unknown subcommand or wrong number of arguments. Try CLUSTER HELP.\r\n");
    } else if (strcasecmp(name, "PING") == 0) {
        say_text(c, "+PONG\r\n");
    } else if (strcasecmp(name, "COMMAND") == 0) {
        say_text(c, "*0\r\n");
    } else if (strcasecmp(name, "INFO") == 0) {
        say_text(c, "$22\r\nredis_version:7.0.15\r\n\r\n");
    } else if (strcasecmp(name, "ROLE") == 0) {
        say_text(c, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    } else if (strcasecmp(name, "HELLO") == 0) {
        if (argc > 1)
            c->resp3 = strcmp(words[1], "3") == 0;
        say_text(c, c->resp3 ? "%7\r\n" : "*14\r\n");
        say_text(c,
                 "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n");
        say_text(c, c->resp3 ? ":3\r\n" : ":2\r\n");
        say_text(c,
                 "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                 "$7\r\nmodules\r\n*0\r\n");
    } else {
        for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
            if (strcasecmp(name, fine[i]) == 0) {
                say_text(c, "+OK\r\n");
                return true;
            }
        }
        return false;
    }
    return true;
}

/* Does what it was told to do; false when the connection has to end. */
static bool misbehave(struct fake_node *f, struct conn *c, const char *name, const char *argument)
{
    char echo[128];

    switch (f->behaviour) {
    case FAKE_ECHO:
    case FAKE_UNASKED:
        snprintf(echo, sizeof(echo), "$%zu\r\n%s\r\n", strlen(argument), argument);
        say_text(c, echo);
        if (f->behaviour == FAKE_UNASKED) {
            say_text(c, f->text);
            c->tainted = true;
        }
        return true;
    case FAKE_ANSWER:
        say_text(c, f->text);
        return true;
    case FAKE_HALF:
        say_text(c, f->text);
        c->mute = true;
        return true;
    case FAKE_BYTE_BY_BYTE:
        for (const char *p = f->text; *p != '\0'; p++) {
            say(c, p, 1);
            rest_us(500); /* so that they are read one by one */
        }
        return true;
    case FAKE_CLOSE_INSIDE:
        say_text(c, f->text);
        return false;
    case FAKE_SILENT:
        c->mute = true;
        return true;
    case FAKE_CLOSE_AT_EXEC:
        if (strcasecmp(name, "EXEC") != 0) {
            say_text(c, strcasecmp(name, "MULTI") == 0 ? "+OK\r\n" : "+QUEUED\r\n");
            return true;
        }
        say_text(c, f->text);
        break;
    case FAKE_CLOSE:
        break;
    }
    return false;
}

/* Handles each complete request in the buffer; false when the connection has to end. */
static bool on_bytes(struct fake_node *f, struct conn *c)
{
    size_t at = 0;

    for (;;) {
        /* A request is an array of bulk strings, so the reply scanner finds its end too. */
        long n = at == c->len ? 0 : reply_length(c->in + at, c->len - at);
        if (n < 0)
            return false;
        if (n == 0)
            break;
        char words[2][64] = { "", "" };
        const char *p = c->in + at;
        size_t argc = strtoul(p + 1, NULL, 10);
        p = (const char *)memchr(p, '\n', (size_t)n) + 1;
        for (size_t i = 0; i < argc && i < 2; i++) {
            size_t len = strtoul(p + 1, NULL, 10);
            p = strchr(p, '\n') + 1;
            snprintf(words[i], sizeof(words[i]), "%.*s", (int)(len < 60 ? len : 60), p);
            p += len + 2;
        }
        at += (size_t)n;
        note(f, words[0]);
        if (c->mute)
            continue;
        if (!f->in_everything && answer_housekeeping(f, c, argc, words))
            continue;
        if (!misbehave(f, c, words[0], words[1]))
            return false;
    }
    memmove(c->in, c->in + at, c->len - at);
    c->len -= at;
    return true;
}

static bool receive(struct fake_node *f, struct conn *c)
{
    if (c->room - c->len < 16384) {
        c->room += 65536;
        c->in = realloc(c->in, c->room);
        REQUIRE(c->in != NULL);
    }
    ssize_t n = recv(c->fd, c->in + c->len, c->room - c->len - 1, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    c->len += (size_t)n;
    c->in[c->len] = '\0';
    return on_bytes(f, c);
}

static void drop(struct fake_node *f, int i)
{
    close(f->conn[i].fd);
    free(f->conn[i].in);
    f->conn[i] = f->conn[--f->conns];
}

static void accept_one(struct fake_node *f)
{
    int one = 1;
    int fd = accept(f->listener, NULL, NULL);

    if (fd < 0)
        return;
    if (f->conns == CONNS_MAX) {
        close(fd);
        return;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    f->conn[f->conns++] = (struct conn){ .fd = fd };
    f->accepted++;
}

static void *run(void *arg)
{
    struct fake_node *f = arg;
    struct pollfd p[CONNS_MAX + 2];

    for (;;) {
        pthread_mutex_lock(&f->lock);
        nfds_t count = (nfds_t)f->conns + 2;
        p[0] = (struct pollfd){ .fd = f->wake[0], .events = POLLIN };
        p[1] = (struct pollfd){ .fd = f->listener, .events = POLLIN };
        for (int i = 0; i < f->conns; i++)
            p[i + 2] = (struct pollfd){ .fd = f->conn[i].fd, .events = POLLIN };
        pthread_mutex_unlock(&f->lock);
        if (poll(p, count, -1) < 0)
            continue;
        if (p[0].revents != 0)
            return NULL;
        pthread_mutex_lock(&f->lock);
        /* From the end, because dropping one moves the last into its place. */
        for (int i = (int)count - 3; i >= 0; i--)
            if (p[i + 2].revents != 0 && !receive(f, &f->conn[i]))
                drop(f, i);
        if (p[1].revents != 0)
            accept_one(f);
        pthread_mutex_unlock(&f->lock);
    }
}

struct fake_node *fake_node_start(uint16_t port)
{
    struct fake_node *f = calloc(1, sizeof(*f));
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;

    assert_non_null(f);
    signal(SIGPIPE, SIG_IGN);
    f->port = port;
    f->slots = strdup("*0\r\n");
    f->text = strdup("");
    assert_int_equal(pipe2(f->wake, O_CLOEXEC), 0);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->listener, 64), 0);
    pthread_mutex_init(&f->lock, NULL);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
    return f;
}

void fake_node_stop(struct fake_node *f)
{
    if (f == NULL)
        return;
    if (write(f->wake[1], "", 1) == 1)
        pthread_join(f->thread, NULL);
    while (f->conns > 0)
        drop(f, 0);
    close(f->listener);
    close(f->wake[0]);
    close(f->wake[1]);
    pthread_mutex_destroy(&f->lock);
    free(f->slots);
    free(f->text);
    free(f);
}

static void set_text(struct fake_node *f, char **where, const char *text)
{
    pthread_mutex_lock(&f->lock);
    free(*where);
    *where = strdup(text != NULL ? text : "");
    REQUIRE(*where != NULL);
    pthread_mutex_unlock(&f->lock);
}

void fake_node_map_raw(struct fake_node *f, const char *bytes)
{
    set_text(f, &f->slots, bytes);
}

void fake_node_map(struct fake_node *f, const struct fake_range *range, size_t count)
{
    char *text = malloc(TEXT_MAX);
    size_t at;

    assert_non_null(text);
    at = (size_t)snprintf(text, TEXT_MAX, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) /* as 7.0 prints it: one master, no replicas */
        at +=
            (size_t)snprintf(text + at, TEXT_MAX - at,
                             "*3\r\n:%d\r\n:%d\r\n*4\r\n$9\r\n127.0.0.1\r\n:%d\r\n$40\r\n%040x\r\n"
                             "*0\r\n",
                             range[i].from, range[i].to, range[i].port, range[i].port);
    fake_node_map_raw(f, text);
    free(text);
}

static void behave(struct fake_node *f, enum fake_behaviour b, const char *text, bool everything)
{
    set_text(f, &f->text, text);
    pthread_mutex_lock(&f->lock);
    f->behaviour = b;
    f->in_everything = everything;
    pthread_mutex_unlock(&f->lock);
}

void fake_node_behave(struct fake_node *f, enum fake_behaviour b, const char *text)
{
    behave(f, b, text, false);
}

void fake_node_behave_in_everything(struct fake_node *f, enum fake_behaviour b, const char *text)
{
    behave(f, b, text, true);
}

unsigned fake_node_say(struct fake_node *f, const char *bytes)
{
    pthread_mutex_lock(&f->lock);
    unsigned told = (unsigned)f->conns;
    for (int i = 0; i < f->conns; i++) {
        say_text(&f->conn[i], bytes);
        f->conn[i].tainted = true;
    }
    pthread_mutex_unlock(&f->lock);
    return told;
}

unsigned fake_node_count(struct fake_node *f, const char *name)
{
    unsigned count = 0;

    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < NAMES_MAX; i++)
        if (f->seen[i].count > 0 && strcasecmp(f->seen[i].name, name) == 0)
            count = f->seen[i].count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

unsigned fake_node_accepted(struct fake_node *f)
{
    pthread_mutex_lock(&f->lock);
    unsigned accepted = f->accepted;
    pthread_mutex_unlock(&f->lock);
    return accepted;
}

unsigned fake_node_tainted(struct fake_node *f)
{
    unsigned count = 0;

    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < f->conns; i++)
        count += f->conn[i].tainted;
    pthread_mutex_unlock(&f->lock);
    return count;
}
