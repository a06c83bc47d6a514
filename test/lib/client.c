#include "test/lib/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/testenv.h"

enum { WORDS_MAX = 32, DEPTH_MAX = 32 };

static bool open_with(struct client *c, uint16_t port, int receive_buffer)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;

    *c = (struct client){ .fd = -1, .timeout_ms = scaled_ms(10000) };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    if (receive_buffer != 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(c->fd);
        c->fd = -1;
        c->state = CLIENT_CLOSED;
        return false;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    return true;
}

uint16_t client_own_port(const struct client *c)
{
    struct sockaddr_in a = { 0 };
    socklen_t len = sizeof(a);

    return getsockname(c->fd, (struct sockaddr *)&a, &len) == 0 ? ntohs(a.sin_port) : 0;
}

bool client_open(struct client *c, uint16_t port)
{
    return open_with(c, port, 0);
}

bool client_open_narrow(struct client *c, uint16_t port)
{
    return open_with(c, port, 4096);
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    free(c->reply);
    *c = (struct client){ .fd = -1, .state = CLIENT_CLOSED };
}

void client_abort(struct client *c)
{
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };

    if (c->fd >= 0)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    client_close(c);
}

/* Takes in what has arrived; false at the end of the connection. */
static bool receive(struct client *c)
{
    if (c->at == c->len)
        c->at = c->len = 0;
    if (c->at > c->room / 2) {
        memmove(c->in, c->in + c->at, c->len - c->at);
        c->len -= c->at;
        c->at = 0;
    }
    if (c->room - c->len < 16384) {
        c->room = c->room == 0 ? 65536 : 2 * c->room;
        c->in = realloc(c->in, c->room);
        REQUIRE(c->in != NULL);
    }
    ssize_t n = recv(c->fd, c->in + c->len, c->room - c->len - 1, 0);
    if (n > 0) {
        c->len += (size_t)n;
        c->in[c->len] = '\0'; /* so that a number ends */
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return false;
    return true;
}

/* Waits for events until the deadline; false with the state set when the time is over. */
static bool await(struct client *c, short events, short *got, uint64_t end)
{
    struct pollfd p = { .fd = c->fd, .events = events };
    uint64_t now = now_ms();
    int n = poll(&p, 1, now < end ? (int)(end - now) : 0);

    *got = p.revents;
    if (n == 0)
        c->state = CLIENT_TIMEOUT;
    return n > 0 || (n < 0 && errno == EINTR);
}

bool client_send(struct client *c, const char *bytes, size_t len)
{
    uint64_t end = now_ms() + (uint64_t)c->timeout_ms;

    if (c->fd < 0)
        return false;
    while (len > 0) {
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
        short got;

        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
            end = now_ms() + (uint64_t)c->timeout_ms;
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            c->state = CLIENT_CLOSED;
            return false;
        }
        if (!await(c, (short)(POLLOUT | (c->deaf ? 0 : POLLIN)), &got, end))
            return false;
        if ((got & POLLIN) != 0 && !receive(c)) {
            c->state = CLIENT_CLOSED;
            return false;
        }
    }
    return true;
}

bool client_send_text(struct client *c, const char *text)
{
    return client_send(c, text, strlen(text));
}

bool client_send_argv(struct client *c, size_t argc, const char *const argv[], const size_t len[])
{
    size_t room = 32, at;

    for (size_t i = 0; i < argc; i++)
        room += 32 + (len != NULL ? len[i] : strlen(argv[i]));
    char *bytes = malloc(room);
    REQUIRE(bytes != NULL);
    at = (size_t)snprintf(bytes, room, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        size_t n = len != NULL ? len[i] : strlen(argv[i]);
        at += (size_t)snprintf(bytes + at, room - at, "$%zu\r\n", n);
        memcpy(bytes + at, argv[i], n);
        memcpy(bytes + at + n, "\r\n", 2);
        at += n + 2;
    }
    bool sent = client_send(c, bytes, at);
    free(bytes);
    return sent;
}

static bool send_words(struct client *c, const char *word, va_list more)
{
    const char *words[WORDS_MAX];
    size_t n = 0;

    for (; word != NULL; word = va_arg(more, const char *)) {
        REQUIRE(n < WORDS_MAX);
        words[n++] = word;
    }
    return client_send_argv(c, n, words, NULL);
}

bool client_send_command(struct client *c, const char *word, ...)
{
    va_list more;

    va_start(more, word);
    bool sent = send_words(c, word, more);
    va_end(more);
    return sent;
}

/* The number at the beginning of a line; what ends it is looked at elsewhere. Reads no further than
   it has to: strtol under the sanitizers looks for the NUL behind all that was received. */
static long number_at(const char *p)
{
    long n = 0;
    bool negative = *p == '-';
    for (p += negative; *p >= '0' && *p <= '9' && n < 1000000000000; p++)
        n = 10 * n + (*p - '0');
    return negative ? -n : n;
}

static long reply_length_at(const char *p, size_t n, int depth)
{
    const char *line_end = n == 0 ? NULL : memchr(p, '\n', n);

    if (line_end == NULL)
        return n > 0 && strchr("+-:$*_#,(!=%~>|", p[0]) == NULL ? -1 : 0;
    size_t line = (size_t)(line_end - p) + 1;
    if (line < 3 || p[line - 2] != '\r' || depth > DEPTH_MAX)
        return -1;
    long count = number_at(p + 1);
    switch (p[0]) {
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
    case '(':
        return (long)line;
    case '$':
    case '!':
    case '=':
        if (count < 0)
            return (long)line;
        if (n - line < (size_t)count + 2)
            return 0;
        return memcmp(p + line + count, "\r\n", 2) == 0 ? (long)line + count + 2 : -1;
    case '*':
    case '~':
    case '>':
        break;
    case '%':
        count *= 2;
        break;
    case '|':
        count = 2 * count + 1; /* attributes stand before the value they belong to */
        break;
    default:
        return -1;
    }
    for (long i = 0; i < count; i++) {
        long part = reply_length_at(p + line, n - line, depth + 1);
        if (part <= 0)
            return part;
        line += (size_t)part;
    }
    return (long)line;
}

long reply_length(const char *bytes, size_t len)
{
    return reply_length_at(bytes, len, 0);
}

const char *client_read(struct client *c, size_t *len)
{
    uint64_t end = now_ms() + (uint64_t)c->timeout_ms;

    if (c->state == CLIENT_TIMEOUT) /* that was another call's */
        c->state = CLIENT_OPEN;
    for (;;) {
        long n = c->at == c->len ? 0 : reply_length(c->in + c->at, c->len - c->at);
        short got;

        if (n < 0) {
            c->state = CLIENT_GARBAGE;
            return NULL;
        }
        if (n > 0) {
            if (c->reply_room < (size_t)n + 1) {
                c->reply_room = (size_t)n + 1;
                c->reply = realloc(c->reply, c->reply_room);
                REQUIRE(c->reply != NULL);
            }
            memcpy(c->reply, c->in + c->at, (size_t)n);
            c->reply[n] = '\0';
            c->at += (size_t)n;
            if (len != NULL)
                *len = (size_t)n;
            return c->reply;
        }
        if (c->fd < 0 || c->state != CLIENT_OPEN || !await(c, POLLIN, &got, end))
            return NULL;
        if (!receive(c)) {
            c->state = CLIENT_CLOSED;
            return NULL;
        }
    }
}

const char *client_ask(struct client *c, const char *word, ...)
{
    va_list more;

    va_start(more, word);
    bool sent = send_words(c, word, more);
    va_end(more);
    return sent ? client_read(c, NULL) : NULL;
}

bool client_sees_end(struct client *c)
{
    uint64_t end = now_ms() + (uint64_t)c->timeout_ms;
    short got;

    while (c->at == c->len && c->fd >= 0) {
        if (c->state == CLIENT_CLOSED)
            return true;
        if (!await(c, POLLIN, &got, end))
            return false;
        if (!receive(c))
            c->state = CLIENT_CLOSED;
    }
    return false;
}

bool client_hears_nothing(struct client *c, int ms)
{
    short got;

    return c->at == c->len && !await(c, POLLIN, &got, now_ms() + (uint64_t)ms);
}

const char *client_state_text(const struct client *c)
{
    static const char *const text[] = { [CLIENT_OPEN] = "open",
                                        [CLIENT_TIMEOUT] = "timed out",
                                        [CLIENT_CLOSED] = "closed by the server",
                                        [CLIENT_GARBAGE] = "garbage received" };

    return text[c->state];
}

/* Prints bytes so that a person can compare them. */
static void print_bytes(const char *what, const char *bytes, size_t len)
{
    fprintf(stderr, "%s (%zu bytes): \"", what, len);
    for (size_t i = 0; i < len && i < 400; i++) {
        unsigned char b = (unsigned char)bytes[i];
        if (b >= 32 && b < 127)
            fputc(b, stderr);
        else
            fprintf(stderr, b == '\r' ? "\\r" : b == '\n' ? "\\n" : "\\x%02x", b);
    }
    fprintf(stderr, "\"%s\n", len > 400 ? "..." : "");
}

static const char *read_or_fail(struct client *c, const char *wanted, size_t wanted_len,
                                size_t *len, const char *file, int line)
{
    const char *reply = client_read(c, len);

    if (reply == NULL) {
        print_bytes("wanted", wanted, wanted_len);
        print_bytes("so far", c->in + c->at, c->len - c->at);
        fprintf(stderr, "%s:%d: no reply: %s\n", file, line, client_state_text(c));
        _fail(file, line);
    }
    return reply;
}

void client_expect_at(struct client *c, const char *raw, size_t len, const char *file, int line)
{
    size_t got;
    const char *reply = read_or_fail(c, raw, len, &got, file, line);

    if (got != len || memcmp(reply, raw, len) != 0) {
        print_bytes("wanted", raw, len);
        print_bytes("got", reply, got);
        _fail(file, line);
    }
}

const char *client_expect_start_at(struct client *c, const char *start, const char *file, int line)
{
    size_t got, len = strlen(start);
    const char *reply = read_or_fail(c, start, len, &got, file, line);

    if (strncmp(reply, start, len) != 0) {
        print_bytes("wanted at the start", start, len);
        print_bytes("got", reply, got);
        _fail(file, line);
    }
    return reply;
}

void client_ask_expect_at(struct client *c, const char *raw, const char *file, int line,
                          const char *word, ...)
{
    va_list more;

    va_start(more, word);
    bool sent = send_words(c, word, more);
    va_end(more);
    if (!sent) {
        fprintf(stderr, "%s:%d: cannot send %s: %s\n", file, line, word, client_state_text(c));
        _fail(file, line);
    }
    client_expect_at(c, raw, strlen(raw), file, line);
}
