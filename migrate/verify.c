#include "migrate/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/list_file.h"
#include "migrate/replay.h"
#include "migrate/run.h"
#include "migrate/scan_reply.h"
#include "migrate/target_databases.h"
#include "migrate/verify_check.h"
#include "migrate/verify_databases.h"
#include "resp/value.h"

/*
 *   (--db prefix: which databases does the source have?)
 *   SOURCE_KEYS: SCAN the source, compare each key ----+    each database after the other
 *   TARGET_KEYS: SCAN each shard of the target, is the key at the source? --> those that differ
 *   AGAIN: after a pause, compare those once more, `rounds` times in all --> told
 */
enum phase { STARTING, DATABASES, SOURCE_KEYS, TARGET_KEYS, AGAIN, PAUSE, OVER };

enum { UNDER_WAY_MAX = 512, SHOWN_MAX = 20 };

struct suspect {
    char *key; /* at the source */
    size_t len;
    uint16_t database;
    uint8_t result; /* enum verify_result */
};

struct suspects {
    struct suspect *v;
    size_t count, room;
};

/* Whether the source has one key of the target. */
struct lookup {
    struct list_node link; /* in verify->lookups */
    struct verify *verify;
    uint16_t database; /* of the source */
    struct writer key;
};

struct verify {
    const struct config *config;
    struct run run;
    struct target source, target;
    uv_timer_t timer;
    uint8_t phase; /* enum phase */
    int ready, round;
    char cursor[SCAN_CURSOR_MAX];
    uint32_t shard, place; /* in the databases of that side */
    struct verify_databases databases;
    struct writer scanned; /* the reply to SCAN, or to INFO */
    bool scanning, batch_ready, failed, closing;
    struct list_node checks, lookups;
    uint32_t under_way;
    uint64_t source_keys, target_keys, left_out;
    struct suspects found, again;
    size_t next; /* in again */
};

static void close_all(struct verify *v)
{
    if (v->closing)
        return;
    v->closing = true;
    target_close(&v->source);
    target_close(&v->target);
    uv_close((uv_handle_t *)&v->timer, NULL);
    run_close(&v->run);
}

static void give_up(void *context, const char *why)
{
    struct verify *v = context;
    if (v->closing)
        return;
    log_error("cannot go on", "reason=%s action=%s", log_text(why),
              log_text(advice_on(ADVICE_START, why)));
    v->failed = true;
    close_all(v);
}

/* --- what differs -------------------------------------------------------------------------- */

static void suspect(struct verify *v, uint16_t database, struct span key, enum verify_result result)
{
    struct suspects *s = &v->found;
    if (s->count == s->room) {
        s->room = s->room > 0 ? s->room * 2 : 64;
        s->v = realloc(s->v, s->room * sizeof(*s->v));
        REQUIRE(s->v != NULL);
    }
    s->v[s->count++] =
        (struct suspect){ text_copy(key.at, key.len), key.len, database, (uint8_t)result };
}

static void forget(struct suspects *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->v[i].key);
    free(s->v);
    *s = (struct suspects){ 0 };
}

static void on_checked(void *context, uint16_t database, struct span key, enum verify_result result)
{
    struct verify *v = context;
    v->under_way--;
    if (result != VERIFY_SAME)
        suspect(v, database, key, result);
}

static void check(struct verify *v, uint16_t database, struct span key)
{
    struct writer room;
    struct verify_side source = { &v->source, database, key }, target = { .server = &v->target };
    writer_init(&room, 2);
    target.key = verify_databases_target(&v->databases, database, key, &room, &target.database);
    v->under_way++;
    verify_check_start(&v->checks, &source, &target, v->config->ttl_tolerance, on_checked, v);
    writer_close(&room);
}

static void free_lookup(struct lookup *l)
{
    list_remove(&l->link);
    writer_close(&l->key);
    free(l);
}

static void on_looked_up(void *context, const struct target_call *call)
{
    struct lookup *l = context;
    struct verify *v = l->verify;
    v->under_way--;
    if (call->error[0] != '\0')
        suspect(v, l->database, writer_span(&l->key), VERIFY_UNKNOWN);
    else if (call->zero)
        suspect(v, l->database, writer_span(&l->key), VERIFY_EXTRA);
    free_lookup(l);
}

static void look_up(struct verify *v, uint16_t database, struct span key)
{
    struct lookup *l = calloc(1, sizeof(*l));
    struct writer w;
    REQUIRE(l != NULL);
    l->verify = v;
    l->database = database;
    list_append(&v->lookups, &l->link);
    writer_init(&l->key, 2);
    write_raw(&l->key, key);
    writer_init(&w, 2);
    write_array(&w, 2);
    write_bulk(&w, SPAN("EXISTS"));
    write_bulk(&w, key);
    v->under_way++;
    target_use(&v->source, database);
    target_ask(&v->source, SPAN("exists"), key, writer_span(&w), NULL, on_looked_up, l);
    target_use(&v->source, 0);
    writer_close(&w);
}

/* --- all keys ------------------------------------------------------------------------------ */

static void on_scanned(void *context, const struct target_call *call)
{
    struct verify *v = context;
    v->scanning = false;
    v->batch_ready = call->error[0] == '\0';
    if (call->error[0] != '\0')
        give_up(v, call->error);
}

static void scan(struct verify *v)
{
    const struct verify_databases *d = &v->databases;
    bool source = v->phase == SOURCE_KEYS;
    struct target *t = source ? &v->source : &v->target;
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, (const char *[]){ "SCAN", v->cursor, "COUNT", "200" }, 4);
    writer_clear(&v->scanned, 2);
    v->scanning = true;
    target_use(t, source ? d->at_source[v->place] : d->at_target[v->place]);
    target_ask_shard(t, v->shard, SPAN("scan"), writer_span(&w), &v->scanned, on_scanned, v);
    target_use(t, 0);
    writer_close(&w);
}

/* The proxies that a target may be are each the whole of it. */
static uint32_t shards_to_scan(const struct verify *v)
{
    bool cluster = v->phase == TARGET_KEYS && v->config->target_options.cluster;
    return cluster ? target_shards(&v->target) : 1;
}

/* AGAIN has nothing to do at first, but waits for what is under way: the end of round one. */
static void next_database(struct verify *v)
{
    bool source = v->phase == SOURCE_KEYS;
    if (++v->place < (source ? v->databases.sources : v->databases.targets))
        return;
    v->place = 0;
    v->phase = source ? TARGET_KEYS : AGAIN;
}

static void next_shard(struct verify *v)
{
    strcpy(v->cursor, "0");
    if (++v->shard < shards_to_scan(v))
        return;
    v->shard = 0;
    next_database(v);
}

/* By its name and database; types are not asked for here. */
static bool is_wanted(const struct verify *v, uint16_t database, struct span key)
{
    const struct filter *f = v->config->copy_options.filter;
    if (f == NULL)
        return true;
    if (!filter_database(f, database))
        return false;
    enum filter_verdict verdict = filter_key(f, key);
    return verdict == FILTER_TAKE || verdict == FILTER_REPORTED;
}

static void on_key(void *context, struct span key)
{
    struct verify *v = context;
    const struct verify_databases *d = &v->databases;
    bool source = v->phase == SOURCE_KEYS;
    uint16_t database = source ? d->at_source[v->place] : 0;
    if (replay_is_own_key(key))
        return;
    if (!source)
        key = verify_databases_source(d, d->at_target[v->place], key, &database);
    if (!is_wanted(v, database, key))
        v->left_out++;
    else
        (source ? check : look_up)(v, database, key);
    *(source ? &v->source_keys : &v->target_keys) += 1;
}

static bool take_batch(struct verify *v)
{
    v->batch_ready = false;
    if (!scan_reply_take(writer_span(&v->scanned), v->cursor, on_key, v))
        return false;
    if (strcmp(v->cursor, "0") == 0)
        next_shard(v);
    return true;
}

static void scan_on(struct verify *v)
{
    if (v->batch_ready && !take_batch(v)) {
        give_up(v, "an answer to SCAN cannot be understood");
        return;
    }
    bool scans = v->phase == SOURCE_KEYS || v->phase == TARGET_KEYS;
    if (scans && !v->scanning && v->under_way < UNDER_WAY_MAX)
        scan(v);
}

/* --- rounds -------------------------------------------------------------------------------- */

static void on_pause_over(uv_timer_t *timer)
{
    struct verify *v = timer->data;
    v->phase = AGAIN;
    v->again = v->found;
    v->found = (struct suspects){ 0 };
    v->next = 0;
    net_hurry(&v->run.net);
}

static void end_round(struct verify *v)
{
    forget(&v->again);
    log_info("round done", "round=%d differing=%zu", ++v->round, v->found.count);
    if (v->found.count == 0 || v->round >= v->config->rounds) {
        v->phase = OVER;
        close_all(v);
        return;
    }
    v->phase = PAUSE;
    uv_timer_start(&v->timer, on_pause_over, v->config->round_pause, 0);
}

/* Asks for them, and begins when it has them. */
static void find_databases(struct verify *v)
{
    static const struct span info = { "*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n", 28 };
    struct value_cursor c = { v->scanned.at, v->scanned.at + v->scanned.len };
    struct value text = { .text = SPAN("") };
    if (!v->batch_ready && !v->scanning) {
        v->scanning = true;
        target_ask_shard(&v->source, 0, SPAN("info"), info, &v->scanned, on_scanned, v);
    }
    if (!v->batch_ready)
        return;
    v->batch_ready = false;
    if (v->scanned.len > 0 && !value_next(&c, &text))
        text.text = SPAN("");
    verify_databases_init(&v->databases, &v->config->copy_options, text.text);
    v->phase = v->databases.sources > 0 ? SOURCE_KEYS : TARGET_KEYS;
}

static void step(struct verify *v)
{
    if (v->phase == DATABASES)
        find_databases(v);
    if (v->phase == SOURCE_KEYS || v->phase == TARGET_KEYS)
        scan_on(v);
    while (v->phase == AGAIN && v->next < v->again.count && v->under_way < UNDER_WAY_MAX) {
        const struct suspect *s = &v->again.v[v->next++];
        check(v, s->database, (struct span){ s->key, s->len });
    }
    if (v->phase == AGAIN && v->next == v->again.count && v->under_way == 0)
        end_round(v);
}

/* --- life ---------------------------------------------------------------------------------- */

static void on_ready(void *context)
{
    struct verify *v = context;
    if (++v->ready < 2)
        return;
    v->phase = DATABASES;
    v->batch_ready = !verify_databases_ask(&v->config->copy_options);
    net_hurry(&v->run.net);
}

static void on_progress(void *context)
{
    (void)context; /* on_turn_end looks */
}

static const struct target_user server_user = {
    .on_ready = on_ready,
    .on_failed = give_up,
    .on_progress = on_progress,
};

static void on_turn_end(void *context)
{
    struct verify *v = context;
    target_turn_end(&v->source);
    target_turn_end(&v->target);
    if (v->closing)
        return;
    step(v);
    target_turn_end(&v->source);
    target_turn_end(&v->target);
}

static void on_stop(void *context)
{
    give_up(context, "interrupted");
}

static void tell(const struct verify *v, FILE *file)
{
    for (size_t i = 0; i < v->found.count; i++) {
        const struct suspect *s = &v->found.v[i];
        const char *how = verify_result_text(s->result);
        char shown[256];
        struct writer label_room;
        writer_init(&label_room, 2);
        struct span label = databases_label(&v->config->copy_options, s->database,
                                            (struct span){ s->key, s->len }, &label_room);
        size_t room = label.len * 4 + 8;
        char *quoted = malloc(room);
        REQUIRE(quoted != NULL);
        text_quote(quoted, room, label.at, label.len);
        text_quote(shown, sizeof(shown), label.at, label.len);
        writer_close(&label_room);
        if (file != NULL)
            fprintf(file, "%s %s\n", quoted, how);
        if (i < SHOWN_MAX)
            printf("%s %s\n", shown, how);
        free(quoted);
    }
    if (v->found.count > SHOWN_MAX)
        printf("... see --diff-file for all of them\n");
    if (v->found.count > 0)
        printf(
            "while a sync runs: cutover SOCKET --repair-from DIFF-FILE brings these over again\n");
    if (v->left_out > 0)
        printf("%-28s %12llu\n", "keys left out by filters", (unsigned long long)v->left_out);
    printf("%-28s %12llu\n%-28s %12llu\n%-28s %12zu\n", "keys at the source",
           (unsigned long long)v->source_keys, "keys at the target",
           (unsigned long long)v->target_keys, "keys that differ", v->found.count);
}

static int run(struct verify *v, FILE *file)
{
    list_init(&v->checks);
    list_init(&v->lookups);
    writer_init(&v->scanned, 2);
    strcpy(v->cursor, "0");
    run_open(&v->run, on_turn_end, on_stop, v);
    uv_timer_init(&v->run.loop, &v->timer);
    v->timer.data = v;
    target_open(&v->source, &v->run.net, &v->config->source_as_target, &server_user, v);
    target_open(&v->target, &v->run.net, &v->config->target_options, &server_user, v);
    uv_run(&v->run.loop, UV_RUN_DEFAULT);
    verify_check_free_all(&v->checks);
    struct list_node *n, *safe;
    LIST_EACH (&v->lookups, n, safe)
        free_lookup(LIST_ENTRY(n, struct lookup, link));
    if (!v->failed)
        tell(v, file);
    int code = v->failed || v->found.count > 0 ? 1 : 0;
    forget(&v->found);
    forget(&v->again);
    writer_close(&v->scanned);
    target_free(&v->source);
    target_free(&v->target);
    run_free(&v->run);
    return code;
}

int verify_run(const struct config *config)
{
    struct verify *v = calloc(1, sizeof(*v));
    REQUIRE(v != NULL);
    v->config = config;
    FILE *file;
    int code = 1;
    if (list_file_open(&file, config->diff_file))
        code = run(v, file);
    if (!list_file_close(file, config->diff_file))
        code = 1;
    free(v);
    return code;
}
