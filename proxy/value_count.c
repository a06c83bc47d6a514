#include "proxy/value_count.h"

#include "base/check.h"

static const struct {
    unsigned char type;
    const char *command;
} counts[] = {
    { 0, "strlen" }, { 1, "llen" },   { 10, "llen" },  { 14, "llen" }, { 18, "llen" },
    { 2, "scard" },  { 11, "scard" }, { 20, "scard" }, { 3, "zcard" }, { 5, "zcard" },
    { 12, "zcard" }, { 17, "zcard" }, { 4, "hlen" },   { 9, "hlen" },  { 13, "hlen" },
    { 16, "hlen" },  { 15, "xlen" },  { 19, "xlen" },  { 21, "xlen" },
};

struct span value_count_command(char dump_type)
{
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        if (counts[i].type == (unsigned char)dump_type)
            return (struct span){ counts[i].command, strlen(counts[i].command) };
    return (struct span){ NULL, 0 };
}
