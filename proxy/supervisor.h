/*
 * supervisor.h: runs several workers as processes of their own that share the port.
 *
 * Signals are handed on; when one worker ends by itself the others are ended too and the exit code
 * is 1, so that whoever started slotgate starts it again.
 */
#ifndef PROXY_SUPERVISOR_H
#define PROXY_SUPERVISOR_H

#include "proxy/worker.h"

/* Takes the loaded config in w. Gives the exit code of the program. */
int supervisor_run(struct worker *w);

#endif
