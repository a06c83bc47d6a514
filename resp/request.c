#include "resp/request.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "resp/length.h"

/*
 * The way of a request: request_parse makes one pass over a whole and plain request and writes
 * nothing but its positions. Everything else starts again in parse_with_care, and there too the
 * fast pass (take_args) reads whole arguments as long as nothing is unusual; what it does not
 * understand it leaves to the careful step (next_arg), which alone knows errors and incomplete
 * input. State is saved only when the bytes end inside the request, so starting again happens once
 * per request and not once per piece.
 *
 * What counts as a request has to be exactly what Redis takes for one, because its bytes go to the
 * nodes as they came: a proxy that sees other boundaries than the node could be made to send
 * commands that it never looked at. So the two bytes behind a length and behind a bulk are skipped
 * as Redis skips them: behind a length the first is '\r' (it ended the search), the other is
 * anything; behind a bulk both are anything.
 *
 * Two things are stricter than Redis, and end in an error, so nothing of them reaches a node. A
 * header line over max_inline is always an error (to Redis only if a read ended inside it). A NUL
 * in a header is a wrong length (Redis never finds the end of that line, and waits).
 */

enum state {
    FRESH,     /* nothing of the request was seen */
    IN_INLINE, /* at: searched for '\n' so far */
    IN_COUNT,  /* at: searched for '\r' so far */
    IN_ARGS,   /* at: the next argument's '$' */
    IN_LENGTH, /* at: searched for '\r' so far; bulk: where the line begins */
    IN_BULK,   /* at: the first byte of the bulk; bulk: its length */
};

/* The smallest argument is "$0\r\n\r\n". */
enum { MIN_ARG = 6, FIRST_CAPACITY = 64 };

const struct request_limits request_limits_default = {
    .max_bulk = 512ULL * 1024 * 1024,
    .max_request = 1024ULL * 1024 * 1024,
    .max_args = 1024 * 1024,
    .max_inline = 64 * 1024,
};

BUILD_ASSERT(sizeof(struct request_parser) <= 64, "an idle client has to be small");

/* What one call works on. */
struct pass {
    struct request_parser *parser;
    const struct request_limits *limits;
    struct arg_room *room;
    const char *bytes;
    size_t len;
    const char *error;
};

void arg_room_close(struct arg_room *r)
{
    free(r->v);
    *r = (struct arg_room){ .v = NULL };
}

void request_parser_reset(struct request_parser *p)
{
    free(p->kept);
    *p = (struct request_parser){ .state = FRESH };
}

struct argv request_again(struct span bytes, struct arg_room *room, size_t *used)
{
    struct request_limits any = request_limits_default;
    any.max_bulk = any.max_request = UINT32_MAX;
    struct request_parser p = { 0 };
    struct argv argv;
    const char *error;
    enum request_result rc =
        request_parse(&p, &any, room, bytes.at, bytes.len, &argv, used, &error);
    REQUIRE(rc == REQUEST_ARGS);
    return argv;
}

size_t request_missing(const struct request_parser *p, size_t len)
{
    if (p->state != IN_BULK)
        return 1;
    uint64_t end = p->at + p->bulk + 2;
    return end > len ? (size_t)(end - len) : 1;
}

/* Positions are a peer's to number, so this may fail. */
static MUST_USE bool grow(struct arg **v, uint32_t *capacity, uint64_t need)
{
    uint64_t to = *capacity > 0 ? *capacity : FIRST_CAPACITY;
    while (to < need)
        to *= 2;
    if (to == *capacity)
        return true;
    if (to > UINT32_MAX)
        return false;
    struct arg *grown = realloc(*v, (size_t)to * sizeof(**v));
    if (grown == NULL)
        return false;
    *v = grown;
    *capacity = (uint32_t)to;
    return true;
}

static enum request_result fail(struct pass *s, const char *text)
{
    s->error = text;
    request_parser_reset(s->parser);
    return REQUEST_BAD;
}

static enum request_result fail_type(struct pass *s, char got)
{
    char shown = got == '\r' || got == '\n' || got == '\0' ? ' ' : got; /* an error is one line */
    snprintf(s->room->error, sizeof(s->room->error), "ERR Protocol error: expected '$', got '%c'",
             shown);
    return fail(s, s->room->error);
}

/*
 * Looks for `stop` in the line that begins at `line`, from `*at` on. REQUEST_ARGS: *at is where it
 * stands. REQUEST_MORE: *at is where to search on. REQUEST_BAD: too far away.
 */
static enum request_result find(const struct pass *s, size_t line, size_t *at, char stop)
{
    size_t limit = line + s->limits->max_inline + 1;
    size_t end = s->len < limit ? s->len : limit;
    const char *hit = *at < end ? memchr(s->bytes + *at, stop, end - *at) : NULL;
    if (hit != NULL) {
        *at = (size_t)(hit - s->bytes);
        return REQUEST_ARGS;
    }
    *at = end;
    return end == limit ? REQUEST_BAD : REQUEST_MORE;
}

/* Saves where the bytes ended. The positions found so far go on in memory of the parser. */
static enum request_result stop(struct pass *s, enum state state, size_t at, uint64_t bulk)
{
    s->parser->state = (uint8_t)state;
    s->parser->at = at;
    s->parser->bulk = bulk;
    return REQUEST_MORE;
}

static MUST_USE bool keep_positions(struct request_parser *p, const struct arg_room *room,
                                    uint32_t args, uint32_t got)
{
    p->args = args;
    p->got = got;
    if (p->kept != NULL || got == 0)
        return true;
    if (!grow(&p->kept, &p->kept_capacity, got) || p->kept == NULL)
        return false;
    memcpy(p->kept, room->v, got * sizeof(*room->v));
    return true;
}

/* The positions of a request that came in pieces move to the room, where argv expects them. */
static void give_positions(struct request_parser *p, struct arg_room *room)
{
    if (p->kept_capacity > room->capacity) {
        free(room->v);
        room->v = p->kept;
        room->capacity = p->kept_capacity;
        p->kept = NULL;
    } else if (p->kept != NULL) {
        memcpy(room->v, p->kept, p->got * sizeof(*room->v));
    }
    request_parser_reset(p);
}

static enum request_result parse_inline(struct pass *s, size_t *used)
{
    size_t at = s->parser->at;
    enum request_result found = find(s, 0, &at, '\n');
    if (found == REQUEST_BAD)
        return fail(s, "ERR Protocol error: too big inline request");
    if (found == REQUEST_MORE)
        return stop(s, IN_INLINE, at, 0);
    request_parser_reset(s->parser);
    *used = at + 1;
    bool empty = at == 0 || (at == 1 && s->bytes[0] == '\r');
    return empty ? REQUEST_EMPTY : REQUEST_INLINE;
}

/* Reads "*N\r\n". REQUEST_ARGS: N > 0 arguments follow from *at on. */
static enum request_result parse_count(struct pass *s, uint32_t *args, size_t *at)
{
    size_t cr = s->parser->at;
    enum request_result found = find(s, 0, &cr, '\r');
    if (found == REQUEST_BAD)
        return fail(s, "ERR Protocol error: too big mbulk count string");
    if (found == REQUEST_MORE || s->len - cr < 2)
        return stop(s, IN_COUNT, cr, 0);
    int64_t n;
    if (!length_parse(s->bytes + 1, cr - 1, &n) || n > s->limits->max_args)
        return fail(s, "ERR Protocol error: invalid multibulk length");
    *at = cr + 2;
    if (n <= 0) {
        request_parser_reset(s->parser);
        return REQUEST_EMPTY;
    }
    *args = (uint32_t)n;
    return REQUEST_ARGS;
}

/*
 * Reads whole arguments without a look at anything else, and gives how many there are then. Stops
 * at the first one that is not plain; *at is its '$'. This loop is where a request's time goes.
 */
static inline uint32_t take_args(const struct request_limits *limits, struct arg *v, uint32_t got,
                                 uint32_t args, const char *base, size_t len, size_t *at)
{
    const uint64_t max_bulk = limits->max_bulk, max_request = limits->max_request;
    const char *p = base + *at, *end = base + (len <= max_request ? len : max_request);
    while (got < args) {
        uint32_t n;
        const char *body = length_read(p, end, &n);
        if (UNLIKELY(body == NULL || *p != '$' || n > max_bulk))
            break;
        if (UNLIKELY((size_t)(end - body) < (size_t)n + 2))
            break;
        v[got].off = (uint32_t)(body - base);
        v[got].len = n;
        got++;
        p = body + n + 2;
    }
    *at = (size_t)(p - base);
    return got;
}

/* Reads one header "$len\r\n" with care; the line begins at `line`, `at` is where to search on. */
static enum request_result next_length(struct pass *s, size_t line, size_t *at, uint64_t *bulk)
{
    enum request_result found = find(s, line, at, '\r');
    if (found == REQUEST_BAD)
        return fail(s, "ERR Protocol error: too big bulk count string");
    if (found == REQUEST_MORE || s->len - *at < 2)
        return stop(s, IN_LENGTH, *at, line);
    if (s->bytes[line] != '$')
        return fail_type(s, s->bytes[line]);
    int64_t n;
    if (!length_parse(s->bytes + line + 1, *at - line - 1, &n) || n < 0 ||
        (uint64_t)n > s->limits->max_bulk)
        return fail(s, "ERR Protocol error: invalid bulk length");
    *at += 2;
    *bulk = (uint64_t)n;
    uint64_t most = s->limits->max_request;
    if (*at > most || *bulk + 2 > most - *at)
        return fail(s, "ERR Protocol error: too big request");
    return REQUEST_ARGS;
}

/* The careful step: reads one argument from whatever point the bytes ended at before. */
static enum request_result next_arg(struct pass *s, enum state state, struct arg *out, size_t *at)
{
    uint64_t bulk = s->parser->bulk;
    if (state != IN_BULK) {
        size_t line = state == IN_LENGTH ? (size_t)bulk : *at;
        enum request_result r = next_length(s, line, at, &bulk);
        if (r != REQUEST_ARGS)
            return r;
    }
    if (s->len - *at < bulk + 2)
        return stop(s, IN_BULK, *at, bulk);
    out->off = (uint32_t)*at;
    out->len = (uint32_t)bulk;
    *at += (size_t)bulk + 2;
    return REQUEST_ARGS;
}

/* Reads arguments, `got` of which are known, until all are there or the bytes end. */
static enum request_result parse_args(struct pass *s, uint32_t args, uint32_t got, size_t *at)
{
    struct request_parser *p = s->parser;
    struct arg **v = p->kept != NULL ? &p->kept : &s->room->v;
    uint32_t *capacity = p->kept != NULL ? &p->kept_capacity : &s->room->capacity;
    if (UNLIKELY(args > *capacity)) {
        /* Room for what these bytes can hold, not for what the header announces. */
        uint64_t most = got + (s->len - *at) / MIN_ARG + 1;
        if (!grow(v, capacity, most < args ? most : args))
            return fail(s, "ERR Protocol error: too many arguments for the memory there is");
    }
    enum state state = (enum state)p->state;
    for (;;) {
        if (LIKELY(state <= IN_ARGS)) {
            got = take_args(s->limits, *v, got, args, s->bytes, s->len, at);
            if (LIKELY(got == args))
                return REQUEST_ARGS;
        }
        enum request_result r = next_arg(s, state, *v + got, at);
        if (r == REQUEST_MORE && !keep_positions(p, s->room, args, got))
            return fail(s, "ERR Protocol error: too many arguments for the memory there is");
        if (r != REQUEST_ARGS)
            return r;
        if (++got == args)
            return REQUEST_ARGS;
        state = IN_ARGS;
    }
}

/* Whatever is not a whole and plain request: pieces, inline commands, errors, many arguments.
   Not inline: what it needs on the stack would have to be set up for every request. */
static __attribute__((noinline)) enum request_result
parse_with_care(struct pass *s, struct argv *argv, size_t *used)
{
    struct request_parser *p = s->parser;
    if (s->bytes[0] != '*')
        return parse_inline(s, used);
    uint32_t args = p->args;
    size_t at = p->at;
    enum request_result r = REQUEST_ARGS;
    if (p->state <= IN_COUNT)
        r = parse_count(s, &args, &at);
    if (r == REQUEST_EMPTY)
        *used = at;
    if (r != REQUEST_ARGS)
        return r;
    r = parse_args(s, args, p->got, &at);
    if (r != REQUEST_ARGS)
        return r;
    p->got = args;
    give_positions(p, s->room);
    *argv = (struct argv){ .base = s->bytes, .v = s->room->v, .count = args };
    *used = at;
    return REQUEST_ARGS;
}

enum request_result request_parse(struct request_parser *p, const struct request_limits *limits,
                                  struct arg_room *room, const char *bytes, size_t len,
                                  struct argv *argv, size_t *used, const char **error)
{
    if (LIKELY(p->state == FRESH && bytes[0] == '*')) {
        uint32_t args;
        const char *next = length_read(bytes, bytes + len, &args);
        /* Wraps for no arguments at all, which is not plain. */
        if (LIKELY(next != NULL && args - 1 < room->capacity && args <= limits->max_args)) {
            size_t at = (size_t)(next - bytes);
            if (LIKELY(take_args(limits, room->v, 0, args, bytes, len, &at) == args)) {
                *argv = (struct argv){ .base = bytes, .v = room->v, .count = args };
                *used = at;
                return REQUEST_ARGS;
            }
        }
    }
    struct pass s = { .parser = p, .limits = limits, .room = room, .bytes = bytes, .len = len };
    enum request_result r = parse_with_care(&s, argv, used);
    if (r == REQUEST_BAD)
        *error = s.error;
    return r;
}
