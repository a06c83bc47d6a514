#include "test/lib/gather_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/testenv.h"

void gather_compare(uint16_t proxy_port, uint16_t oracle_port, const char *const *words,
                    size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c, o;
        char hello[16];

        assert_true(client_open(&c, proxy_port));
        assert_true(client_open(&o, oracle_port));
        snprintf(hello, sizeof(hello), "%d", protocol);
        assert_non_null(client_ask(&c, "HELLO", hello, NULL));
        assert_non_null(client_ask(&o, "HELLO", hello, NULL));
        oracle_compare_words(&c, &o, "FLUSHALL");
        for (size_t i = 0; i < count; i++) {
            print_message("  %s\n", words[i]);
            oracle_compare_words(&c, &o, words[i]);
        }
        client_close(&c);
        client_close(&o);
    }
}

static bool nothing_left(void *arg)
{
    struct redis_cluster *c = arg;
    size_t found = 0;

    for (int i = 0; i < c->count; i++) {
        redisReply *reply = cluster_ask(c, i, "KEYS *slotgate:tmp*");
        if (reply != NULL)
            found += reply->elements;
        freeReplyObject(reply);
    }
    return found == 0;
}

void gather_nothing_left(struct redis_cluster *c)
{
    assert_true(wait_until(nothing_left, c, scaled_ms(10000)));
}

int gather_begin(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .partial = true },
                 (const char *const[]){ "--request-timeout", "1s", NULL });
    return 0;
}

void gather_compare_all(const char *const *words, size_t count)
{
    gather_compare(proxy.port, oracle.port, words, count);
    gather_nothing_left(&cluster);
}

long long gather_number(struct client *c, const char *words)
{
    size_t len;
    char *request = request_of_words(words, &len);
    bool sent = client_send(c, request, len);

    free(request);
    const char *reply = sent ? client_read(c, &len) : NULL;
    return reply != NULL && reply[0] == ':' ? strtoll(reply + 1, NULL, 10) : -1;
}
