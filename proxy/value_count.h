/*
 * value_count.h: which command counts the elements of a value, by the type that its DUMP begins
 * with (rdb.h of Redis, RDB_TYPE_*). Pure.
 */
#ifndef PROXY_VALUE_COUNT_H
#define PROXY_VALUE_COUNT_H

#include "resp/span.h"

/* "llen" and its like; len 0 for a type that is not known, such as those of modules. */
struct span value_count_command(char dump_type);

#endif
