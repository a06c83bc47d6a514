#include "migrate/restore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/input.h"
#include "migrate/list_file.h"
#include "migrate/run.h"
#include "migrate/summary.h"

/*
 *   target_open -> ready: copy_open, read the file -> its end -> the last answer -> everything
 * closed a failure at any place closes everything at once; so does SIGINT or SIGTERM
 */
struct restore {
    const struct config *config;
    struct run run;
    struct target target;
    struct copy copy;
    struct copy_options copy_options;
    struct input input;
    uint64_t begun; /* ms of loop time */
    bool copying, whole, failed, closing;
};

static void close_all(struct restore *r)
{
    if (r->closing)
        return;
    r->closing = true;
    input_close(&r->input);
    target_close(&r->target);
    run_close(&r->run);
}

static void give_up(struct restore *r, const char *why)
{
    log_error("cannot go on", "reason=%s action=%s", log_text(why),
              log_text(advice_on(ADVICE_START, why)));
    r->failed = true;
    close_all(r);
}

static void cannot_read(struct restore *r, int error)
{
    char why[512];
    snprintf(why, sizeof(why), "the file cannot be read: %.256s: %s", r->config->words[0],
             strerror(error));
    give_up(r, why);
}

static void close_if_done(struct restore *r)
{
    if (r->whole && copy_is_done(&r->copy))
        close_all(r);
}

/* --- the file ------------------------------------------------------------------------------ */

static size_t on_data(void *context, struct span bytes)
{
    struct restore *r = context;
    size_t used = 0;
    if (r->whole)
        return bytes.len; /* such as the AOF behind its RDB preamble: told below, at the end */
    switch (copy_take(&r->copy, bytes, &used)) {
    case COPY_BAD:
        give_up(r, r->copy.reader.error);
        break;
    case COPY_END:
        r->whole = true;
        if (used < bytes.len)
            log_warn("there is something behind the end of the RDB file; it is left out",
                     "action=%s", log_text(advice_on(ADVICE_DEBRIS, NULL)));
        used = bytes.len;
        input_close(&r->input);
        close_if_done(r);
        break;
    default:
        break;
    }
    return used;
}

static void on_end(void *context, int error)
{
    struct restore *r = context;
    if (error != 0)
        cannot_read(r, error);
    else if (!r->whole)
        give_up(r, "the file ends in the middle");
}

/* --- the target ---------------------------------------------------------------------------- */

static void on_ready(void *context)
{
    struct restore *r = context;
    const struct target_facts *f = &r->target.facts;
    log_info("target is ready", "version=%s shards=%u rdb=%u", f->version,
             r->target.router.map->shard_count, f->rdb);
    if (f->evicts)
        log_warn("the target may evict keys when its memory is full", "action=%s",
                 log_text(advice_on(ADVICE_EVICTION, NULL)));
    copy_open(&r->copy, &r->copy_options, &r->target);
    r->copying = true;
    r->begun = uv_now(&r->run.loop);
    input_go_on(&r->input);
}

static void on_failed(void *context, const char *why)
{
    give_up(context, why);
}

static void on_progress(void *context)
{
    struct restore *r = context;
    copy_progress(&r->copy);
    input_go_on(&r->input);
    close_if_done(r);
}

static const struct target_user target_user = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_progress = on_progress,
};

/* --- life ---------------------------------------------------------------------------------- */

static void on_turn_end(void *context)
{
    struct restore *r = context;
    target_turn_end(&r->target);
}

static void on_stop(void *context)
{
    give_up(context, "interrupted");
}

static int run(struct restore *r)
{
    run_open(&r->run, on_turn_end, on_stop, r);
    int error = input_open(&r->input, &r->run.loop, r->config->words[0], on_data, on_end, r);
    target_open(&r->target, &r->run.net, &r->config->target_options, &target_user, r);
    if (error != 0)
        cannot_read(r, error);
    uv_run(&r->run.loop, UV_RUN_DEFAULT);
    if (r->copying)
        summary_write(&r->copy, uv_now(&r->run.loop) - r->begun, stdout);
    bool good = !r->failed && r->whole && summary_is_good(&r->copy);
    if (r->copying)
        copy_close(&r->copy);
    target_free(&r->target);
    run_free(&r->run);
    return good ? 0 : 1;
}

int restore_run(const struct config *config)
{
    struct restore *r = calloc(1, sizeof(*r));
    REQUIRE(r != NULL);
    r->config = config;
    r->copy_options = config->copy_options;
    int code = 1;
    if (list_file_open(&r->copy_options.failed, config->failed_file))
        code = run(r);
    if (!list_file_close(r->copy_options.failed, config->failed_file))
        code = 1;
    free(r);
    return code;
}
