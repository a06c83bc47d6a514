#include "test/lib/oracle.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/server.h"
#include "test/lib/testenv.h"

static bool answers(void *arg)
{
    struct oracle *o = arg;
    struct client c;
    const char *reply = client_open(&c, o->port) ? client_ask(&c, "PING", NULL) : NULL;
    bool pong = reply != NULL && strcmp(reply, "+PONG\r\n") == 0;

    client_close(&c);
    return pong;
}

void oracle_start_with(struct oracle *o, const char *const *extra)
{
    char port[8], file[32];

    signal(SIGPIPE, SIG_IGN);
    *o = (struct oracle){ .port = port_take() };
    snprintf(port, sizeof(port), "%d", o->port);
    snprintf(file, sizeof(file), "oracle-%d.rdb", o->port);
    const char *argv[48] = { server_program(),
                             "--port",
                             port,
                             "--bind",
                             "127.0.0.1",
                             "--dir",
                             testenv_dir(),
                             "--save",
                             "",
                             "--appendonly",
                             "no",
                             "--dbfilename",
                             file };
    size_t n = 13;
    if (!server_is_redis_6()) {
        argv[n++] = "--enable-debug-command";
        argv[n++] = "yes";
    }
    for (; extra != NULL && *extra != NULL; extra++) {
        REQUIRE(n + 2 < ARRAY_LEN(argv));
        argv[n++] = *extra;
    }
    assert_true(process_start(&o->process, "oracle", argv, NULL));
    assert_true(wait_until(answers, o, 10000));
}

void oracle_start(struct oracle *o)
{
    oracle_start_with(o, NULL);
}

void oracle_stop(struct oracle *o)
{
    if (o->port == 0)
        return;
    process_kill(&o->process);
    port_give_back(o->port);
    o->port = 0;
}

void oracle_compare(struct client *proxy, struct client *oracle, const char *bytes, size_t len)
{
    size_t wanted_len;

    assert_true(client_send(oracle, bytes, len));
    const char *wanted = client_read(oracle, &wanted_len);
    if (wanted == NULL)
        fail_msg("Redis itself gives no reply to %.60s", bytes);
    if (!client_send(proxy, bytes, len))
        fail_msg("the proxy does not take %.60s", bytes);
    client_expect_bytes(proxy, wanted, wanted_len);
}

char *request_of_words(const char *words, size_t *len)
{
    size_t count = 1, at, room = 64 + 16 * strlen(words);
    char *out = malloc(room);

    REQUIRE(out != NULL);
    for (const char *p = words; *p != '\0'; p++)
        count += *p == ' ';
    at = (size_t)snprintf(out, room, "*%zu\r\n", count);
    for (const char *p = words;; p++) {
        size_t n = strcspn(p, " ");
        at += (size_t)snprintf(out + at, room - at, "$%zu\r\n%.*s\r\n", n, (int)n, p);
        p += n;
        if (*p == '\0')
            break;
    }
    *len = at;
    return out;
}

void oracle_compare_words(struct client *proxy, struct client *oracle, const char *words)
{
    size_t len;
    char *request = request_of_words(words, &len);

    oracle_compare(proxy, oracle, request, len);
    free(request);
}
