#include "migrate/fence.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

/* A slotgate is looked for by so many tries, or for so long if some of them reached others; one
   that takes a connection and says nothing counts as not found. */
enum { FENCE_TIMEOUT_MS = 10000, TICK_MS = 100, TRY_MS = 1000 };
enum { SEARCHES = 100, SEARCH_MS = 3000, OTHERS_MIN = 10 };

/* with a server:   AUTH -> ROLE -> CLIENT LIST -> CLIENT KILL for each of our connections -> done
   with a slotgate: AUTH -> PROXY FENCE -> done; or dial again: it was another one */
struct talk {
    struct list_node link; /* in fence->talks */
    struct pipe pipe;
    struct fence *fence;
    struct endpoint to;
    struct writer reply;
    char peer[LOGIN_PEER_MAX];          /* the slotgate that is looked for; "": a server */
    uint64_t since;                     /* ms: when it was dialled */
    uint32_t awaited, searches, others; /* replies; tries; those that reached another slotgate */
    bool listed, complete, again;
};

static void dial(struct talk *t);

static struct talk *talk_of(struct pipe *p)
{
    return CONTAINER_OF(p, struct talk, pipe);
}

static void fail(struct talk *t, const char *why)
{
    char to[ENDPOINT_TEXT_MAX];
    struct fence *f = t->fence;
    if (f->why[0] == '\0')
        snprintf(f->why, sizeof(f->why), "%.80s: %.100s", endpoint_text(&t->to, to), why);
    pipe_close(&t->pipe, ERR_CANCELED);
}

static void say(struct talk *t, const char *const *words, size_t count)
{
    struct writer w;
    struct pipe_call *call = calloc(1, sizeof(*call));
    REQUIRE(call != NULL);
    writer_init(&w, 2);
    write_request(&w, words, count);
    pipe_send(&t->pipe, call, writer_span(&w));
    writer_close(&w);
    t->awaited++;
}

static uint64_t now_of(const struct fence *f)
{
    return uv_now(f->net->loop);
}

static bool is_given_up(const struct talk *t)
{
    bool long_ago = now_of(t->fence) - t->fence->began > SEARCH_MS && t->others >= OTHERS_MIN;
    return t->searches >= SEARCHES || long_ago;
}

static void on_open(struct pipe *p)
{
    struct talk *t = talk_of(p);
    const struct target_options *o = t->fence->options;
    if (o->password != NULL && o->user != NULL)
        say(t, (const char *[]){ "AUTH", o->user, o->password }, 3);
    else if (o->password != NULL)
        say(t, (const char *[]){ "AUTH", o->password }, 2);
    if (t->peer[0] != '\0') {
        const char *words[] = { "PROXY", "FENCE", o->name, t->peer, "FORCE" };
        say(t, words, is_given_up(t) ? 5 : 4);
        return;
    }
    say(t, (const char *[]){ "ROLE" }, 1);
    say(t, (const char *[]){ "CLIENT", "LIST" }, 2);
}

static bool is_master(const struct talk *t)
{
    static const char role[] = "*3\r\n$6\r\nmaster\r\n";
    return t->reply.len > sizeof(role) && memcmp(t->reply.at, role, sizeof(role) - 1) == 0;
}

/* "id=7 addr=... name=NAME ...", a line for each connection. */
static void kill_ours(struct talk *t)
{
    char name[160], *save = NULL;
    snprintf(name, sizeof(name), " name=%s ", t->fence->options->name);
    write_raw(&t->reply, (struct span){ "", 1 });
    for (char *line = strtok_r(t->reply.at, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, "id=", 3) == 0 && strstr(line, name) != NULL) {
            char id[24];
            snprintf(id, sizeof(id), "%llu", strtoull(line + 3, NULL, 10));
            say(t, (const char *[]){ "CLIENT", "KILL", "ID", id }, 4);
        }
}

static void on_reply(struct pipe *p, struct pipe_call *call, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct talk *t = talk_of(p);
    char why[96];
    (void)chunk;
    bool last = t->awaited == 1;
    if (first == '-' && bytes.len > 9 && memcmp(bytes.at, "-NOTHERE ", 9) == 0) {
        t->again = true;
        t->others++;
        pipe_close(&t->pipe, ERR_CANCELED);
    } else if (first == '-' || first == '\0') {
        snprintf(why, sizeof(why), "%.*s", (int)(bytes.len < 80 ? bytes.len : 80), bytes.at);
        why[strcspn(why, "\r\n")] = '\0';
        fail(t, why);
    } else if (t->awaited <= 2 && !t->listed) { /* ROLE and the list */
        write_raw(&t->reply, bytes);
    }
    if (!done)
        return;
    free(call);
    t->awaited--;
    if (!last || t->pipe.closing)
        return;
    if (!t->listed && t->peer[0] == '\0' && !is_master(t)) {
        fail(t, "it is no master any more");
        return;
    }
    if (!t->listed && t->peer[0] == '\0')
        kill_ours(t);
    t->listed = true;
    t->complete = t->awaited == 0;
    if (t->complete)
        pipe_close(&t->pipe, ERR_SHUTDOWN);
}

static void end(struct fence *f)
{
    if (!f->running || f->open > 0)
        return;
    f->running = false;
    uv_timer_stop(&f->timer);
    if (!f->closing)
        f->done(f->context, f->why[0] != '\0' ? f->why : NULL);
}

static void on_closed(struct pipe *p, int why)
{
    struct talk *t = talk_of(p);
    struct fence *f = t->fence;
    struct list_node *n, *safe;
    LIST_EACH (&p->calls, n, safe) {
        list_remove(n);
        free(LIST_ENTRY(n, struct pipe_call, link));
    }
    if (t->again && !f->closing && f->why[0] == '\0') {
        t->searches++;
        dial(t);
        return;
    }
    if (!t->complete && !f->closing)
        fail(t, error_text(why));
    list_remove(&t->link);
    writer_close(&t->reply);
    free(t);
    f->open--;
    end(f);
}

static const struct pipe_user fence_pipe_user = {
    .on_open = on_open,
    .on_reply = on_reply,
    .on_closed = on_closed,
};

static void hang_up(struct fence *f, int why)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->talks, n, safe)
        pipe_close(&LIST_ENTRY(n, struct talk, link)->pipe, why);
}

static void on_tick(uv_timer_t *timer)
{
    struct fence *f = timer->data;
    struct list_node *n, *safe;
    if (now_of(f) - f->began > FENCE_TIMEOUT_MS) {
        uv_timer_stop(timer);
        hang_up(f, ERR_TIMEOUT);
        return;
    }
    LIST_EACH (&f->talks, n, safe) {
        struct talk *t = LIST_ENTRY(n, struct talk, link);
        if (t->peer[0] == '\0' || t->pipe.closing || now_of(f) - t->since < TRY_MS)
            continue;
        t->again = true;
        pipe_close(&t->pipe, ERR_TIMEOUT);
    }
}

void fence_open(struct fence *f, struct net *net, const struct target_options *options)
{
    *f = (struct fence){ .net = net, .options = options };
    list_init(&f->talks);
    uv_timer_init(net->loop, &f->timer);
    f->timer.data = f;
}

static void dial(struct talk *t)
{
    const struct target_options *o = t->fence->options;
    t->awaited = 0;
    t->since = now_of(t->fence);
    t->listed = t->again = false;
    if (t->peer[0] != '\0')
        t->to = o->endpoints[t->searches % o->endpoint_count];
    pipe_dial(&t->pipe, t->fence->net, &t->to, o->connect_timeout, o->tls, &fence_pipe_user);
}

static void begin_talk(struct fence *f, const struct endpoint *to, const char *peer)
{
    struct talk *t = calloc(1, sizeof(*t));
    REQUIRE(t != NULL);
    t->fence = f;
    t->to = *to;
    snprintf(t->peer, sizeof(t->peer), "%s", peer);
    writer_init(&t->reply, 2);
    list_append(&f->talks, &t->link);
    dial(t);
}

void fence_start(struct fence *f, const struct target *target, fence_done *done, void *context)
{
    const struct slotmap *map = target->router.map;
    f->done = done;
    f->context = context;
    f->running = true;
    f->why[0] = '\0';
    f->open = target->peer_count > 0 ? target->peer_count : map->shard_count;
    f->began = now_of(f);
    uv_timer_start(&f->timer, on_tick, TICK_MS, TICK_MS);
    for (uint32_t i = 0; i < target->peer_count; i++)
        begin_talk(f, &f->options->endpoints[0], target->peers[i]);
    for (uint32_t i = 0; target->peer_count == 0 && i < map->shard_count; i++)
        begin_talk(f, &map->shards[i].master, "");
}

void fence_close(struct fence *f)
{
    if (f->closing)
        return;
    f->closing = true;
    uv_close((uv_handle_t *)&f->timer, NULL);
    hang_up(f, ERR_SHUTDOWN);
}
