#include "migrate/restore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "migrate/input.h"
#include "migrate/summary.h"

/*
 *   target_open -> ready: copy_open, read the file -> its end -> the last answer -> everything
 * closed a failure at any place closes everything at once; so does SIGINT or SIGTERM
 */
struct restore {
    const struct config *config;
    uv_loop_t loop;
    struct net net;
    struct target target;
    struct copy copy;
    struct copy_options copy_options;
    struct input input;
    uv_signal_t signals[2];
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
    net_close(&r->net);
    for (size_t i = 0; i < ARRAY_LEN(r->signals); i++)
        uv_close((uv_handle_t *)&r->signals[i], NULL);
}

static void give_up(struct restore *r, const char *why)
{
    log_error("cannot go on", "reason=%s", log_text(why));
    r->failed = true;
    close_all(r);
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
            log_warn("there is something behind the end of the RDB file; it is left out", "");
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
        give_up(r, strerror(error));
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
        log_warn("the target may evict keys when its memory is full", "");
    copy_open(&r->copy, &r->copy_options, &r->target);
    r->copying = true;
    r->begun = uv_now(&r->loop);
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

static void on_signal(uv_signal_t *handle, int signum)
{
    (void)signum;
    give_up(handle->data, "interrupted");
}

static void open_all(struct restore *r)
{
    static const int numbers[] = { SIGINT, SIGTERM };
    REQUIRE(uv_loop_init(&r->loop) == 0);
    net_open(&r->net, &r->loop, on_turn_end, r);
    for (size_t i = 0; i < ARRAY_LEN(r->signals); i++) {
        uv_signal_init(&r->loop, &r->signals[i]);
        r->signals[i].data = r;
        uv_signal_start(&r->signals[i], on_signal, numbers[i]);
    }
    target_open(&r->target, &r->net, &r->config->target_options, &target_user, r);
}

static void free_all(struct restore *r)
{
    if (r->copying)
        copy_close(&r->copy);
    target_free(&r->target);
    net_free(&r->net);
    REQUIRE(uv_loop_close(&r->loop) == 0);
}

static int run(struct restore *r)
{
    int error = input_open(&r->input, &r->loop, r->config->words[0], on_data, on_end, r);
    if (error != 0) {
        log_error("cannot open the file", "file=%s reason=%s", log_text(r->config->words[0]),
                  log_text(strerror(error)));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    open_all(r);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    if (r->copying)
        summary_write(&r->copy, uv_now(&r->loop) - r->begun, stdout);
    bool good = !r->failed && r->whole && summary_is_good(&r->copy);
    free_all(r);
    return good ? 0 : 1;
}

int restore_run(const struct config *config)
{
    struct restore *r = calloc(1, sizeof(*r));
    REQUIRE(r != NULL);
    r->config = config;
    r->copy_options = config->copy_options;
    if (config->failed_file != NULL)
        r->copy_options.failed = fopen(config->failed_file, "we");
    int code = 1;
    if (config->failed_file != NULL && r->copy_options.failed == NULL)
        log_error("cannot write", "file=%s reason=%s", log_text(config->failed_file),
                  log_text(strerror(errno)));
    else
        code = run(r);
    if (r->copy_options.failed != NULL && fclose(r->copy_options.failed) != 0)
        code = 1;
    free(r);
    return code;
}
