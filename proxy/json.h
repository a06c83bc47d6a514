/*
 * json.h: writes JSON into one growing buffer. Commas come by themselves; `key` is NULL inside an
 * array. Bytes that are no UTF-8 are written as the code points of the same numbers, so whatever
 * goes in, valid JSON comes out.
 */
#ifndef PROXY_JSON_H
#define PROXY_JSON_H

#include "resp/writer.h"

struct json {
    struct writer out;
    bool comma; /* before the next value */
};

void json_init(struct json *j);
void json_close(struct json *j);

void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_text(struct json *j, const char *key, const char *text);
void json_bytes(struct json *j, const char *key, struct span bytes);
void json_u64(struct json *j, const char *key, uint64_t n);
void json_i64(struct json *j, const char *key, int64_t n);
void json_real(struct json *j, const char *key, double d);
void json_bool(struct json *j, const char *key, bool yes);
void json_null(struct json *j, const char *key);
/* A value that is JSON already. */
void json_raw(struct json *j, const char *key, struct span value);

#endif
