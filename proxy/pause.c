#include "proxy/pause.h"

#include "base/text.h"
#include "proxy/client_reply.h"
#include "proxy/local.h"
#include "proxy/subscriber.h"
#include "proxy/survey_rows.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"

static void end_pause(struct worker *w)
{
    uv_timer_stop(&w->pause.timer);
    w->pause.until = 0;
    w->pause.all = false;
    worker_mind(w);
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe)
        client_wake(LIST_ENTRY(n, struct client, in_worker));
    net_hurry(&w->net);
}

static void on_timer(uv_timer_t *timer)
{
    end_pause(timer->data);
}

void pause_open(struct worker *w)
{
    uv_timer_init(&w->loop, &w->pause.timer);
    w->pause.timer.data = w;
}

void pause_close(struct worker *w)
{
    uv_close((uv_handle_t *)&w->pause.timer, NULL);
}

/* PUBLISH and scripts count as writes, for Redis passes them on to replicas; so does the EXEC of a
   transaction that holds one. */
static bool may_write(const struct client *c, const struct command *cmd)
{
    if (c->transaction != NULL && c->transaction->writes && strcmp(cmd->name, "exec") == 0)
        return true;
    return (cmd->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0 ||
           strcmp(cmd->name, "publish") == 0 || strcmp(cmd->name, "spublish") == 0;
}

bool pause_holds(const struct client *c, const struct command *cmd)
{
    const struct pause *p = &c->worker->pause;
    bool monitor = c->subscriber != NULL && list_is_linked(&c->subscriber->in_monitors);
    return p->until != 0 && !monitor && (p->all || may_write(c, cmd));
}

struct order {
    int64_t ms;
    bool all;
};

/* False: an error has been written. */
static bool read_order(struct order *o, const struct argv *argv, struct writer *w)
{
    struct span time = argv_get(argv, 2);
    o->all = true;
    if (argv->count == 4) {
        struct span mode = argv_get(argv, 3);
        o->all = span_is(mode, "all");
        if (!o->all && !span_is(mode, "write")) {
            write_error(w, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return false;
        }
    }
    if (argv->count > 4) {
        struct span sub = argv_get(argv, 1);
        write_error(w,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
                    "Try CLIENT HELP.",
                    (int)(sub.len < 128 ? sub.len : 128), sub.at);
        return false;
    }
    if (!text_to_i64(time.at, time.len, &o->ms)) {
        write_error(w, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (o->ms < 0) {
        write_error(w, "ERR timeout is negative");
        return false;
    }
    return true;
}

/* A pause under way is only made longer and stricter. */
void pause_begin(struct worker *w, uint64_t ms, bool all)
{
    struct pause *p = &w->pause;
    uint64_t now = uv_now(&w->loop);
    p->all = p->all || all;
    if (now + ms > p->until)
        p->until = now + ms;
    uv_timer_start(&p->timer, on_timer, p->until - now, 0);
    worker_mind(w);
}

static void pause_here(struct worker *w, struct client *c, const struct argv *argv,
                       struct writer *out)
{
    struct order o;
    (void)c;
    if (read_order(&o, argv, out))
        pause_begin(w, (uint64_t)o.ms, o.all);
}

static void unpause_here(struct worker *w, struct client *c, const struct argv *argv,
                         struct writer *out)
{
    (void)c;
    (void)argv;
    (void)out;
    if (w->pause.until != 0)
        end_pause(w);
}

const struct survey_row survey_client_pause = { .command = "client|pause",
                                                .part = pause_here,
                                                .merge = survey_merge_ok };
const struct survey_row survey_client_unpause = { .command = "client|unpause",
                                                  .part = unpause_here,
                                                  .merge = survey_merge_ok };

bool local_client_pause(struct client *c, const struct argv *argv, struct writer *w)
{
    struct order o;
    return !read_order(&o, argv, w) || survey_run(c, argv, w, &survey_client_pause);
}

bool local_client_unpause(struct client *c, const struct argv *argv, struct writer *w)
{
    return survey_run(c, argv, w, &survey_client_unpause);
}
