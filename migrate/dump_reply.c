#include "migrate/dump_reply.h"

#include "base/text.h"

enum { HEAD, TYPE, VALUE, TAIL };

enum { EXTRA = 1 + DUMP_TAIL }; /* bytes beside the value */

/* "$123" or "$-1". */
static enum dump_fact take_head(struct dump_reply *d)
{
    struct span line = { d->head, d->head_len };
    uint64_t len;
    d->head_len = 0;
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    if (span_equal(line, SPAN("$-1")) || span_equal(line, SPAN("_")))
        return DUMP_ABSENT;
    if (line.len < 2 || line.at[0] != '$' || !text_to_u64(line.at + 1, line.len - 1, &len))
        return DUMP_BAD;
    if (len < EXTRA)
        return DUMP_BAD;
    d->size = d->left = len - EXTRA;
    d->state = TYPE;
    return DUMP_MORE;
}

static enum dump_fact read_head(struct dump_reply *d, struct span bytes, size_t *used)
{
    while (*used < bytes.len) {
        char c = bytes.at[(*used)++];
        if (c == '\n')
            return take_head(d);
        if (d->head_len == DUMP_HEAD_MAX)
            return DUMP_BAD;
        d->head[d->head_len++] = c;
    }
    return DUMP_MORE;
}

static enum dump_fact read_tail(struct dump_reply *d, struct span bytes, size_t *used)
{
    while (*used < bytes.len) {
        d->tail[d->tail_len++] = (unsigned char)bytes.at[(*used)++];
        if (d->tail_len < sizeof(d->tail))
            continue;
        d->stamp = (uint16_t)(d->tail[0] | d->tail[1] << 8);
        return d->tail[DUMP_TAIL + 1] == '\n' ? DUMP_END : DUMP_BAD;
    }
    return DUMP_MORE;
}

enum dump_fact dump_reply_read(struct dump_reply *d, struct span bytes, size_t *used,
                               struct span *value)
{
    *used = 0;
    if (d->state == HEAD) {
        enum dump_fact fact = read_head(d, bytes, used);
        if (fact != DUMP_MORE || *used == bytes.len)
            return fact;
    }
    if (d->state == TYPE) {
        d->type = (uint8_t)bytes.at[(*used)++];
        d->state = d->size > 0 ? VALUE : TAIL;
        return DUMP_TYPE;
    }
    if (d->state == TAIL)
        return read_tail(d, bytes, used);
    size_t room = bytes.len - *used;
    *value = (struct span){ bytes.at + *used, d->left < room ? (size_t)d->left : room };
    *used += value->len;
    d->left -= value->len;
    d->state = d->left > 0 ? VALUE : TAIL;
    return DUMP_VALUE;
}
