#include "migrate/rdb_walk.h"

/*
 * What is being read. NEXT looks at the layout; each other state ends in a token and NEXT.
 *   S: STRING --plain--> BODY;  --an integer--> INTEGER;  --LZF--> PACKED, UNPACKED, BODY
 *   M: MODULE --0--> NEXT;  --a field--> NUMBER, FIXED or STRING, then MODULE again
 */
enum { NEXT, NUMBER, COUNT, STRING, PACKED, UNPACKED, INTEGER, BODY, FIXED, SCORE, MODULE };

enum { LENGTH_32 = 0x80, LENGTH_64 = 0x81, STRING_LZF = 3 };
enum { SCORE_WORDS = 253 }; /* from here on a score's length stands for nan, +inf, -inf */

struct input {
    const char *at, *end;
};

void rdb_walk_start(struct rdb_walk *w, const char *layout)
{
    w->at = layout;
    w->state = NEXT;
    w->depth = 0;
    w->body = 0;
    w->long_lengths = w->empty = w->any_loop = false;
}

static void want_length(struct rdb_walk *w, uint8_t state)
{
    w->state = state;
    w->first_byte = true;
    w->encoding = 0;
}

static void want_fixed(struct rdb_walk *w, uint8_t state, uint16_t bytes)
{
    w->state = state;
    w->fixed_want = bytes;
    w->fixed_len = 0;
}

/* --- numbers ------------------------------------------------------------------------------- */

/* False: no length. encoding is set for what only a string has: 1 + int8, int16, int32, LZF. */
static bool take_first_byte(struct rdb_walk *w, uint8_t byte)
{
    w->first_byte = false;
    w->want = 0;
    w->value = byte & 0x3f;
    switch (byte >> 6) {
    case 0:
        return true;
    case 1:
        w->want = 1;
        return true;
    case 2:
        w->want = byte == LENGTH_32 ? 4 : 8;
        w->value = 0;
        w->long_lengths |= byte == LENGTH_64;
        return byte == LENGTH_32 || byte == LENGTH_64;
    default:
        w->encoding = (uint8_t)(1 + (byte & 0x3f));
        return w->state == STRING && w->encoding <= 1 + STRING_LZF;
    }
}

/* WALK_DONE: value is the length. */
static enum walk_token read_length(struct rdb_walk *w, struct input *in)
{
    if (w->first_byte) {
        if (in->at == in->end)
            return WALK_MORE;
        if (!take_first_byte(w, (uint8_t)*in->at++))
            return WALK_BAD;
    }
    while (w->want > 0 && in->at < in->end) {
        w->value = w->value << 8 | (uint8_t)*in->at++;
        w->want--;
    }
    return w->want == 0 ? WALK_DONE : WALK_MORE;
}

static bool read_fixed(struct rdb_walk *w, struct input *in)
{
    while (w->fixed_len < w->fixed_want && in->at < in->end)
        w->fixed[w->fixed_len++] = *in->at++;
    return w->fixed_len == w->fixed_want;
}

/* --- loops --------------------------------------------------------------------------------- */

/* From the first letter of a round: goes on behind the ) that ends the loop. */
static void leave_loop(struct rdb_walk *w)
{
    int inner = 1;
    while (inner > 0) {
        inner += *w->at == '(' ? 1 : *w->at == ')' ? -1 : 0;
        w->at++;
    }
    w->depth--;
}

/* In front of each round and behind the last one. */
static void next_round(struct rdb_walk *w)
{
    w->at = w->loops[w->depth - 1].begin;
    if (w->loops[w->depth - 1].left == 0)
        leave_loop(w);
    else
        w->loops[w->depth - 1].left--;
}

/* --- what a complete length means ---------------------------------------------------------- */

static enum walk_token string_begins(struct rdb_walk *w, enum walk_form form)
{
    w->form = (uint8_t)form;
    w->state = w->body > 0 ? BODY : NEXT;
    return WALK_STRING;
}

static enum walk_token on_string(struct rdb_walk *w)
{
    if (w->encoding == 0) {
        w->number = w->body = w->value;
        return string_begins(w, WALK_PLAIN);
    }
    if (w->encoding == 1 + STRING_LZF)
        want_length(w, PACKED);
    else
        want_fixed(w, INTEGER, (uint16_t)(1 << (w->encoding - 1)));
    return WALK_MORE;
}

static enum walk_token on_count(struct rdb_walk *w)
{
    w->number = w->value;
    w->state = NEXT;
    if (!w->any_loop)
        w->empty = w->value == 0;
    w->any_loop = true;
    w->loops[w->depth].begin = w->at;
    w->loops[w->depth++].left = w->value;
    next_round(w);
    return WALK_COUNT;
}

static enum walk_token on_module_field(struct rdb_walk *w)
{
    static const uint8_t bytes_of[] = { [3] = 4, [4] = 8 }; /* a float, a double */
    switch (w->value) {
    case 0:
        w->at++;
        w->state = NEXT;
        return WALK_MORE;
    case 1:
    case 2:
        want_length(w, NUMBER);
        return WALK_MORE;
    case 3:
    case 4:
        want_fixed(w, FIXED, bytes_of[w->value]);
        return WALK_MORE;
    case 5:
        want_length(w, STRING);
        return WALK_MORE;
    default:
        return WALK_BAD;
    }
}

/* The length that state asked for is there. WALK_MORE: go on. */
static enum walk_token on_length(struct rdb_walk *w)
{
    switch (w->state) {
    case NUMBER:
        w->number = w->value;
        w->state = NEXT;
        return WALK_NUMBER;
    case COUNT:
        return on_count(w);
    case STRING:
        return on_string(w);
    case PACKED:
        w->body = w->value;
        want_length(w, UNPACKED);
        return WALK_MORE;
    case UNPACKED:
        w->number = w->value;
        return string_begins(w, WALK_PACKED);
    default:
        return on_module_field(w);
    }
}

static enum walk_token on_fixed(struct rdb_walk *w)
{
    if (w->state == SCORE) {
        uint8_t len = (uint8_t)w->fixed[0];
        w->number = len;
        want_fixed(w, FIXED, len < SCORE_WORDS ? len : 0);
        return WALK_MORE;
    }
    bool integer = w->state == INTEGER;
    w->state = NEXT;
    if (!integer)
        return WALK_FIXED;
    uint64_t value = (signed char)w->fixed[w->fixed_len - 1] < 0 ? UINT64_MAX : 0;
    for (int i = w->fixed_len - 1; i >= 0; i--)
        value = value << 8 | (uint8_t)w->fixed[i];
    w->integer = (int64_t)value;
    w->body = 0;
    return string_begins(w, WALK_INT);
}

/* --- the layout ---------------------------------------------------------------------------- */

/* Looks at the next letter. WALK_MORE: a state has been entered that wants bytes. */
static enum walk_token begin(struct rdb_walk *w)
{
    for (;;) {
        char letter = *w->at;
        if (letter == '\0')
            return WALK_DONE;
        if (letter == ')') {
            next_round(w);
            continue;
        }
        if (letter == 'M') { /* stays there until the field that ends it */
            want_length(w, MODULE);
            return WALK_MORE;
        }
        w->at++;
        if (letter == '(') {
            want_length(w, COUNT);
            return WALK_MORE;
        }
        if (letter >= 'a' && letter <= 'z') {
            w->mark = letter;
            return WALK_MARK;
        }
        if (letter == 'S' || letter == 'L')
            want_length(w, letter == 'S' ? STRING : NUMBER);
        else if (letter == 'Z')
            want_fixed(w, SCORE, 1);
        else
            want_fixed(w, FIXED, letter == 'I' ? 16 : (uint16_t)(letter - '0'));
        return WALK_MORE;
    }
}

static enum walk_token take_body(struct rdb_walk *w, struct input *in)
{
    size_t room = (size_t)(in->end - in->at);
    if (room == 0)
        return WALK_MORE;
    uint64_t count = w->body < room ? w->body : room;
    in->at += count;
    w->body -= count;
    if (w->body == 0)
        w->state = NEXT;
    return WALK_PIECE;
}

static enum walk_token next(struct rdb_walk *w, struct input *in)
{
    for (;;) {
        enum walk_token token;
        if (w->state == NEXT) {
            token = begin(w);
        } else if (w->state == BODY) {
            return take_body(w, in);
        } else if (w->state == FIXED || w->state == SCORE || w->state == INTEGER) {
            if (!read_fixed(w, in))
                return WALK_MORE;
            token = on_fixed(w);
        } else {
            token = read_length(w, in);
            if (token != WALK_DONE)
                return token;
            token = on_length(w);
        }
        if (token != WALK_MORE)
            return token;
    }
}

enum walk_token rdb_walk_next(struct rdb_walk *w, const char *bytes, size_t len, size_t *used)
{
    struct input in = { bytes, bytes + len };
    enum walk_token token = next(w, &in);
    *used = (size_t)(in.at - bytes);
    return token;
}

enum walk_token rdb_walk_skip(struct rdb_walk *w, const char *bytes, size_t len, size_t *used)
{
    struct input in = { bytes, bytes + len };
    enum walk_token token = next(w, &in);
    while (token > WALK_DONE)
        token = next(w, &in);
    *used = (size_t)(in.at - bytes);
    return token;
}
