#include "test/lib/careful.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "test/lib/client.h"
#include "test/lib/testenv.h"

struct worker_thread {
    pthread_t thread;
    struct client client;
    struct careful *all;
    int number;
    atomic_int replies;
    atomic_bool ended;
    bool lost;
};

struct careful {
    int count;
    atomic_bool over;
    struct worker_thread threads[];
};

static bool has_ended(const struct client *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    char byte;
    return poll(&p, 1, 0) == 1 && recv(c->fd, &byte, 1, MSG_PEEK) <= 0;
}

static void *work(void *arg)
{
    struct worker_thread *t = arg;
    char key[32];
    snprintf(key, sizeof(key), "careful:%d", t->number);
    while (!atomic_load(&t->all->over) && !has_ended(&t->client)) {
        if (client_ask(&t->client, "GET", key, NULL) == NULL) {
            t->lost = true;
            break;
        }
        atomic_fetch_add(&t->replies, 1);
    }
    atomic_store(&t->ended, true);
    return NULL;
}

struct careful *careful_start(uint16_t port, int clients)
{
    struct careful *c = calloc(1, sizeof(*c) + (size_t)clients * sizeof(c->threads[0]));
    REQUIRE(c != NULL);
    c->count = clients;
    for (int i = 0; i < clients; i++) {
        struct worker_thread *t = &c->threads[i];
        t->all = c;
        t->number = i;
        REQUIRE(client_open(&t->client, port));
        REQUIRE(pthread_create(&t->thread, NULL, work, t) == 0);
    }
    return c;
}

bool careful_work(void *careful)
{
    struct careful *c = careful;
    for (int i = 0; i < c->count; i++)
        if (atomic_load(&c->threads[i].replies) < 20)
            return false;
    return true;
}

static bool all_ended(void *arg)
{
    struct careful *c = arg;
    for (int i = 0; i < c->count; i++)
        if (!atomic_load(&c->threads[i].ended))
            return false;
    return true;
}

int careful_end(struct careful *c, int timeout_ms)
{
    bool ended = wait_until(all_ended, c, timeout_ms);
    int lost = 0;
    atomic_store(&c->over, true);
    for (int i = 0; i < c->count; i++) {
        pthread_join(c->threads[i].thread, NULL);
        client_close(&c->threads[i].client);
        lost += c->threads[i].lost;
    }
    free(c);
    return ended ? lost : -1;
}
