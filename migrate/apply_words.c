#include "migrate/apply_words.h"

#include <stdlib.h>

#include "base/log.h"
#include "migrate/databases.h"

struct span apply_name_in(const struct apply *a, uint64_t db, struct span key, struct writer *name)
{
    if (a->options->databases != COPY_DB_PREFIX || db == 0)
        return key;
    return databases_prefixed(db, key, name);
}

struct span apply_name(const struct apply *a, struct span key, struct writer *name)
{
    return apply_name_in(a, a->db, key, name);
}

void apply_words(struct apply *a, struct span *words, size_t count)
{
    struct writer name;
    writer_init(&name, 2);
    words[1] = apply_name(a, words[1], &name);
    apply_send(a, words, count, words[1]);
    writer_close(&name);
}

struct span *apply_copy_words(const struct argv *argv)
{
    struct span *words = malloc(argv->count * sizeof(*words));
    REQUIRE(words != NULL);
    for (uint32_t i = 0; i < argv->count; i++)
        words[i] = argv_get(argv, i);
    return words;
}

void apply_drop(struct apply *a, const struct argv *argv)
{
    (void)argv;
    a->counters.dropped++;
}

void apply_failed(struct apply *a, struct span name, struct span key, const char *why)
{
    a->counters.failed++;
    log_error("command not applied", "command=%s key=%s reason=%s", log_bytes(name.at, name.len),
              log_bytes(key.at, key.len), log_text(why));
}

void apply_fail(struct apply *a, const struct argv *argv, const char *why)
{
    apply_failed(a, argv_get(argv, 0), argv->count > 1 ? argv_get(argv, 1) : SPAN(""), why);
    apply_dirty_command(a, argv, why);
}
