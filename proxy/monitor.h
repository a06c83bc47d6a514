/*
 * monitor.h: MONITOR: a client that is shown every command which the workers of this proxy execute.
 *
 * Off unless enable-monitor allows it, because it shows keys and values. As in Redis, commands that
 * administer the server are not shown, nor passwords. A worker with a monitor makes all others send
 * it the lines of theirs; worker->attention is set while anybody monitors, so that otherwise it
 * costs nothing.
 */
#ifndef PROXY_MONITOR_H
#define PROXY_MONITOR_H

#include "proxy/client.h"
#include "proxy/talk.h"

struct worker;

/* Other workers that have monitors. */
struct watchers {
    struct talk_peer **peers;
    uint32_t count;
};

/* The client is shown no more; nothing to do if it is no monitor. */
void monitor_stop(struct client *c);
/* Shows the command of c to every monitor. */
void monitor_feed(const struct client *c, const struct command *cmd, const struct argv *argv);

/* That worker has monitors, or has none any more. */
void monitor_watch(struct worker *w, struct talk_peer *peer, bool on);
bool monitor_is_wanted(const struct worker *w);
void monitor_free(struct worker *w);
/* TALK_MONITOR_OFF, TALK_MONITOR_LINE. */
talk_handler monitor_on_off, monitor_on_line;

#endif
