/*
 * log.h: one line per event, in logfmt or as a JSON object, to stderr.
 *
 *     log_info("topology changed", "nodes=%d epoch=%u", nodes, epoch);
 *     time=2026-01-01T00:00:00.000Z level=info pid=123 event="topology changed" nodes=3 epoch=7
 *     {"time":"2026-01-01T00:00:00.000Z","level":"info","pid":123,"event":"topology changed",
 *      "nodes":3,"epoch":7}                                    (in one line; see log_json.h)
 *
 * The event and the format are string literals; a value that may hold blanks or foreign bytes goes
 * through log_text or log_bytes. What is written anyway stays one line: control bytes become '?'.
 * Each key is a word of the format's, once: for JSON the format says what is a number.
 * A level that is off costs one compare. Each call site writes at most LOG_SITE_LINES lines a
 * second; what it kept back is told in one line "suppressed=N" once that second is over, when
 * anything is logged or log_tick is called.
 *
 * error = a person must act; warn = degraded; info = life cycle; debug = per command.
 * The log of the process is a global, so that logging needs no argument. It is not thread-safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

enum {
    LOG_SITE_LINES = 10,
    LOG_LINE_MAX = 2048,
    LOG_TEXT_MAX = 256, /* what log_text shows of a value */
    LOG_TEXT_RING = 8,  /* how many of its results one line may use */
};

/* One place in the program that logs. */
struct log_site {
    const char *event;
    int64_t second;      /* when the running count began */
    uint32_t lines;      /* written since then */
    uint32_t suppressed; /* kept back since then */
    enum log_level level;
    struct log_site *next; /* sites that owe a "suppressed" line */
};

struct log {
    enum log_level level;
    enum log_format format;
    int fd;
    int64_t (*now_ms)(void); /* since 1970; tests put their own clock here */
    struct log_site *owing;
    char ring[LOG_TEXT_RING][LOG_TEXT_MAX];
    unsigned ring_at;
};

extern struct log log_process;

/* May be called again to change the level. Before the first call the level is info. */
void log_open(enum log_level level);
/* At any time; logfmt before the first call. */
void log_set_format(enum log_format format);
/* Writes the lines that sites owe, if their second is over; once a second is enough. */
void log_tick(void);
/* The same, whether the second is over or not; for the end of the program. */
void log_flush(void);

/* The text, quoted if it must be. Lends it until LOG_TEXT_RING further calls. */
const char *log_text(const char *s);
const char *log_bytes(const char *p, size_t len);

/* Use the macros below. `fmt` begins with a blank. */
void log_write(struct log_site *site, enum log_level level, const char *event, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static inline bool log_wants(enum log_level level)
{
    return UNLIKELY(level >= log_process.level);
}

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_wants(level)) {                                                                    \
            static struct log_site log_site_here;                                                  \
            log_write(&log_site_here, level, "" event, " " __VA_ARGS__);                           \
        }                                                                                          \
    } while (0)

#define log_debug(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) LOG_AT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) LOG_AT(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, __VA_ARGS__)

#endif
