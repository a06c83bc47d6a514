/* PROXY CLIENT, CONFIG, DEBUG, LOG and SHUTDOWN. What changes something is for the admin: see
 * access.h. */
#include <signal.h>

#include "base/log.h"
#include "proxy/access.h"
#include "proxy/local.h"
#include "proxy/worker.h"

enum { VALUE_ROOM = 1024 };

static const char *const syntax_error = "ERR syntax error, try PROXY HELP";

bool local_proxy_client(struct client *c, const struct argv *argv, struct writer *w)
{
    static const char *const help[] = {
        "PROXY CLIENT <subcommand>",
        "ID     -- the id of this connection",
        "THREAD -- the number of the worker that serves it",
    };
    struct span what = argv_get(argv, 2);
    if (span_is(what, "id"))
        write_integer(w, (long long)c->id);
    else if (span_is(what, "thread"))
        write_integer(w, c->worker->number);
    else if (span_is(what, "help"))
        local_write_lines(w, help, ARRAY_LEN(help));
    else
        write_error(w, "%s", syntax_error);
    return true;
}

/* --- CONFIG ----------------------------------------------------------------------------------- */

/* Those that only a command line has (--help) are not shown. */
static bool is_asked_for(const struct options *all, const struct option *row,
                         const struct argv *argv)
{
    for (uint32_t i = 3; i < argv->count; i++) {
        struct span glob = argv_get(argv, i);
        size_t at = (size_t)(row - all->rows);
        if ((row->flags & OPTION_NO_FILE) == 0 && option_match(all, glob.at, glob.len, &at) == row)
            return true;
    }
    return false;
}

static void get_options(const struct client *c, const struct argv *argv, struct writer *w)
{
    const struct options *all = &c->worker->config.options;
    char value[VALUE_ROOM];
    uint32_t found = 0;
    for (size_t i = 0; i < all->count; i++)
        found += is_asked_for(all, &all->rows[i], argv);
    write_map(w, found);
    for (size_t i = 0; i < all->count; i++) {
        if (!is_asked_for(all, &all->rows[i], argv))
            continue;
        option_format(all, &all->rows[i], value, sizeof(value));
        write_bulk_text(w, all->rows[i].name);
        write_bulk_text(w, value);
    }
}

bool local_proxy_config(struct client *c, const struct argv *argv, struct writer *w)
{
    struct span what = argv_get(argv, 2);
    /* What stands behind PROXY is a CONFIG SET. */
    const struct argv rest = { .base = argv->base, .v = argv->v + 1, .count = argv->count - 1 };
    if (span_is(what, "get")) {
        get_options(c, argv, w);
        return true;
    }
    if (!span_is(what, "set")) {
        write_error(w, "%s", syntax_error);
        return true;
    }
    return !access_is_admin(c, "PROXY CONFIG SET", w) || local_config_set(c, &rest, w);
}

/* --- LOG -------------------------------------------------------------------------------------- */

static enum log_level level_named(struct span name, bool *known)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = { { "debug", LOG_LEVEL_DEBUG },
                   { "info", LOG_LEVEL_INFO },
                   { "success", LOG_LEVEL_INFO },
                   { "warning", LOG_LEVEL_WARN },
                   { "error", LOG_LEVEL_ERROR } };
    *known = true;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (span_is(name, levels[i].name))
            return levels[i].level;
    *known = false;
    return LOG_LEVEL_DEBUG;
}

bool local_proxy_log(struct client *c, const struct argv *argv, struct writer *w)
{
    bool known = false;
    enum log_level level = LOG_LEVEL_DEBUG;
    struct span text = argv_get(argv, argv->count - 1);
    if (!access_is_admin(c, "PROXY LOG", w))
        return true;
    if (argv->count == 4)
        level = level_named(argv_get(argv, 2), &known);
    if (argv->count > 4 || (argv->count == 4 && !known)) {
        write_error(w, "%s", syntax_error);
        return true;
    }
    LOG_AT(level, "message of the admin", "id=%llu text=%s", (unsigned long long)c->id,
           log_bytes(text.at, text.len));
    write_simple(w, "OK");
    return true;
}

/* --- SHUTDOWN --------------------------------------------------------------------------------- */

/* The supervisor is told, as anybody could from outside, so that all workers go. */
bool local_proxy_shutdown(struct client *c, const struct argv *argv, struct writer *w)
{
    bool now = argv->count == 3 && span_is(argv_get(argv, 2), "asap");
    if (!access_is_admin(c, "PROXY SHUTDOWN", w))
        return true;
    if (argv->count > 2 && !now) {
        write_error(w, "%s", syntax_error);
        return true;
    }
    log_warn("told to stop", "id=%llu asap=%s", (unsigned long long)c->id, now ? "yes" : "no");
    if (crew_tell_supervisor(c->worker->crew, now ? SIGQUIT : SIGTERM))
        write_simple(w, "OK");
    else
        write_error(w, "ERR slotgate: there is no supervisor to tell, or a takeover is under way: "
                       "try again");
    return true;
}

/* --- DEBUG ------------------------------------------------------------------------------------ */

/* To see that a worker is replaced and somebody is told, before one dies by itself. */
bool local_proxy_debug(struct client *c, const struct argv *argv, struct writer *w)
{
    static const char *const help[] = {
        "PROXY DEBUG <subcommand>",
        "SEGFAULT -- end the worker that serves this connection by SIGSEGV",
        "ASSERT   -- end it by SIGABRT",
    };
    struct span what = argv_get(argv, 2);
    if (span_is(what, "help")) {
        local_write_lines(w, help, ARRAY_LEN(help));
        return true;
    }
    if (!access_is_admin(c, "PROXY DEBUG", w))
        return true;
    if (!span_is(what, "segfault") && !span_is(what, "assert")) {
        write_error(w, "%s", syntax_error);
        return true;
    }
    int how = span_is(what, "assert") ? SIGABRT : SIGSEGV;
    log_warn("told to crash", "id=%llu worker=%u signal=%d", (unsigned long long)c->id,
             c->worker->number, how);
    log_flush();
    signal(how, SIG_DFL);
    raise(how);
    return true;
}
