/*
 * server.h: which server program the clusters and oracles of a test run.
 *
 * redis-server of this machine unless the test says otherwise before it starts the first, or the
 * environment does (SLOTGATE_SERVER, for a whole run of any test). A server is named as by
 * `./dev servers`, which fetches it, or by the path of its program.
 */
#ifndef TEST_LIB_SERVER_H
#define TEST_LIB_SERVER_H

#include <stdbool.h>

/* NULL: what the environment says, or the one of this machine. False: it has not been fetched, and
   nothing has changed. */
bool server_use(const char *name);
/* Whether it can be used; says so on stderr if not. */
bool server_is_there(const char *name);

/* The program to start, by path or name. */
const char *server_program(void);

/* Redis 6 knows neither --enable-debug-command (anybody may use DEBUG) nor ADDSLOTSRANGE. */
bool server_is_redis_6(void);

#endif
