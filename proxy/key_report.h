/*
 * key_report.h: which keys are hot and which are big, over all workers: PROXY HOTKEYS and BIGKEYS.
 *
 * One call of `hotkeys-sample`, on average, is looked at, whatever its command. Large requests and
 * replies are seen always, of commands with one key. Each worker has its tables in its block of the
 * statistics (top_keys.h), and any can read them all.
 */
#ifndef PROXY_KEY_REPORT_H
#define PROXY_KEY_REPORT_H

#include "proxy/client.h"
#include "proxy/top_keys.h"

/* The statistics are open. */
void key_report_open(struct worker *w);
/* Takes over the worker's option. */
void key_report_set_options(struct worker *w);
/* To be called when the worker beats. */
void key_report_beat(struct worker *w);
/* It is this call's turn to be looked at. */
void key_report_sample(struct client *c, const struct command *cmd, const struct argv *argv);

/* Of all workers, the first ones; gives how many there are, at most `room`. */
uint32_t key_report_hot(const struct worker *w, struct hot_key *out, uint32_t room);
uint32_t key_report_big(const struct worker *w, struct big_key *out, uint32_t room);

#endif
