/*
 * proxy_process.h: slotgate as a child process, from $SLOTGATE_BIN.
 *
 * Always started with a port of its own on 127.0.0.1, --request-timeout 5s, --worker-timeout 15s (a
 * worker that a busy machine does not let run is no hanging one), --log-level info and an admin
 * password, unless the test's own arguments say otherwise. A stop counts as clean only with exit
 * code 0 and a log without a sanitizer's report or a broken invariant.
 */
#ifndef TEST_LIB_PROXY_PROCESS_H
#define TEST_LIB_PROXY_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "test/lib/process.h"

#define PROXY_ADMIN_PASSWORD "the admin of the tests"

struct client;

struct proxy {
    uint16_t port;
    struct process process;
};

/* The program to test; ends the test program with a line when SLOTGATE_BIN is not set. */
const char *proxy_binary(void);

/* Starts it in front of the seeds ("h:p,h:p") without waiting. extra: more arguments, they come
   after the defaults; env: "NAME=value". Both end with NULL, or are NULL. Asserts. */
void proxy_launch(struct proxy *p, const char *seeds, const char *const *extra,
                  const char *const *env);
/* The same, and asserts that it accepts and answers PING. */
void proxy_start(struct proxy *p, const char *seeds, const char *const *extra);
bool proxy_answers(struct proxy *p);
/* Makes the client the admin of such a proxy. Asserts. */
void proxy_login_admin(struct client *c);
/* Asserts that it answers PING within the time. */
void proxy_await_ready(struct proxy *p, int timeout_ms);

/* SIGTERM, and whether it ended clean; notes a problem otherwise, so that the program fails even
   when this is called in a teardown. A proxy that is not running is fine. */
bool proxy_stop(struct proxy *p);
/* The same for one that has been told to end already, in whatever way. */
bool proxy_await_end(struct proxy *p);

/* The worker processes, which the supervisor p->process has started; gives how many, at most max.
 */
int proxy_workers(const struct proxy *p, pid_t *pids, int max);
/* Asserts that there are exactly so many within the time. */
void proxy_await_workers(const struct proxy *p, int n, int timeout_ms);

/* Of the first worker: resident memory in KiB, and the most it ever was since proxy_forget_peak; 0
 * when not running. */
long proxy_rss_kib(const struct proxy *p);
long proxy_peak_kib(const struct proxy *p);
void proxy_forget_peak(const struct proxy *p);

/* What it wrote to stderr up to now. The caller frees it. */
char *proxy_log(const struct proxy *p);
/* How often the log holds that text. */
int proxy_log_count(const struct proxy *p, const char *text);
/* Asserts that it does so at least n times within the time. */
void proxy_await_log(const struct proxy *p, const char *text, int n, int timeout_ms);

#endif
