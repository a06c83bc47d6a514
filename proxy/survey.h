/*
 * survey.h: a command of a client that concerns all workers of the proxy: each does its part, and
 * the client gets one answer that is made of theirs.
 *
 *   survey_run: nobody else there -> this worker's part, and the answer at once
 *               else an op: the others are asked with the request as it came; each does its part
 *                 (survey_on_asked -> row->part) -> all have answered, or TALK_ANSWER_MS are over
 *                 -> this worker does its part -> row->merge -> the client has its answer
 *
 * Like every op it begins once its client has got every earlier reply, and until it has ended the
 * client is read no further, so replies keep their order. A worker that does not answer in time is
 * left out, as if it had no clients.
 */
#ifndef PROXY_SURVEY_H
#define PROXY_SURVEY_H

#include "proxy/dispatch.h"
#include "proxy/talk.h"
#include "resp/writer.h"

/* What one worker has said; the first one is the worker that asked. */
struct survey_part {
    struct span bytes;
};

struct survey_row {
    const char *command; /* "client|list", "monitor" */
    /* Does this worker's part and writes its result, in any form that merge knows; its errors have
       been found before. c: the client whose command it is, NULL in the other workers. */
    void (*part)(struct worker *w, struct client *c, const struct argv *argv, struct writer *out);
    /* NULL, or what another worker does in place of `part`: for what takes time, or needs to know
       who asks. Has to answer the letter, now or later. */
    void (*asked)(struct worker *w, const struct argv *argv, const struct talk_letter *letter);
    /* Writes the client's answer; may use up the parts. */
    void (*merge)(struct survey_part *parts, uint32_t count, const struct argv *argv,
                  struct writer *w);
};

/* To be called by the local command of that row, once the arguments have been found right; gives
   what a local_command gives. The row is const and lives for ever. */
MUST_USE bool survey_run(struct client *c, const struct argv *argv, struct writer *w,
                         const struct survey_row *row);

/* Whether it would start now; for commands that do something before. */
MUST_USE bool survey_may_run(const struct client *c);
/* Whether a request is such a command, and there are others to ask: inside MULTI it is a step of
   its own then. */
MUST_USE bool survey_concerns(const struct client *c, const struct argv *argv);
/* As survey_run, but the others are asked about another topic with these bytes, which are copied.
 */
MUST_USE bool survey_run_with(struct client *c, const struct argv *argv, struct writer *w,
                              const struct survey_row *row, uint16_t topic, struct span question);

/* TALK_SURVEY. */
talk_handler survey_on_asked;

/* --- parts that are numbers, and merges of them ----------------------------------------------- */

void survey_write_number(struct writer *out, uint64_t n);
/* 0 when the part holds none, for it came from another version. */
uint64_t survey_number(const struct survey_part *part);
uint64_t survey_sum(const struct survey_part *parts, uint32_t count);
/* "+OK", whatever the parts say. */
void survey_merge_ok(struct survey_part *parts, uint32_t count, const struct argv *argv,
                     struct writer *w);
/* The sum as an integer. */
void survey_merge_sum(struct survey_part *parts, uint32_t count, const struct argv *argv,
                      struct writer *w);

#endif
