#include "net/http_request.h"

#include <string.h>

#include "base/text.h"

static const char *const header_names[HTTP_HEADERS] = {
    [HTTP_HOST] = "host",
    [HTTP_ORIGIN] = "origin",
    [HTTP_AUTHORIZATION] = "authorization",
    [HTTP_FETCH_SITE] = "sec-fetch-site",
    [HTTP_EXPECT] = "expect",
};

static int refuse(struct http_request *r, int status)
{
    if (r->status == 0)
        r->status = status;
    return -1; /* the parser stops; 1 would mean something else in on_head */
}

/* --- what the parser tells ----------------------------------------------------------------- */

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct http_request *r = p->data;
    if (len >= sizeof(r->target) - r->target_len)
        return refuse(r, 414);
    memcpy(r->target + r->target_len, at, len);
    r->target_len += len;
    r->target[r->target_len] = '\0';
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct http_request *r = p->data;
    if (r->in_value)
        r->name_len = 0;
    r->in_value = false;
    for (size_t i = 0; i < len; i++, r->name_len++)
        if (r->name_len < sizeof(r->name))
            r->name[r->name_len] = at[i];
    return 0;
}

static int header_of(const struct http_request *r)
{
    for (int h = 0; h < HTTP_HEADERS && r->name_len <= sizeof(r->name); h++)
        if (text_equal_nocase(r->name, r->name_len, header_names[h], strlen(header_names[h])))
            return h;
    return -1;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct http_request *r = p->data;
    int h = header_of(r);
    bool begins = !r->in_value;
    r->in_value = true;
    if (h < 0 || r->head_done) /* a trailer decides nothing */
        return 0;
    if (begins && r->has[h])
        return refuse(r, 400);
    if (begins)
        r->value_len = 0;
    r->has[h] = true;
    if (len >= sizeof(r->header[h]) - r->value_len)
        return refuse(r, 431);
    memcpy(r->header[h] + r->value_len, at, len);
    r->value_len += len;
    r->header[h][r->value_len] = '\0';
    return 0;
}

/* The path and the query of "/path?query" or "http://host/path?query". */
static bool read_target(struct http_request *r)
{
    struct http_parser_url u;
    http_parser_url_init(&u);
    if (http_parser_parse_url(r->target, r->target_len, 0, &u) != 0 ||
        (u.field_set & (1 << UF_PATH)) == 0)
        return false;
    memcpy(r->path, r->target + u.field_data[UF_PATH].off, u.field_data[UF_PATH].len);
    r->path[u.field_data[UF_PATH].len] = '\0';
    if (u.field_set & (1 << UF_QUERY))
        memcpy(r->query, r->target + u.field_data[UF_QUERY].off, u.field_data[UF_QUERY].len);
    return true;
}

static int on_head(http_parser *p)
{
    struct http_request *r = p->data;
    r->head_done = true;
    if (p->http_major != 1)
        return refuse(r, 505);
    if (http_is(r, HTTP_CONNECT) || !read_target(r))
        return refuse(r, 400);
    if (!r->has[HTTP_HOST] && p->http_minor >= 1)
        return refuse(r, 400);
    if (p->content_length != UINT64_MAX && p->content_length > HTTP_BODY_MAX)
        return refuse(r, 413);
    if (r->has[HTTP_EXPECT])
        return refuse(r, 417);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct http_request *r = p->data;
    for (size_t i = 0; i < len && r->body_len + i < sizeof(r->body) - 1; i++)
        r->body[r->body_len + i] = at[i];
    r->body_len += len;
    return r->body_len > HTTP_BODY_MAX ? refuse(r, 413) : 0;
}

static int on_done(http_parser *p)
{
    struct http_request *r = p->data;
    r->done = true;
    /* Whoever wants another protocol gets his answer in this one, and nothing behind it is read. */
    r->keep_alive = http_should_keep_alive(p) != 0 && p->upgrade == 0;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_done,
};

/* --- reading ------------------------------------------------------------------------------- */

void http_request_start(struct http_request *r)
{
    memset(r, 0, sizeof(*r));
    http_parser_init(&r->parser, HTTP_REQUEST);
    r->parser.data = r;
}

/* What the head may still take, so that the parser cannot read past its limit. */
static size_t allowance(const struct http_request *r, size_t len)
{
    size_t left = HTTP_HEAD_MAX - r->head_len;
    return r->head_done || len < left ? len : left;
}

/* The chunks' own lines and the trailer count, too: nobody sends for ever. */
static bool is_too_much(const struct http_request *r)
{
    return r->head_done && r->head_len + r->body_len > HTTP_HEAD_MAX + 2 * HTTP_BODY_MAX;
}

enum http_got http_request_read(struct http_request *r, struct span bytes, size_t *used)
{
    *used = 0;
    while (*used < bytes.len) {
        size_t len = allowance(r, bytes.len - *used), body = r->body_len;
        size_t n = http_parser_execute(&r->parser, &settings, bytes.at + *used, len);
        *used += n;
        r->begun = true;
        r->head_len += n - (r->body_len - body);
        if (r->done)
            return HTTP_DONE;
        if (HTTP_PARSER_ERRNO(&r->parser) != HPE_OK) {
            (void)refuse(r, HTTP_PARSER_ERRNO(&r->parser) == HPE_HEADER_OVERFLOW ? 431 : 400);
            return HTTP_BAD;
        }
        if (!r->head_done && r->head_len >= HTTP_HEAD_MAX) {
            (void)refuse(r, 431);
            return HTTP_BAD;
        }
        if (is_too_much(r)) {
            (void)refuse(r, 413);
            return HTTP_BAD;
        }
    }
    return HTTP_MORE;
}

bool http_query_value(const struct http_request *r, const char *name, char *out, size_t cap)
{
    size_t name_len = strlen(name);
    for (const char *at = r->query; *at != '\0';) {
        size_t len = strcspn(at, "&");
        if (len > name_len && strncmp(at, name, name_len) == 0 && at[name_len] == '=') {
            size_t value = len - name_len - 1;
            if (value >= cap)
                return false;
            memcpy(out, at + name_len + 1, value);
            out[value] = '\0';
            return true;
        }
        at += len + (at[len] == '&');
    }
    return false;
}
