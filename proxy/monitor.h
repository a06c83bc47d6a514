/*
 * monitor.h: MONITOR: a client that is shown every command which this worker executes.
 *
 * Off unless enable-monitor allows it, because it shows keys and values. As in Redis, commands that
 * administer the server are not shown, nor passwords. worker->attention is set while there is a
 * monitor, so that it costs others nothing.
 */
#ifndef PROXY_MONITOR_H
#define PROXY_MONITOR_H

#include "proxy/client.h"

struct worker;

/* The client is shown no more; nothing to do if it is no monitor. */
void monitor_stop(struct client *c);
/* Shows the command of c to every monitor. */
void monitor_feed(const struct client *c, const struct command *cmd, const struct argv *argv);

#endif
