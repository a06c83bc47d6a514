#include "migrate/eof_mark.h"

static void give(eof_mark_fn *out, void *context, const char *at, size_t len)
{
    if (len > 0)
        out(context, (struct span){ at, len });
}

/* Keeps the last bytes, which could be the beginning of the mark; they come from one place. */
static void hold(struct eof_mark *m, const char *at, size_t len)
{
    memmove(m->held, at, len);
    m->held_len = (uint32_t)len;
}

/* Looks for a mark that begins in what is held. Gives whether it is there. */
static bool find_in_held(struct eof_mark *m, struct span piece, eof_mark_fn *out, void *context,
                         size_t *used)
{
    char both[2 * EOF_MARK_LEN];
    size_t more = piece.len < EOF_MARK_LEN - 1 ? piece.len : EOF_MARK_LEN - 1;
    size_t len = m->held_len + more;
    memcpy(both, m->held, m->held_len);
    memcpy(both + m->held_len, piece.at, more);
    const char *hit = memmem(both, len, m->mark, EOF_MARK_LEN);
    if (hit == NULL)
        return false;
    size_t before = (size_t)(hit - both);
    give(out, context, both, before);
    *used = before + EOF_MARK_LEN - m->held_len;
    return true;
}

bool eof_mark_find(struct eof_mark *m, struct span piece, eof_mark_fn *out, void *context,
                   size_t *used)
{
    *used = piece.len;
    if (find_in_held(m, piece, out, context, used))
        return true;
    if (m->held_len + piece.len < EOF_MARK_LEN) {
        memcpy(m->held + m->held_len, piece.at, piece.len);
        m->held_len += (uint32_t)piece.len;
        return false;
    }
    if (piece.len < EOF_MARK_LEN - 1) { /* what stays held begins in the old bytes */
        char both[2 * EOF_MARK_LEN];
        size_t len = m->held_len + piece.len, gone = len - (EOF_MARK_LEN - 1);
        memcpy(both, m->held, m->held_len);
        memcpy(both + m->held_len, piece.at, piece.len);
        give(out, context, both, gone);
        hold(m, both + gone, EOF_MARK_LEN - 1);
        return false;
    }
    give(out, context, m->held, m->held_len);
    const char *hit = memmem(piece.at, piece.len, m->mark, EOF_MARK_LEN);
    size_t payload = hit != NULL ? (size_t)(hit - piece.at) : piece.len - (EOF_MARK_LEN - 1);
    give(out, context, piece.at, payload);
    if (hit != NULL) {
        *used = payload + EOF_MARK_LEN;
        return true;
    }
    hold(m, piece.at + payload, EOF_MARK_LEN - 1);
    return false;
}
