/*
 * reply_log.h: what the reply scanner says about some bytes, as text, however they arrive.
 */
#ifndef TEST_REPLY_LOG_H
#define TEST_REPLY_LOG_H

#include "resp/reply.h"
#include "test/unit/request_log.h"

/* One line per reply: its length and type; then "bad", or "more" when a reply goes on. */
static inline void log_replies(struct writer *log, struct span bytes, struct cut cut)
{
    struct reply_scanner s = { .missing = 0 };
    enum reply_result r = REPLY_DONE;
    size_t length = 0; /* of this reply so far */
    for (size_t at = 0; at < bytes.len;) {
        size_t piece = cut_next(&cut);
        if (piece > bytes.len - at)
            piece = bytes.len - at;
        char *copy = malloc(piece);
        REQUIRE(copy != NULL);
        memcpy(copy, bytes.at + at, piece);
        at += piece;
        for (size_t done = 0; done < piece;) {
            size_t used = 0;
            r = reply_scan(&s, copy + done, piece - done, &used);
            if (r == REPLY_BAD)
                break;
            REQUIRE(used > 0 && used <= piece - done);
            REQUIRE(r == REPLY_DONE || used == piece - done);
            done += used;
            length += used;
            if (r == REPLY_DONE) {
                log_format(log, "reply %zu ", length);
                write_raw(log, (struct span){ (const char *)&s.first, 1 });
                write_raw(log, SPAN("\n"));
                length = 0;
            }
        }
        free(copy);
        if (r == REPLY_BAD) {
            write_raw(log, SPAN("bad\n"));
            return;
        }
    }
    if (r == REPLY_MORE)
        log_format(log, "more %zu\n", length);
}

#endif
