/*
 * loop_node.h: a node for tests with a loop: a plain listening socket whose connections the test
 * reads and answers by hand, byte for byte, in the same thread.
 */
#ifndef TEST_LOOP_NODE_H
#define TEST_LOOP_NODE_H

#include "resp/writer.h"
#include "test/unit/loop.h"

enum { NODE_CONNECTIONS = 64 };

struct test_node {
    int server;
    uint16_t port;
    unsigned accepted;
    int fds[NODE_CONNECTIONS];
    struct writer in[NODE_CONNECTIONS]; /* read and not yet expected */
    bool gone[NODE_CONNECTIONS];        /* the other end has closed */
};

static inline void node_open(struct test_node *n)
{
    memset(n, 0, sizeof(*n));
    n->server = loop_listen(50, &n->port);
}

/* Accepts and reads what there is. Gives the number of connections accepted so far. */
static inline unsigned node_pump(struct test_node *n)
{
    char buf[65536];
    int fd;
    while (n->server >= 0 && (fd = accept(n->server, NULL, NULL)) >= 0) {
        assert_true(n->accepted < NODE_CONNECTIONS);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        writer_init(&n->in[n->accepted], 2);
        n->fds[n->accepted++] = fd;
    }
    for (unsigned i = 0; i < n->accepted; i++) {
        ssize_t got = 0;
        while (n->fds[i] >= 0 && (got = read(n->fds[i], buf, sizeof(buf))) > 0)
            write_raw(&n->in[i], (struct span){ buf, (size_t)got });
        n->gone[i] = n->gone[i] || (n->fds[i] >= 0 && got == 0);
    }
    return n->accepted;
}

static inline size_t node_received(struct test_node *n, unsigned connection)
{
    return node_pump(n) > connection ? n->in[connection].len : 0;
}

/* Waits for the bytes on that connection, and takes them. */
static inline void node_expect_raw(struct loop *l, struct test_node *n, unsigned connection,
                                   struct span bytes)
{
    LOOP_UNTIL(l, node_received(n, connection) >= bytes.len);
    struct writer *in = &n->in[connection];
    assert_memory_equal(in->at, bytes.at, bytes.len);
    in->len -= bytes.len;
    memmove(in->at, in->at + bytes.len, in->len);
}

/* "SET k v" as the array that it is on the wire. */
static inline void write_words(struct writer *w, const char *words)
{
    const char *args[16];
    char copy[512];
    size_t count = 0;
    assert_true(strlen(words) < sizeof(copy));
    strcpy(copy, words);
    for (char *save, *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save))
        args[count++] = word;
    write_request(w, args, count);
}

static inline void node_expect(struct loop *l, struct test_node *n, unsigned connection,
                               const char *words)
{
    struct writer w;
    writer_init(&w, 2);
    write_words(&w, words);
    node_expect_raw(l, n, connection, writer_span(&w));
    writer_close(&w);
}

static inline void node_say(struct test_node *n, unsigned connection, const char *text)
{
    assert_true(node_pump(n) > connection);
    assert_int_equal(write(n->fds[connection], text, strlen(text)), strlen(text));
}

static inline void node_hang_up(struct test_node *n, unsigned connection)
{
    assert_true(node_pump(n) > connection);
    close(n->fds[connection]);
    n->fds[connection] = -1;
}

static inline void node_stop_listening(struct test_node *n)
{
    if (n->server >= 0)
        close(n->server);
    n->server = -1;
}

static inline void node_end(struct test_node *n)
{
    node_stop_listening(n);
    for (unsigned i = 0; i < n->accepted; i++) {
        if (n->fds[i] >= 0)
            close(n->fds[i]);
        writer_close(&n->in[i]);
    }
}

#endif
