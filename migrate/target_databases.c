#include "migrate/target_databases.h"

#include <stdio.h>
#include <stdlib.h>

#include "migrate/databases.h"

struct target_databases {
    uint32_t awaited; /* answers */
    char error[TARGET_ERROR_SHOWN + 64];
};

void target_use(struct target *t, uint16_t database)
{
    t->flow.database = database;
}

static void on_selected(void *context, const struct target_call *call)
{
    struct target *t = context;
    struct target_databases *d = t->databases;
    if (call->error[0] != '\0')
        snprintf(d->error, sizeof(d->error), "the target has not the databases of --db map: %s",
                 call->error);
    if (--d->awaited == 0) /* not from inside an answer */
        target_probe_again(t);
}

static void ask(struct target *t, uint16_t database, uint32_t shard)
{
    const char *tag = target_shard_tag(t, shard);
    struct writer w;
    writer_init(&w, 2);
    databases_select(&w, database);
    databases_select(&w, 0);
    t->databases->awaited++;
    target_send_block(t, (struct span){ tag, strlen(tag) }, writer_span(&w), 2, true, on_selected,
                      t);
    writer_close(&w);
}

bool target_has_databases(struct target *t)
{
    const uint16_t *wanted = t->options->databases;
    if (wanted == NULL || wanted[0] == 0)
        return true;
    if (t->databases != NULL && t->databases->awaited > 0)
        return false;
    if (t->databases != NULL) {
        if (t->databases->error[0] != '\0')
            target_fail(t, t->databases->error);
        return t->databases->error[0] == '\0';
    }
    t->databases = calloc(1, sizeof(*t->databases));
    REQUIRE(t->databases != NULL);
    for (; *wanted != 0; wanted++)
        for (uint32_t shard = 0; shard < target_shards(t); shard++)
            ask(t, *wanted, shard);
    return false;
}
