/*
 * every_type.h: a data set with every type and encoding that a Redis 7.0 has, and ways to compare
 * two of them by content.
 */
#ifndef TEST_LIB_EVERY_TYPE_H
#define TEST_LIB_EVERY_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

/* All of these assert. The servers need --enable-debug-command yes. */

redisContext *redis_open(uint16_t port);
redisReply *redis_ask(redisContext *r, const char *fmt, ...);
/* Asserts that the reply is no error. */
void redis_do(redisContext *r, const char *fmt, ...);

/* Fills database 0 (some hundred keys) and, with databases, a few keys of database 3. */
void every_type_fill(redisContext *r, bool databases);
/* One key of each large kind: string, list, set, zset, hash, stream, of some bytes each. */
void every_type_fill_large(redisContext *r, unsigned bytes);

/* The digest of a key's content that the server itself makes, and of a stream's groups. The caller
   frees it. */
char *content_of(redisContext *r, const char *key, size_t key_len);
/* Every key of the database that is selected is also at the other server, with the same content and
   the same time to live. Gives how many there are. other: who to ask for a key. */
unsigned every_type_compare(redisContext *source,
                            redisContext *(*other)(void *context, const char *key, size_t len),
                            void *context);
/* The other one has no key that the source has not, but for those whose name has one of these parts
   (the last one NULL): slotgate-migrate's own. */
void every_type_expect_no_more(redisContext *source, redisContext *other, const char *const *but);

#endif
