#include "test/lib/named_case.h"

#include <stdio.h>

char named_state[220], named_socket[260];

int named_start(void **state)
{
    static const char *const words[] = { "--repl-backlog-size", "64mb", "--rdbcompression", "no",
                                         NULL };
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN, .source = words });
    return 0;
}

void named_begin(void)
{
    moving_empty();
    snprintf(named_state, sizeof(named_state), "%s", migrate_state_dir());
    snprintf(named_socket, sizeof(named_socket), "%s/one.sock", named_state);
}

void named_sync(struct migrate *m, const char *const *more)
{
    const char *words[32] = { "sync",         source_at,     target_at,   "--name",
                              "one",          "--state-dir", named_state, "--allow-full-resync",
                              "--only-source" };
    for (size_t n = 9; more != NULL && *more != NULL; n++)
        words[n] = *more++;
    migrate_start(m, words);
}

void named_count_up(int times)
{
    for (int i = 0; i < times; i++)
        redis_do(from, "INCR counter");
}

void named_finish(struct migrate *m)
{
    moving_finish(m);
    migrate_free(m);
    moving_expect_but_markers(true);
}
