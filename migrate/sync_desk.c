#include "migrate/sync_desk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/admin.h"
#include "migrate/advice.h"
#include "migrate/cutover.h"
#include "migrate/metrics_port.h"
#include "migrate/sync_numbers.h"

enum { TICK_MS = 1000, REPAIR_LAG_MS = 1000, REMAINING_SHOWN = 20 };

struct sync_desk {
    struct admin admin;
    struct metrics_port metrics;
    struct repair repair;
    struct cutover cutover;
    struct progress progress;
    struct admin_client *waiting;   /* for the cutover */
    struct admin_client *finishing; /* for the end */
    uv_timer_t tick;
    uint64_t repaired_at;
    bool loaded; /* --repair-from */
};

static uint64_t now_ms(const struct sync *s)
{
    return uv_now(&s->run.loop);
}

/* --- progress ------------------------------------------------------------------------------ */

static struct progress_now look(const struct sync *s)
{
    bool copying = !s->copied;
    bool whole = s->payload_whole || (s->reading && !s->source.marked);
    uint64_t received = s->source.payload_bytes + s->source.payload_left;
    return (struct progress_now){
        .phase = sync_phase_text(s),
        .ms = now_ms(s),
        .items = copying ? s->copy.counters.keys : s->apply.counters.commands,
        .bytes = copying ? s->spool.at - (s->len - s->at) - s->state.begin : 0,
        .total = !whole             ? 0
                 : s->payload_whole ? s->state.payload - s->state.begin
                                    : received,
        .received = s->source.offset,
        .applied = s->applying ? s->apply.applied : s->source.offset,
        .failed = s->copy.counters.failed + s->apply.counters.failed,
        .dirty = repair_left(&s->desk->repair),
        .copying = copying,
    };
}

static void repair_now_and_then(struct sync *s)
{
    struct sync_desk *d = s->desk;
    bool due = now_ms(s) - d->repaired_at >= s->config->repair_every;
    bool calm = s->phase == SYNC_LIVE && !s->held && !s->stopping &&
                progress_lag_ms(&d->progress, now_ms(s)) < REPAIR_LAG_MS;
    if (!s->config->repair || !due || !calm || dirty_count(&d->repair.dirty) == 0 ||
        !repair_is_idle(&d->repair) || cutover_is_active(&d->cutover))
        return;
    d->repaired_at = now_ms(s);
    repair_pass(&d->repair);
}

static void on_tick(uv_timer_t *timer)
{
    struct sync *s = timer->data;
    struct progress_now now = look(s);
    progress_tell(&s->desk->progress, &now);
    net_hurry(&s->run.net);
}

/* --- status -------------------------------------------------------------------------------- */

static void say_status(struct sync *s, struct admin_client *client)
{
    sync_numbers_say(s, client);
    if (cutover_is_active(&s->desk->cutover))
        admin_say(client, "a cutover is under way");
}

static void status(struct sync *s, struct admin_client *client, const char *words)
{
    (void)words;
    say_status(s, client);
    admin_end(client, NULL);
}

static void metrics(struct sync *s, struct admin_client *client, const char *words)
{
    struct writer page;
    (void)words;
    writer_init(&page, 2);
    sync_numbers_write(s, &page);
    write_raw(&page, (struct span){ "", 1 });
    for (const char *at = page.at, *end = page.at + page.len - 1; at < end;) {
        size_t len = strcspn(at, "\n");
        admin_say(client, "%.*s", (int)len, at);
        at += len + 1;
    }
    writer_close(&page);
    admin_end(client, NULL);
}

/* --- the other commands -------------------------------------------------------------------- */

static void hold(struct sync *s, struct admin_client *client, const char *words)
{
    (void)words;
    if (s->stopping || cutover_is_active(&s->desk->cutover)) {
        admin_refuse(client, "not now: it is ending, or a cutover is under way");
        return;
    }
    log_info("paused", "");
    s->held = true;
    admin_end(client, NULL);
}

static void let_go(struct sync *s, struct admin_client *client, const char *words)
{
    (void)words;
    log_info("resumed", "");
    s->held = false;
    net_hurry(&s->run.net);
    admin_end(client, NULL);
}

/* The value of "name=..." among the words; NULL: none. Only the last word may hold blanks. */
static const char *word_of(const char *words, const char *name)
{
    const char *at = strstr(words, name);
    return at != NULL ? at + strlen(name) : NULL;
}

static uint64_t number_of(const char *words, const char *name)
{
    const char *at = word_of(words, name);
    uint64_t n = 0;
    return at != NULL && text_to_u64(at, strspn(at, "0123456789"), &n) ? n : 0;
}

static void cutover(struct sync *s, struct admin_client *client, const char *words)
{
    struct sync_desk *d = s->desk;
    const char *from = word_of(words, "from=");
    char why[256];
    if (s->phase != SYNC_LIVE || s->held || s->stopping || cutover_is_active(&d->cutover)) {
        admin_refuse(client, s->held ? "it is paused"
                                     : "not now: the copy is under way, or a cutover, or the end");
        return;
    }
    long lines = from != NULL ? dirty_load(&d->repair.dirty, from) : 0;
    if (lines < 0) {
        snprintf(why, sizeof(why), "%.128s: %s", from, strerror((int)-lines));
        admin_refuse(client, why);
        return;
    }
    log_info("cutover begins", "");
    d->waiting = client;
    cutover_start(&d->cutover, number_of(words, "sample="), number_of(words, "pause="));
}

static void finish(struct sync *s, struct admin_client *client, const char *words)
{
    (void)words;
    if (s->desk->finishing != NULL || s->stopping) {
        admin_refuse(client, "it is ending already");
        return;
    }
    s->desk->finishing = client;
    sync_stop(s);
}

static void on_line(void *context, struct admin_client *client, char *line)
{
    static const struct {
        const char *name;
        void (*run)(struct sync *s, struct admin_client *client, const char *words);
    } rows[] = {
        { "status", status }, { "metrics", metrics }, { "pause", hold },
        { "resume", let_go }, { "cutover", cutover }, { "finish", finish },
    };
    size_t len = strcspn(line, " ");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, line, len) == 0) {
            rows[i].run(context, client, line + len);
            return;
        }
    admin_refuse(client,
                 "unknown command: there are status, metrics, pause, resume, cutover, finish");
}

static void on_gone(void *context, struct admin_client *client)
{
    struct sync *s = context;
    struct sync_desk *d = s->desk;
    if (d->waiting == client)
        d->waiting = NULL;
    if (d->finishing == client)
        d->finishing = NULL;
}

static const struct admin_user admin_user = { .on_line = on_line, .on_gone = on_gone };

/* --- the cutover --------------------------------------------------------------------------- */

static void on_step(void *context, const char *what)
{
    struct sync *s = context;
    log_info("cutover", "step=%s", log_text(what));
    if (s->desk->waiting != NULL)
        admin_say(s->desk->waiting, "%s", what);
}

static void say_line(void *context, const char *text)
{
    admin_say(context, "%s", text);
}

static void say_report(struct sync *s, struct admin_client *client)
{
    const struct sync_desk *d = s->desk;
    const struct repair_counters *n = &d->repair.counters, *b = &d->cutover.before;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "offset of the source", d->cutover.offset },
        { "offset applied", s->apply.applied },
        { "keys compared", n->compared - b->compared + n->differing - b->differing },
        { "of them differed", n->differing - b->differing },
        { "keys repaired", n->repaired - b->repaired },
        { "keys that remain", dirty_count(&d->repair.dirty) },
        { "failed without a key", d->repair.dirty.unlisted },
        { "times to live a day too long", s->expiry.unset + expiry_held(&s->expiry) },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        admin_say(client, "%-28s %12llu", rows[i].name, (unsigned long long)rows[i].value);
    if (n->differing > b->differing)
        admin_say(client, "a sample that differs says that others may: run verify over all keys");
}

static void on_over(void *context, const char *error)
{
    struct sync *s = context;
    struct sync_desk *d = s->desk;
    struct admin_client *client = d->waiting;
    uint64_t left = dirty_count(&d->repair.dirty) + d->repair.dirty.unlisted + s->expiry.unset;
    d->waiting = NULL;
    log_info("cutover ends", "remaining=%llu error=%s", (unsigned long long)left,
             log_text(error != NULL ? error : ""));
    if (client == NULL)
        return;
    say_report(s, client);
    dirty_print(&d->repair.dirty, REMAINING_SHOWN, say_line, client);
    if (error == NULL && left > 0)
        error = "something remains: see above, and the repair file";
    if (error == NULL)
        admin_say(client,
                  "the target has all up to that offset: if nobody writes to the source any "
                  "more, point the clients at the target, then say `finish`");
    admin_refuse(client, error);
}

static const struct cutover_user cutover_user = { .on_step = on_step, .on_over = on_over };

/* --- turns --------------------------------------------------------------------------------- */

static void load_once(struct sync *s)
{
    struct sync_desk *d = s->desk;
    if (d->loaded || s->config->repair_from == NULL)
        return;
    d->loaded = true;
    long lines = dirty_load(&d->repair.dirty, s->config->repair_from);
    if (lines < 0)
        log_error("cannot read the keys to repair", "file=%s reason=%s action=%s",
                  log_text(s->config->repair_from), log_text(strerror((int)-lines)),
                  log_text(advice_on(ADVICE_CHOICE, NULL)));
}

void sync_desk_turn(struct sync *s)
{
    struct sync_desk *d = s->desk;
    if (!s->applying)
        return;
    repair_attach(&d->repair, &s->target, &s->apply);
    if (s->source.old_sync) /* ours begin with 0, and a value written elsewhere loses commands */
        d->repair.unable = "the source was asked by SYNC, which tells no offset";
    progress_lag(&d->progress, s->source.offset, s->apply.applied, now_ms(s));
    if (s->phase == SYNC_LIVE) {
        load_once(s);
        if (s->stopping) {
            cutover_stop(&d->cutover, "the process is ending");
            repair_stop(&d->repair);
        }
        repair_now_and_then(s);
        if (!s->held) {
            cutover_turn(&d->cutover);
            repair_turn(&d->repair);
        }
    }
    s->apply.stop_at = d->repair.stop_at;
}

void sync_desk_turn_end(struct sync *s)
{
    repair_turn_end(&s->desk->repair);
}

void sync_desk_mend(struct sync *s)
{
    repair_interrupt(&s->desk->repair);
}

void sync_desk_again(struct sync *s)
{
    struct sync_desk *d = s->desk;
    cutover_stop(&d->cutover, "the source begins with a new full copy");
    dirty_forget(&d->repair.dirty);
    progress_lag_again(&d->progress);
}

const struct progress *sync_desk_progress(const struct sync *s)
{
    return &s->desk->progress;
}

const struct repair *sync_desk_repair(const struct sync *s)
{
    return &s->desk->repair;
}

bool sync_desk_is_idle(const struct sync *s)
{
    return repair_is_idle(&s->desk->repair);
}

/* --- life ---------------------------------------------------------------------------------- */

static bool open_socket(struct sync *s)
{
    const char *path = s->config->socket_path;
    int error = path != NULL ? admin_open(&s->desk->admin, &s->run.loop, path, &admin_user, s) : 0;
    if (error != 0)
        log_error("cannot listen", "socket=%s reason=%s action=%s", log_text(path),
                  log_text(strerror(error)), log_text(advice_on(ADVICE_LISTEN, NULL)));
    return error == 0;
}

static bool open_metrics(struct sync *s)
{
    const struct config *c = s->config;
    if (c->metrics_port == 0)
        return true;
    int rc = metrics_port_open(&s->desk->metrics, &s->run.net, c->metrics_bind,
                               (uint16_t)c->metrics_port, sync_numbers_write, s);
    if (rc != 0)
        log_error("cannot listen", "address=%s port=%d reason=%s action=%s",
                  log_text(c->metrics_bind), c->metrics_port, log_text(uv_strerror(rc)),
                  log_text(advice_on(ADVICE_LISTEN, NULL)));
    return rc == 0;
}

bool sync_desk_open(struct sync *s)
{
    const struct config *c = s->config;
    struct sync_desk *d = calloc(1, sizeof(*d));
    REQUIRE(d != NULL);
    s->desk = d;
    repair_open(&d->repair, &s->run.net, &c->source_as_target, &s->copy_options, c->repair_path,
                s->resumed);
    s->copy_options.dirty = &d->repair.dirty;
    cutover_open(&d->cutover, &d->repair, s->source.id, &cutover_user, s);
    progress_init(&d->progress, isatty(STDERR_FILENO) != 0);
    uv_timer_init(&s->run.loop, &d->tick);
    d->tick.data = s;
    uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    return open_socket(s) && open_metrics(s);
}

void sync_desk_close(struct sync *s)
{
    struct sync_desk *d = s->desk;
    if (d == NULL)
        return;
    cutover_stop(&d->cutover, "the process is ending");
    if (d->finishing != NULL) {
        say_status(s, d->finishing);
        admin_refuse(d->finishing, sync_is_good(s) ? NULL : "not all went well");
    }
    d->finishing = NULL;
    admin_close(&d->admin, "ERR the process is ending; wait until it is gone");
    metrics_port_close(&d->metrics);
    repair_close(&d->repair);
    progress_end(&d->progress);
    uv_close((uv_handle_t *)&d->tick, NULL);
}

bool sync_desk_is_good(const struct sync *s)
{
    const struct dirty *d = &s->desk->repair.dirty;
    return dirty_count(d) == 0 && d->unlisted == 0;
}

void sync_desk_summary(const struct sync *s, FILE *out)
{
    const struct repair *r = &s->desk->repair;
    uint64_t left = dirty_count(&r->dirty);
    fprintf(out, "%-28s %12llu\n%-28s %12llu", "keys repaired",
            (unsigned long long)r->counters.repaired, "keys to repair", (unsigned long long)left);
    fprintf(out, "  %s%s\n", left > 0 ? "see " : "", left > 0 ? r->dirty.path : "");
}

void sync_desk_free(struct sync *s)
{
    struct sync_desk *d = s->desk;
    if (d == NULL)
        return;
    repair_free(&d->repair);
    cutover_free(&d->cutover);
    free(d);
}
