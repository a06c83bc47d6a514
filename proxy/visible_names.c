#include "proxy/visible_names.h"

#include "proxy/temp_names.h"
#include "proxy/worker.h"

/* Takes the next key that is no temporary one; false: no more. */
static bool next_visible(struct part_reply *p, struct span *raw)
{
    for (;;) {
        struct value_cursor at = p->at;
        struct value v;
        *raw = merge_take(p);
        if (raw->at == NULL)
            return false;
        if (!value_next(&at, &v) || v.kind != VALUE_STRING || !temp_names_has(v.text))
            return true;
    }
}

bool visible_names_enter(struct part_reply *p, struct visible_names *out)
{
    struct value v;
    struct span raw, rest;
    if (!value_next(&p->at, &v) || v.kind != VALUE_LIST)
        return false;
    rest = merge_rest(p);
    *out = (struct visible_names){ .count = v.count, .all = !temp_names_in(rest) };
    if (out->all)
        return true;
    struct part_reply look = *p;
    for (out->count = 0; next_visible(&look, &raw);)
        out->count++;
    return true;
}

void visible_names_send(struct client *c, struct part_reply *p, const struct visible_names *names)
{
    struct span raw;
    if (names->all)
        merge_send(c, p, merge_rest(p));
    else
        while (next_visible(p, &raw))
            merge_send(c, p, raw);
}
