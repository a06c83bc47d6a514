/*
 * supervisor.h: keeps the workers of one proxy alive.
 *
 * Every proxy has one, also with a single worker: a crash or a hang of the only worker is what a
 * supervisor is for, and signals, takeovers and the service manager then know one way only.
 *
 *   a worker dies or leaves    another takes its place, its sockets and what waits in them; at once
 *                              the first time, then after a back-off; exit 1 when one has died soon
 *                              after its start again and again
 *   a worker hangs             no beat on the board for worker-timeout: killed, and as above
 *   SIGTERM, SIGINT            handed on; exit 0 when all have drained, 1 when one had to be killed
 *   SIGHUP                     reload.h
 *   SIGUSR2                    takeover.h
 *   SIGCHLD                    reaps whatever ended, so that it may be process 1 of a container
 */
#ifndef PROXY_SUPERVISOR_H
#define PROXY_SUPERVISOR_H

#include "proxy/worker.h"

struct baton;

/* Takes the loaded config and the words in w. baton: what is taken over from the program that this
   process was before, or NULL. Gives the exit code of the program. */
int supervisor_run(struct worker *w, struct baton *baton);

#endif
