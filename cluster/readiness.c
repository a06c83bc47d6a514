#include "cluster/readiness.h"

#include "base/error.h"
#include "base/log.h"

enum { AGAIN_MS = 200, INFO_MAX = 4096 };

static bool says_fail(const struct rope *reply)
{
    char text[INFO_MAX + 1];
    size_t len = 0;
    for (const struct piece *p = reply->head; p != NULL; p = p->next) {
        size_t n = p->len < INFO_MAX - len ? p->len : INFO_MAX - len;
        memcpy(text + len, p->at, n);
        len += n;
    }
    text[len] = '\0';
    return strstr(text, "cluster_state:fail") != NULL;
}

static void on_timer(uv_timer_t *timer);

static void on_answer(struct request *asked, int status)
{
    struct readiness *r = asked->own_context;
    if (r->closing)
        return;
    if (status == 0 && !says_fail(&asked->reply)) {
        r->on_ready(r->context);
        return;
    }
    char who[ENDPOINT_TEXT_MAX];
    log_warn("not listening yet: the cluster does not serve", "node=%s reason=%s",
             endpoint_text(&r->asked, who),
             status == 0 ? "cluster_state_fail" : error_name(status));
    uv_timer_start(&r->timer, on_timer, AGAIN_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    static const struct span question = { "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n", 27 };
    struct readiness *r = timer->data;
    struct router *rt = r->router;
    struct node *master = rt->masters[r->turn++ % rt->map->shard_count];
    r->asked = master->endpoint;
    router_ask(rt, master, question, rt->options->link.connect_timeout, on_answer, r);
}

void readiness_open(struct readiness *r, struct router *rt, void (*on_ready)(void *context),
                    void *context)
{
    *r = (struct readiness){ .router = rt, .on_ready = on_ready, .context = context };
    uv_timer_init(rt->net->loop, &r->timer);
    r->timer.data = r;
}

void readiness_start(struct readiness *r)
{
    if (r->started || r->closing)
        return;
    r->started = true;
    uv_timer_start(&r->timer, on_timer, 0, 0);
}

void readiness_close(struct readiness *r)
{
    r->closing = true;
    uv_close((uv_handle_t *)&r->timer, NULL);
}
