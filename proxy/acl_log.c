#include "proxy/acl_log.h"

#include <stdlib.h>
#include <sys/time.h>

#include "base/text.h"
#include "proxy/client_line.h"
#include "proxy/local.h"
#include "proxy/survey_rows.h"
#include "proxy/worker.h"
#include "resp/value.h"

/* As acl.c of Redis. */
enum { TOGETHER_US = 60000000, SCANNED_MAX = 10 };
enum { UNITED_MAX = 100 }; /* entries that one of another worker is compared with */

static const char *const reasons[] = { [ACL_LOG_COMMAND] = "command",
                                       [ACL_LOG_KEY] = "key",
                                       [ACL_LOG_CHANNEL] = "channel",
                                       [ACL_LOG_AUTH] = "auth" };
static const char *const contexts[] = { "toplevel", "multi" };

static int64_t now_us(void)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    return (int64_t)now.tv_sec * 1000000 + now.tv_usec;
}

/* --- entries ---------------------------------------------------------------------------------- */

static void drop(struct acl_log *log, struct acl_log_entry *e)
{
    list_remove(&e->link);
    free(e->texts);
    free(e);
    log->count--;
}

static void trim(struct acl_log *log, uint32_t max)
{
    struct list_node *oldest = log->entries.prev;
    while (log->count > max) {
        struct list_node *younger = oldest->prev;
        drop(log, LIST_ENTRY(oldest, struct acl_log_entry, link));
        oldest = younger;
    }
}

void acl_log_open(struct acl_log *log)
{
    list_init(&log->entries);
    log->count = 0;
}

void acl_log_reset(struct acl_log *log)
{
    trim(log, 0);
}

static bool is_the_same(const struct acl_refusal *a, const struct acl_refusal *b)
{
    int64_t apart = a->at > b->at ? a->at - b->at : b->at - a->at;
    return a->reason == b->reason && a->inside == b->inside && apart <= TOGETHER_US &&
           span_equal(a->object, b->object) && span_equal(a->user, b->user);
}

/* Only the youngest are looked at, so that a flood of refusals stays cheap. */
static struct acl_log_entry *find(const struct acl_log *log, const struct acl_refusal *what)
{
    struct list_node *n = log->entries.next;
    for (int i = 0; i < SCANNED_MAX && n != &log->entries; i++, n = n->next) {
        struct acl_log_entry *e = LIST_ENTRY(n, struct acl_log_entry, link);
        if (is_the_same(&e->what, what))
            return e;
    }
    return NULL;
}

static struct span take_text(char **to, struct span text)
{
    struct span copy = { *to, text.len };
    memcpy(*to, text.at, text.len);
    *to += text.len;
    return copy;
}

static void copy_texts(struct acl_log_entry *e, const struct acl_refusal *what)
{
    char *at = malloc(what->user.len + what->object.len + what->client.len + 1);
    REQUIRE(at != NULL);
    e->texts = at;
    e->what.user = take_text(&at, what->user);
    e->what.object = take_text(&at, what->object);
    e->what.client = take_text(&at, what->client);
}

void acl_log_keep(struct acl_log *log, const struct acl_refusal *what, uint32_t max)
{
    struct acl_log_entry *e = find(log, what);
    char *old = NULL;
    struct acl_refusal now = *what;
    if (e != NULL) {
        now.count += e->what.count;
        old = e->texts;
        list_remove(&e->link);
    } else {
        e = calloc(1, sizeof(*e));
        REQUIRE(e != NULL);
        log->count++;
    }
    e->what = now;
    copy_texts(e, &now);
    free(old);
    list_prepend(&log->entries, &e->link);
    trim(log, max);
}

static struct span cut(struct span text)
{
    return (struct span){ text.at, text.len < ACL_LOG_TEXT_MAX ? text.len : ACL_LOG_TEXT_MAX };
}

void acl_log_add(const struct client *c, enum acl_log_reason reason, struct span user,
                 struct span object)
{
    struct writer line;
    writer_init(&line, 2);
    client_line_write(&line, c);
    const struct acl_refusal what = { .count = 1,
                                      .at = now_us(),
                                      .reason = reason,
                                      .inside = c->transaction != NULL,
                                      .user = cut(user),
                                      .object = cut(object),
                                      .client = writer_span(&line) };
    acl_log_keep(&c->worker->acl_log, &what, (uint32_t)c->worker->config.acllog_max_len);
    writer_close(&line);
}

/* --- what one worker says --------------------------------------------------------------------- */

/* False: an error has been written. */
static bool read_count(int64_t *count, bool *reset, const struct argv *argv, struct writer *w)
{
    struct span log = argv_get(argv, 1), how_many = argv->count > 2 ? argv_get(argv, 2) : SPAN("");
    *count = 10;
    *reset = argv->count == 3 && span_is(how_many, "reset");
    if (argv->count > 3)
        write_error(w,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL "
                    "HELP.",
                    (int)log.len, log.at);
    else if (argv->count == 3 && !*reset && !text_to_i64(how_many.at, how_many.len, count))
        write_error(w, "ERR value is not an integer or out of range");
    else
        return true;
    return false;
}

static void say(struct writer *out, const struct acl_refusal *r)
{
    write_integer(out, r->count);
    write_integer(out, r->at);
    write_integer(out, r->reason);
    write_integer(out, r->inside);
    write_bulk(out, r->user);
    write_bulk(out, r->object);
    write_bulk(out, r->client);
}

/* How many are kept at most, and then all of them. */
static void log_here(struct worker *w, struct client *c, const struct argv *argv,
                     struct writer *out)
{
    struct list_node *n, *safe;
    int64_t count;
    bool reset;
    (void)c;
    if (!read_count(&count, &reset, argv, out))
        return;
    if (reset) {
        acl_log_reset(&w->acl_log);
        return;
    }
    write_integer(out, w->config.acllog_max_len);
    LIST_EACH (&w->acl_log.entries, n, safe)
        say(out, &LIST_ENTRY(n, struct acl_log_entry, link)->what);
}

/* --- what all of them say --------------------------------------------------------------------- */

static bool next_number(struct value_cursor *at, int64_t *n)
{
    struct value v;
    bool sound = value_next(at, &v) && v.kind == VALUE_INTEGER;
    if (sound)
        *n = v.number;
    return sound;
}

static bool next_text(struct value_cursor *at, struct span *text)
{
    struct value v;
    bool sound = value_next(at, &v) && v.kind == VALUE_STRING;
    if (sound)
        *text = v.text;
    return sound;
}

static bool next_refusal(struct value_cursor *at, struct acl_refusal *r)
{
    return next_number(at, &r->count) && next_number(at, &r->at) && next_number(at, &r->reason) &&
           next_number(at, &r->inside) && next_text(at, &r->user) && next_text(at, &r->object) &&
           next_text(at, &r->client) && (size_t)r->reason < ARRAY_LEN(reasons) &&
           (size_t)r->inside < ARRAY_LEN(contexts);
}

/* What a worker has said, the youngest first. */
struct source {
    struct value_cursor at;
    struct acl_refusal front;
    bool has; /* a front */
};

/* Gives how many that worker keeps at most. */
static int64_t open_source(struct source *s, struct span part)
{
    int64_t max = 0;
    s->at = (struct value_cursor){ part.at, part.at + part.len };
    s->has = next_number(&s->at, &max) && next_refusal(&s->at, &s->front);
    return max;
}

static struct source *youngest(struct source *all, uint32_t count)
{
    struct source *found = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (all[i].has && (found == NULL || all[i].front.at > found->front.at))
            found = &all[i];
    return found;
}

struct shown {
    struct acl_refusal what;
    const struct source *from;
};

/* As if all had been refused by one worker: what is the same as a young one of another worker is
   one with that. */
static bool unite(struct shown *shown, size_t count, const struct source *s)
{
    size_t least = count > UNITED_MAX ? count - UNITED_MAX : 0;
    for (size_t i = count; i > least; i--) {
        if (shown[i - 1].from == s || !is_the_same(&shown[i - 1].what, &s->front))
            continue;
        shown[i - 1].what.count += s->front.count;
        return true;
    }
    return false;
}

/* Gives how many there are. */
static size_t put_together(struct source *sources, uint32_t count, struct shown *shown, size_t max)
{
    struct source *s;
    size_t n = 0;
    while ((s = youngest(sources, count)) != NULL) {
        if (!unite(shown, n, s) && n < max)
            shown[n++] = (struct shown){ s->front, s };
        s->has = next_refusal(&s->at, &s->front);
    }
    return n;
}

static void show(struct writer *w, const struct acl_refusal *r, int64_t now)
{
    const int64_t age_ms = (now - r->at) / 1000;
    write_map(w, 7);
    write_bulk_text(w, "count");
    write_integer(w, r->count);
    write_bulk_text(w, "reason");
    write_bulk_text(w, reasons[r->reason]);
    write_bulk_text(w, "context");
    write_bulk_text(w, contexts[r->inside]);
    write_bulk_text(w, "object");
    write_bulk(w, r->object);
    write_bulk_text(w, "username");
    write_bulk(w, r->user);
    write_bulk_text(w, "age-seconds");
    write_double(w, (double)age_ms / 1000);
    write_bulk_text(w, "client-info");
    write_bulk(w, r->client);
}

static void show_all(struct survey_part *parts, uint32_t count, int64_t wanted, struct writer *w)
{
    struct source *sources = calloc(count, sizeof(sources[0]));
    int64_t max = 0, now = now_us();
    REQUIRE(sources != NULL);
    for (uint32_t i = 0; i < count; i++) {
        int64_t theirs = open_source(&sources[i], parts[i].bytes);
        max = i == 0 ? theirs : max;
    }
    struct shown *shown = calloc((size_t)max + 1, sizeof(shown[0]));
    REQUIRE(shown != NULL);
    int64_t n = (int64_t)put_together(sources, count, shown, (size_t)max);
    if (wanted < 0 || wanted > n)
        wanted = wanted < 0 ? 0 : n;
    write_array(w, (size_t)wanted);
    for (int64_t i = 0; i < wanted; i++)
        show(w, &shown[i].what, now);
    free(shown);
    free(sources);
}

static void merge_logs(struct survey_part *parts, uint32_t count, const struct argv *argv,
                       struct writer *w)
{
    int64_t wanted;
    bool reset;
    if (!read_count(&wanted, &reset, argv, w))
        return; /* cannot be: it has been read before */
    if (reset)
        write_simple(w, "OK");
    else
        show_all(parts, count, wanted, w);
}

const struct survey_row survey_acl_log = { .command = "acl|log",
                                           .part = log_here,
                                           .merge = merge_logs };

bool local_acl_log(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t count;
    bool reset;
    return !read_count(&count, &reset, argv, w) || survey_run(c, argv, w, &survey_acl_log);
}
