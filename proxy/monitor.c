#include "proxy/monitor.h"

#include <stdio.h>
#include <sys/time.h>

#include "proxy/local.h"
#include "proxy/subscriber.h"
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

/* Scripts are shown though they carry CMD_SKIP_MONITOR: Redis has that flag there because it shows
   them by hand, before the commands that they call. */
void monitor_feed(const struct client *c, const struct command *cmd, const struct argv *argv)
{
    struct pubsub *ps = &c->worker->pubsub;
    if (list_is_empty(&ps->monitors) || (cmd->flags & CMD_ADMIN) != 0)
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
    for (struct list_node *n = ps->monitors.next; n != &ps->monitors; n = n->next)
        subscriber_push(LIST_ENTRY(n, struct subscriber, in_monitors)->client, writer_span(&line),
                        NULL);
    writer_close(&line);
}

void monitor_stop(struct client *c)
{
    list_remove(&c->subscriber->in_monitors);
    worker_mind(c->worker);
}

bool local_monitor(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    if (!c->worker->config.enable_monitor) {
        write_error(w, "ERR slotgate: MONITOR is not allowed; enable-monitor yes allows it");
        return true;
    }
    if (c->flow.count > 0)
        return false;
    struct subscriber *s = subscriber_get(c);
    if (list_is_linked(&s->in_monitors))
        return true; /* once more: Redis says nothing, either */
    list_append(&c->worker->pubsub.monitors, &s->in_monitors);
    worker_mind(c->worker);
    write_simple(w, "OK");
    return true;
}
