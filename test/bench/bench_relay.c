/*
 * The floor of the benchmark: a libuv relay in front of three servers that parses nothing.
 *
 *     bench_relay PORT REQUEST_BYTES REPLY_BYTES SERVER_PORT SERVER_PORT SERVER_PORT
 *
 * It is told how long each request and each reply is, so it only counts bytes: a client's bytes go
 * to the server that the client was dealt, and the replies go to the clients in the order of their
 * requests. Like slotgate it reads once per readable socket into one shared buffer and writes once
 * per socket at the end of a turn. What slotgate costs more than this is what parsing, routing and
 * a cluster cost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { SERVERS = 3, ROOM = 1024 * 1024, QUEUE = 1 << 16 };

struct peer {
    uv_tcp_t tcp;
    struct server *server; /* of a client: its server; of a server: itself */
    char *out;
    size_t out_len;
    size_t half; /* bytes of an incomplete request or reply */
    struct peer *next_dirty;
    int dirty;
};

struct server {
    struct peer peer;
    struct peer *waiting[QUEUE]; /* whose reply is the next one */
    unsigned head, tail;
};

static struct server servers[SERVERS];
static struct peer *dirty_peers;
static size_t request_bytes, reply_bytes;
static unsigned dealt;
static char shared[64 * 1024];

static void die(const char *what)
{
    fprintf(stderr, "bench_relay: %s\n", what);
    exit(1);
}

static void queue(struct peer *p, const char *bytes, size_t len)
{
    if (p->out_len + len > ROOM)
        die("output full");
    memcpy(p->out + p->out_len, bytes, len);
    p->out_len += len;
    if (p->dirty)
        return;
    p->dirty = 1;
    p->next_dirty = dirty_peers;
    dirty_peers = p;
}

static void on_turn_end(uv_prepare_t *handle)
{
    (void)handle;
    while (dirty_peers != NULL) {
        struct peer *p = dirty_peers;
        dirty_peers = p->next_dirty;
        p->dirty = 0;
        uv_buf_t buf = uv_buf_init(p->out, (unsigned)p->out_len);
        int wrote = uv_try_write((uv_stream_t *)&p->tcp, &buf, 1);
        if (wrote != (int)p->out_len)
            die("short write");
        p->out_len = 0;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(shared, sizeof(shared));
}

static void on_request(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = stream->data;
    if (n <= 0) {
        if (n < 0)
            uv_close((uv_handle_t *)stream, NULL);
        return;
    }
    struct server *s = p->server;
    p->half += (size_t)n;
    for (; p->half >= request_bytes; p->half -= request_bytes)
        s->waiting[s->tail++ % QUEUE] = p;
    queue(&s->peer, buf->base, (size_t)n);
}

static void on_replies(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = stream->data;
    struct server *s = p->server;
    const char *at = buf->base;
    if (n < 0)
        exit(0);
    while (n > 0) {
        size_t take = reply_bytes - p->half;
        take = take < (size_t)n ? take : (size_t)n;
        queue(s->waiting[s->head % QUEUE], at, take);
        at += take;
        n -= (ssize_t)take;
        p->half += take;
        if (p->half < reply_bytes)
            return;
        p->half = 0;
        s->head++;
    }
}

/* It knows no half write: the kernel has to take whatever a turn brings. */
static void prepare_socket(uv_tcp_t *tcp)
{
    int room = ROOM;
    uv_tcp_nodelay(tcp, 1);
    uv_send_buffer_size((uv_handle_t *)tcp, &room);
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status != 0)
        return;
    struct peer *p = calloc(1, sizeof(*p));
    if (p == NULL || (p->out = malloc(ROOM)) == NULL)
        die("no memory");
    p->server = &servers[dealt++ % SERVERS];
    uv_tcp_init(listener->loop, &p->tcp);
    p->tcp.data = p;
    if (uv_accept(listener, (uv_stream_t *)&p->tcp) != 0)
        die("accept");
    prepare_socket(&p->tcp);
    uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_request);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct peer *p = req->handle->data;
    if (status != 0)
        die("cannot connect to a server");
    prepare_socket(&p->tcp);
    uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_replies);
}

static struct sockaddr_in address(const char *port)
{
    struct sockaddr_in a;
    uv_ip4_addr("127.0.0.1", atoi(port), &a);
    return a;
}

int main(int argc, char **argv)
{
    static uv_connect_t connects[SERVERS];
    static uv_tcp_t listener;
    static uv_prepare_t prepare;
    uv_loop_t *loop = uv_default_loop();
    if (argc != 4 + SERVERS)
        die("usage: bench_relay PORT REQUEST_BYTES REPLY_BYTES SERVER_PORT x 3");
    request_bytes = strtoul(argv[2], NULL, 10);
    reply_bytes = strtoul(argv[3], NULL, 10);
    for (int i = 0; i < SERVERS; i++) {
        struct peer *p = &servers[i].peer;
        struct sockaddr_in to = address(argv[4 + i]);
        p->server = &servers[i];
        p->out = malloc(ROOM);
        uv_tcp_init(loop, &p->tcp);
        p->tcp.data = p;
        uv_tcp_connect(&connects[i], &p->tcp, (const struct sockaddr *)&to, on_connected);
    }
    struct sockaddr_in here = address(argv[1]);
    uv_tcp_init(loop, &listener);
    uv_tcp_bind(&listener, (const struct sockaddr *)&here, 0);
    if (uv_listen((uv_stream_t *)&listener, 511, on_connection) != 0)
        die("cannot listen");
    uv_prepare_init(loop, &prepare);
    uv_prepare_start(&prepare, on_turn_end);
    return uv_run(loop, UV_RUN_DEFAULT);
}
