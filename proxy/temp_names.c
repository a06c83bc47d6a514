#include "proxy/temp_names.h"

#include <string.h>

#include "base/text.h"
#include "cluster/slot_tag.h"

/* The number behind the prefix, or count when there is none. */
static uint32_t read_number(const struct temp_names *t, const char *at, const char *end)
{
    uint32_t n = 0;
    if (end - at < TEMP_NUMBER_LEN)
        return t->count;
    for (int i = 0; i < TEMP_NUMBER_LEN; i++) {
        if (at[i] < '0' || at[i] > '9')
            return t->count;
        n = n * 10 + (uint32_t)(at[i] - '0');
    }
    return n < t->count ? n : t->count;
}

/* Writes the text with the true names; w NULL: only counts. Gives its length. */
static size_t put_text(const struct temp_names *t, struct span text, struct writer *w)
{
    const char *at = text.at, *end = text.at + text.len;
    size_t len = 0;
    while (at < end) {
        const char *hit = memmem(at, (size_t)(end - at), t->prefix.at, t->prefix.len);
        uint32_t n = t->count;
        const char *stop = end;
        if (hit != NULL) {
            n = read_number(t, hit + t->prefix.len, end);
            stop = n < t->count ? hit : hit + t->prefix.len;
        }
        len += (size_t)(stop - at);
        if (w != NULL)
            write_raw(w, (struct span){ at, (size_t)(stop - at) });
        at = stop;
        if (n == t->count)
            continue;
        struct span name = t->name(t->context, n);
        len += name.len;
        if (w != NULL)
            write_raw(w, name);
        at += t->prefix.len + TEMP_NUMBER_LEN;
    }
    return len;
}

/* "$5\r\nhello\r\n", and what has the same form; at stands behind the header. */
static bool put_bulk(const struct temp_names *t, char type, const char **at, const char *end,
                     uint64_t len, struct writer *w)
{
    char header[TEXT_NUMBER_MAX + 3] = { type };
    if ((uint64_t)(end - *at) < len || (uint64_t)(end - *at) - len < 2)
        return false;
    struct span text = { *at, (size_t)len };
    size_t n = 1 + text_from_u64(header + 1, put_text(t, text, NULL));
    header[n++] = '\r';
    header[n++] = '\n';
    write_raw(w, (struct span){ header, n });
    put_text(t, text, w);
    write_raw(w, SPAN("\r\n"));
    *at += len + 2;
    return true;
}

bool temp_names_replace(const struct temp_names *t, struct span reply, struct writer *w)
{
    const char *at = reply.at, *end = reply.at + reply.len;
    while (at < end) {
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (line_end == NULL)
            return false;
        char type = *at;
        bool bulk = type == '$' || type == '=' || type == '!';
        uint64_t len = 0;
        if (bulk && text_to_u64(at + 1, (size_t)(line_end - at) - 1, &len)) {
            at = line_end + 2;
            if (!put_bulk(t, type, &at, end, len, w))
                return false;
            continue;
        }
        put_text(t, (struct span){ at, (size_t)(line_end + 2 - at) }, w);
        at = line_end + 2;
    }
    return true;
}

/* --- names of any proxy: "{tag}slotgate:tmp:<32 hex digits>:<7 digits>", see op_temp_name -- */

static const struct span behind_tag = { "}slotgate:tmp:", 14 };

bool temp_names_in(struct span bytes)
{
    return memmem(bytes.at, bytes.len, behind_tag.at, behind_tag.len) != NULL;
}

static bool only(const char *at, size_t len, const char *letters)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] == '\0' || strchr(letters, at[i]) == NULL)
            return false;
    return true;
}

bool temp_names_has(struct span name)
{
    const size_t tail = TEMP_TOKEN_LEN + 1 + TEMP_NUMBER_LEN;
    const size_t len = 1 + SLOT_TAG_LEN + behind_tag.len + tail;
    if (name.len != len || name.at[0] != '{' ||
        memcmp(name.at + 1 + SLOT_TAG_LEN, behind_tag.at, behind_tag.len) != 0)
        return false;
    const char *token = name.at + len - tail;
    return only(token, TEMP_TOKEN_LEN, "0123456789abcdef") && token[TEMP_TOKEN_LEN] == ':' &&
           only(token + TEMP_TOKEN_LEN + 1, TEMP_NUMBER_LEN, "0123456789");
}
