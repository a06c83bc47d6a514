#include "migrate/repair_fetch.h"

#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "cluster/login.h"
#include "migrate/copy.h"

/*
 * One transaction: INFO replication; of each key SELECT, PEXPIRETIME, DUMP; SELECT 0. The time
 * stands before DUMP, so that the value's bytes can be used at once.
 */
enum step { HEAD, INFO_HEAD, INFO_TEXT, SELECTED, TIME, DUMPED, LAST };

enum { BEFORE_KEYS = 2, PER_KEY = 3, BEHIND_KEYS = 1 }; /* MULTI, INFO; SELECT */

static const char line_end[] = "\r\n";

static struct repair_fetch *fetch_of(struct pipe *p)
{
    return CONTAINER_OF(p, struct repair_fetch, pipe);
}

static void fail(struct repair_fetch *f, const char *why)
{
    if (f->error[0] == '\0')
        snprintf(f->error, sizeof(f->error), "%.*s", (int)strcspn(why, line_end), why);
    net_hurry(f->net);
}

/* --- the connection ------------------------------------------------------------------------ */

static void send_request(struct repair_fetch *f)
{
    if (!f->ready || !f->asked || f->sent)
        return;
    f->sent = true;
    f->call = (struct pipe_call){ .lead = BEFORE_KEYS + PER_KEY * f->keys + BEHIND_KEYS };
    pipe_send(&f->pipe, &f->call, writer_span(&f->request));
    net_hurry(f->net);
}

static void become_ready(struct repair_fetch *f)
{
    f->ready = true;
    send_request(f);
}

static void on_open(struct pipe *p)
{
    struct repair_fetch *f = fetch_of(p);
    struct login_words words = { .user = f->options->user, .password = f->options->password };
    f->greetings = login_send(p, &words, 2);
    if (f->greetings == 0)
        become_ready(f);
}

static void on_greeted(struct repair_fetch *f, struct pipe_call *call, struct span bytes,
                       char first, bool done)
{
    enum login_step step = login_take(call, bytes, first, done, f->options->endpoints, NULL);
    if (step == LOGIN_REFUSED) {
        fail(f, "the source does not accept the password or user");
        pipe_close(&f->pipe, ERR_AUTH);
    } else if (step == LOGIN_ANSWERED && --f->greetings == 0) {
        become_ready(f);
    }
}

static void on_reply(struct pipe *p, struct pipe_call *call, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct repair_fetch *f = fetch_of(p);
    (void)chunk;
    if (!f->ready) {
        on_greeted(f, call, bytes, first, done);
        return;
    }
    write_raw(&f->bytes, bytes);
    f->whole = done;
    if (f->bytes.len - f->at > FETCH_AHEAD && !f->paused) {
        f->paused = true;
        stream_pause(&p->stream);
    }
    net_hurry(f->net);
}

/* "+OK", "+QUEUED"; or why one of the commands is refused. */
static void on_lead(struct pipe *p, struct pipe_call *call, struct span bytes, char first,
                    bool done)
{
    struct repair_fetch *f = fetch_of(p);
    char why[FETCH_LINE_MAX];
    (void)call, (void)done;
    if (first == '+')
        return;
    snprintf(why, sizeof(why), "%.*s", (int)(bytes.len < 120 ? bytes.len : 120), bytes.at);
    fail(f, why + 1);
}

static void dial(struct repair_fetch *f);

static void on_closed(struct pipe *p, int why)
{
    struct repair_fetch *f = fetch_of(p);
    char text[96];
    while (!list_is_empty(&p->calls)) {
        struct list_node *n = p->calls.next;
        list_remove(n);
        if (n != &f->call.link)
            login_drop(LIST_ENTRY(n, struct pipe_call, link));
    }
    snprintf(text, sizeof(text), "the connection to the source was lost: %s", error_text(why));
    bool again = f->asked && !f->sent && why == ERR_CANCELED; /* that was for an earlier one */
    f->connected = f->ready = f->paused = false;
    if (f->closing)
        return;
    if (again)
        dial(f);
    else if (f->asked && !f->whole)
        fail(f, text);
}

static const struct pipe_user pipe_user = {
    .on_open = on_open,
    .on_reply = on_reply,
    .on_lead = on_lead,
    .on_closed = on_closed,
};

static void dial(struct repair_fetch *f)
{
    const struct target_options *o = f->options;
    f->connected = true;
    pipe_dial(&f->pipe, f->net, o->endpoints, o->connect_timeout, o->tls, &pipe_user);
}

/* --- asking -------------------------------------------------------------------------------- */

static void write_words(struct writer *w, struct span a, struct span b)
{
    write_array(w, 2);
    write_bulk(w, a);
    write_bulk(w, b);
}

static void write_select(struct writer *w, uint64_t db)
{
    write_array(w, 2);
    write_bulk(w, SPAN("SELECT"));
    write_bulk_format(w, "%llu", (unsigned long long)db);
}

static void begin(struct repair_fetch *f)
{
    writer_clear(&f->request, 2);
    write_request(&f->request, (const char *[]){ "MULTI" }, 1);
    write_words(&f->request, SPAN("INFO"), SPAN("replication"));
    writer_clear(&f->bytes, 2);
    writer_clear(&f->info, 2);
    f->at = 0;
    f->keys = f->told = f->line_len = 0;
    f->step = HEAD;
    f->asked = f->sent = f->whole = false;
    f->error[0] = '\0';
}

void repair_fetch_add(struct repair_fetch *f, uint64_t db, struct span key)
{
    write_select(&f->request, db);
    write_words(&f->request, f->absolute ? SPAN("PEXPIRETIME") : SPAN("PTTL"), key);
    write_words(&f->request, SPAN("DUMP"), key);
    f->keys++;
}

void repair_fetch_ask(struct repair_fetch *f)
{
    write_select(&f->request, 0);
    write_request(&f->request, (const char *[]){ "EXEC" }, 1);
    f->asked = true;
    if (!f->connected)
        dial(f);
    else
        send_request(f);
}

void repair_fetch_stop(struct repair_fetch *f)
{
    bool owed = f->asked && f->sent && !f->whole;
    begin(f);
    if (owed && f->connected)
        pipe_close(&f->pipe, ERR_CANCELED);
    if (f->paused && f->connected)
        stream_resume(&f->pipe.stream);
    f->paused = false;
    f->ready = f->ready && !owed;
}

/* --- what comes ---------------------------------------------------------------------------- */

/* A line without its end. False: it has not come in whole. */
static bool take_line(struct repair_fetch *f, struct span *line)
{
    while (f->at < f->bytes.len) {
        char c = f->bytes.at[f->at++];
        if (c == '\n') {
            *line = (struct span){ f->line, f->line_len };
            f->line_len = 0;
            return true;
        }
        if (c != '\r' && f->line_len < FETCH_LINE_MAX - 1)
            f->line[f->line_len++] = c;
    }
    return false;
}

static enum fetch_fact refuse(struct repair_fetch *f, struct span line)
{
    char why[FETCH_LINE_MAX];
    bool told = line.len > 1 && line.at[0] == '-';
    snprintf(why, sizeof(why), "%.*s", (int)(line.len < 120 ? line.len : 120), line.at);
    fail(f, told ? why + 1 : "the source's answer cannot be understood");
    return FETCH_BAD;
}

static enum fetch_fact take_info(struct repair_fetch *f)
{
    size_t there = f->bytes.len - f->at;
    size_t n = f->info_left < there ? (size_t)f->info_left : there;
    write_raw(&f->info, (struct span){ f->bytes.at + f->at, n });
    f->at += n;
    f->info_left -= n;
    if (f->info_left > 0)
        return FETCH_MORE;
    struct span digits = target_info_line(writer_span(&f->info), "master_repl_offset");
    if (digits.len == 0 || !text_to_u64(digits.at, digits.len, &f->offset)) {
        fail(f, "the source does not tell its offset (INFO replication)");
        return FETCH_BAD;
    }
    f->step = f->keys > 0 ? SELECTED : LAST;
    return FETCH_POINT;
}

/* Lines, each of which leads to the next step. */
static enum fetch_fact take_step(struct repair_fetch *f)
{
    struct span line;
    bool good = false;
    if (!take_line(f, &line))
        return FETCH_MORE;
    switch ((enum step)f->step) {
    case HEAD:
        good = line.len > 0 && line.at[0] == '*';
        break;
    case INFO_HEAD:
        good = line.len > 1 && line.at[0] == '$' &&
               text_to_u64(line.at + 1, line.len - 1, &f->info_left);
        f->info_left += strlen(line_end);
        break;
    case TIME:
        good = line.len > 1 && line.at[0] == ':' &&
               text_to_i64(line.at + 1, line.len - 1, &f->expire_at);
        f->expire_at = f->expire_at < 0 ? -1 : f->expire_at + (f->absolute ? 0 : copy_now(NULL));
        f->dump = (struct dump_reply){ 0 };
        break;
    default: /* SELECT's */
        good = line.len > 0 && line.at[0] == '+';
        break;
    }
    if (!good)
        return refuse(f, line);
    if (f->step == LAST)
        return FETCH_END;
    f->step++;
    return FETCH_MORE;
}

static enum fetch_fact take_dump(struct repair_fetch *f)
{
    size_t used;
    enum dump_fact fact = dump_reply_read(
        &f->dump, (struct span){ f->bytes.at + f->at, f->bytes.len - f->at }, &used, &f->value);
    f->at += used;
    f->type = f->dump.type;
    f->size = f->dump.size;
    f->stamp = f->dump.stamp;
    if (fact == DUMP_ABSENT || fact == DUMP_END)
        f->step = ++f->told < f->keys ? SELECTED : LAST;
    switch (fact) {
    case DUMP_ABSENT:
        return FETCH_ABSENT;
    case DUMP_TYPE:
        return FETCH_KEY;
    case DUMP_VALUE:
        return FETCH_VALUE;
    case DUMP_END:
        return FETCH_KEY_END;
    case DUMP_BAD:
        fail(f, "the source does not let us DUMP a key");
        return FETCH_BAD;
    default:
        return FETCH_MORE;
    }
}

static void make_room(struct repair_fetch *f)
{
    writer_clear(&f->bytes, 2);
    f->at = 0;
    if (f->paused && f->connected)
        stream_resume(&f->pipe.stream);
    f->paused = false;
}

enum fetch_fact repair_fetch_next(struct repair_fetch *f)
{
    enum fetch_fact fact = FETCH_MORE;
    while (fact == FETCH_MORE && f->at < f->bytes.len && f->error[0] == '\0')
        fact = f->step == INFO_TEXT ? take_info(f)
               : f->step == DUMPED  ? take_dump(f)
                                    : take_step(f);
    if (fact != FETCH_MORE)
        return fact;
    if (f->error[0] != '\0')
        return FETCH_BAD;
    make_room(f);
    return FETCH_MORE;
}

void repair_fetch_fail(struct repair_fetch *f, const char *why)
{
    fail(f, why);
}

uint64_t repair_fetch_heard(const struct repair_fetch *f)
{
    return f->connected && f->ready ? f->pipe.heard_at : 0;
}

/* --- life ---------------------------------------------------------------------------------- */

void repair_fetch_open(struct repair_fetch *f, struct net *net,
                       const struct target_options *options)
{
    *f = (struct repair_fetch){ .net = net, .options = options };
    writer_init(&f->request, 2);
    writer_init(&f->bytes, 2);
    writer_init(&f->info, 2);
    begin(f);
}

void repair_fetch_close(struct repair_fetch *f)
{
    if (f->closing)
        return;
    f->closing = true;
    if (f->connected)
        pipe_close(&f->pipe, ERR_SHUTDOWN);
}

void repair_fetch_free(struct repair_fetch *f)
{
    writer_close(&f->request);
    writer_close(&f->bytes);
    writer_close(&f->info);
}
