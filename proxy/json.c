#include "proxy/json.h"

#include <math.h>
#include <stdio.h>

static void add(struct json *j, const char *text)
{
    write_raw(&j->out, (struct span){ text, strlen(text) });
}

void json_init(struct json *j)
{
    writer_init(&j->out, 2);
    j->comma = false;
}

void json_close(struct json *j)
{
    writer_close(&j->out);
}

/* --- text ---------------------------------------------------------------------------------- */

/* The length of the UTF-8 sequence at the front, 0 if there is none (RFC 3629). */
static size_t sequence_length(struct span s)
{
    unsigned char a = (unsigned char)s.at[0];
    size_t len = a < 0x80                ? 1
                 : a >= 0xc2 && a < 0xe0 ? 2
                 : a >= 0xe0 && a < 0xf0 ? 3
                 : a >= 0xf0 && a < 0xf5 ? 4
                                         : 0;
    if (len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (((unsigned char)s.at[i] & 0xc0) != 0x80)
            return 0;
    if (len < 3)
        return len;
    unsigned char b = (unsigned char)s.at[1];
    bool wrong = (a == 0xe0 && b < 0xa0) || (a == 0xed && b >= 0xa0) || (a == 0xf0 && b < 0x90) ||
                 (a == 0xf4 && b >= 0x90);
    return wrong ? 0 : len;
}

static void add_string(struct json *j, struct span s)
{
    add(j, "\"");
    for (size_t i = 0, n; i < s.len; i += n) {
        unsigned char c = (unsigned char)s.at[i];
        char escaped[8];
        n = sequence_length((struct span){ s.at + i, s.len - i });
        if (c == '"' || c == '\\')
            snprintf(escaped, sizeof(escaped), "\\%c", c);
        else if (n == 0 || c < 0x20 || c == 0x7f)
            snprintf(escaped, sizeof(escaped), "\\u%04x", c);
        else {
            write_raw(&j->out, (struct span){ s.at + i, n });
            continue;
        }
        n = 1;
        add(j, escaped);
    }
    add(j, "\"");
}

/* --- structure ----------------------------------------------------------------------------- */

static void begin(struct json *j, const char *key)
{
    if (j->comma)
        add(j, ",");
    j->comma = true;
    if (key == NULL)
        return;
    add_string(j, (struct span){ key, strlen(key) });
    add(j, ":");
}

static void begin_bracket(struct json *j, const char *key, const char *bracket)
{
    begin(j, key);
    add(j, bracket);
    j->comma = false;
}

static void end_bracket(struct json *j, const char *bracket)
{
    add(j, bracket);
    j->comma = true;
}

void json_object(struct json *j, const char *key)
{
    begin_bracket(j, key, "{");
}

void json_object_end(struct json *j)
{
    end_bracket(j, "}");
}

void json_array(struct json *j, const char *key)
{
    begin_bracket(j, key, "[");
}

void json_array_end(struct json *j)
{
    end_bracket(j, "]");
}

/* --- values -------------------------------------------------------------------------------- */

void json_text(struct json *j, const char *key, const char *text)
{
    json_bytes(j, key, (struct span){ text, strlen(text) });
}

void json_bytes(struct json *j, const char *key, struct span bytes)
{
    begin(j, key);
    add_string(j, bytes);
}

void json_u64(struct json *j, const char *key, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    begin(j, key);
    add(j, text);
}

void json_i64(struct json *j, const char *key, int64_t n)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)n);
    begin(j, key);
    add(j, text);
}

void json_real(struct json *j, const char *key, double d)
{
    char text[40];
    if (!isfinite(d)) {
        json_null(j, key);
        return;
    }
    snprintf(text, sizeof(text), "%.9g", d);
    begin(j, key);
    add(j, text);
}

void json_bool(struct json *j, const char *key, bool yes)
{
    begin(j, key);
    add(j, yes ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
    begin(j, key);
    add(j, "null");
}

void json_raw(struct json *j, const char *key, struct span value)
{
    begin(j, key);
    write_raw(&j->out, value);
}
