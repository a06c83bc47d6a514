/* What of the stream goes into the repair set. */
#include "migrate/apply_words.h"
#include "migrate/databases.h"
#include "migrate/dirty.h"
#include "resp/value.h"

static bool goes_over(const struct apply *a, struct span key)
{
    const struct filter *f = a->options->filter;
    enum filter_verdict verdict = f != NULL ? filter_key(f, key) : FILTER_TAKE;
    return verdict == FILTER_TAKE || verdict == FILTER_REPORTED;
}

static uint32_t list_key(const struct apply *a, struct span key, struct writer *out)
{
    struct writer name;
    if (!goes_over(a, key))
        return 0;
    writer_init(&name, 2);
    write_bulk(out, databases_label(a->options, a->db, key, &name));
    writer_close(&name);
    return 1;
}

/* The names at the target of those keys of a command that go over. */
static uint32_t list_keys(const struct apply *a, const struct argv *argv, struct writer *out)
{
    const struct command *container = NULL;
    const struct command *cmd = command_resolve(a->target->commands, argv, &container);
    struct key_walk walk;
    uint32_t count = 0;
    if (cmd == NULL || !command_arity_ok(cmd, argv->count)) { /* the first word is a good guess */
        if (argv->count > 1)
            count = list_key(a, argv_get(argv, 1), out);
        return count;
    }
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk))
        count += list_key(a, argv_get(argv, walk.key.arg), out);
    return count;
}

void apply_dirty_note(struct apply *a, const struct argv *argv, struct writer *keys)
{
    struct writer all;
    if (a->options->dirty == NULL || argv->count < 2)
        return;
    writer_init(&all, 2);
    uint32_t count = list_keys(a, argv, &all);
    bool other = databases_renames(a->options, a->db);
    if (count > 1 || other ||
        all.len > TARGET_KEY_SHOWN) /* else the answer tells the key by itself */
        write_raw(keys, writer_span(&all));
    writer_close(&all);
}

static uint32_t add_all(struct dirty *d, struct span keys, const char *why)
{
    struct value_cursor c = { keys.at, keys.at + keys.len };
    struct value v;
    uint32_t count = 0;
    for (; value_next(&c, &v); count++)
        dirty_add(d, v.text, why);
    return count;
}

void apply_dirty_unit(struct apply *a, const struct writer *keys, struct span key, const char *why)
{
    struct dirty *d = a->options->dirty;
    if (d == NULL)
        return;
    if (keys->len > 0)
        add_all(d, writer_span(keys), why);
    else if (key.len > 0)
        dirty_add(d, key, why);
    else
        d->unlisted++;
}

void apply_dirty_command(struct apply *a, const struct argv *argv, const char *why)
{
    const struct copy_options *o = a->options;
    bool elsewhere = !databases_take(o, a->db);
    struct writer keys;
    if (o->dirty == NULL)
        return;
    writer_init(&keys, 2);
    if (elsewhere || list_keys(a, argv, &keys) == 0)
        o->dirty->unlisted++; /* no key that could be brought over again */
    add_all(o->dirty, elsewhere ? SPAN("") : writer_span(&keys), why);
    writer_close(&keys);
}
