#include "proxy/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "proxy/local.h"
#include "proxy/subscriber.h"
#include "proxy/survey_rows.h"
#include "proxy/talk_topics.h"
#include "proxy/worker.h"

enum { ADDRESS_MAX = 64 };

/* As Redis prints text that may hold anything: sdscatrepr in sds.c. */
static void write_quoted(struct writer *w, struct span text)
{
    static const char named[] = "\\\"\n\r\t\a\b", letters[] = "\\\"nrtab";
    write_raw(w, SPAN(" \""));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        const char *name = memchr(named, byte, sizeof(named) - 1);
        char out[5] = { (char)byte };
        size_t len = 1;
        if (name != NULL)
            len = (size_t)snprintf(out, sizeof(out), "\\%c", letters[name - named]);
        else if (byte < ' ' || byte > '~')
            len = (size_t)snprintf(out, sizeof(out), "\\x%02x", byte);
        write_raw(w, (struct span){ out, len });
    }
    write_raw(w, SPAN("\""));
}

/* AUTH with all its arguments; what follows AUTH in HELLO. */
static bool is_secret(const struct command *cmd, const struct argv *argv, uint32_t i)
{
    if (i > 0 && strcmp(cmd->name, "auth") == 0)
        return true;
    if (strcmp(cmd->name, "hello") != 0)
        return false;
    return (i > 1 && span_is(argv_get(argv, i - 1), "auth")) ||
           (i > 2 && span_is(argv_get(argv, i - 2), "auth"));
}

/* --- lines ------------------------------------------------------------------------------------ */

static void show(struct worker *w, struct span line)
{
    struct list_node *all = &w->pubsub.monitors;
    for (struct list_node *n = all->next; n != all; n = n->next)
        subscriber_push(LIST_ENTRY(n, struct subscriber, in_monitors)->client, line, NULL);
}

void monitor_on_line(void *context, const struct talk_letter *letter)
{
    show(context, letter->body);
}

static void show_elsewhere(struct worker *w, struct span line)
{
    for (uint32_t i = w->watchers.count; i-- > 0;) {
        struct talk_peer *peer = w->watchers.peers[i];
        if (talk_is_there(&w->talk, peer))
            talk_tell_one(&w->talk, peer, TALK_MONITOR_LINE, line);
        else
            monitor_watch(w, peer, false);
    }
}

/* Scripts are shown though they carry CMD_SKIP_MONITOR: Redis has that flag there because it shows
   them by hand, before the commands that they call. */
void monitor_feed(const struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct worker *w = c->worker;
    if (!monitor_is_wanted(w) || (cmd->flags & CMD_ADMIN) != 0)
        return;
    char peer[ADDRESS_MAX], head[ADDRESS_MAX + 64];
    struct timeval now;
    struct writer line;
    gettimeofday(&now, NULL);
    stream_peer_text(&c->stream, peer, sizeof(peer));
    int len = snprintf(head, sizeof(head), "+%lld.%06lld [%u %s]", (long long)now.tv_sec,
                       (long long)now.tv_usec, c->flow.database, peer);
    writer_init(&line, 2);
    write_raw(&line, (struct span){ head, (size_t)len });
    for (uint32_t i = 0; i < argv->count; i++)
        write_quoted(&line, is_secret(cmd, argv, i) ? SPAN("(redacted)") : argv_get(argv, i));
    write_raw(&line, SPAN("\r\n"));
    show(w, writer_span(&line));
    show_elsewhere(w, writer_span(&line));
    writer_close(&line);
}

/* --- who watches ------------------------------------------------------------------------------ */

bool monitor_is_wanted(const struct worker *w)
{
    return !list_is_empty(&w->pubsub.monitors) || w->watchers.count > 0;
}

static uint32_t place_of(const struct watchers *all, const struct talk_peer *peer)
{
    uint32_t i = 0;
    while (i < all->count && all->peers[i] != peer)
        i++;
    return i;
}

void monitor_watch(struct worker *w, struct talk_peer *peer, bool on)
{
    struct watchers *all = &w->watchers;
    uint32_t i = place_of(all, peer);
    if (on && i == all->count) {
        all->peers = realloc(all->peers, (all->count + 1) * sizeof(struct talk_peer *));
        REQUIRE(all->peers != NULL);
        all->peers[all->count++] = peer;
    } else if (!on && i < all->count) {
        all->peers[i] = all->peers[--all->count];
    }
    worker_mind(w);
}

void monitor_free(struct worker *w)
{
    free(w->watchers.peers);
}

void monitor_on_off(void *context, const struct talk_letter *letter)
{
    monitor_watch(context, letter->from, false);
}

static void forget_if_alone(struct worker *w)
{
    if (list_is_empty(&w->pubsub.monitors))
        talk_tell(&w->talk, TALK_MONITOR_OFF, SPAN(""));
    worker_mind(w);
}

void monitor_stop(struct client *c)
{
    if (!list_is_linked(&c->subscriber->in_monitors))
        return;
    list_remove(&c->subscriber->in_monitors);
    forget_if_alone(c->worker);
}

/* --- MONITOR ---------------------------------------------------------------------------------- */

static void on_asked(struct worker *w, const struct argv *argv, const struct talk_letter *letter)
{
    (void)argv;
    monitor_watch(w, letter->from, true);
    talk_answer(&w->talk, letter, SPAN(""));
}

/* The others send their lines by now. */
static void begin(struct worker *w, struct client *c, const struct argv *argv, struct writer *out)
{
    (void)argv;
    (void)out;
    if (c != NULL)
        list_append(&w->pubsub.monitors, &subscriber_get(c)->in_monitors);
    forget_if_alone(w);
}

const struct survey_row survey_monitor = {
    .command = "monitor", .part = begin, .asked = on_asked, .merge = survey_merge_ok
};

bool local_monitor(struct client *c, const struct argv *argv, struct writer *w)
{
    if (!c->worker->config.enable_monitor) {
        write_error(w, "ERR slotgate: MONITOR is not allowed; enable-monitor yes allows it");
        return true;
    }
    if (c->flow.count > 0)
        return false;
    if (c->subscriber != NULL && list_is_linked(&c->subscriber->in_monitors))
        return true; /* once more: Redis says nothing, either */
    return survey_run(c, argv, w, &survey_monitor);
}
