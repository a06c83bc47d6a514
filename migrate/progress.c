#include "migrate/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { LOG_EVERY_MS = 10 * 1000, BAR = 24, LINE_MAX_CHARS = 160 };

static const double smooth = 0.3; /* what the last second counts */

void progress_init(struct progress *p, bool terminal)
{
    *p = (struct progress){ .terminal = terminal };
}

void progress_lag(struct progress *p, uint64_t received, uint64_t applied, uint64_t ms)
{
    if (p->probing && applied >= p->probe_offset) {
        p->lag_ms = ms - p->probe_ms;
        p->probing = false;
    }
    if (!p->probing && applied < received) {
        p->probe_offset = received;
        p->probe_ms = ms;
        p->probing = true;
    } else if (!p->probing) {
        p->lag_ms = 0;
    }
}

void progress_lag_again(struct progress *p)
{
    p->probing = false;
    p->lag_ms = 0;
}

uint64_t progress_lag_ms(const struct progress *p, uint64_t ms)
{
    uint64_t since = p->probing ? ms - p->probe_ms : 0;
    return since > p->lag_ms ? since : p->lag_ms;
}

uint64_t progress_eta(const struct progress *p)
{
    const struct progress_now *n = &p->now;
    if (!n->copying || n->total < n->bytes || n->total == 0 || p->bytes_rate < 1)
        return UINT64_MAX;
    return (uint64_t)((double)(n->total - n->bytes) / p->bytes_rate) + 1;
}

static void take_rates(struct progress *p, const struct progress_now *now)
{
    const struct progress_now *old = &p->now;
    double s = (double)(now->ms - old->ms) / 1000;
    bool same = old->phase != NULL && old->copying == now->copying && s > 0;
    double items = same && now->items > old->items ? (double)(now->items - old->items) / s : 0;
    double bytes = same && now->bytes > old->bytes ? (double)(now->bytes - old->bytes) / s : 0;
    bool first = !same || p->items_rate == 0;
    p->items_rate = first ? items : p->items_rate + smooth * (items - p->items_rate);
    p->bytes_rate = first ? bytes : p->bytes_rate + smooth * (bytes - p->bytes_rate);
    p->now = *now;
}

/* --- the line ------------------------------------------------------------------------------ */

static void write_bar(char out[BAR + 1], const struct progress_now *n)
{
    uint64_t done = n->total > 0 ? n->bytes * BAR / n->total : 0;
    for (uint64_t i = 0; i < BAR; i++)
        out[i] = i < done ? '#' : '.';
    out[BAR] = '\0';
}

static int write_copy(const struct progress *p, char *out, size_t room)
{
    const struct progress_now *n = &p->now;
    char bar[BAR + 1], eta[32] = "";
    write_bar(bar, n);
    if (progress_eta(p) != UINT64_MAX)
        snprintf(eta, sizeof(eta), "  ETA %llu s", (unsigned long long)progress_eta(p));
    return snprintf(out, room, "%s [%s] %llu keys  %.0f keys/s  %.1f MB/s%s", n->phase, bar,
                    (unsigned long long)n->items, p->items_rate, p->bytes_rate / 1e6, eta);
}

static int write_stream(const struct progress *p, char *out, size_t room)
{
    const struct progress_now *n = &p->now;
    return snprintf(out, room, "%s  %.0f commands/s  lag %llu bytes, %.1f s  to repair %llu",
                    n->phase, p->items_rate, (unsigned long long)(n->received - n->applied),
                    (double)progress_lag_ms(p, n->ms) / 1000, (unsigned long long)n->dirty);
}

/* The cursor stays at the beginning, so that a line of the log takes its place. */
static void show(struct progress *p)
{
    char line[LINE_MAX_CHARS];
    if (p->now.copying)
        write_copy(p, line, sizeof(line));
    else
        write_stream(p, line, sizeof(line));
    fprintf(stderr, "%s\033[K\r", line);
    fflush(stderr);
    p->shown = true;
}

static void log_line(struct progress *p)
{
    const struct progress_now *n = &p->now;
    uint64_t eta = progress_eta(p);
    p->told_ms = n->ms;
    if (n->copying)
        log_info("progress",
                 "phase=%s keys=%llu keys_per_s=%.0f bytes_per_s=%.0f eta_s=%lld "
                 "failed=%llu",
                 n->phase, (unsigned long long)n->items, p->items_rate, p->bytes_rate,
                 eta == UINT64_MAX ? -1LL : (long long)eta, (unsigned long long)n->failed);
    else
        log_info("progress",
                 "phase=%s commands_per_s=%.0f lag_bytes=%llu lag_ms=%llu failed=%llu "
                 "repair=%llu",
                 n->phase, p->items_rate, (unsigned long long)(n->received - n->applied),
                 (unsigned long long)progress_lag_ms(p, n->ms), (unsigned long long)n->failed,
                 (unsigned long long)n->dirty);
}

void progress_tell(struct progress *p, const struct progress_now *now)
{
    bool first = p->now.phase == NULL;
    take_rates(p, now);
    if (first)
        p->told_ms = now->ms;
    if (p->terminal)
        show(p);
    else if (now->ms - p->told_ms >= LOG_EVERY_MS)
        log_line(p);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\033[K", stderr);
    p->shown = false;
}
