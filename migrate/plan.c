#include "migrate/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/plan_findings.h"
#include "migrate/run.h"

/*
 *   both servers ready -> one question after the other -> what their answers add up to -> printed
 *
 * A right is found out by trying what changes nothing: a command about a key that is not there. For
 * PSYNC, which would begin a copy, ACL DRYRUN has to tell.
 */
enum { SOURCE, TARGET, WORDS_MAX = 6 };

struct plan {
    const struct config *config;
    struct run run;
    struct target servers[2];
    struct plan_findings findings;
    struct writer reply;
    const struct question *asked;
    size_t next;     /* question */
    uint32_t shard;  /* of the target */
    char whoami[64]; /* the user at the source */
    int ready;
    bool asking, answered, failed, closing;
    char error[TARGET_ERROR_SHOWN]; /* of the answer */
};

struct question {
    int side;
    bool every_shard;
    bool (*wanted)(const struct plan *p); /* NULL: always */
    /* "WHOAMI" stands for the user at the source, "MARKER" for the beginning of our own keys */
    const char *words[WORDS_MAX];
    void (*take)(struct plan *p, const struct value *v);
};

static void close_all(struct plan *p)
{
    if (p->closing)
        return;
    p->closing = true;
    target_close(&p->servers[SOURCE]);
    target_close(&p->servers[TARGET]);
    run_close(&p->run);
}

static void give_up_at(struct plan *p, const char *where, const char *why)
{
    if (p->closing)
        return;
    plan_find(&p->findings, PLAN_FAIL, advice_on(ADVICE_START, why), "%s%s", where, why);
    p->failed = true;
    close_all(p);
}

static void give_up(void *context, const char *why)
{
    give_up_at(context, "", why);
}

/* --- what is asked ------------------------------------------------------------------------- */

static bool of_sync(const struct plan *p)
{
    return strcmp(p->config->command->name, "scan") != 0;
}

static bool of_scan(const struct plan *p)
{
    return !of_sync(p);
}

static bool of_user(const struct plan *p)
{
    return of_sync(p) && p->whoami[0] != '\0';
}

static bool of_markers(const struct plan *p)
{
    return of_sync(p) && p->config->marker[0] != '\0';
}

static bool of_fence(const struct plan *p)
{
    return of_markers(p) && !p->servers[TARGET].facts.slotgate;
}

static bool of_proxies(const struct plan *p)
{
    return of_markers(p) && p->servers[TARGET].facts.slotgate;
}

static bool of_sweep(const struct plan *p)
{
    return of_markers(p) && p->config->allow_full_resync && p->servers[TARGET].facts.absolute;
}

static bool of_functions(const struct plan *p)
{
    return p->servers[TARGET].facts.functions;
}

/* --- answers ------------------------------------------------------------------------------- */

static void take_source_info(struct plan *p, const struct value *v)
{
    plan_source_info(&p->findings, v->text);
}

static void take_target_info(struct plan *p, const struct value *v)
{
    plan_target_info(&p->findings, v->text);
}

static void take_limits(struct plan *p, const struct value *v)
{
    struct value_cursor c = { p->reply.at, p->reply.at + p->reply.len };
    struct value list, name, limits;
    (void)v;
    if (p->error[0] == '\0' && value_next(&c, &list) && value_next(&c, &name) &&
        value_next(&c, &limits) && limits.kind == VALUE_STRING)
        plan_output_limit(&p->findings, limits.text);
    else
        plan_find(&p->findings, PLAN_WARN,
                  "look at it yourself (CONFIG GET), or give the user +config",
                  "source: its client-output-buffer-limit is not told: %s", p->error);
}

static void take_whoami(struct plan *p, const struct value *v)
{
    size_t len = v->text.len < sizeof(p->whoami) - 1 ? v->text.len : sizeof(p->whoami) - 1;
    if (p->error[0] == '\0' && v->kind == VALUE_STRING)
        memcpy(p->whoami, v->text.at, len);
}

/* Whether the user may: told by ACL DRYRUN, which is new and needs rights of its own. */
static void take_dryrun(struct plan *p, const struct value *v)
{
    const char *command = p->asked->words[3];
    if (p->error[0] != '\0')
        plan_find(&p->findings, PLAN_WARN, "look at its ACL yourself, or give the user +acl|dryrun",
                  "source: nobody tells whether %s is allowed: %s", command, p->error);
    else if (v->kind == VALUE_STRING && span_is(v->text, "ok"))
        plan_say("source: %s is allowed", command);
    else
        plan_find(&p->findings, PLAN_FAIL, "give it +psync +replconf, or use `scan`",
                  "source: %s is not allowed to user %s", command, p->whoami);
}

/* EXEC says it in its own words first. */
static const char *refusal_in(const char *error)
{
    static const char *const starts[] = { "ERR unknown command", "NOPERM", "NOAUTH" };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        const char *at = strstr(error, starts[i]);
        if (at != NULL)
            return at;
    }
    return NULL;
}

/* Any answer but a refusal is a good one. */
static void take_try(struct plan *p, const struct value *v)
{
    const char *side = p->asked->side == SOURCE ? "source" : "target";
    const char *command = p->asked->words[0];
    const char *refused = refusal_in(p->error);
    bool optional = strcmp(command, "RESTORE") == 0 && p->config->rewrite;
    (void)v;
    if (refused != NULL && p->asked->wanted == of_functions)
        plan_find(&p->findings, PLAN_WARN, "allow it to the user if the source has functions",
                  "%s: %s: %s", side, command, refused);
    else if (refused != NULL && !optional)
        plan_find(&p->findings, PLAN_FAIL,
                  strcmp(command, "RESTORE") == 0 ? "allow it to the user, or say --rewrite yes"
                                                  : advice_on(ADVICE_START, refused),
                  "%s: %s: %s", side, command, refused);
    else if (refused == NULL)
        plan_say("%s: %s is allowed", side, command);
}

#define PROBE "slotgate:migrate:not-there"
/* No client has it. Up to 6.0 the number 0 means all of them. */
#define NO_CLIENT "9223372036854775807"

/* clang-format off */
static const struct question questions[] = {
    { SOURCE, .words = { "INFO" }, .take = take_source_info },
    { SOURCE, .wanted = of_sync, .words = { "CONFIG", "GET", "client-output-buffer-limit" }, .take = take_limits },
    { SOURCE, .wanted = of_sync, .words = { "ACL", "WHOAMI" }, .take = take_whoami },
    { SOURCE, .wanted = of_user, .words = { "ACL", "DRYRUN", "WHOAMI", "PSYNC", "?", "-1" }, .take = take_dryrun },
    { SOURCE, .wanted = of_user, .words = { "ACL", "DRYRUN", "WHOAMI", "REPLCONF", "ACK", "0" }, .take = take_dryrun },
    { SOURCE, .wanted = of_scan, .words = { "SCAN", "0", "COUNT", "1" }, .take = take_try },
    { SOURCE, .wanted = of_scan, .words = { "DUMP", PROBE }, .take = take_try },
    { SOURCE, .wanted = of_scan, .words = { "PTTL", PROBE }, .take = take_try },
    { TARGET, .every_shard = true, .words = { "INFO" }, .take = take_target_info },
    { TARGET, .words = { "RESTORE", PROBE, "0", "no payload" }, .take = take_try },
    { TARGET, .words = { "DEL", PROBE }, .take = take_try },
    { TARGET, .words = { "PEXPIREAT", PROBE, "1" }, .take = take_try },
    { TARGET, .words = { "PERSIST", PROBE }, .take = take_try },
    { TARGET, .words = { "RENAME", PROBE, PROBE }, .take = take_try },
    { TARGET, .wanted = of_functions, .words = { "FUNCTION", "RESTORE", "no payload" }, .take = take_try },
    { TARGET, .wanted = of_markers, .words = { "GET", "MARKER" }, .take = take_try },
    { TARGET, .wanted = of_markers, .words = { "SET", "MARKER", "", "XX" }, .take = take_try },
    { TARGET, .wanted = of_markers, .words = { "EXEC" }, .take = take_try },
    { TARGET, .wanted = of_fence, .words = { "ROLE" }, .take = take_try },
    { TARGET, .wanted = of_fence, .words = { "CLIENT", "LIST" }, .take = take_try },
    { TARGET, .wanted = of_fence, .words = { "CLIENT", "KILL", "ID", NO_CLIENT }, .take = take_try },
    { TARGET, .wanted = of_proxies, .words = { "PROXY", "FENCE", PROBE }, .take = take_try },
    { TARGET, .wanted = of_sweep, .words = { "SCAN", "0", "COUNT", "1" }, .take = take_try },
    { TARGET, .wanted = of_sweep, .words = { "UNLINK", PROBE }, .take = take_try },
};
/* clang-format on */

/* --- asking -------------------------------------------------------------------------------- */

static void on_answer(void *context, const struct target_call *call)
{
    struct plan *p = context;
    memcpy(p->error, call->error, sizeof(p->error));
    p->asking = false;
    p->answered = true;
}

static const char *meant_by(const struct plan *p, const struct question *q, size_t i)
{
    if (i == 2 && strcmp(q->words[i], "WHOAMI") == 0)
        return p->whoami;
    return i == 1 && strcmp(q->words[i], "MARKER") == 0 ? p->config->marker : q->words[i];
}

static void ask(struct plan *p, const struct question *q)
{
    struct writer w;
    size_t count = 0;
    writer_init(&w, 2);
    while (count < WORDS_MAX && q->words[count] != NULL)
        count++;
    write_array(&w, count);
    for (size_t i = 0; i < count; i++)
        write_bulk_text(&w, meant_by(p, q, i));
    writer_clear(&p->reply, 2);
    p->asked = q;
    p->asking = true;
    struct span name = { q->words[0], strlen(q->words[0]) };
    const char *key = count > 1 ? meant_by(p, q, 1) : "";
    if (strcmp(key, PROBE) == 0 || key == p->config->marker)
        target_ask(&p->servers[q->side], name, (struct span){ key, strlen(key) }, writer_span(&w),
                   &p->reply, on_answer, p);
    else
        target_ask_shard(&p->servers[q->side], p->shard, name, writer_span(&w), &p->reply,
                         on_answer, p);
    writer_close(&w);
}

static void take(struct plan *p)
{
    const struct question *q = p->asked;
    struct value_cursor c = { p->reply.at, p->reply.at + p->reply.len };
    struct value v = { .kind = VALUE_NULL, .text = SPAN("") };
    uint32_t shards = p->config->target_options.cluster ? target_shards(&p->servers[TARGET]) : 1;
    p->answered = false;
    if (p->error[0] == '\0' && !value_next(&c, &v))
        v.kind = VALUE_NULL;
    q->take(p, &v);
    if (q->every_shard && ++p->shard < shards)
        return;
    p->shard = 0;
    p->next++;
}

static bool is_left_out(const struct plan *p, const struct question *q)
{
    return q->wanted != NULL && !q->wanted(p);
}

static void step(struct plan *p)
{
    if (p->answered)
        take(p);
    while (p->next < ARRAY_LEN(questions) && is_left_out(p, &questions[p->next]))
        p->next++;
    if (p->next == ARRAY_LEN(questions))
        close_all(p);
    else if (!p->asking)
        ask(p, &questions[p->next]);
}

/* --- life ---------------------------------------------------------------------------------- */

static void on_ready(void *context)
{
    struct plan *p = context;
    if (++p->ready < 2)
        return;
    const struct target_facts *f = &p->servers[TARGET].facts;
    plan_say("target: version %s, %u shards", f->version, target_shards(&p->servers[TARGET]));
    if (p->servers[SOURCE].facts.rdb > f->rdb)
        plan_find(&p->findings, PLAN_WARN,
                  "see docs/migration.md \"Between versions\" for what it cannot keep",
                  "target: older than the source; values of newer types are rewritten as commands");
    if (target_ids_meet(&p->servers[SOURCE].ids, &p->servers[TARGET].ids))
        plan_find(&p->findings, PLAN_FAIL, advice_on(ADVICE_START, TARGET_IS_SOURCE),
                  TARGET_IS_SOURCE);
    net_hurry(&p->run.net);
}

static void on_progress(void *context)
{
    (void)context; /* on_turn_end looks */
}

static void on_source_failed(void *context, const char *why)
{
    give_up_at(context, "source: asked as any client does: ", why);
}

static const struct target_user source_user = {
    .on_ready = on_ready,
    .on_failed = on_source_failed,
    .on_progress = on_progress,
};

static const struct target_user target_user = {
    .on_ready = on_ready,
    .on_failed = give_up,
    .on_progress = on_progress,
};

static void on_turn_end(void *context)
{
    struct plan *p = context;
    target_turn_end(&p->servers[SOURCE]);
    target_turn_end(&p->servers[TARGET]);
    if (p->closing || p->ready < 2)
        return;
    step(p);
    target_turn_end(&p->servers[SOURCE]);
    target_turn_end(&p->servers[TARGET]);
}

static void on_stop(void *context)
{
    give_up(context, "interrupted");
}

int plan_run(const struct config *config)
{
    struct plan *p = calloc(1, sizeof(*p));
    REQUIRE(p != NULL);
    p->config = config;
    p->findings = (struct plan_findings){ .config = config, .memory_known = true };
    writer_init(&p->reply, 2);
    run_open(&p->run, on_turn_end, on_stop, p);
    target_open(&p->servers[SOURCE], &p->run.net, &config->source_as_target, &source_user, p);
    target_open(&p->servers[TARGET], &p->run.net, &config->target_options, &target_user, p);
    uv_run(&p->run.loop, UV_RUN_DEFAULT);
    if (!p->failed) {
        plan_memory(&p->findings);
        if (strcmp(config->command->name, "sync") == 0)
            plan_spool(&p->findings);
    }
    plan_print(&p->findings);
    writer_close(&p->reply);
    target_free(&p->servers[SOURCE]);
    target_free(&p->servers[TARGET]);
    run_free(&p->run);
    int code = p->findings.failures > 0 ? 1 : 0;
    free(p);
    return code;
}
