#include "proxy/latency_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 80, ROWS = 4, STEPS = 3, AGE_MAX = 24, LINE_MAX_BYTES = 512 };

static void say(struct writer *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(struct writer *out, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    REQUIRE(n >= 0 && n < LINE_MAX_BYTES);
    write_raw(out, (struct span){ line, (size_t)n });
}

static uint32_t lowest(const struct latency_series *s)
{
    uint32_t low = s->v[0].ms;
    for (uint32_t i = 1; i < s->count; i++)
        low = s->v[i].ms < low ? s->v[i].ms : low;
    return low;
}

static uint32_t highest(const struct latency_series *s)
{
    uint32_t high = 0;
    for (uint32_t i = 0; i < s->count; i++)
        high = s->v[i].ms > high ? s->v[i].ms : high;
    return high;
}

/* --- GRAPH ------------------------------------------------------------------------------------ */

static void write_age(char text[AGE_MAX], int64_t s)
{
    if (s < 60)
        snprintf(text, AGE_MAX, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(text, AGE_MAX, "%" PRId64 "m", s / 60);
    else if (s < 24 * 3600)
        snprintf(text, AGE_MAX, "%" PRId64 "h", s / 3600);
    else
        snprintf(text, AGE_MAX, "%" PRId64 "d", s / (24 * 3600));
}

/* How high a bar is, in steps from 0; each row has three. */
static uint32_t height_of(uint32_t ms, uint32_t low, uint32_t high)
{
    if (low == high)
        return 0;
    uint64_t steps = (uint64_t)(ms - low) * ROWS * STEPS / (high - low);
    return steps < ROWS * STEPS ? (uint32_t)steps : ROWS * STEPS - 1;
}

static char bar_at(uint32_t height, uint32_t row)
{
    if (height / STEPS != row)
        return height / STEPS > row ? '|' : ' ';
    return "_o#"[height % STEPS];
}

/* One below the other, a column for each; as many lines as the longest has. */
static void write_ages(const struct latency_sample *v, uint32_t count, int64_t now,
                       struct writer *out)
{
    char ages[COLUMNS][AGE_MAX] = { { 0 } };
    size_t lines = 0;
    for (uint32_t i = 0; i < count; i++) {
        write_age(ages[i], now - v[i].at);
        lines = strlen(ages[i]) > lines ? strlen(ages[i]) : lines;
    }
    for (size_t line = 0; line < lines; line++) {
        for (uint32_t i = 0; i < count; i++)
            say(out, "%c", line < strlen(ages[i]) ? ages[i][line] : ' ');
        say(out, "\n");
    }
}

static void write_bars(const struct latency_sample *v, uint32_t count, uint32_t low, uint32_t high,
                       struct writer *out)
{
    for (uint32_t row = ROWS; row-- > 0;) {
        for (uint32_t i = 0; i < count; i++)
            say(out, "%c", bar_at(height_of(v[i].ms, low, high), row));
        say(out, "\n");
    }
    say(out, "%*s\n", (int)count, "");
}

void latency_graph(const char *event, const struct latency_series *s, int64_t now,
                   struct writer *out)
{
    uint32_t low = lowest(s), high = highest(s);
    say(out, "%s - high %" PRIu32 " ms, low %" PRIu32 " ms (all time high %" PRIu32 " ms)\n", event,
        high, low, s->max);
    for (int i = 0; i < COLUMNS; i++)
        say(out, "-");
    say(out, "\n");
    for (uint32_t from = 0; from < s->count; from += COLUMNS) {
        uint32_t left = s->count - from, count = left < COLUMNS ? left : COLUMNS;
        say(out, "%s", from > 0 ? "\n" : "");
        write_bars(&s->v[from], count, low, high, out);
        write_ages(&s->v[from], count, now, out);
    }
}

/* --- DOCTOR ----------------------------------------------------------------------------------- */

static const char *const advice[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = "SLOWLOG GET shows which commands those were, PROXY SLOWLOG also at which "
                        "node, and how much of the time went by there.",
    [LATENCY_FAST_COMMAND] = "A fast command costs a node next to nothing, so the time went by in "
                             "a queue: at a node that was busy with another command, on the "
                             "network, or in this proxy. See whether the other events were at the "
                             "same seconds.",
    [LATENCY_EVENT_LOOP] = "A worker of this proxy was busy with one turn, or the machine gave it "
                           "no CPU, and all its clients waited. Look for commands with very many "
                           "keys or very large replies, and at slotgate_loop_lag_seconds; more "
                           "workers or a machine with less on it help.",
};

static void write_event(const struct latency_events *e, uint32_t event, int64_t now,
                        uint32_t number, struct writer *out)
{
    const struct latency_series *s = &e->of[event];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->count; i++)
        sum += s->v[i].ms;
    say(out,
        "%" PRIu32 ". %s: in %" PRIu32 " of the last %" PRId64 " seconds, the last one %" PRId64
        " s ago; %" PRIu32 " to %" PRIu32 " ms, %" PRIu64 " on average, %" PRIu32 " ever.\n",
        number, latency_event_names[event], s->count, now - s->v[0].at + 1,
        now - latency_newest(s)->at, lowest(s), highest(s), sum / s->count, s->max);
}

static void write_slowlog_advice(int threshold, int slow_us, struct writer *out)
{
    int64_t wanted = (int64_t)threshold * 1000;
    if (threshold > 0 && (slow_us < 0 || slow_us > wanted))
        say(out,
            "- SLOWLOG does not keep all of these. CONFIG SET slowlog-log-slower-than %" PRId64
            " makes it.\n",
            wanted);
}

void latency_doctor(const struct latency_events *e, int64_t now, int threshold, int slow_us,
                    struct writer *out)
{
    uint32_t found = 0;
    for (uint32_t event = 0; event < LATENCY_EVENTS; event++) {
        if (e->of[event].count == 0)
            continue;
        if (found++ == 0)
            say(out, "Times that this proxy has seen to be long, in all its workers:\n\n");
        write_event(e, event, now, found, out);
    }
    if (found > 0) {
        say(out, "\nWhat may help:\n\n");
        for (uint32_t event = 0; event < LATENCY_EVENTS; event++)
            if (e->of[event].count > 0)
                say(out, "- %s: %s\n", latency_event_names[event], advice[event]);
        write_slowlog_advice(threshold, slow_us, out);
    } else if (threshold > 0) {
        say(out, "Dave, no latency spike was observed during the lifetime of this Redis instance, "
                 "not in the slightest bit. I honestly think you ought to sit down calmly, take a "
                 "stress pill, and think things over.\n");
    } else {
        say(out, "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis "
                 "instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" "
                 "in order to enable it. If we weren't in a deep space mission I'd suggest to "
                 "take a look at https://redis.io/topics/latency-monitor.\n");
    }
}
