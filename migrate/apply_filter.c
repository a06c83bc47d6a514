/* What the filters let through of the stream. */
#include "migrate/apply_words.h"

/* How many of a command's keys go over, and how many do not. */
struct shares {
    uint32_t taken, out, stale;
};

static void count_key(const struct apply *a, struct span key, struct shares *n)
{
    switch (filter_key(a->options->filter, key)) {
    case FILTER_TAKE:
        n->taken++;
        break;
    case FILTER_OUT:
        n->out++;
        break;
    case FILTER_STALE:
        n->stale++;
        break;
    case FILTER_REPORTED:
        n->taken++;
        n->stale++;
        break;
    }
}

bool apply_wants(struct apply *a, struct span key)
{
    struct shares n = { 0 };
    if (a->options->filter == NULL)
        return true;
    count_key(a, key, &n);
    a->counters.filtered += n.out;
    a->counters.stale += n.stale;
    return n.taken > 0;
}

static void count_keys(const struct apply *a, const struct argv *argv, struct shares *n)
{
    const struct command *container = NULL;
    const struct command *cmd = command_resolve(a->target->commands, argv, &container);
    struct key_walk walk;
    if (cmd == NULL || !command_arity_ok(cmd, argv->count)) {
        if (argv->count > 1) /* as good as can be known; what becomes of it is another question */
            count_key(a, argv_get(argv, 1), n);
        return;
    }
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk))
        count_key(a, argv_get(argv, walk.key.arg), n);
}

/* Some of its keys go over and some do not, and it cannot be taken apart. */
static bool take_mixed(struct apply *a, const struct argv *argv)
{
    switch (a->options->filter->mixed) {
    case FILTER_MIXED_APPLY:
    case FILTER_MIXED_DROP:
        a->counters.mixed++;
        return a->options->filter->mixed == FILTER_MIXED_APPLY;
    default:
        apply_fail(a, argv, "of its keys some go over and some do not; see --filter-mixed");
        return false;
    }
}

bool apply_wants_command(struct apply *a, const struct argv *argv, bool splits)
{
    const struct filter *f = a->options->filter;
    struct span name = argv_get(argv, 0);
    struct shares n = { 0 };
    if (f == NULL)
        return true;
    if (!filter_command(f, name) || !filter_type_of_command(f, name)) {
        a->counters.filtered++;
        return false;
    }
    if (splits)
        return true;
    count_keys(a, argv, &n);
    uint32_t gone = n.out + (a->options->filter->report ? 0 : n.stale);
    if (gone > 0 && n.taken > 0)
        return take_mixed(a, argv);
    a->counters.stale += n.stale > 0;
    a->counters.filtered += n.out > 0 && n.stale == 0;
    return gone == 0;
}
