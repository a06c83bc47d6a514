/*
 * takeover.h: SIGUSR2: a new program, with a fresh config, takes over without refusing anybody.
 *
 *   supervisor   forks a launcher, which becomes the new program (the same path)
 *   launcher     reads the config, takes the sockets that it still wants and binds those that it
 *                lacks, starts the new workers, sends all of it over the wire, ends
 *   supervisor   the new workers are its children now; waits until every one serves. Both
 *                generations accept from the same sockets meanwhile
 *   supervisor   becomes the new program itself, in the same process, and lets the old workers
 *                drain (leaving.h)
 *
 * Whatever goes wrong before the last step is logged, the new workers drain, and the old program
 * goes on. The process keeps its number, so neither a service manager nor a container notices.
 */
#ifndef PROXY_TAKEOVER_H
#define PROXY_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct baton;
struct supervisor;
struct worker;

/* The path to exec later for this argv[0], found in PATH if need be; NULL: there is none. The
   caller frees it. To be asked at the start. */
char *takeover_path(const char *argv0);

void takeover_begin(struct supervisor *s);
/* To be called often. May not return, when all is well. */
void takeover_step(struct supervisor *s);
/* True: the process was one of the takeover's. */
bool takeover_ended(struct supervisor *s, pid_t pid, int status);
/* Ends one that is under way; does nothing otherwise. */
void takeover_fail(struct supervisor *s, const char *why);

/* The launcher's main. Gives its exit code. */
int takeover_launch(struct worker *w, const struct baton *baton);
/* In the new supervisor: takes what the old one left. False: it makes no sense. */
bool takeover_adopt(struct supervisor *s, const struct baton *baton);

#endif
