#include "test/lib/json_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS_MAX = 32, TEXT_MAX = 4096 };

struct reader {
    const unsigned char *p, *end;
};

static bool take(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != (unsigned char)c)
        return false;
    r->p++;
    return true;
}

/* One character of UTF-8, decoded by the book; false: none. */
static bool take_character(struct reader *r, char *out, size_t *n)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    unsigned char c = *r->p;
    size_t more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 9;
    if (more > 3 || (size_t)(r->end - r->p) <= more || c < 0x20)
        return false;
    uint32_t code = more == 0 ? c : c & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if (r->p[i] >> 6 != 2)
            return false;
        code = code << 6 | (r->p[i] & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return false;
    for (size_t i = 0; i <= more; i++)
        out[(*n)++] = (char)*r->p++;
    return true;
}

/* \uXXXX of what our log writes: U+FFFD and control characters. */
static bool take_escape(struct reader *r, char *out, size_t *n)
{
    unsigned code;
    if (r->p == r->end)
        return false;
    unsigned char c = *r->p++;
    if (c == '"' || c == '\\') {
        out[(*n)++] = (char)c;
        return true;
    }
    if (c != 'u' || r->end - r->p < 4 || sscanf((const char *)r->p, "%4x", &code) != 1)
        return false;
    r->p += 4;
    if (code == 0xfffd) {
        memcpy(out + *n, "\xef\xbf\xbd", 3);
        *n += 3;
    } else if (code < 0x80) {
        out[(*n)++] = (char)code;
    } else {
        return false;
    }
    return true;
}

static bool take_string(struct reader *r, char out[TEXT_MAX])
{
    size_t n = 0;
    if (!take(r, '"'))
        return false;
    while (!take(r, '"')) {
        if (r->p == r->end || n + 8 > TEXT_MAX)
            return false;
        if (take(r, '\\') ? !take_escape(r, out, &n) : !take_character(r, out, &n))
            return false;
    }
    out[n] = '\0';
    return true;
}

static bool take_integer(struct reader *r, char out[TEXT_MAX])
{
    size_t n = 0;
    if (take(r, '-'))
        out[n++] = '-';
    size_t first = n;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9' && n < 24)
        out[n++] = (char)*r->p++;
    out[n] = '\0';
    return n > first && (out[first] != '0' || n == first + 1);
}

static bool take_member(struct reader *r, char key[TEXT_MAX], char value[TEXT_MAX])
{
    if (!take_string(r, key) || !take(r, ':'))
        return false;
    return r->p < r->end && *r->p == '"' ? take_string(r, value) : take_integer(r, value);
}

const char *json_line_fault(const char *line, size_t len)
{
    struct reader r = { (const unsigned char *)line, (const unsigned char *)line + len };
    static char keys[KEYS_MAX][TEXT_MAX], value[TEXT_MAX];
    int count = 0;
    if (!take(&r, '{'))
        return "no object";
    do {
        if (count == KEYS_MAX || !take_member(&r, keys[count], value))
            return "bad member";
        for (int i = 0; i < count; i++)
            if (strcmp(keys[i], keys[count]) == 0)
                return "a key comes twice";
        count++;
    } while (take(&r, ','));
    if (!take(&r, '}'))
        return "no end";
    return r.p == r.end ? NULL : "something behind the end";
}

bool json_line_get(const char *line, size_t len, const char *key, char *out, size_t room)
{
    struct reader r = { (const unsigned char *)line, (const unsigned char *)line + len };
    static char name[TEXT_MAX], value[TEXT_MAX];
    take(&r, '{');
    while (take_member(&r, name, value)) {
        if (strcmp(name, key) == 0 && strlen(value) < room) {
            memcpy(out, value, strlen(value) + 1);
            return true;
        }
        take(&r, ',');
    }
    return false;
}

void json_lines_check(const char *text, int at_least)
{
    static const char *const always[] = { "time", "level", "pid", "event" };
    char value[256];
    int lines = 0;
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        size_t len = (size_t)(end - text);
        const char *fault = json_line_fault(text, len);
        if (fault != NULL)
            fail_msg("%s: %.*s", fault, (int)len, text);
        for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
            if (!json_line_get(text, len, always[i], value, sizeof(value)))
                fail_msg("no %s: %.*s", always[i], (int)len, text);
        lines++;
    }
    assert_true(*text == '\0');
    assert_true(lines >= at_least);
}
