/* CLIENT INFO, LIST and KILL, the latter two over all workers; formats as in Redis 7.0,
 * networking.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "proxy/access.h"
#include "proxy/client_line.h"
#include "proxy/local.h"
#include "proxy/survey_rows.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"

enum { ADDRESS_MAX = 64, FLAGS_MAX = 16 };

/* --- one client's line ------------------------------------------------------------------------ */

static const char *label_or_empty(const char *label)
{
    return label != NULL ? label : "";
}

static bool is_subscribed(const struct client *c)
{
    return c->subscriber != NULL && subscriber_total(c->subscriber) > 0;
}

static bool monitors(const struct client *c)
{
    return c->subscriber != NULL && list_is_linked(&c->subscriber->in_monitors);
}

/* The letters stand in Redis's order. */
static const char *flags_of(const struct client *c, char out[FLAGS_MAX])
{
    const struct {
        bool is;
        char letter;
    } all[] = {
        { monitors(c), 'O' },
        { is_subscribed(c), 'P' },
        { c->transaction != NULL, 'x' },
        { c->blocked != NULL && c->blocked->way->is_waiting(c->blocked), 'b' },
        { c->finishing, 'c' },
        { c->no_evict, 'e' },
        { c->no_touch, 'T' },
    };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i].is)
            out[n++] = all[i].letter;
    if (n == 0)
        out[n++] = 'N';
    out[n] = '\0';
    return out;
}

void client_line_write(struct writer *line, const struct client *c)
{
    static const struct client_labels none;
    static const struct subscriber nothing;
    const struct client_labels *labels = c->labels != NULL ? c->labels : &none;
    uint64_t now = uv_now(&c->worker->loop);
    const struct subscriber *s = c->subscriber != NULL ? c->subscriber : &nothing;
    char peer[ADDRESS_MAX], local[ADDRESS_MAX], command[64] = "NULL", flags[FLAGS_MAX];
    stream_peer_text(&c->stream, peer, sizeof(peer));
    stream_local_text(&c->stream, local, sizeof(local));
    const struct command *cmd = c->last_command;
    if (cmd != NULL)
        snprintf(command, sizeof(command), "%s%s%s", cmd->parent != NULL ? cmd->parent->name : "",
                 cmd->parent != NULL ? "|" : "", cmd->name);
    uint64_t input = c->input != NULL ? c->input->used - c->input_at : 0;
    uint64_t room = c->input != NULL ? chunk_room(c->input) : 0;
    uint64_t omem = c->stream.out.bytes + c->flow.held, total = sizeof(*c) + input + room + omem;
    char *text = NULL; /* names may be of any length */
    int n = asprintf(
        &text,
        "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=%s db=%u sub=%u psub=%u "
        "ssub=%u multi=%lld qbuf=%llu qbuf-free=%llu argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 "
        "oll=%u "
        "omem=%llu tot-mem=%llu events=%s cmd=%s user=%s redir=-1 resp=%u lib-name=%s "
        "lib-ver=%s tot-net-in=%llu tot-net-out=%llu tot-cmds=%llu "
        "tot-usec=%llu max-usec=%u",
        (unsigned long long)c->id, peer, local, stream_fd(&c->stream), label_or_empty(labels->name),
        (unsigned long long)((now - c->created_at) / 1000),
        (unsigned long long)((now - c->active_at) / 1000), flags_of(c, flags), c->flow.database,
        s->count[TOPIC_CHANNEL], s->count[TOPIC_PATTERN], s->count[TOPIC_SHARD],
        (long long)transaction_count(c), (unsigned long long)input, (unsigned long long)room,
        c->flow.count, (unsigned long long)omem, (unsigned long long)total, c->paused ? "" : "r",
        command, access_user_name(c), c->flow.protocol, label_or_empty(labels->lib_name),
        label_or_empty(labels->lib_ver), (unsigned long long)c->stream.received,
        (unsigned long long)stream_sent(&c->stream), (unsigned long long)c->commands,
        (unsigned long long)c->took_us, c->slowest_us);
    REQUIRE(n >= 0);
    write_raw(line, (struct span){ text, (size_t)n });
    free(text);
}

static void write_line(struct writer *lines, const struct client *c)
{
    client_line_write(lines, c);
    write_raw(lines, SPAN("\n"));
}

/* "txt" is how Redis marks such a text for RESP3. */
static void write_lines(struct writer *w, struct writer *lines)
{
    write_verbatim(w, "txt", writer_span(lines));
    writer_close(lines);
}

bool local_client_info(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    struct writer lines;
    writer_init(&lines, 2);
    write_line(&lines, c);
    write_lines(w, &lines);
    return true;
}

/* --- LIST ------------------------------------------------------------------------------------- */

/* There are no masters and replicas among our clients. */
enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_NONE };

/* False: no such type. */
static bool read_type(struct span name, enum client_type *type)
{
    static const struct {
        const char *name;
        enum client_type type;
    } types[] = { { "normal", TYPE_NORMAL },
                  { "pubsub", TYPE_PUBSUB },
                  { "master", TYPE_NONE },
                  { "slave", TYPE_NONE },
                  { "replica", TYPE_NONE } };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!span_is(name, types[i].name))
            continue;
        *type = types[i].type;
        return true;
    }
    return false;
}

static bool type_matches(enum client_type type, const struct client *c)
{
    return type == TYPE_ANY || type == (is_subscribed(c) ? TYPE_PUBSUB : TYPE_NORMAL);
}

static void unknown_type(struct writer *w, struct span type)
{
    write_error(w, "ERR Unknown client type '%.*s'", (int)type.len, type.at);
}

static bool named_in(const struct argv *argv, uint32_t from, uint64_t id)
{
    for (uint32_t i = from; i < argv->count; i++) {
        int64_t wanted;
        struct span text = argv_get(argv, i);
        if (text_to_i64(text.at, text.len, &wanted) && (uint64_t)wanted == id)
            return true;
    }
    return false;
}

static bool ids_ok(const struct argv *argv, uint32_t from)
{
    for (uint32_t i = from; i < argv->count; i++) {
        int64_t id;
        struct span text = argv_get(argv, i);
        if (!text_to_i64(text.at, text.len, &id))
            return false;
    }
    return true;
}

struct list_filter {
    bool by_id;
    enum client_type type;
};

/* False: an error has been written. */
static bool read_list_filter(struct list_filter *f, const struct argv *argv, struct writer *w)
{
    *f = (struct list_filter){ .type = TYPE_ANY };
    if (argv->count == 2)
        return true;
    struct span option = argv_get(argv, 2);
    f->by_id = span_is(option, "id") && argv->count > 3;
    bool by_type = span_is(option, "type") && argv->count == 4;
    if (!f->by_id && !by_type)
        write_error(w, "ERR syntax error");
    else if (by_type && !read_type(argv_get(argv, 3), &f->type))
        unknown_type(w, argv_get(argv, 3));
    else if (f->by_id && !ids_ok(argv, 3))
        write_error(w, "ERR Invalid client ID");
    else
        return true;
    return false;
}

static void list_here(struct worker *w, struct client *c, const struct argv *argv,
                      struct writer *out)
{
    struct list_filter f;
    struct list_node *n, *safe;
    (void)c;
    if (!read_list_filter(&f, argv, out))
        return;
    LIST_EACH (&w->clients, n, safe) {
        struct client *one = LIST_ENTRY(n, struct client, in_worker);
        bool listed = f.by_id ? named_in(argv, 3, one->id) : type_matches(f.type, one);
        if (listed && !one->stream.closing)
            write_line(out, one);
    }
}

/* The id that the line at the front begins with, "id=17 ..."; UINT64_MAX: there is none. */
static uint64_t front_id(struct span lines)
{
    uint64_t id = 0;
    size_t i = 3;
    if (lines.len < 4)
        return UINT64_MAX;
    for (; i < lines.len && lines.at[i] >= '0' && lines.at[i] <= '9'; i++)
        id = id * 10 + (uint64_t)(lines.at[i] - '0');
    return id;
}

static struct span take_line(struct span *lines)
{
    const char *nl = memchr(lines->at, '\n', lines->len);
    size_t len = nl != NULL ? (size_t)(nl + 1 - lines->at) : lines->len;
    struct span line = { lines->at, len };
    *lines = (struct span){ lines->at + len, lines->len - len };
    return line;
}

/* Each worker's lines are in the order of their ids, as Redis's are, and so are all together. */
static void merge_lines(struct survey_part *parts, uint32_t count, const struct argv *argv,
                        struct writer *w)
{
    struct writer lines;
    (void)argv;
    writer_init(&lines, 2);
    for (;;) {
        uint32_t least = 0;
        for (uint32_t i = 1; i < count; i++)
            if (front_id(parts[i].bytes) < front_id(parts[least].bytes))
                least = i;
        if (front_id(parts[least].bytes) == UINT64_MAX)
            break;
        write_raw(&lines, take_line(&parts[least].bytes));
    }
    write_lines(w, &lines);
}

const struct survey_row survey_client_list = { .command = "client|list",
                                               .part = list_here,
                                               .merge = merge_lines };

bool local_client_list(struct client *c, const struct argv *argv, struct writer *w)
{
    struct list_filter f;
    return !read_list_filter(&f, argv, w) || survey_run(c, argv, w, &survey_client_list);
}

/* --- KILL ------------------------------------------------------------------------------------- */

struct kill_filter {
    int64_t id; /* 0: any */
    struct span addr, laddr, user;
    enum client_type type;
    bool skip_me;
};

static const struct span the_admin = { "admin", 5 };

/* Reads an option and its value; false: an error has been written. */
static bool read_filter(struct kill_filter *f, const struct acl *users, struct span option,
                        struct span value, struct writer *w)
{
    if (span_is(option, "id")) {
        if (!text_to_i64(value.at, value.len, &f->id) || f->id <= 0) {
            write_error(w, "ERR client-id should be greater than 0");
            return false;
        }
    } else if (span_is(option, "type")) {
        if (!read_type(value, &f->type)) {
            unknown_type(w, value);
            return false;
        }
    } else if (span_is(option, "addr")) {
        f->addr = value;
    } else if (span_is(option, "laddr")) {
        f->laddr = value;
    } else if (span_is(option, "user")) {
        f->user = value;
        if (acl_find(users, value) == NULL && !span_equal(value, the_admin)) {
            write_error(w, "ERR No such user '%.*s'", (int)value.len, value.at);
            return false;
        }
    } else if (span_is(option, "skipme") && (span_is(value, "yes") || span_is(value, "no"))) {
        f->skip_me = span_is(value, "yes");
    } else {
        write_error(w, "ERR syntax error");
        return false;
    }
    return true;
}

static bool text_is(struct span wanted, const char *text)
{
    return wanted.at == NULL || span_equal(wanted, (struct span){ text, strlen(text) });
}

static bool filter_matches(const struct kill_filter *f, const struct client *c)
{
    char peer[ADDRESS_MAX], local[ADDRESS_MAX];
    stream_peer_text(&c->stream, peer, sizeof(peer));
    stream_local_text(&c->stream, local, sizeof(local));
    return (f->id == 0 || (uint64_t)f->id == c->id) && text_is(f->addr, peer) &&
           text_is(f->laddr, local) && text_is(f->user, access_user_name(c)) &&
           type_matches(f->type, c);
}

static uint64_t kill_matching(struct worker *w, struct client *caller, const struct kill_filter *f)
{
    uint64_t killed = 0;
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe) {
        struct client *one = LIST_ENTRY(n, struct client, in_worker);
        if (one->stream.closing || (one == caller && f->skip_me) || !filter_matches(f, one))
            continue;
        killed++;
        if (one == caller)
            client_finish_later(one, ERR_KILLED); /* its own reply still goes out */
        else
            stream_close(&one->stream, ERR_KILLED);
    }
    return killed;
}

/* The old form names an address and kills even its caller. False: an error has been written. */
static bool read_kill_filter(struct kill_filter *f, const struct acl *users,
                             const struct argv *argv, struct writer *w)
{
    *f = (struct kill_filter){ .type = TYPE_ANY };
    if (argv->count == 3) {
        f->addr = argv_get(argv, 2);
        return true;
    }
    f->skip_me = true;
    if (argv->count % 2 != 0) {
        write_error(w, "ERR syntax error");
        return false;
    }
    for (uint32_t i = 2; i < argv->count; i += 2)
        if (!read_filter(f, users, argv_get(argv, i), argv_get(argv, i + 1), w))
            return false;
    return true;
}

static void kill_here(struct worker *w, struct client *c, const struct argv *argv,
                      struct writer *out)
{
    struct kill_filter f;
    if (read_kill_filter(&f, w->config.acl, argv, out))
        survey_write_number(out, kill_matching(w, c, &f));
}

static void merge_kills(struct survey_part *parts, uint32_t count, const struct argv *argv,
                        struct writer *w)
{
    uint64_t killed = survey_sum(parts, count);
    if (argv->count > 3)
        write_integer(w, (long long)killed);
    else if (killed == 0)
        write_error(w, "ERR No such client");
    else
        write_simple(w, "OK");
}

const struct survey_row survey_client_kill = { .command = "client|kill",
                                               .part = kill_here,
                                               .merge = merge_kills };

bool local_client_kill(struct client *c, const struct argv *argv, struct writer *w)
{
    struct kill_filter f;
    return !read_kill_filter(&f, c->worker->config.acl, argv, w) ||
           survey_run(c, argv, w, &survey_client_kill);
}
