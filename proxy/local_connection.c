/* Commands about the connection itself; each answers in the words of Redis 7.0 (networking.c,
 * db.c). */
#include <stdlib.h>
#include <sys/time.h>

#include "base/error.h"
#include "base/text.h"
#include "proxy/access.h"
#include "proxy/local.h"
#include "proxy/transaction.h"
#include "proxy/watch.h"
#include "proxy/worker.h"

bool local_ping(struct client *c, const struct argv *argv, struct writer *w)
{
    if (argv->count > 2) {
        write_error(w, "ERR wrong number of arguments for 'ping' command");
    } else if (subscriber_is_exclusive(c)) {
        write_array(w, 2);
        write_bulk_text(w, "pong");
        write_bulk(w, argv->count == 2 ? argv_get(argv, 1) : SPAN(""));
    } else if (argv->count == 2) {
        write_bulk(w, argv_get(argv, 1));
    } else {
        write_simple(w, "PONG");
    }
    return true;
}

bool local_echo(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    write_bulk(w, argv_get(argv, 1));
    return true;
}

bool local_quit(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    write_simple(w, "OK");
    client_finish_later(c, ERR_CLOSED_BY_PEER);
    return true;
}

bool local_select(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t db;
    struct span text = argv_get(argv, 1);
    if (!text_to_i64(text.at, text.len, &db))
        write_error(w, "ERR value is not an integer or out of range");
    else if (db < 0 || db >= c->worker->learner.databases)
        write_error(w, "ERR DB index is out of range");
    else if (db != c->flow.database && c->flow.count > 0)
        return false;
    else {
        c->flow.database = (uint16_t)db;
        write_simple(w, "OK");
    }
    return true;
}

bool local_time(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    struct timeval now;
    gettimeofday(&now, NULL);
    write_array(w, 2);
    write_bulk_format(w, "%lld", (long long)now.tv_sec);
    write_bulk_format(w, "%lld", (long long)now.tv_usec);
    return true;
}

/* --- AUTH and HELLO -------------------------------------------------------------------------- */

static const char *const wrong_pass =
    "WRONGPASS invalid username-password pair or user is disabled.";

bool local_auth(struct client *c, const struct argv *argv, struct writer *w)
{
    bool named = argv->count == 3;
    if (argv->count > 3)
        write_error(w, "ERR syntax error");
    else if (!named && access_needs_no_password(c->worker))
        write_error(w, "ERR AUTH <password> called without any password configured for the default "
                       "user. Are you sure your configuration is correct?");
    else if (!access_login(c, argv_get(argv, 0), named ? argv_get(argv, 1) : SPAN("default"),
                           argv_get(argv, argv->count - 1)))
        write_error(w, "%s", wrong_pass);
    else
        write_simple(w, "OK");
    return true;
}

struct hello {
    int protocol;
    struct span name;
    bool has_name;
};

/* Reads "HELLO [2|3 [AUTH user pass] [SETNAME name]]"; false: an error has been written. */
static bool read_hello(struct client *c, const struct argv *argv, struct writer *w, struct hello *h)
{
    *h = (struct hello){ .protocol = c->flow.protocol };
    if (argv->count == 1)
        return true;
    int64_t version;
    struct span text = argv_get(argv, 1);
    if (!text_to_i64(text.at, text.len, &version)) {
        write_error(w, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (version != 2 && version != 3) {
        write_error(w, "NOPROTO unsupported protocol version");
        return false;
    }
    h->protocol = (int)version;
    for (uint32_t i = 2; i < argv->count; i++) {
        struct span option = argv_get(argv, i);
        if (span_is(option, "auth") && i + 2 < argv->count) {
            if (!access_login(c, argv_get(argv, 0), argv_get(argv, i + 1), argv_get(argv, i + 2))) {
                write_error(w, "%s", wrong_pass);
                return false;
            }
            i += 2;
        } else if (span_is(option, "setname") && i + 1 < argv->count) {
            h->name = argv_get(argv, ++i);
            h->has_name = true;
            if (!local_label_ok(h->name)) {
                write_error(w, "ERR Client names cannot contain spaces, newlines or special "
                               "characters.");
                return false;
            }
        } else {
            write_error(w, "ERR Syntax error in HELLO option '%.*s'", (int)option.len, option.at);
            return false;
        }
    }
    return true;
}

bool local_hello(struct client *c, const struct argv *argv, struct writer *w)
{
    struct hello h;
    if (!read_hello(c, argv, w, &h))
        return true;
    if (c->user == USER_NOBODY) {
        write_error(w,
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                    "the HELLO AUTH <user> <pass> option can be used to authenticate the "
                    "client and select the RESP protocol version at the same time");
        return true;
    }
    /* Replies of the other protocol come over other connections: first everything must be out. */
    if (h.protocol != c->flow.protocol && c->flow.count > 0)
        return false;
    c->flow.protocol = (uint8_t)h.protocol;
    if (h.has_name)
        local_set_label(&local_labels(c)->name, h.name);
    writer_clear(w, h.protocol);
    write_map(w, 7);
    write_bulk_text(w, "server");
    write_bulk_text(w, "redis");
    write_bulk_text(w, "version");
    write_bulk_text(w, c->worker->redis_version);
    write_bulk_text(w, "proto");
    write_integer(w, h.protocol);
    write_bulk_text(w, "id");
    write_integer(w, (long long)c->id);
    write_bulk_text(w, "mode");
    write_bulk_text(w, c->worker->config.cluster_facade ? "cluster" : "standalone");
    write_bulk_text(w, "role");
    write_bulk_text(w, "master");
    write_bulk_text(w, "modules");
    write_array(w, 0);
    return true;
}

bool local_reset(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    bool switches = c->flow.protocol != 2 || c->flow.database != 0;
    if ((switches || c->subscriber != NULL) && c->flow.count > 0)
        return false;
    subscriber_reset(c);
    c->flow.protocol = 2;
    c->flow.database = 0;
    if (c->reply_mode == REPLY_OFF) /* a SKIP is about this very reply */
        client_set_reply_mode(c, REPLY_ON);
    transaction_drop(c);
    watch_drop(c);
    c->no_evict = c->no_touch = false;
    access_begin(c);
    if (c->labels != NULL)
        local_set_label(&c->labels->name, SPAN(""));
    writer_clear(w, 2);
    write_simple(w, "RESET");
    return true;
}
