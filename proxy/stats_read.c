/* Reading: one metric over the blocks of one worker, or of all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "proxy/stats.h"
#include "proxy/stats_errors.h"
#include "proxy/worker.h"

enum { ALIVE_US = 3 * 1000 * 1000 }; /* a worker publishes five times a second */

struct reading {
    const struct worker *w;
    const struct stats_page *page;
    const struct stats_metric *metric;
    uint32_t worker;
    uint64_t now; /* us of the monotonic clock */
    stats_visit *visit;
    void *context;
};

/* --- blocks ----------------------------------------------------------------------------------- */

static uint64_t load(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* The next block of those that are asked for, from *i on; NULL: no more. */
static const struct stats_block *next_block(const struct reading *r, uint32_t *i)
{
    while (*i < STATS_BLOCKS) {
        uint32_t at = (*i)++;
        bool wanted = r->worker == STATS_ALL || at % CREW_MAX == r->worker;
        if (wanted && atomic_load_explicit(&r->page->used[at], memory_order_relaxed) != 0)
            return &r->page->blocks[at];
    }
    return NULL;
}

static bool is_alive(const struct reading *r, const struct stats_block *b)
{
    uint64_t at = load(&b->gauges.published_at);
    return at != 0 && r->now < at + ALIVE_US;
}

static const uint64_t *number_in(const struct stats_block *b, size_t offset, uint32_t i)
{
    return (const uint64_t *)(const void *)((const char *)b + offset) + i;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static uint64_t sum_of(const struct reading *r, uint32_t place)
{
    const struct stats_metric *m = r->metric;
    const struct stats_block *b;
    uint64_t sum = 0;
    for (uint32_t i = 0; (b = next_block(r, &i)) != NULL;) {
        uint64_t n = load(number_in(b, m->offset, place));
        if (m->kind == STATS_GAUGE && !is_alive(r, b))
            continue;
        if (m->since)
            n = n == 0 || n > r->now ? 0 : r->now - n;
        if (!m->worst)
            sum += n;
        else if (n > sum)
            sum = n;
    }
    return sum;
}

static void show(const struct reading *r, const char *label, uint64_t n)
{
    struct stats_sample s = { .metric = r->metric, .label = label, .value = (double)n };
    if (r->metric->unit == STATS_SECONDS)
        s.value /= 1e6;
    r->visit(r->context, &s);
}

static void show_histogram(const struct reading *r, const char *label, const struct histogram *h)
{
    struct stats_sample s = { .metric = r->metric, .label = label, .histogram = h };
    r->visit(r->context, &s);
}

static void add_histograms(const struct reading *r, uint32_t place, struct histogram *out)
{
    const struct stats_block *b;
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; (b = next_block(r, &i)) != NULL;)
        histogram_merge(out, (const struct histogram *)(const void *)number_in(
                                 b, r->metric->offset + place * sizeof(*out), 0));
}

static void read_plain(const struct reading *r)
{
    struct histogram h;
    if (r->metric->kind != STATS_HISTOGRAM) {
        show(r, NULL, sum_of(r, 0));
        return;
    }
    add_histograms(r, 0, &h);
    show_histogram(r, NULL, &h);
}

/* --- by command, error, reason ---------------------------------------------------------------- */

const char *stats_command_name(const struct worker *w, uint32_t tally, char room[STATS_NAME_MAX])
{
    if (tally == command_table_built_in(w->commands))
        return "other";
    const struct command *cmd = command_at(w->commands, tally);
    snprintf(room, STATS_NAME_MAX, "%s%s%s", cmd->parent != NULL ? cmd->parent->name : "",
             cmd->parent != NULL ? "|" : "", cmd->name);
    return room;
}

static const char *label_of(const struct reading *r, uint32_t place, char room[STATS_NAME_MAX])
{
    switch ((enum stats_label)r->metric->label) {
    case STATS_BY_COMMAND:
        return place <= command_table_built_in(r->w->commands)
                   ? stats_command_name(r->w, place, room)
                   : NULL;
    case STATS_BY_ERROR:
        return stats_error_name(place);
    case STATS_BY_REASON:
        return place <= STATS_REASONS ? error_name(place == 0 ? 0 : -10000 - (int)place) : NULL;
    default:
        return NULL;
    }
}

/* Of a command that was never called the histogram is not touched, which would cost memory. */
static bool was_called(const struct reading *r, uint32_t tally)
{
    static const struct stats_metric calls = { .offset = offsetof(struct stats_block, calls) };
    struct reading of_calls = *r;
    of_calls.metric = &calls;
    return sum_of(&of_calls, tally) > 0;
}

static void read_histogram(const struct reading *r, uint32_t place, const char *label)
{
    struct histogram h;
    if (!was_called(r, place))
        return;
    add_histograms(r, place, &h);
    if (histogram_count(&h) > 0)
        show_histogram(r, label, &h);
}

static void read_places(const struct reading *r, uint32_t count)
{
    char room[STATS_NAME_MAX];
    for (uint32_t i = 0; i < count; i++) {
        const char *label = label_of(r, i, room);
        if (label == NULL)
            continue;
        if (r->metric->kind == STATS_HISTOGRAM) {
            read_histogram(r, i, label);
            continue;
        }
        uint64_t n = sum_of(r, i);
        if (n > 0)
            show(r, label, n);
    }
}

static struct reading of_latency(const struct worker *w)
{
    static const struct stats_metric latency = { .offset = offsetof(struct stats_block, latency) };
    return (struct reading){
        .w = w, .page = board_stats(w->crew->board), .metric = &latency, .worker = STATS_ALL
    };
}

bool stats_latency_of(const struct worker *w, uint32_t tally, struct histogram *out)
{
    struct reading r = of_latency(w);
    if (!was_called(&r, tally))
        return false;
    add_histograms(&r, tally, out);
    histogram_subtract(out, &r.page->latency_before[tally]);
    return histogram_count(out) > 0;
}

void stats_reset(const struct worker *w)
{
    struct reading r = of_latency(w);
    struct stats_page *page = board_stats(w->crew->board);
    for (uint32_t i = 0; i < STATS_COMMANDS; i++)
        if (was_called(&r, i))
            add_histograms(&r, i, &page->latency_before[i]);
}

/* --- by node ---------------------------------------------------------------------------------- */

struct found_node {
    char name[NODE_STAT_NAME];
    uint64_t count;
    struct histogram latency;
};

struct found_nodes {
    struct found_node *v;
    size_t count, room;
};

static struct found_node *found(struct found_nodes *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->v[i].name, name) == 0)
            return &all->v[i];
    if (all->count == all->room) {
        all->room = all->room == 0 ? 16 : all->room * 2;
        all->v = realloc(all->v, all->room * sizeof(all->v[0]));
        REQUIRE(all->v != NULL);
    }
    struct found_node *n = &all->v[all->count++];
    memset(n, 0, sizeof(*n));
    memcpy(n->name, name, sizeof(n->name));
    return n;
}

/* Skips a place that goes over to another node while it is looked at. */
static void add_node(struct found_nodes *all, const struct node_stat *s, size_t offset)
{
    struct found_node one = { .count = 0 };
    uint32_t version = __atomic_load_n(&s->version, __ATOMIC_ACQUIRE);
    memcpy(one.name, s->name, sizeof(one.name));
    one.name[sizeof(one.name) - 1] = '\0';
    if (offset == offsetof(struct node_stat, latency))
        histogram_merge(&one.latency, &s->latency);
    else
        one.count = load((const uint64_t *)(const void *)((const char *)s + offset));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (one.name[0] == '\0' || version % 2 != 0 ||
        version != __atomic_load_n(&s->version, __ATOMIC_RELAXED))
        return;
    struct found_node *sum = found(all, one.name);
    sum->count += one.count;
    histogram_merge(&sum->latency, &one.latency);
}

/* Places are taken in their order. */
static bool is_taken(const struct node_stat *s)
{
    return __atomic_load_n(&s->name[0], __ATOMIC_RELAXED) != '\0';
}

/* The place for all others is shown when it is used. */
static void show_counted(const struct reading *r, const struct found_node *n)
{
    if (n->count > 0 || strcmp(n->name, NODE_STAT_OTHER) != 0)
        show(r, n->name, n->count);
}

static void read_nodes(const struct reading *r)
{
    struct found_nodes all = { 0 };
    const struct stats_block *b;
    for (uint32_t i = 0; (b = next_block(r, &i)) != NULL;)
        for (uint32_t n = 0; n < STATS_NODES && is_taken(&b->nodes[n]); n++)
            add_node(&all, &b->nodes[n], r->metric->offset);
    for (size_t i = 0; i < all.count; i++) {
        const struct found_node *n = &all.v[i];
        if (r->metric->kind != STATS_HISTOGRAM)
            show_counted(r, n);
        else if (histogram_count(&n->latency) > 0)
            show_histogram(r, n->name, &n->latency);
    }
    free(all.v);
}

const struct stats_block *stats_next_alive(const struct worker *w, uint32_t *i)
{
    struct reading r = of_latency(w);
    const struct stats_block *b = next_block(&r, i);
    r.now = uv_hrtime() / 1000;
    while (b != NULL && !is_alive(&r, b))
        b = next_block(&r, i);
    return b;
}

/* --- the way in ------------------------------------------------------------------------------- */

uint32_t stats_worker_count(const struct worker *w)
{
    return w->crew->count;
}

void stats_read(const struct worker *w, const struct stats_metric *m, uint32_t worker,
                stats_visit *visit, void *context)
{
    const struct reading r = { .w = w,
                               .page = board_stats(w->crew->board),
                               .metric = m,
                               .worker = worker,
                               .now = uv_hrtime() / 1000,
                               .visit = visit,
                               .context = context };
    static const uint32_t places[] = { [STATS_BY_COMMAND] = STATS_COMMANDS,
                                       [STATS_BY_ERROR] = STATS_ERRORS,
                                       [STATS_BY_REASON] = STATS_REASONS };
    if (m->label == STATS_PLAIN)
        read_plain(&r);
    else if (m->label == STATS_BY_NODE)
        read_nodes(&r);
    else
        read_places(&r, places[m->label]);
}
