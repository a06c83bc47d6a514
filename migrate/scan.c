#include "migrate/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/list_file.h"
#include "migrate/run.h"
#include "migrate/scan_fetch.h"
#include "migrate/scan_reply.h"
#include "migrate/scan_tail.h"
#include "migrate/summary.h"
#include "resp/value.h"

/*
 *   SCAN -> DUMP and time of each key -> as a record of an RDB file -> copy.h, as for any file
 *   --tail: the keys that notifications name go the same way, from before the first SCAN on; a key
 *   that is gone is deleted at the target
 *
 *   STARTING (both servers, the subscription) -> SCANNING --cursor 0--> ENDING (what is under way)
 *   -> closed; with --tail: FOLLOWING until told to stop -> ENDING
 */
enum phase { STARTING, SCANNING, FOLLOWING, ENDING };

enum { UNDER_WAY_MAX = 64, RECORDS_MAX = 4 * 1024 * 1024, PAYLOAD_TAIL = 10 };

struct scan {
    const struct config *config;
    struct copy_options copy_options;
    struct run run;
    struct target source, target;
    struct copy copy;
    struct scan_tail tail;
    struct list_node fetches;
    struct writer scanned; /* the reply to SCAN */
    struct writer records; /* for the copy, which has taken them up to `at` */
    size_t at;
    char cursor[SCAN_CURSOR_MAX];
    uint64_t begun, deleted, failed_keys;
    uint32_t under_way, deleting;
    uint8_t phase; /* enum phase */
    int ready;
    bool scanning, batch_ready, copying, failed, closing, ended;
};

static void close_all(struct scan *s)
{
    if (s->closing)
        return;
    s->closing = true;
    scan_tail_close(&s->tail);
    target_close(&s->source);
    target_close(&s->target);
    run_close(&s->run);
}

static void give_up(void *context, const char *why)
{
    struct scan *s = context;
    if (s->closing)
        return;
    log_error("cannot go on", "reason=%s action=%s", log_text(why),
              log_text(advice_on(ADVICE_START, why)));
    s->failed = true;
    close_all(s);
}

/* --- one key ------------------------------------------------------------------------------- */

static void write_byte(struct writer *w, unsigned byte)
{
    char c = (char)byte;
    write_raw(w, (struct span){ &c, 1 });
}

/* A length of an RDB file, in its longest form of 32 bits. */
static void write_length(struct writer *w, size_t len)
{
    write_byte(w, 0x80);
    for (int shift = 24; shift >= 0; shift -= 8)
        write_byte(w, (unsigned)(len >> shift) & 0xff);
}

/* What DUMP gives is a type, the value, and a version and a checksum of ten bytes. */
static void write_record(struct scan *s, struct span key, struct span payload, int64_t at)
{
    struct writer *w = &s->records;
    if (at >= 0) {
        write_byte(w, RDB_OP_EXPIRE_MS);
        for (int i = 0; i < 8; i++)
            write_byte(w, (unsigned)((uint64_t)at >> (8 * i)) & 0xff);
    }
    write_byte(w, (unsigned char)payload.at[0]);
    write_length(w, key.len);
    write_raw(w, key);
    write_raw(w, (struct span){ payload.at + 1, payload.len - 1 - PAYLOAD_TAIL });
}

static void on_deleted(void *context, const struct target_call *call)
{
    struct scan *s = context;
    s->deleting--;
    if (call->error[0] == '\0') {
        s->deleted += !call->zero;
        return;
    }
    s->failed_keys++;
    struct span key = target_key(call);
    log_error("key not deleted", "key=%s reason=%s action=%s", log_bytes(key.at, key.len),
              log_text(call->error), log_text(advice_on(ADVICE_KEY_ONCE, call->error)));
}

static void delete_key(struct scan *s, struct span key)
{
    struct writer w;
    writer_init(&w, 2);
    write_array(&w, 2);
    write_bulk(&w, SPAN("DEL"));
    write_bulk(&w, key);
    s->deleting++;
    target_send(&s->target, SPAN("del"), key, writer_span(&w), true, on_deleted, s);
    writer_close(&w);
}

static void on_fetched(void *context, struct span key, struct span payload, int64_t expire_at,
                       const char *error)
{
    struct scan *s = context;
    s->under_way--;
    if (error != NULL)
        copy_failed(&s->copy, key, error);
    else if (payload.len > PAYLOAD_TAIL)
        write_record(s, key, payload, expire_at);
    else if (s->config->tail)
        delete_key(s, key);
}

static void fetch(struct scan *s, struct span key)
{
    const struct filter *f = s->copy_options.filter;
    enum filter_verdict verdict = f != NULL ? filter_key(f, key) : FILTER_TAKE;
    if (verdict == FILTER_OUT || verdict == FILTER_STALE) {
        s->copy.counters.filtered += verdict == FILTER_OUT;
        s->copy.counters.stale += verdict == FILTER_STALE;
        return;
    }
    s->under_way++;
    scan_fetch_start(&s->fetches, &s->source, key, on_fetched, s);
}

/* --- all keys ------------------------------------------------------------------------------ */

static void on_scanned(void *context, const struct target_call *call)
{
    struct scan *s = context;
    s->scanning = false;
    s->batch_ready = call->error[0] == '\0';
    if (call->error[0] != '\0')
        give_up(s, call->error);
}

static void scan_on(struct scan *s)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, (const char *[]){ "SCAN", s->cursor, "COUNT", "100" }, 4);
    writer_clear(&s->scanned, 2);
    s->scanning = true;
    target_ask_shard(&s->source, 0, SPAN("scan"), writer_span(&w), &s->scanned, on_scanned, s);
    writer_close(&w);
}

static void end_scan(struct scan *s)
{
    s->phase = s->config->tail ? FOLLOWING : ENDING;
    if (s->config->tail)
        log_info("all keys are read; following the notifications", "keys=%llu",
                 (unsigned long long)s->copy.counters.keys);
}

static void on_scanned_key(void *context, struct span key)
{
    fetch(context, key);
}

static bool take_batch(struct scan *s)
{
    s->batch_ready = false;
    if (!scan_reply_take(writer_span(&s->scanned), s->cursor, on_scanned_key, s))
        return false;
    if (strcmp(s->cursor, "0") == 0)
        end_scan(s);
    return true;
}

/* What is on its way must fit into memory, so the next keys wait for it. */
static bool may_fetch(const struct scan *s)
{
    return s->under_way < UNDER_WAY_MAX && s->records.len - s->at < RECORDS_MAX;
}

static void read_source(struct scan *s)
{
    struct span key;
    while (s->config->tail && may_fetch(s) && scan_tail_next(&s->tail, &key))
        fetch(s, key);
    if (s->batch_ready && may_fetch(s) && !take_batch(s))
        give_up(s, "an answer to SCAN cannot be understood");
    if (!s->closing && s->phase == SCANNING && !s->scanning && !s->batch_ready)
        scan_on(s);
}

/* --- to the target ------------------------------------------------------------------------- */

static void write_end(struct scan *s)
{
    static const char sum[8] = { 0 }; /* none */
    write_byte(&s->records, RDB_OP_EOF);
    write_raw(&s->records, (struct span){ sum, sizeof(sum) });
    s->ended = true;
}

static void write_target(struct scan *s)
{
    size_t used;
    struct span rest = { s->records.at + s->at, s->records.len - s->at };
    if (copy_take(&s->copy, rest, &used) == COPY_BAD) {
        give_up(s, s->copy.reader.error);
        return;
    }
    s->at += used;
    if (s->at == s->records.len) {
        writer_clear(&s->records, 2);
        s->at = 0;
    }
}

static void close_if_done(struct scan *s)
{
    bool fetched =
        s->phase == ENDING && s->under_way == 0 && (!s->config->tail || s->tail.waiting == 0);
    if (fetched && !s->ended) {
        write_end(s);
        write_target(s);
    }
    if (fetched && s->records.len == 0 && s->deleting == 0 && copy_is_done(&s->copy))
        close_all(s);
}

/* --- life ---------------------------------------------------------------------------------- */

static void begin(struct scan *s)
{
    const char *magic = s->source.facts.rdb_valkey > 0 ? "VALKEY080" : "REDIS0012";
    log_info("reading the source by SCAN; best effort: it is no snapshot", "tail=%s",
             s->config->tail ? "yes" : "no");
    copy_open(&s->copy, &s->copy_options, &s->target);
    write_raw(&s->records, (struct span){ magic, strlen(magic) });
    s->copying = true;
    s->begun = uv_now(&s->run.loop);
    s->phase = SCANNING;
    net_hurry(&s->run.net);
}

static void on_tail_ready(void *context)
{
    begin(context);
}

static void on_key(void *context)
{
    struct scan *s = context;
    net_hurry(&s->run.net);
}

static const struct scan_tail_user tail_user = {
    .on_ready = on_tail_ready,
    .on_key = on_key,
    .on_failed = give_up,
};

/* CONFIG GET: the name, and which events the source tells. */
static bool sends_notifications(const struct scan *s)
{
    struct value_cursor c = { s->scanned.at, s->scanned.at + s->scanned.len };
    struct value list, name, classes;
    return value_next(&c, &list) && value_next(&c, &name) && value_next(&c, &classes) &&
           classes.kind == VALUE_STRING && memchr(classes.text.at, 'E', classes.text.len) != NULL;
}

static void on_config(void *context, const struct target_call *call)
{
    struct scan *s = context;
    if (call->error[0] != '\0')
        log_warn("the source does not tell whether it sends keyspace notifications",
                 "reason=%s action=%s", log_text(call->error),
                 log_text(advice_on(ADVICE_NOTICES, call->error)));
    else if (!sends_notifications(s)) {
        give_up(s, "the source sends no keyspace notifications; set its notify-keyspace-events to "
                   "KEA");
        return;
    }
    /* From before the first SCAN on, so that no change falls between the two. */
    scan_tail_open(&s->tail, &s->run.net, &s->config->source.endpoints[0],
                   &s->source.router_options.link, &tail_user, s);
}

static void on_ready(void *context)
{
    struct scan *s = context;
    struct writer w;
    if (++s->ready < 2)
        return;
    if (target_ids_meet(&s->source.ids, &s->target.ids)) {
        give_up(s, TARGET_IS_SOURCE);
        return;
    }
    if (!s->config->tail) {
        begin(s);
        return;
    }
    writer_init(&w, 2);
    write_request(&w, (const char *[]){ "CONFIG", "GET", "notify-keyspace-events" }, 3);
    target_ask_shard(&s->source, 0, SPAN("config"), writer_span(&w), &s->scanned, on_config, s);
    writer_close(&w);
}

static void on_progress(void *context)
{
    struct scan *s = context;
    if (s->copying)
        copy_progress(&s->copy);
}

static const struct target_user server_user = {
    .on_ready = on_ready,
    .on_failed = give_up,
    .on_progress = on_progress,
};

static void on_turn_end(void *context)
{
    struct scan *s = context;
    target_turn_end(&s->source);
    target_turn_end(&s->target);
    if (s->closing || !s->copying)
        return;
    read_source(s);
    if (!s->closing)
        write_target(s);
    if (!s->closing)
        close_if_done(s);
    target_turn_end(&s->source);
    target_turn_end(&s->target);
}

static void on_stop(void *context)
{
    struct scan *s = context;
    if (s->phase != FOLLOWING) {
        give_up(s, "interrupted");
        return;
    }
    s->phase = ENDING;
    scan_tail_close(&s->tail); /* what it has named is still copied */
    net_hurry(&s->run.net);
}

static int end(struct scan *s)
{
    bool good = !s->failed && s->copying && summary_is_good(&s->copy) && s->failed_keys == 0;
    scan_fetch_free_all(&s->fetches);
    if (s->copying) {
        summary_write(&s->copy, uv_now(&s->run.loop) - s->begun, stdout);
        if (s->config->tail)
            printf("%-28s %12llu\n%-28s %12llu\n", "notifications",
                   (unsigned long long)s->tail.events, "keys deleted",
                   (unsigned long long)s->deleted);
        printf("%s\n", "best effort: what changed while it was read may differ; see verify");
        copy_close(&s->copy);
    }
    scan_tail_free(&s->tail);
    writer_close(&s->scanned);
    writer_close(&s->records);
    target_free(&s->source);
    target_free(&s->target);
    run_free(&s->run);
    return good ? 0 : 1;
}

static int run(struct scan *s)
{
    list_init(&s->fetches);
    writer_init(&s->scanned, 2);
    writer_init(&s->records, 2);
    strcpy(s->cursor, "0");
    run_open(&s->run, on_turn_end, on_stop, s);
    target_open(&s->source, &s->run.net, &s->config->source_as_target, &server_user, s);
    target_open(&s->target, &s->run.net, &s->config->target_options, &server_user, s);
    uv_run(&s->run.loop, UV_RUN_DEFAULT);
    return end(s);
}

int scan_run(const struct config *config)
{
    struct scan *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    s->config = config;
    s->copy_options = config->copy_options;
    int code = 1;
    if (list_file_open(&s->copy_options.failed, config->failed_file))
        code = run(s);
    if (!list_file_close(s->copy_options.failed, config->failed_file))
        code = 1;
    free(s);
    return code;
}
