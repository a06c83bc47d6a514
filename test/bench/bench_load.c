/*
 * The load generator of the benchmark: N connections in a closed loop on one thread.
 *
 * Each connection writes a batch of D requests at once, waits for its D replies and starts again.
 * All requests and all expected replies are made before the clock starts, so that the loop only
 * copies, writes, reads and compares. Every value follows from its key, so a reply that is wrong,
 * cut or out of order differs from what is expected; the first such byte ends the run.
 *
 * With --gate the program warms up (one batch per connection), prints READY, waits for a line on
 * stdin, runs, prints its JSON line and keeps the connections until stdin ends. That lets the
 * caller read the proxy's CPU time without the connects and the closes in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_SIZE = 256 * 1024,
    STALL_MS = 10000,
    EVENTS = 256,
    /* Sixteen buckets per power of two keep a percentile within about 6 per cent. */
    SUB_BITS = 4,
    BUCKETS = 64 << SUB_BITS,
};

enum op { OP_GET, OP_SET, OP_MIXED, OP_MGET, OP_FILL };

static const char *const op_names[] = {
    [OP_GET] = "get",   [OP_SET] = "set",   [OP_MIXED] = "mixed",
    [OP_MGET] = "mget", [OP_FILL] = "fill",
};

struct options {
    size_t port;
    enum op op;
    size_t conns;
    size_t depth;
    size_t requests;
    size_t keys;
    size_t size;
    size_t keys_per_call;
    bool gate;
};

struct text {
    char *bytes;
    size_t length;
};

/* What can be sent and what must come back, one entry per key. */
struct corpus {
    struct text *get;
    struct text *set;
    struct text *key;   /* one word of a request: "$16 key:..." */
    struct text *value; /* the reply to GET, and one element of the reply to MGET */
    struct text ok;
    struct text mget_head;
    struct text mget_reply_head;
};

struct conn {
    int fd;
    char *out;
    size_t out_length;
    size_t out_sent;
    const struct text **expect; /* the pieces of the replies that are due, in order */
    size_t pieces;
    size_t piece;
    size_t offset; /* how much of the current piece has arrived */
    uint64_t sent_at;
    bool wants_write;
};

struct load {
    struct options opt;
    struct corpus corpus;
    struct conn *conns;
    int epoll;
    size_t limit;
    size_t issued;
    size_t done;
    size_t next_fill;
    uint64_t random;
    uint64_t latency[BUCKETS];
    char *in;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void *must_calloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL)
        die("memory");
    return p;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- What is sent and what is expected ---- */

__attribute__((format(printf, 1, 2))) static struct text text_format(const char *format, ...)
{
    struct text t;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&t.bytes, format, arguments);
    va_end(arguments);
    if (length < 0)
        die("memory");
    t.length = (size_t)length;
    return t;
}

/* The value repeats its key's number and size, so no two keys share a value. */
static void corpus_add(struct corpus *c, size_t index, size_t size)
{
    char unit[64];
    size_t length = (size_t)snprintf(unit, sizeof(unit), "%06zu/%zu.", index, size);
    char *value = must_calloc(1, size + 1);
    for (size_t i = 0; i < size; i++)
        value[i] = unit[i % length];
    length = (size_t)snprintf(unit, sizeof(unit), "key:%05zu:%06zu", size, index);
    c->key[index] = text_format("$%zu\r\n%s\r\n", length, unit);
    c->value[index] = text_format("$%zu\r\n%s\r\n", size, value);
    free(value);
    c->get[index] = text_format("*2\r\n$3\r\nGET\r\n%s", c->key[index].bytes);
    c->set[index] =
        text_format("*3\r\n$3\r\nSET\r\n%s%s", c->key[index].bytes, c->value[index].bytes);
}

static void corpus_build(struct corpus *c, const struct options *o)
{
    c->get = must_calloc(o->keys, sizeof(*c->get));
    c->set = must_calloc(o->keys, sizeof(*c->set));
    c->key = must_calloc(o->keys, sizeof(*c->key));
    c->value = must_calloc(o->keys, sizeof(*c->value));
    for (size_t i = 0; i < o->keys; i++)
        corpus_add(c, i, o->size);
    c->ok = text_format("+OK\r\n");
    c->mget_head = text_format("*%zu\r\n$4\r\nMGET\r\n", o->keys_per_call + 1);
    c->mget_reply_head = text_format("*%zu\r\n", o->keys_per_call);
}

static size_t largest_request(const struct corpus *c, const struct options *o)
{
    size_t mget = c->mget_head.length + o->keys_per_call * c->key[0].length;
    return c->set[0].length > mget ? c->set[0].length : mget;
}

/* ---- Results ---- */

static size_t bucket_of(uint64_t ns)
{
    unsigned top = 63u - (unsigned)__builtin_clzll(ns | (1u << SUB_BITS));
    return ((size_t)(top - SUB_BITS) << SUB_BITS) + (size_t)(ns >> (top - SUB_BITS));
}

static double bucket_middle_us(size_t bucket)
{
    size_t shift = bucket < (2u << SUB_BITS) ? 0 : (bucket >> SUB_BITS) - 1;
    double base = (double)(bucket - (shift << SUB_BITS));
    return (base + 0.5) * (double)(UINT64_C(1) << shift) / 1000;
}

static double percentile_us(const struct load *l, double share)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        total += l->latency[i];
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += l->latency[i];
        if (seen > 0 && (double)seen >= share * (double)total)
            return bucket_middle_us(i);
    }
    return 0;
}

static void print_result(const struct load *l, double seconds)
{
    printf("{\"requests\": %zu, \"seconds\": %.6f, \"errors\": 0, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f}\n",
           l->done, seconds, percentile_us(l, 0.50), percentile_us(l, 0.99));
    fflush(stdout);
}

/* After a wrong byte the stream cannot be trusted any more: say what came and end. */
static _Noreturn void fail(const struct load *l, const char *what, const char *bytes, size_t length)
{
    printf("{\"requests\": %zu, \"errors\": 1, \"message\": \"%s: ", l->done, what);
    for (size_t i = 0; i < length && i < 80; i++) {
        unsigned char b = (unsigned char)bytes[i];
        if (b < 0x20 || b > 0x7e || b == '"' || b == '\\')
            printf("\\u%04x", b);
        else
            putchar(b);
    }
    printf("\"}\n");
    fflush(stdout);
    exit(1);
}

/* ---- Connections ---- */

static int dial(const struct options *o)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o->port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        die("O_NONBLOCK");
    return fd;
}

static void watch(struct load *l, struct conn *c, int how, bool for_write)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    if (for_write)
        e.events |= EPOLLOUT;
    if (epoll_ctl(l->epoll, how, c->fd, &e) != 0)
        die("epoll_ctl");
    c->wants_write = for_write;
}

static void conns_open(struct load *l)
{
    const struct options *o = &l->opt;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        die("epoll_create1");
    l->in = must_calloc(1, READ_SIZE);
    l->conns = must_calloc(o->conns, sizeof(*l->conns));
    for (size_t i = 0; i < o->conns; i++) {
        struct conn *c = &l->conns[i];
        c->fd = dial(o);
        c->out = must_calloc(o->depth, largest_request(&l->corpus, o));
        c->expect = must_calloc(o->depth * (o->keys_per_call + 1), sizeof(*c->expect));
        watch(l, c, EPOLL_CTL_ADD, false);
    }
}

/* ---- The closed loop ---- */

static size_t pick_key(struct load *l)
{
    if (l->opt.op == OP_FILL)
        return l->next_fill++ % l->opt.keys;
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (size_t)(l->random >> 16) % l->opt.keys;
}

static void put(struct conn *c, const struct text *request)
{
    memcpy(c->out + c->out_length, request->bytes, request->length);
    c->out_length += request->length;
}

static void put_mget(struct load *l, struct conn *c)
{
    put(c, &l->corpus.mget_head);
    c->expect[c->pieces++] = &l->corpus.mget_reply_head;
    for (size_t i = 0; i < l->opt.keys_per_call; i++) {
        size_t key = pick_key(l);
        put(c, &l->corpus.key[key]);
        c->expect[c->pieces++] = &l->corpus.value[key];
    }
}

static void put_request(struct load *l, struct conn *c)
{
    if (l->opt.op == OP_MGET) {
        put_mget(l, c);
        return;
    }
    size_t key = pick_key(l);
    bool read_only = l->opt.op == OP_GET || (l->opt.op == OP_MIXED && (l->random & 32) != 0);
    put(c, read_only ? &l->corpus.get[key] : &l->corpus.set[key]);
    c->expect[c->pieces++] = read_only ? &l->corpus.value[key] : &l->corpus.ok;
}

static void push_output(struct load *l, struct conn *c)
{
    ssize_t n = write(c->fd, c->out + c->out_sent, c->out_length - c->out_sent);
    if (n < 0 && errno != EAGAIN)
        fail(l, "write", strerror(errno), strlen(strerror(errno)));
    if (n > 0)
        c->out_sent += (size_t)n;
    bool rest = c->out_sent < c->out_length;
    if (rest != c->wants_write)
        watch(l, c, EPOLL_CTL_MOD, rest);
}

static void start_batch(struct load *l, struct conn *c)
{
    size_t count = l->limit - l->issued;
    if (count == 0)
        return;
    if (count > l->opt.depth)
        count = l->opt.depth;
    c->out_length = c->out_sent = 0;
    c->pieces = c->piece = c->offset = 0;
    for (size_t i = 0; i < count; i++)
        put_request(l, c);
    l->issued += count;
    c->sent_at = now_ns();
    push_output(l, c);
}

/* Compares what came with what is due; returns the number of replies it completed. */
static size_t check_replies(struct load *l, struct conn *c, const char *bytes, size_t length)
{
    size_t per_reply = l->opt.op == OP_MGET ? l->opt.keys_per_call + 1 : 1;
    size_t replies = 0;
    while (length > 0) {
        if (c->piece == c->pieces)
            fail(l, "a reply nobody asked for", bytes, length);
        const struct text *due = c->expect[c->piece];
        size_t n = due->length - c->offset;
        if (n > length)
            n = length;
        if (memcmp(due->bytes + c->offset, bytes, n) != 0)
            fail(l, "wrong reply", bytes, length);
        bytes += n;
        length -= n;
        c->offset += n;
        if (c->offset == due->length) {
            c->offset = 0;
            c->piece++;
            replies += c->piece % per_reply == 0;
        }
    }
    return replies;
}

static void take_input(struct load *l, struct conn *c)
{
    ssize_t n = read(c->fd, l->in, READ_SIZE);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        const char *why = n == 0 ? "end of stream" : strerror(errno);
        fail(l, "connection lost", why, strlen(why));
    }
    size_t replies = check_replies(l, c, l->in, (size_t)n);
    l->done += replies;
    l->latency[bucket_of(now_ns() - c->sent_at)] += replies;
    if (c->piece == c->pieces)
        start_batch(l, c);
}

static void run(struct load *l, size_t requests)
{
    struct epoll_event events[EVENTS];
    l->limit = requests;
    l->issued = l->done = 0;
    memset(l->latency, 0, sizeof(l->latency));
    for (size_t i = 0; i < l->opt.conns; i++)
        start_batch(l, &l->conns[i]);
    while (l->done < l->limit) {
        int n = epoll_wait(l->epoll, events, EVENTS, STALL_MS);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        if (n == 0)
            fail(l, "stalled", "no reply for 10 s", 17);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) != 0)
                push_output(l, c);
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
                take_input(l, c);
        }
    }
}

/* ---- The command line ---- */

static _Noreturn void usage(void)
{
    fputs("usage: bench_load --port P [--op get|set|mixed|mget|fill] [--conns N]\n"
          "                  [--depth D] [--requests N] [--keys N] [--size BYTES]\n"
          "                  [--keys-per-call N] [--gate]\n",
          stderr);
    exit(2);
}

static void parse_op(struct options *o, const char *name)
{
    for (size_t i = 0; i < sizeof(op_names) / sizeof(op_names[0]); i++) {
        if (strcmp(op_names[i], name) == 0) {
            o->op = (enum op)i;
            return;
        }
    }
    usage();
}

static void parse_number(struct options *o, const char *name, const char *text)
{
    const struct {
        const char *name;
        size_t *value;
        size_t most;
    } rows[] = {
        { "--port", &o->port, UINT16_MAX },
        { "--conns", &o->conns, 20000 },
        { "--depth", &o->depth, 100000 },
        { "--requests", &o->requests, SIZE_MAX / 2 },
        { "--keys", &o->keys, 1000000 },
        { "--size", &o->size, 1u << 30 },
        { "--keys-per-call", &o->keys_per_call, 100000 },
    };
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        if (*end != '\0' || n == 0 || n > rows[i].most)
            usage();
        *rows[i].value = (size_t)n;
        return;
    }
    usage();
}

static struct options parse(int argc, char **argv)
{
    struct options o = { .conns = 50, .depth = 1, .requests = 100000, .keys = 10000 };
    o.size = 64;
    o.keys_per_call = 10;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--gate") == 0) {
            o.gate = true;
            continue;
        }
        if (i + 1 == argc)
            usage();
        const char *name = argv[i++];
        if (strcmp(name, "--op") == 0)
            parse_op(&o, argv[i]);
        else
            parse_number(&o, name, argv[i]);
    }
    if (o.port == 0)
        usage();
    return o;
}

static void wait_for_go(struct load *l)
{
    char line[16];
    run(l, l->opt.conns * l->opt.depth);
    puts("READY");
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL)
        exit(0);
}

int main(int argc, char **argv)
{
    static struct load l;
    l.opt = parse(argc, argv);
    l.random = UINT64_C(0x9e3779b97f4a7c15);
    corpus_build(&l.corpus, &l.opt);
    conns_open(&l);
    if (l.opt.gate)
        wait_for_go(&l);
    uint64_t start = now_ns();
    run(&l, l.opt.requests);
    print_result(&l, (double)(now_ns() - start) / 1e9);
    while (l.opt.gate && getchar() != EOF)
        continue;
    return 0;
}
