/* LATENCY HISTOGRAM: what clients of the proxy see, of all its workers. */
#include "proxy/local.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

static bool is_named(const struct argv *argv, const struct command *cmd, const char *name)
{
    bool named = argv->count == 2;
    for (uint32_t i = 2; i < argv->count && !named; i++)
        named = span_is(argv_get(argv, i), name) ||
                (cmd->parent != NULL && span_is(argv_get(argv, i), cmd->parent->name));
    return named;
}

/* Each power of two of microseconds in which there is something, with all that was below it. */
static void write_histogram(struct writer *w, const char *name, const struct histogram *h)
{
    uint64_t last = 0, below[HISTOGRAM_BITS + 1];
    size_t shown = 0;
    for (uint32_t bit = 0; bit <= HISTOGRAM_BITS; bit++) {
        below[bit] = histogram_below(h, bit < HISTOGRAM_BITS ? UINT64_C(1) << bit : UINT64_MAX);
        shown += below[bit] > (bit == 0 ? 0 : below[bit - 1]);
    }
    write_bulk_text(w, name);
    write_map(w, 2);
    write_bulk_text(w, "calls");
    write_integer(w, (long long)below[HISTOGRAM_BITS]);
    write_bulk_text(w, "histogram_usec");
    write_map(w, shown);
    for (uint32_t bit = 0; bit <= HISTOGRAM_BITS; bit++) {
        if (below[bit] == last)
            continue;
        last = below[bit];
        write_integer(w, 1ll << bit);
        write_integer(w, (long long)last);
    }
}

bool local_latency_histogram(struct client *c, const struct argv *argv, struct writer *w)
{
    const struct worker *worker = c->worker;
    uint32_t count = command_table_built_in(worker->commands), found = 0;
    struct writer shown;
    writer_init(&shown, c->flow.protocol);
    for (uint32_t i = 0; i <= count; i++) {
        struct histogram h;
        char room[STATS_NAME_MAX];
        const char *name = stats_command_name(worker, i, room);
        static const struct command learned;
        const struct command *cmd = i < count ? command_at(worker->commands, i) : &learned;
        if (!is_named(argv, cmd, name) || !stats_latency_of(worker, i, &h))
            continue;
        write_histogram(&shown, name, &h);
        found++;
    }
    write_map(w, found);
    write_raw(w, writer_span(&shown));
    writer_close(&shown);
    return true;
}

bool local_config_resetstat(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)w;
    stats_reset(c->worker);
    return local_broadcast(c, local_request(argv), NULL) != NULL;
}
