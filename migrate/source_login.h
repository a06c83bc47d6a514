/* source_login.h: what is said to a source before it sends anything of its data. Private to
 * source.c. */
#ifndef MIGRATE_SOURCE_LOGIN_H
#define MIGRATE_SOURCE_LOGIN_H

#include "migrate/source.h"

/* The connection is open. */
void source_login(struct source *s);
/* A line has come, NUL-terminated. */
void source_on_line(struct source *s, const char *line);

/* What source.c lends. */
void source_fail(struct source *s, const char *why);
void source_send(struct source *s, const char *const *words, size_t count);
/* Closes the connection and tries again after a while. */
void source_rest(struct source *s);

#endif
