#include "test/lib/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/check.h"
#include "test/lib/testenv.h"

/* The first number is that of the key, the second one the round. */
static const char *const commands[] = {
    "INCRBY ledger:counter:%u %u",
    "RPUSH ledger:list:%u %u",
    "APPEND ledger:text:%u %u,",
    "ZINCRBY ledger:scores:%u 1 m%u",
    "ZADD ledger:scores:%u INCR 1 all",
    "HINCRBY ledger:hash:%u f %u",
    "SADD ledger:set:%u %u",
    "SPOP ledger:set:%u",
    "LPOP ledger:list:%u",
    "SETEX ledger:expiring:%u 100000 %u",
    "XADD ledger:stream:%u * f %u",
    /* Absolute ones and others in turn on one key. */
    "SET ledger:mixed:%u %u",
    "INCR ledger:mixed:%u",
    "APPEND ledger:mixed:%u 1",
    /* One that reads what absolute ones before and after it write. */
    "ZADD ledger:board:%u %u a",
    "ZADD ledger:board:%u 5 b",
    "ZPOPMIN ledger:board:%u",
    "ZADD ledger:board:%u 1 c",
    "PEXPIRE ledger:expiring:%u 100000000",
    "MULTI",
    "INCR ledger:{multi:%u}:a",
    "RPUSH ledger:{multi:%u}:b %u",
    "EXEC",
    "RENAME ledger:{multi:%u}:b ledger:{multi:%u}:c",
    "DEL ledger:{multi:%u}:c",
};

static bool take_replies(struct ledger *l, redisContext *r)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        redisReply *reply = NULL;
        if (redisGetReply(r, (void **)&reply) != REDIS_OK) {
            if (!l->mortal)
                testenv_problem("ledger: the source at %u is gone", l->port);
            return false;
        }
        bool error = reply->type == REDIS_REPLY_ERROR;
        if (error && !l->mortal)
            testenv_problem("ledger: %s: %s", commands[i], reply->str);
        freeReplyObject(reply);
        if (error && l->mortal)
            return false;
    }
    return true;
}

static void *write_on(void *arg)
{
    struct ledger *l = arg;
    redisContext *r = redisConnect("127.0.0.1", l->port);
    bool good = r != NULL && r->err == 0;
    while (good && !atomic_load(&l->stop)) {
        unsigned round = atomic_fetch_add(&l->rounds, 1), key = round % LEDGER_KEYS;
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
            bool rename = strncmp(commands[i], "RENAME", 6) == 0;
            redisAppendCommand(r, commands[i], key, rename ? key : round);
        }
        good = take_replies(l, r);
        if (l->rest_us > 0)
            rest_us(l->rest_us);
    }
    if (r != NULL)
        redisFree(r);
    return NULL;
}

void ledger_begin(struct ledger *l, uint16_t port)
{
    l->port = port;
    atomic_init(&l->stop, false);
    atomic_init(&l->rounds, 0);
    if (pthread_create(&l->thread, NULL, write_on, l) != 0)
        testenv_problem("ledger: no thread");
}

struct goal {
    struct ledger *ledger;
    unsigned from, rounds;
};

static bool has_written(void *arg)
{
    struct goal *g = arg;
    return atomic_load(&g->ledger->rounds) - g->from >= g->rounds;
}

void ledger_await(struct ledger *l, unsigned rounds)
{
    struct goal g = { l, atomic_load(&l->rounds), rounds };
    assert_true(wait_until(has_written, &g, scaled_ms(20000)));
}

void ledger_end(struct ledger *l)
{
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
}
