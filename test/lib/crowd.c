#include "test/lib/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void crowd_open(struct client *c, int count, uint16_t port)
{
    for (int i = 0; i < count; i++)
        assert_true(client_open(&c[i], port));
}

void crowd_close(struct client *c, int count)
{
    for (int i = 0; i < count; i++)
        client_close(&c[i]);
}

void crowd_send(struct client *c, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        assert_true(client_send_command(&c[i], word, NULL));
}

void crowd_expect(struct client *c, int count, const char *reply)
{
    for (int i = 0; i < count; i++) {
        const char *got = client_read(&c[i], NULL);
        if (got == NULL)
            fail_msg("client %d of %d: %s instead of %s", i, count, client_state_text(&c[i]),
                     reply);
        assert_string_equal(got, reply);
    }
}

long long client_info(struct client *c, const char *section, const char *name)
{
    char field[64];
    const char *info = client_ask(c, "INFO", section, NULL);

    assert_non_null(info);
    snprintf(field, sizeof(field), "\n%s:", name);
    const char *at = strstr(info, field);
    if (at == NULL)
        fail_msg("no %s in %.200s", name, info);
    return atoll(at + strlen(field));
}

/* Among so many there is one on each, and more so as workers share them evenly. */
enum { TRIES_PER_WORKER = 16 };

void crowd_open_on_each(struct client *c, int workers, uint16_t port)
{
    struct client all[CROWD_WORKERS_MAX * TRIES_PER_WORKER];
    bool found[CROWD_WORKERS_MAX] = { false };
    int tries = workers * TRIES_PER_WORKER;

    crowd_open(all, tries, port);
    for (int i = 0; i < tries; i++) {
        long long worker = client_info(&all[i], "slotgate", "worker");
        assert_in_range(worker, 0, workers - 1);
        if (found[worker]) {
            client_close(&all[i]);
            continue;
        }
        found[worker] = true;
        c[worker] = all[i];
    }
    for (int i = 0; i < workers; i++)
        assert_true(found[i]);
}

int crowd_spread(struct client *c, int count, int per_worker[CROWD_WORKERS_MAX])
{
    int most = 0;

    memset(per_worker, 0, CROWD_WORKERS_MAX * sizeof(per_worker[0]));
    for (int i = 0; i < count; i++) {
        long long worker = client_info(&c[i], "slotgate", "worker");
        assert_in_range(worker, 0, CROWD_WORKERS_MAX - 1);
        per_worker[worker]++;
        if (per_worker[worker] > most)
            most = per_worker[worker];
    }
    return most;
}
