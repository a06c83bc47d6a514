#include "migrate/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/run.h"

/* The payload is written as it comes, and read on the way, so that a damaged one is not kept. The
   writes go to the page cache; a disk that is slower than the source holds up only the source. */
struct dump {
    struct run run;
    struct source source;
    struct rdb_reader reader;
    struct crc64_tables tables;
    char partial[4096];
    int file;
    uint64_t keys;
    bool whole, failed, closing;
};

static void close_all(struct dump *d)
{
    if (d->closing)
        return;
    d->closing = true;
    source_close(&d->source);
    run_close(&d->run);
}

static void give_up(void *context, const char *why)
{
    struct dump *d = context;
    log_error("cannot go on", "reason=%s action=%s", log_text(why),
              log_text(advice_on(ADVICE_START, why)));
    d->failed = true;
    close_all(d);
}

static void cannot_write(struct dump *d)
{
    char why[512];
    snprintf(why, sizeof(why), "the file cannot be written: %.256s: %s", d->partial,
             strerror(errno));
    give_up(d, why);
}

static void on_stop(void *context)
{
    give_up(context, "interrupted");
}

static void on_turn_end(void *context)
{
    (void)context;
}

static void check(struct dump *d, struct span bytes)
{
    while (bytes.len > 0 && !d->failed) {
        size_t used;
        enum rdb_fact fact = rdb_read(&d->reader, bytes.at, bytes.len, &used);
        d->keys += fact == RDB_KEY;
        d->whole = d->whole || fact == RDB_END;
        if (fact == RDB_BAD)
            give_up(d, d->reader.error);
        bytes.at += used;
        bytes.len -= used;
    }
}

static void on_payload(void *context, struct span bytes)
{
    struct dump *d = context;
    struct span rest = bytes;
    while (rest.len > 0 && !d->failed) {
        ssize_t n = write(d->file, rest.at, rest.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            cannot_write(d);
            return;
        }
        rest.at += n;
        rest.len -= (size_t)n;
    }
    check(d, bytes);
}

static void on_payload_end(void *context)
{
    struct dump *d = context;
    if (!d->whole)
        give_up(d, "the payload ends in the middle of the file");
    else
        close_all(d);
}

static void on_stream(void *context, struct span bytes)
{
    (void)context, (void)bytes; /* it was closed at the payload's end */
}

static const struct source_user source_user = {
    .on_payload = on_payload,
    .on_payload_end = on_payload_end,
    .on_stream = on_stream,
    .on_failed = give_up,
};

static bool keep_file(struct dump *d, const char *path)
{
    if (fsync(d->file) == 0 && close(d->file) == 0 && rename(d->partial, path) == 0)
        return true;
    log_error("cannot keep the file", "file=%s reason=%s action=%s", log_text(path),
              log_text(strerror(errno)), log_text(advice_on(ADVICE_FILE, NULL)));
    return false;
}

static int run(struct dump *d, const struct config *config)
{
    const char *path = config->words[1];
    crc64_fill(&d->tables);
    rdb_reader_open(&d->reader, &d->tables);
    run_open(&d->run, on_turn_end, on_stop, d);
    source_open(&d->source, &d->run.net, &config->source_options, &source_user, d);
    uv_run(&d->run.loop, UV_RUN_DEFAULT);
    rdb_reader_close(&d->reader);
    run_free(&d->run);
    if (d->failed || !keep_file(d, path)) {
        unlink(d->partial);
        return 1;
    }
    printf("%-28s %12llu\n%-28s %12llu\n", "keys", (unsigned long long)d->keys, "bytes",
           (unsigned long long)d->source.payload_bytes);
    return 0;
}

int dump_run(const struct config *config)
{
    struct dump *d = calloc(1, sizeof(*d));
    REQUIRE(d != NULL);
    snprintf(d->partial, sizeof(d->partial), "%s.partial", config->words[1]);
    d->file = open(d->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int code = 1;
    if (d->file < 0)
        log_error("cannot write", "file=%s reason=%s action=%s", log_text(d->partial),
                  log_text(strerror(errno)), log_text(advice_on(ADVICE_FILE, NULL)));
    else
        code = run(d, config);
    free(d);
    return code;
}
