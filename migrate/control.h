/*
 * control.h: the commands status, pause, resume, cutover, finish: a line to the socket of a running
 * sync, and what it answers.
 */
#ifndef MIGRATE_CONTROL_H
#define MIGRATE_CONTROL_H

#include "migrate/config.h"

/* Gives the exit code: 0 when the answer ends with OK. */
int control_run(const struct config *config);

#endif
