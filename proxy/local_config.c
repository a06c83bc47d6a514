/*
 * CONFIG GET, SET and REWRITE: the parameters of one Redis (config_facts.c) and the proxy's own
 * options. A SET of several parameters takes effect as a whole or not at all, and in all workers
 * (config_sets.h); texts as in Redis 7.0, config.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "cluster/group.h"
#include "proxy/access.h"
#include "proxy/config_facts.h"
#include "proxy/keyspace_events.h"
#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/survey_rows.h"
#include "proxy/talk_topics.h"
#include "proxy/worker_options.h"

enum { VALUE_ROOM = 1024, OLD_VALUE_MAX = 64, PATTERNS_MAX = 1024 };

/* A parameter: a fact of Redis, an option of the proxy, or both. */
struct parameter {
    const char *name;
    const struct config_fact *fact; /* NULL: Redis has none of that name */
    const struct option *row;       /* NULL: a fact only */
};

static const struct config_fact *fact_named(struct span name)
{
    for (const struct config_fact *f = config_facts; f->name != NULL; f++)
        if (text_equal_nocase(name.at, name.len, f->name, strlen(f->name)))
            return f;
    return NULL;
}

static struct parameter of_fact(const struct worker *w, const struct config_fact *f)
{
    struct parameter p = { .name = f->name, .fact = f };
    if (f->kind == CONFIG_OPTION)
        p.row = option_find(&w->config.options, f->name, strlen(f->name));
    REQUIRE(f->kind != CONFIG_OPTION || p.row != NULL);
    return p;
}

/* Options that only a command line has (--help) are no parameters. */
static bool is_parameter(const struct option *row)
{
    return (row->flags & OPTION_NO_FILE) == 0 &&
           fact_named((struct span){ row->name, strlen(row->name) }) == NULL;
}

/* The i-th parameter of all; false behind the last. Rows that are no parameters have no name. */
static bool parameter_at(const struct worker *w, uint32_t i, uint32_t facts, struct parameter *out)
{
    if (i < facts) {
        *out = of_fact(w, &config_facts[i]);
        return true;
    }
    i -= facts;
    if (i >= w->config.options.count)
        return false;
    const struct option *row = &w->config.options.rows[i];
    *out = (struct parameter){ .name = is_parameter(row) ? row->name : NULL, .row = row };
    return true;
}

/* Log levels under the names that Redis has for them. */
static const char *redis_level(int level)
{
    static const char *const names[] = { "debug", "notice", "warning", "warning" };
    return names[level];
}

static void value_of(const struct worker *w, const struct parameter *p, char *out, size_t cap)
{
    if (p->fact != NULL && p->fact->kind == CONFIG_EVENTS) {
        keyspace_events_text(w->keyspace_events, out);
    } else if (strcmp(p->name, "cluster-enabled") == 0) {
        snprintf(out, cap, "%s", w->config.cluster_facade ? "yes" : "no");
    } else if (strcmp(p->name, "databases") == 0) {
        snprintf(out, cap, "%u", w->learner.databases);
    } else if (p->row == NULL) {
        snprintf(out, cap, "%s", p->fact->value);
    } else if (strcmp(p->name, "maxclients") == 0) {
        snprintf(out, cap, "%u", w->max_clients);
    } else if (strcmp(p->name, "loglevel") == 0) {
        snprintf(out, cap, "%s", redis_level(w->config.log_level));
    } else {
        option_format(&w->config.options, p->row, out, cap);
        for (char *comma = out; p->fact != NULL && (comma = strchr(comma, ',')) != NULL;)
            *comma = ' '; /* Redis's lists */
    }
}

/* --- GET -------------------------------------------------------------------------------------- */

static bool is_glob(struct span s)
{
    return memchr(s.at, '*', s.len) != NULL || memchr(s.at, '?', s.len) != NULL ||
           memchr(s.at, '[', s.len) != NULL;
}

/* The name to show when a pattern asks for it: as the client wrote it, if it wrote it out. */
static bool asked_for(const struct argv *argv, const char *name, struct span *shown)
{
    size_t len = strlen(name);
    for (uint32_t i = 2; i < argv->count; i++) {
        struct span pattern = argv_get(argv, i);
        bool glob = is_glob(pattern);
        if (glob ? !text_glob(pattern.at, pattern.len, name, len, true)
                 : !text_equal_nocase(pattern.at, pattern.len, name, len))
            continue;
        *shown = glob ? (struct span){ name, len } : pattern;
        return true;
    }
    return false;
}

static uint32_t fact_count(void)
{
    uint32_t n = 0;
    while (config_facts[n].name != NULL)
        n++;
    return n;
}

bool local_config_get(struct client *c, const struct argv *argv, struct writer *w)
{
    uint32_t facts = fact_count(), found = 0;
    struct parameter p;
    struct span shown;
    char value[VALUE_ROOM];
    if (argv->count > PATTERNS_MAX) {
        write_error(w, "ERR slotgate: too many patterns for CONFIG GET");
        return true;
    }
    for (uint32_t i = 0; parameter_at(c->worker, i, facts, &p); i++)
        found += p.name != NULL && asked_for(argv, p.name, &shown);
    write_map(w, found);
    for (uint32_t i = 0; parameter_at(c->worker, i, facts, &p); i++) {
        if (p.name == NULL || !asked_for(argv, p.name, &shown))
            continue;
        value_of(c->worker, &p, value, sizeof(value));
        write_bulk(w, shown);
        write_bulk_text(w, value);
    }
    return true;
}

/* --- SET -------------------------------------------------------------------------------------- */

struct change {
    struct parameter of;
    struct span value;
    char old[OLD_VALUE_MAX]; /* of an option that has been changed */
};

struct changes {
    struct change *v;
    uint32_t count;
    bool options; /* one is an option */
    bool events;  /* one is notify-keyspace-events ... */
    uint32_t event_flags;
};

static bool failed(struct writer *w, const struct change *ch, const char *why)
{
    write_error(w, "ERR CONFIG SET failed (possibly related to argument '%s') - %s", ch->of.name,
                why);
    return false;
}

static bool find_parameter(const struct worker *w, struct span name, struct parameter *out)
{
    const struct config_fact *f = fact_named(name);
    if (f != NULL) {
        *out = of_fact(w, f);
        return true;
    }
    const struct option *row = option_find(&w->config.options, name.at, name.len);
    if (row == NULL || (row->flags & OPTION_NO_FILE) != 0)
        return false;
    *out = (struct parameter){ .name = row->name, .row = row };
    return true;
}

/* 0 in one unit is 0 in the other, and 1gb is 1073741824. */
static bool same_value(const char *have, struct span wanted)
{
    uint64_t a, b;
    if (text_equal_nocase(wanted.at, wanted.len, have, strlen(have)))
        return true;
    return text_to_size(have, strlen(have), &a) && text_to_size(wanted.at, wanted.len, &b) &&
           a == b;
}

/* Whether the parameter may get this value; writes Redis's error otherwise. */
static bool check_change(const struct client *c, struct changes *all, struct change *ch,
                         struct writer *w)
{
    static const char *const immutable = "can't set immutable config";
    char have[VALUE_ROOM];
    const struct config_fact *fact = ch->of.fact;
    if (fact != NULL && fact->kind == CONFIG_FIXED)
        return failed(w, ch, immutable);
    if (fact != NULL && fact->kind == CONFIG_PROTECTED)
        return failed(w, ch, "can't set protected config");
    if (fact != NULL && fact->kind == CONFIG_EVENTS) {
        all->events = true;
        return keyspace_events_parse(ch->value, &all->event_flags) ||
               failed(w, ch, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    }
    if (ch->of.row != NULL && (ch->of.row->flags & OPTION_RELOADABLE) != 0) {
        all->options = true;
        /* What one Redis has, too, may be set as there. */
        return fact != NULL || access_is_admin(c, "setting the proxy's own options", w);
    }
    value_of(c->worker, &ch->of, have, sizeof(have));
    bool secret = ch->of.row != NULL && ch->of.row->type == OPTION_SECRET;
    return (!secret && same_value(have, ch->value)) || failed(w, ch, immutable);
}

static bool read_changes(const struct client *c, const struct argv *argv, struct changes *all,
                         struct writer *w)
{
    for (uint32_t i = 2; i + 1 < argv->count; i += 2) {
        struct change *ch = &all->v[all->count];
        struct span name = argv_get(argv, i);
        *ch = (struct change){ .value = argv_get(argv, i + 1) };
        if (!find_parameter(c->worker, name, &ch->of)) {
            write_error(w, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                        (int)(name.len < 128 ? name.len : 128), name.at);
            return false;
        }
        for (uint32_t j = 0; j < all->count; j++)
            if (strcmp(all->v[j].of.name, ch->of.name) == 0)
                return failed(w, ch, "duplicate parameter");
        all->count++;
    }
    for (uint32_t i = 0; i < all->count; i++)
        if (!check_change(c, all, &all->v[i], w))
            return false;
    return true;
}

static bool is_changeable(const struct change *ch)
{
    return ch->of.row != NULL && (ch->of.row->flags & OPTION_RELOADABLE) != 0;
}

static void take_back(struct worker *worker, struct changes *all, uint32_t count)
{
    char ignored[VALUE_ROOM];
    for (uint32_t i = 0; i < count; i++) {
        struct change *ch = &all->v[i];
        if (is_changeable(ch))
            REQUIRE(option_change(&worker->config.options, ch->of.row, ch->old, strlen(ch->old),
                                  ignored, sizeof(ignored)) == 0);
    }
}

/* The proxy's own options: all of them or none. */
static bool change_options(struct worker *worker, struct changes *all, struct writer *w)
{
    struct options *options = &worker->config.options;
    char why[VALUE_ROOM];
    for (uint32_t i = 0; i < all->count; i++) {
        struct change *ch = &all->v[i];
        if (!is_changeable(ch))
            continue;
        option_format(options, ch->of.row, ch->old, sizeof(ch->old));
        if (option_change(options, ch->of.row, ch->value.at, ch->value.len, why, sizeof(why)) == 0)
            continue;
        take_back(worker, all, i);
        size_t name = strlen(ch->of.row->name);
        bool named = strncmp(why, ch->of.row->name, name) == 0 && why[name] == ':';
        return failed(w, ch, named ? why + name + 2 : why);
    }
    if (config_check(&worker->config, why, sizeof(why)) != 0) {
        take_back(worker, all, all->count);
        return failed(w, &all->v[0], why);
    }
    worker_take_options(worker);
    return true;
}

static void log_changes(const struct client *c, const struct changes *all)
{
    char from[STREAM_ADDRESS_MAX];
    stream_peer_text(&c->stream, from, sizeof(from));
    for (uint32_t i = 0; i < all->count; i++)
        if (is_changeable(&all->v[i]))
            log_info("option changed", "name=%s id=%llu addr=%s", all->v[i].of.row->name,
                     (unsigned long long)c->id, from);
}

/* --- the other workers ------------------------------------------------------------------------ */

/* Gives the stamp of the changes. */
static uint64_t note_options(struct worker *worker, const struct changes *all)
{
    uint64_t stamp = config_sets_stamp(worker);
    for (uint32_t i = 0; i < all->count; i++)
        if (is_changeable(&all->v[i]))
            config_sets_note(worker, all->v[i].of.row->name, all->v[i].value, stamp);
    return stamp;
}

static void write_sets(const struct worker *worker, uint64_t from, struct writer *letter)
{
    writer_init(letter, 2);
    config_sets_write(&worker->config_sets, from, letter);
}

static void set_here(struct worker *worker, struct client *c, const struct argv *argv,
                     struct writer *out)
{
    (void)worker; /* it was the first */
    (void)c;
    (void)argv;
    (void)out;
}

const struct survey_row survey_config_set = { .command = "config|set",
                                              .part = set_here,
                                              .merge = survey_merge_ok };

/* The answer comes when all workers have the values. */
static bool tell_options(struct client *c, const struct argv *argv, const struct changes *all,
                         struct writer *w)
{
    struct writer letter;
    write_sets(c->worker, note_options(c->worker, all), &letter);
    bool done = survey_run_with(c, argv, w, &survey_config_set, TALK_CONFIG, writer_span(&letter));
    writer_close(&letter);
    return done;
}

/* The same, while the nodes answer. */
static void tell_options_only(struct worker *worker, const struct changes *all)
{
    struct writer letter;
    write_sets(worker, note_options(worker, all), &letter);
    talk_tell(&worker->talk, TALK_CONFIG, writer_span(&letter));
    writer_close(&letter);
}

/* --- notify-keyspace-events ------------------------------------------------------------------- */

/* A managed Redis has no CONFIG; whoever runs it sets this elsewhere, and the application that asks
   for it must not fail. */
static bool is_forbidden(const struct part_reply *p)
{
    static const char *const starts[] = { "-ERR unknown command", "-ERR unknown subcommand",
                                          "-NOPERM" };
    size_t len = (size_t)(p->at.end - p->at.at);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (len > strlen(starts[i]) && memcmp(p->at.at, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static void events_are_set(struct worker *worker, uint32_t flags)
{
    char text[KEYSPACE_EVENTS_MAX];
    uint64_t stamp = config_sets_stamp(worker);
    struct writer letter;
    worker->keyspace_events = flags;
    keyspace_events_text(flags, text);
    config_sets_note(worker, "notify-keyspace-events", (struct span){ text, strlen(text) }, stamp);
    write_sets(worker, stamp, &letter);
    talk_tell(&worker->talk, TALK_CONFIG, writer_span(&letter));
    writer_close(&letter);
}

static void send_events_reply(struct client *c, const struct group *g, struct replies *all)
{
    uint32_t forbidden = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        if (!all->part[i].failed)
            continue;
        if (!is_forbidden(&all->part[i])) {
            merge_send_part(c, &all->part[i]);
            return;
        }
        forbidden++;
    }
    if (forbidden > 0)
        log_warn("servers forbid CONFIG SET: set notify-keyspace-events on them",
                 "refused=%u masters=%u", forbidden, all->count);
    events_are_set(c->worker, (uint32_t)g->note);
    stream_send(&c->stream, SPAN("+OK\r\n"));
}

static bool set_events(struct client *c, uint32_t flags)
{
    static const struct merge_rule rule = { .send = send_events_reply, .takes_failures = true };
    char text[KEYSPACE_EVENTS_MAX];
    struct writer request;
    keyspace_events_text(flags, text);
    writer_init(&request, 2);
    write_request(&request,
                  (const char *const[]){ "CONFIG", "SET", "notify-keyspace-events", text }, 4);
    struct group *g = local_broadcast(c, writer_span(&request), &rule);
    writer_close(&request);
    if (g == NULL)
        return false;
    g->note = flags;
    if (c->reply_mode != REPLY_ON)
        events_are_set(c->worker, flags); /* nobody looks at the replies */
    return true;
}

/* --- the way in ------------------------------------------------------------------------------- */

bool local_config_set(struct client *c, const struct argv *argv, struct writer *w)
{
    struct changes all = { .count = 0 };
    if (argv->count % 2 != 0 || argv->count > 2 * PATTERNS_MAX) {
        write_error(w, "ERR syntax error");
        return true;
    }
    if (!survey_may_run(c))
        return false;
    all.v = calloc(argv->count / 2, sizeof(all.v[0]));
    REQUIRE(all.v != NULL);
    bool done = true;
    if (read_changes(c, argv, &all, w) && (!all.options || change_options(c->worker, &all, w))) {
        log_changes(c, &all);
        if (all.events && all.options)
            tell_options_only(c->worker, &all);
        if (all.events)
            done = set_events(c, all.event_flags);
        else
            done = tell_options(c, argv, &all, w);
    }
    free(all.v);
    return done;
}

bool local_config_rewrite(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_error(w, "ERR The server is running without a config file");
    return true;
}
