#include "test/lib/fake_source.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "test/lib/client.h"

#define MARK "0123456789abcdef0123456789abcdef01234567"
#define HISTORY "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd"

enum { ROOM = 64 * 1024, POLL_MS = 20 };

struct fake_source {
    const struct fake_source_script *script;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    uint64_t acknowledged;
    char asked[128];
    atomic_bool stop;
    int listener, fd;
    unsigned loading_left;
    unsigned waits_for_acks; /* so many more before the stream */
    char in[ROOM];
    size_t len;
};

static void say(struct fake_source *f, const char *bytes, size_t len)
{
    while (len > 0 && f->fd >= 0) {
        ssize_t n = send(f->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

static void say_text(struct fake_source *f, const char *text)
{
    say(f, text, strlen(text));
}

static void say_stream(struct fake_source *f, int i)
{
    const struct fake_source_script *s = f->script;
    if (s->streams[i] != NULL)
        say(f, s->streams[i], s->stream_len[i] > 0 ? s->stream_len[i] : strlen(s->streams[i]));
}

static void hang_up(struct fake_source *f)
{
    close(f->fd);
    f->fd = -1;
    f->len = 0;
}

static void say_first_stream(struct fake_source *f)
{
    say_stream(f, 0);
    if (f->script->cut) {
        shutdown(f->fd, SHUT_WR); /* what was said arrives before the end does */
        hang_up(f);
    }
}

static void say_payload(struct fake_source *f)
{
    const struct fake_source_script *s = f->script;
    char head[64];
    say_text(f, "\n\n+FULLRESYNC " HISTORY " 1000 53589725328 applied_info{} 0\r\n\n\n");
    if (s->marked)
        snprintf(head, sizeof(head), "$EOF:%s\r\n", MARK);
    else
        snprintf(head, sizeof(head), "$%zu\r\n", s->payload_len);
    say_text(f, head);
    say(f, s->payload, s->payload_len);
    if (s->marked)
        say_text(f, MARK);
    /* The first one may come before a server has noticed that its child is done. */
    f->waits_for_acks = s->marked ? 2 : 0;
    if (!s->marked)
        say_first_stream(f);
}

static void on_psync(struct fake_source *f, const char *id, const char *offset)
{
    const struct fake_source_script *s = f->script;
    pthread_mutex_lock(&f->lock);
    snprintf(f->asked, sizeof(f->asked), "%s %s", id, offset);
    pthread_mutex_unlock(&f->lock);
    if (f->loading_left > 0) {
        f->loading_left--;
        say_text(f, "-LOADING Redis is loading the dataset in memory\r\n");
    } else if (strcmp(id, "?") == 0) {
        say_payload(f);
    } else {
        say_text(f, s->continued);
        say_stream(f, 1);
    }
}

/* The words of a request, each a bulk string without line ends. */
static size_t words_of(char *request, char *words[8])
{
    size_t n = 0;
    char *save = NULL;
    for (char *line = strtok_r(request, "\r\n", &save); line != NULL && n < 8;
         line = strtok_r(NULL, "\r\n", &save))
        if (line[0] != '*' && line[0] != '$')
            words[n++] = line;
    return n;
}

static void on_request(struct fake_source *f, char *request)
{
    char *w[8];
    size_t n = words_of(request, w);
    REQUIRE(n > 0);
    if (strcmp(w[0], "PING") == 0) {
        say_text(f, "+PONG\r\n");
    } else if (strcmp(w[0], "PSYNC") == 0 && n == 3) {
        on_psync(f, w[1], w[2]);
    } else if (strcmp(w[0], "REPLCONF") == 0 && n == 3 && strcmp(w[1], "ACK") == 0) {
        pthread_mutex_lock(&f->lock);
        f->acknowledged = strtoull(w[2], NULL, 10);
        pthread_mutex_unlock(&f->lock);
        if (f->waits_for_acks == 1)
            say_first_stream(f);
        f->waits_for_acks -= f->waits_for_acks > 0;
    } else {
        say_text(f, "+OK\r\n");
    }
}

static void take_requests(struct fake_source *f)
{
    char request[1024];
    long n;
    while (f->fd >= 0 && f->len > 0 && (n = reply_length(f->in, f->len)) > 0) {
        REQUIRE((size_t)n < sizeof(request));
        memcpy(request, f->in, (size_t)n);
        request[n] = '\0';
        f->len -= (size_t)n;
        memmove(f->in, f->in + n, f->len);
        on_request(f, request);
    }
}

static void *serve(void *arg)
{
    struct fake_source *f = arg;
    while (!atomic_load(&f->stop)) {
        struct pollfd p = { .fd = f->fd >= 0 ? f->fd : f->listener, .events = POLLIN };
        if (poll(&p, 1, POLL_MS) <= 0)
            continue;
        if (f->fd < 0) {
            f->fd = accept(f->listener, NULL, NULL);
            continue;
        }
        ssize_t n = recv(f->fd, f->in + f->len, ROOM - f->len, 0);
        if (n <= 0) {
            hang_up(f);
            continue;
        }
        f->len += (size_t)n;
        take_requests(f);
    }
    return NULL;
}

struct fake_source *fake_source_start(uint16_t port, const struct fake_source_script *script)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct fake_source *f = calloc(1, sizeof(*f));
    int on = 1;
    REQUIRE(f != NULL);
    f->script = script;
    f->fd = -1;
    f->loading_left = script->loading;
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    REQUIRE(bind(f->listener, (struct sockaddr *)&a, sizeof(a)) == 0);
    REQUIRE(listen(f->listener, 8) == 0);
    pthread_mutex_init(&f->lock, NULL);
    REQUIRE(pthread_create(&f->thread, NULL, serve, f) == 0);
    return f;
}

void fake_source_stop(struct fake_source *f)
{
    atomic_store(&f->stop, true);
    pthread_join(f->thread, NULL);
    if (f->fd >= 0)
        close(f->fd);
    close(f->listener);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

uint64_t fake_source_acknowledged(struct fake_source *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t offset = f->acknowledged;
    pthread_mutex_unlock(&f->lock);
    return offset;
}

void fake_source_asked(struct fake_source *f, char out[128])
{
    pthread_mutex_lock(&f->lock);
    memcpy(out, f->asked, sizeof(f->asked));
    pthread_mutex_unlock(&f->lock);
}
