/*
 * log_json.h: makes one JSON object of what a line in logfmt says. Knows only text.
 *
 * The fields of the log's call sites are written by printf in logfmt. Their format says which keys
 * there are, in which order, and which values are numbers; so nothing that a value contains can
 * make another field. The result is valid JSON in UTF-8 whatever the bytes: those that are no
 * UTF-8 become U+FFFD.
 */
#ifndef BASE_LOG_JSON_H
#define BASE_LOG_JSON_H

#include <stddef.h>

#include "base/check.h"

enum { LOG_JSON_MIN = 64 };

struct log_json {
    char *out;
    size_t cap; /* at least LOG_JSON_MIN; what does not fit is left out, the end is always whole */
    size_t len;
};

void log_json_begin(struct log_json *j, char *out, size_t cap);
void log_json_text(struct log_json *j, const char *key, const char *value);
void log_json_number(struct log_json *j, const char *key, long long value);
/* fmt: "node=%s pending=%u"; fields: what printf made of it. Blanks before it do not count. */
void log_json_fields(struct log_json *j, const char *fmt, const char *fields);
/* The closing brace; gives the length. No NUL. */
size_t log_json_end(struct log_json *j);

#endif
