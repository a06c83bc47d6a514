#include "migrate/sync_numbers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "migrate/repair.h"
#include "migrate/sync_desk.h"

const char *sync_phase_text(const struct sync *s)
{
    static const char *const names[] = {
        [SYNC_WAITING] = "connecting", [SYNC_CLAIMING] = "connecting",   [SYNC_MENDING] = "mending",
        [SYNC_COPYING] = "copy",       [SYNC_SETTLING] = "copy-answers", [SYNC_SWEEPING] = "sweep",
        [SYNC_LIVE] = "stream",        [SYNC_CLEANING] = "ending",
    };
    if (s->held)
        return "paused";
    return s->stopping && s->phase == SYNC_LIVE ? "ending" : names[s->phase];
}

static uint64_t lag_bytes(const struct sync *s)
{
    bool known = s->applying && s->source.offset > s->apply.applied;
    return known ? s->source.offset - s->apply.applied : 0;
}

struct number {
    const char *name, *metric;
    uint64_t value;
};

enum { NUMBERS = 23 };

/* Gives how many. */
static size_t list_numbers(const struct sync *s, struct number out[NUMBERS])
{
    const struct progress *progress = sync_desk_progress(s);
    const struct repair *repair = sync_desk_repair(s);
    const struct copy_counters *copy = &s->copy.counters;
    const struct apply_counters *stream = &s->apply.counters;
    uint64_t eta = progress_eta(progress);
    const struct number rows[] = {
        { "keys copied", "keys", copy->keys },
        { "bytes of values", "value_bytes", copy->bytes },
        { "rate, a second", "rate", (uint64_t)progress->items_rate },
        { "rate, bytes of the copy", "copy_bytes_rate", (uint64_t)progress->bytes_rate },
        { "seconds to go", "eta_seconds", eta == UINT64_MAX ? 0 : eta },
        { "commands of the stream", "commands", stream->commands },
        { "commands sent", "commands_sent", stream->sent },
        { "commands without effect", "commands_dropped", stream->dropped },
        { "offset received", "offset_received", s->source.offset },
        { "offset applied", "offset_applied", s->applying ? s->apply.applied : 0 },
        { "lag, bytes", "lag_bytes", lag_bytes(s) },
        { "lag, milliseconds", "lag_milliseconds",
          progress_lag_ms(progress, uv_now(&s->run.loop)) },
        { "spool, bytes", "spool_bytes", spool_unread(&s->spool) },
        { "spool, most", "spool_max_bytes", s->spool.max },
        { "keys failed", "keys_failed", copy->failed },
        { "commands failed", "commands_failed", stream->failed },
        { "transactions in parts", "transactions_parted", stream->parted },
        { "times to live held back", "expiry_held", expiry_held(&s->expiry) },
        { "repair set", "repair_set", repair_left(repair) },
        { "repaired", "repaired", repair->counters.repaired },
        { "repairs failed", "repairs_failed", repair->counters.failed },
        { "failed without a key", "failed_unlisted", repair->dirty.unlisted },
        { "times sent again", "mends", s->mends },
    };
    BUILD_ASSERT(ARRAY_LEN(rows) == NUMBERS, "NUMBERS counts the rows");
    memcpy(out, rows, sizeof(rows));
    return ARRAY_LEN(rows);
}

void sync_numbers_say(const struct sync *s, struct admin_client *client)
{
    struct number rows[NUMBERS];
    size_t count = list_numbers(s, rows);
    admin_say(client, "%-28s %12s", "phase", sync_phase_text(s));
    for (size_t i = 0; i < count; i++)
        admin_say(client, "%-28s %12llu", rows[i].name, (unsigned long long)rows[i].value);
}

PRINTF_LIKE(2, 3) static void put(struct writer *out, const char *fmt, ...)
{
    char line[160];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    REQUIRE(n > 0 && n < (int)sizeof(line));
    write_raw(out, (struct span){ line, (size_t)n });
}

void sync_numbers_write(void *context, struct writer *out)
{
    const struct sync *s = context;
    struct number rows[NUMBERS];
    size_t count = list_numbers(s, rows);
    put(out, "# TYPE slotgate_migrate_phase gauge\nslotgate_migrate_phase{phase=\"%s\"} 1\n",
        sync_phase_text(s));
    for (size_t i = 0; i < count; i++) {
        put(out, "# HELP slotgate_migrate_%s %s\n# TYPE slotgate_migrate_%s gauge\n",
            rows[i].metric, rows[i].name, rows[i].metric);
        put(out, "slotgate_migrate_%s %llu\n", rows[i].metric, (unsigned long long)rows[i].value);
    }
}
