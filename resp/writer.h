/*
 * writer.h: writes RESP2 or RESP3 into one growing buffer.
 *
 * What RESP2 lacks is written as Redis writes it to a RESP2 client: a map as a flat array, a set as
 * an array, a double as a bulk string, null as "$-1", a boolean as :1 or :0.
 * The buffer is malloc'd, kept for reuse by writer_clear, freed by writer_close.
 */
#ifndef RESP_WRITER_H
#define RESP_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"

struct writer {
    char *at;
    size_t len, capacity;
    int protocol; /* 2 or 3 */
};

void writer_init(struct writer *w, int protocol);
void writer_clear(struct writer *w, int protocol);
void writer_close(struct writer *w);
struct span writer_span(const struct writer *w);

void write_raw(struct writer *w, struct span bytes);
void write_simple(struct writer *w, const char *text); /* +text */
void write_error(struct writer *w, const char *fmt, ...)
    PRINTF_LIKE(2, 3); /* -text, CR LF blanked */
void write_integer(struct writer *w, long long n);
void write_bulk(struct writer *w, struct span bytes);
void write_bulk_text(struct writer *w, const char *text);
void write_bulk_format(struct writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void write_null(struct writer *w);
void write_null_array(struct writer *w);
void write_bool(struct writer *w, bool yes);
void write_double(struct writer *w, double d);
void write_verbatim(struct writer *w, const char *format, struct span text); /* format: 3 letters */
void write_array(struct writer *w, size_t elements);
void write_map(struct writer *w, size_t pairs);
void write_set(struct writer *w, size_t elements);
void write_push(struct writer *w, size_t elements);
/* A request: "*argc" and then argc calls of write_bulk. */
void write_request(struct writer *w, const char *const *args, size_t count);

#endif
