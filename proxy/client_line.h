/*
 * client_line.h: what CLIENT LIST says of one client, also for what keeps it, as ACL LOG does.
 */
#ifndef PROXY_CLIENT_LINE_H
#define PROXY_CLIENT_LINE_H

#include "proxy/client.h"
#include "resp/writer.h"

/* "id=17 addr=...", without an end of line. */
void client_line_write(struct writer *line, const struct client *c);

#endif
