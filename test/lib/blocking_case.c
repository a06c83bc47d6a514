#include "test/lib/blocking_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/testenv.h"

enum { WAITERS = 4, LINE_MAX_BYTES = 512 };

/* Both sides, each with its clients; 0 is the one that does not wait. */
struct stage {
    uint16_t port[2];
    struct client client[2][WAITERS + 1];
    char id[2][WAITERS + 1][24];
};

long blocking_info(uint16_t port, const char *name)
{
    struct client c;
    char line[80];
    const char *info = client_open(&c, port) ? client_ask(&c, "INFO", NULL) : NULL;
    long value = -1;

    snprintf(line, sizeof(line), "\n%s:", name);
    const char *at = info != NULL ? strstr(info, line) : NULL;
    if (at != NULL)
        value = strtol(at + strlen(line), NULL, 10);
    client_close(&c);
    return value;
}

struct awaited {
    uint16_t port;
    long count;
};

static bool so_many_are_blocked(void *arg)
{
    struct awaited *a = arg;
    return blocking_info(a->port, "blocked_clients") == a->count;
}

void blocking_await(uint16_t port, long count)
{
    struct awaited a = { port, count };

    if (!wait_until(so_many_are_blocked, &a, 20000))
        fail_msg("%ld clients are blocked, not %ld", blocking_info(port, "blocked_clients"), count);
}

static void open_stage(struct stage *s, int protocol)
{
    char hello[4];

    snprintf(hello, sizeof(hello), "%d", protocol);
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i <= WAITERS; i++) {
            struct client *c = &s->client[side][i];
            assert_true(client_open(c, s->port[side]));
            assert_non_null(client_ask(c, "HELLO", hello, NULL));
            snprintf(s->id[side][i], sizeof(s->id[side][i]), "%s",
                     client_ask(c, "CLIENT", "ID", NULL) + 1);
            s->id[side][i][strcspn(s->id[side][i], "\r")] = '\0';
        }
    }
}

static void close_stage(struct stage *s)
{
    for (int side = 0; side < 2; side++)
        for (int i = 0; i <= WAITERS; i++)
            client_close(&s->client[side][i]);
}

static void send_both(struct stage *s, int who, const char *words)
{
    const char *id = strchr(words, '%');

    for (int side = 0; side < 2; side++) {
        char line[LINE_MAX_BYTES];
        size_t len;
        if (id == NULL)
            snprintf(line, sizeof(line), "%s", words);
        else
            snprintf(line, sizeof(line), "%.*s%s%s", (int)(id - words), words,
                     s->id[side][id[1] - '0'], id + 2);
        char *request = request_of_words(line, &len);
        assert_true(client_send(&s->client[side][who], request, len));
        free(request);
    }
}

static void read_both(struct stage *s, int who)
{
    size_t len;
    const char *wanted = client_read(&s->client[1][who], &len);

    if (wanted == NULL)
        fail_msg("Redis itself gives no reply");
    client_expect_bytes(&s->client[0][who], wanted, len);
}

static void play(struct stage *s, const char *line)
{
    print_message("  %s\n", line);
    if (line[0] == '#') {
        blocking_await(s->port[1], strtol(line + 1, NULL, 10));
        blocking_await(s->port[0], strtol(line + 1, NULL, 10));
        return;
    }
    int who = line[0] >= '1' && line[0] <= '9' ? line[0] - '0' : 0;
    line += who > 0;
    if (line[0] != '>')
        send_both(s, who, line + 2);
    if (line[0] != '<')
        read_both(s, who);
}

void blocking_compare(uint16_t proxy, uint16_t oracle, const char *const *lines, size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct stage s = { .port = { proxy, oracle } };

        open_stage(&s, protocol);
        play(&s, "= FLUSHALL");
        for (size_t i = 0; i < count; i++)
            play(&s, lines[i]);
        close_stage(&s);
    }
}
