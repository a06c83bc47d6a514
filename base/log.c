#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_json.h"
#include "base/text.h"

static int64_t wall_clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct log log_process = {
    .level = LOG_LEVEL_INFO,
    .fd = STDERR_FILENO,
    .now_ms = wall_clock_ms,
};

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

void log_open(enum log_level level)
{
    log_process.level = level;
}

void log_set_format(enum log_format format)
{
    log_process.format = format;
}

/* One write per line, so that the lines of several processes do not mix. A log that cannot be
   written is no reason to stop serving. */
static void put_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(log_process.fd, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line += n;
        len -= (size_t)n;
    }
}

enum { TIME_MAX = 32, JSON_MAX = 2 * LOG_LINE_MAX };

static const char cut[] = "(...)";

static void write_time(char *text, int64_t now)
{
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t at = strftime(text, TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + at, TIME_MAX - at, ".%03dZ", (int)(now % 1000));
}

static size_t head(char *line, size_t cap, int64_t now, enum log_level level, const char *event)
{
    char when[TIME_MAX];
    write_time(when, now);
    int at = snprintf(line, cap, "time=%s level=%s pid=%d event=", when, level_names[level],
                      (int)getpid());
    return (size_t)at + text_quote(line + at, cap - (size_t)at, event, strlen(event));
}

/* Into cap bytes, and a mark behind them if that is too little: room for it is the caller's. */
PRINTF_LIKE(3, 0)
static size_t format(char *out, size_t cap, const char *fmt, va_list args)
{
    int wanted = vsnprintf(out, cap, fmt, args);
    size_t len = wanted > 0 ? (size_t)wanted : 0;
    if (len < cap)
        return len;
    memcpy(out + cap - 1, cut, sizeof(cut));
    return cap - 1 + sizeof(cut) - 1;
}

PRINTF_LIKE(4, 0)
static void put_logfmt(int64_t now, enum log_level level, const char *event, const char *fmt,
                       va_list args)
{
    char line[LOG_LINE_MAX + sizeof(cut) + 1];
    size_t at = head(line, LOG_LINE_MAX, now, level, event);
    size_t len = at + format(line + at, LOG_LINE_MAX - at, fmt, args);
    if (line[len - 1] == ' ') /* an event without values */
        len--;
    for (size_t i = at; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[len++] = '\n';
    put_line(line, len);
}

PRINTF_LIKE(4, 0)
static void put_json(int64_t now, enum log_level level, const char *event, const char *fmt,
                     va_list args)
{
    char fields[LOG_LINE_MAX + sizeof(cut)], when[TIME_MAX], line[JSON_MAX + 1];
    struct log_json j;
    write_time(when, now);
    format(fields, LOG_LINE_MAX, fmt, args);
    log_json_begin(&j, line, JSON_MAX);
    log_json_text(&j, "time", when);
    log_json_text(&j, "level", level_names[level]);
    log_json_number(&j, "pid", getpid());
    log_json_text(&j, "event", event);
    log_json_fields(&j, fmt, fields);
    size_t len = log_json_end(&j);
    line[len++] = '\n';
    put_line(line, len);
}

PRINTF_LIKE(4, 0)
static void put_event(int64_t now, enum log_level level, const char *event, const char *fmt,
                      va_list args)
{
    if (log_process.format == LOG_FORMAT_JSON)
        put_json(now, level, event, fmt, args);
    else
        put_logfmt(now, level, event, fmt, args);
}

PRINTF_LIKE(4, 5)
static void put_eventf(int64_t now, enum log_level level, const char *event, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    put_event(now, level, event, fmt, args);
    va_end(args);
}

/* Settles what sites owe whose second is over; all of them if `all`. */
static void settle(int64_t now, bool all)
{
    struct log_site **link = &log_process.owing;
    while (*link != NULL) {
        struct log_site *site = *link;
        if (!all && now / 1000 == site->second) {
            link = &site->next;
            continue;
        }
        *link = site->next;
        site->next = NULL;
        put_eventf(now, site->level, site->event, " suppressed=%u", site->suppressed);
        site->suppressed = 0;
    }
}

void log_tick(void)
{
    if (log_process.owing != NULL)
        settle(log_process.now_ms(), false);
}

void log_flush(void)
{
    if (log_process.owing != NULL)
        settle(log_process.now_ms(), true);
}

void log_write(struct log_site *site, enum log_level level, const char *event, const char *fmt, ...)
{
    int64_t now = log_process.now_ms();
    settle(now, false);
    if (now / 1000 != site->second) {
        site->second = now / 1000;
        site->lines = 0;
    }
    if (site->lines >= LOG_SITE_LINES) {
        if (site->suppressed++ == 0) {
            site->event = event;
            site->level = level;
            site->next = log_process.owing;
            log_process.owing = site;
        }
        return;
    }
    site->lines++;
    va_list args;
    va_start(args, fmt);
    put_event(now, level, event, fmt, args);
    va_end(args);
}

const char *log_text(const char *s)
{
    return s == NULL ? "(none)" : log_bytes(s, strlen(s));
}

const char *log_bytes(const char *p, size_t len)
{
    char *buf = log_process.ring[log_process.ring_at++ % LOG_TEXT_RING];
    text_quote_if_needed(buf, LOG_TEXT_MAX, p, len);
    return buf;
}
