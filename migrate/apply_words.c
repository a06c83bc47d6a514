#include "migrate/apply_words.h"

#include <stdlib.h>

#include "base/log.h"
#include "migrate/advice.h"
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
    log_error("command not applied", "command=%s key=%s reason=%s action=%s",
              log_bytes(name.at, name.len), log_bytes(key.at, key.len), log_text(why),
              log_text(advice_on(key.len > 0 ? ADVICE_COMMAND : ADVICE_EVERYWHERE, why)));
}

/* A script stands before its keys; of a command that nobody knows the first word is a good guess.
 */
static struct span first_key(const struct apply *a, const struct argv *argv)
{
    const struct command *container = NULL;
    const struct command *cmd = command_resolve(a->target->commands, argv, &container);
    struct key_walk walk;
    bool known = cmd != NULL && command_arity_ok(cmd, argv->count);
    if (known && key_walk_start(&walk, cmd, argv) > 0)
        return argv_get(argv, walk.key.arg);
    return !known && argv->count > 1 ? argv_get(argv, 1) : SPAN("");
}

void apply_fail(struct apply *a, const struct argv *argv, const char *why)
{
    apply_failed(a, argv_get(argv, 0), first_key(a, argv), why);
    apply_dirty_command(a, argv, why);
}
