#include "base/log_json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 2048, KEY_MAX = 32, NUMBER_MAX = 20 };

static const char cut[] = "(...)";

/* --- strings ------------------------------------------------------------------------------- */

/* Bytes of the well-formed UTF-8 character at p, 0: there is none (RFC 3629). */
static size_t utf8_length(const unsigned char *p, size_t len)
{
    static const struct {
        unsigned char first, last; /* of the first byte */
        unsigned char low, high;   /* of the second byte */
        size_t len;
    } forms[] = {
        { 0x20, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (p[0] < forms[i].first || p[0] > forms[i].last)
            continue;
        if (forms[i].len > len)
            return 0;
        if (forms[i].len > 1 && (p[1] < forms[i].low || p[1] > forms[i].high))
            return 0;
        for (size_t k = 2; k < forms[i].len; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].len;
    }
    return 0;
}

/* Writes the first character of p as it stands in a JSON string; gives the bytes used. */
static size_t escape(char piece[8], size_t *n, const char *p, size_t len)
{
    unsigned char c = (unsigned char)*p;
    size_t used = utf8_length((const unsigned char *)p, len);
    if (c == '"' || c == '\\') {
        *n = (size_t)snprintf(piece, 8, "\\%c", c);
        return 1;
    }
    if (c < 0x20 || c == 0x7f) {
        *n = (size_t)snprintf(piece, 8, "\\u%04x", c);
        return 1;
    }
    if (used == 0) {
        *n = (size_t)snprintf(piece, 8, "\\ufffd");
        return 1;
    }
    memcpy(piece, p, used);
    *n = used;
    return used;
}

static void add(struct log_json *j, const char *bytes, size_t n)
{
    memcpy(j->out + j->len, bytes, n);
    j->len += n;
}

/* Room that a value leaves for its end, its mark and the closing brace. */
static bool has_room(const struct log_json *j, size_t n)
{
    return j->len + n + sizeof(cut) + 4 <= j->cap;
}

static void add_string(struct log_json *j, const char *p, size_t len)
{
    char piece[8];
    size_t n, i = 0;
    add(j, "\"", 1);
    while (i < len) {
        size_t used = escape(piece, &n, p + i, len - i);
        if (!has_room(j, n)) {
            add(j, cut, sizeof(cut) - 1);
            break;
        }
        add(j, piece, n);
        i += used;
    }
    add(j, "\"", 1);
}

/* --- fields -------------------------------------------------------------------------------- */

/* False: there is no room for a field of that key any more. If there is, a number fits behind it.
 */
static bool add_key(struct log_json *j, const char *key, size_t len)
{
    if (!has_room(j, len + sizeof(",\"\":\"\"") + NUMBER_MAX))
        return false;
    if (j->len > 1)
        add(j, ",", 1);
    add(j, "\"", 1);
    add(j, key, len); /* a word of ours */
    add(j, "\":", 2);
    return true;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to later */
void log_json_begin(struct log_json *j, char *out, size_t cap)
{
    REQUIRE(cap >= LOG_JSON_MIN);
    *j = (struct log_json){ .out = out, .cap = cap };
    add(j, "{", 1);
}

void log_json_text(struct log_json *j, const char *key, const char *value)
{
    if (add_key(j, key, strlen(key)))
        add_string(j, value, strlen(value));
}

void log_json_number(struct log_json *j, const char *key, long long value)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%lld", value);
    if (add_key(j, key, strlen(key)))
        add(j, digits, (size_t)n);
}

size_t log_json_end(struct log_json *j)
{
    add(j, "}", 1);
    return j->len;
}

/* --- taking logfmt apart ------------------------------------------------------------------- */

/* A key of the format, and where the next one is looked for. */
struct field {
    const char *key;
    size_t len;
    bool number; /* its value is one integer and nothing else */
};

/* The first " key=" of the format from at on, at its beginning too; false: there is none. */
static bool next_field(const char **at, struct field *f)
{
    const char *p = *at;
    while (*p != '\0') {
        p += strspn(p, " ");
        size_t word = strcspn(p, " ="), end = strcspn(p, " ");
        if (p[word] == '=' && word > 0) {
            size_t flags = strspn(p + word + 2, "-+#0123456789.hlzjt");
            const char *kind = p + word + 2 + flags;
            *f = (struct field){ .key = p, .len = word };
            f->number = p[word + 1] == '%' && *kind != '\0' && strchr("diu", *kind) != NULL &&
                        kind + 1 == p + end;
            *at = p + end;
            return true;
        }
        p += end;
    }
    *at = p;
    return false;
}

/* Where " key=" begins in the text, which begins with a value; its end if nowhere. Not inside the
   quotes of that value. */
static const char *find_key(const char *text, const struct field *f)
{
    bool quoted = text[0] == '"';
    for (const char *p = text + quoted; *p != '\0'; p++) {
        if (quoted && *p == '\\' && p[1] != '\0')
            p++;
        else if (quoted && *p == '"')
            quoted = false;
        else if (!quoted && *p == ' ' && strncmp(p + 1, f->key, f->len) == 0 &&
                 p[1 + f->len] == '=')
            return p;
    }
    return text + strlen(text);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What text_quote made of a byte; gives the bytes used. */
static size_t unescape(const char *p, size_t len, char *out)
{
    *out = p[0];
    if (p[0] != '\\' || len < 2)
        return 1;
    if (p[1] == 'x' && len >= 4 && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
        *out = (char)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
        return 4;
    }
    *out = (char)(p[1] == 'n' ? '\n' : p[1] == 'r' ? '\r' : p[1] == 't' ? '\t' : p[1]);
    return 2;
}

/* A value without its quotes and escapes; what stands behind the quotes (a mark) stays. */
static size_t unquote(const char *p, size_t len, char *out)
{
    size_t n = 0, i = 1;
    if (len == 0 || p[0] != '"') {
        memcpy(out, p, len);
        return len;
    }
    while (i < len && p[i] != '"')
        i += unescape(p + i, len - i, &out[n++]);
    for (i++; i < len; i++)
        out[n++] = p[i];
    return n;
}

static bool is_integer(const char *p, size_t len)
{
    size_t sign = len > 0 && p[0] == '-';
    size_t digits = strspn(p + sign, "0123456789");
    return digits > 0 && digits + sign == len && len <= NUMBER_MAX &&
           (p[sign] != '0' || digits == 1);
}

static void add_field(struct log_json *j, const struct field *f, const char *value, size_t len)
{
    char plain[VALUE_MAX];
    if (len > sizeof(plain))
        len = sizeof(plain);
    if (!add_key(j, f->key, f->len < KEY_MAX ? f->len : KEY_MAX))
        return;
    if (f->number && is_integer(value, len)) {
        add(j, value, len);
        return;
    }
    size_t n = unquote(value, len, plain);
    add_string(j, plain, n);
}

void log_json_fields(struct log_json *j, const char *fmt, const char *fields)
{
    struct field f, next;
    const char *at = fields + strspn(fields, " ");
    bool more = next_field(&fmt, &f);
    while (more) {
        more = next_field(&fmt, &next);
        const char *value = strncmp(at, f.key, f.len) == 0 ? at + f.len : at;
        value += *value == '=';
        const char *end = more ? find_key(value, &next) : value + strlen(value);
        add_field(j, &f, value, (size_t)(end - value));
        if (*end == '\0')
            return;
        at = end + 1;
        f = next;
    }
}
