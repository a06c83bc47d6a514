#include "migrate/summary.h"

#include <sys/resource.h>

struct row {
    const char *name, *help;
    uint64_t count;
};

void summary_write(const struct copy *c, uint64_t ms, FILE *out)
{
    const struct copy_counters *n = &c->counters;
    const struct row rows[] = {
        { "keys read", "", n->keys },
        { "there before", "copied by an earlier run", n->before },
        { "restored", "with their own bytes", n->restored },
        { "rewritten", "by commands", n->rewritten },
        { "skipped, expired", "", n->expired },
        { "skipped, other database", "see --db", n->other_database },
        { "skipped, filtered", "", n->filtered },
        { "stale copies", "another source owns them, see --owner", n->stale },
        { "skipped, empty", "collections without elements, a mistake of old servers", n->empty },
        { "failed", "see the lines above, or --failed-file", n->failed },
        { "libraries of functions", "", n->functions },
        { "libraries that failed", "at some master", n->functions_failed },
        { "times of hash fields lost", "the target keeps none", n->field_times_lost },
        { "fields of modules left out", "MODULE_AUX", c->reader.modules_left },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].count > 0 || i == 0)
            fprintf(out, "%-28s %12llu  %s\n", rows[i].name, (unsigned long long)rows[i].count,
                    rows[i].help);
    double s = ms > 0 ? (double)ms / 1000 : 0.001;
    fprintf(out, "%-28s %12llu  %.0f keys/s, %.1f MB/s in %.1f s\n", "bytes of values",
            (unsigned long long)n->bytes, (double)n->keys / s, (double)n->bytes / 1e6 / s, s);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        fprintf(out, "%-28s %12ld  KiB\n", "peak memory", usage.ru_maxrss);
}

bool summary_is_good(const struct copy *c)
{
    const struct copy_counters *n = &c->counters;
    return n->failed == 0 && n->functions_failed == 0 && n->field_times_lost == 0;
}
