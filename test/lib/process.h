/*
 * process.h: a child process with its output in files, and ports that nobody else holds.
 *
 * The child has a process group of its own and dies when the test program does, however that ends,
 * so that no test leaves a server behind. Start children from the main thread only: the kernel
 * ties "dies with its parent" to the thread that forked.
 */
#ifndef TEST_LIB_PROCESS_H
#define TEST_LIB_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/check.h"

struct process {
    pid_t pid;     /* 0 when there is none */
    int exit_code; /* once it ended: its code, or minus the signal that ended it */
    char out[160]; /* path of what it wrote to stdout */
    char err[160]; /* path of what it wrote to stderr */
};

/*
 * Starts argv[0] (looked up in PATH); name is what its files are called, and a second start under
 * the same name appends to them. env: "NAME=value" strings that are added to the environment,
 * or NULL; SLOTGATE_* of our own environment is kept from the child, because the proxy reads it.
 * False with a line on stderr when there is no such program or no process to be had.
 */
bool process_start(struct process *p, const char *name, const char *const argv[],
                   const char *const env[]) MUST_USE;

/* True once it has ended and exit_code is set; it is reaped then and pid is 0. */
bool process_ended(struct process *p);
bool process_wait(struct process *p, int timeout_ms);

void process_signal(const struct process *p, int signal);
/* The same to it and to all that it has started, as a proxy its workers. */
void process_signal_all(const struct process *p, int signal);

/* SIGKILL to all of it, and waits for its end. Nothing to do when it has ended already. */
void process_kill(struct process *p);

/* A port of 12000..12999 on 127.0.0.1 that is free, and so is port + 10000, where a Redis Cluster
   node has its bus; both lie below the ephemeral ports, which any connection may take. Held against
   other test programs by a lock until it is given back or this program ends. Ends the program when
   there is none left. */
uint16_t port_take(void);
void port_give_back(uint16_t port);

#endif
