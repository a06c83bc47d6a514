#include "migrate/lzf.h"

enum { FRESH, LENGTH, OFFSET };

/* A reference has one byte of 3 bits length and 5 bits offset, for the length 7 another byte of
   length, and a byte of offset. */

static void put(struct lzf *z, char *at, uint32_t i, char byte)
{
    at[i] = byte;
    z->window[z->written++ % LZF_WINDOW] = byte;
}

static bool copy_back(struct lzf *z, struct writer *out)
{
    char bytes[7 + 255 + 2];
    uint32_t count = z->length + 2;
    if (z->offset >= z->written)
        return false;
    for (uint32_t i = 0; i < count; i++)
        put(z, bytes, i, z->window[(z->written - z->offset - 1) % LZF_WINDOW]);
    write_raw(out, (struct span){ bytes, count });
    return true;
}

static size_t copy_literal(struct lzf *z, struct span in, struct writer *out)
{
    size_t count = in.len < z->literal ? in.len : z->literal;
    for (size_t i = 0; i < count; i++)
        z->window[z->written++ % LZF_WINDOW] = in.at[i];
    write_raw(out, (struct span){ in.at, count });
    z->literal -= (uint32_t)count;
    return count;
}

bool lzf_unpack(struct lzf *z, struct span in, struct writer *out)
{
    while (in.len > 0) {
        size_t used = 1;
        uint32_t byte = (unsigned char)in.at[0];
        if (z->literal > 0) {
            used = copy_literal(z, in, out);
        } else if (z->state == OFFSET) {
            z->offset |= byte;
            z->state = FRESH;
            if (!copy_back(z, out))
                return false;
        } else if (z->state == LENGTH) {
            z->length += byte;
            z->state = OFFSET;
        } else if (byte < 32) {
            z->literal = byte + 1;
        } else {
            z->length = byte >> 5;
            z->offset = (byte & 0x1f) << 8;
            z->state = z->length == 7 ? LENGTH : OFFSET;
        }
        in.at += used;
        in.len -= used;
    }
    return true;
}

bool lzf_is_whole(const struct lzf *z)
{
    return z->state == FRESH && z->literal == 0;
}

void lzf_reset(struct lzf *z)
{
    z->written = 0;
    z->literal = 0;
    z->state = FRESH;
}
