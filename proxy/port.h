/*
 * port.h: a worker's listening sockets: it borrows them from its crew, listens and accepts.
 */
#ifndef PROXY_PORT_H
#define PROXY_PORT_H

struct worker;

/* Listens and accepts on its sockets. What fails there ends the worker. */
void port_open(struct worker *w);
/* Accepts no more; the sockets listen on, for somebody else. */
void port_stop_accepting(struct worker *w);
/* Accepts who waits, and then refuses. */
void port_shut(struct worker *w);

#endif
