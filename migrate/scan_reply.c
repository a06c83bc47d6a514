#include "migrate/scan_reply.h"

#include <string.h>

#include "resp/value.h"

bool scan_reply_take(struct span bytes, char cursor[SCAN_CURSOR_MAX],
                     void (*on_key)(void *context, struct span key), void *context)
{
    struct value_cursor c = { bytes.at, bytes.at + bytes.len };
    struct value outer, next, keys, key;
    if (!value_next(&c, &outer) || outer.kind != VALUE_LIST || outer.count != 2 ||
        !value_next(&c, &next) || next.kind != VALUE_STRING || next.text.len >= SCAN_CURSOR_MAX ||
        !value_next(&c, &keys) || keys.kind != VALUE_LIST)
        return false;
    memcpy(cursor, next.text.at, next.text.len);
    cursor[next.text.len] = '\0';
    for (uint64_t i = 0; i < keys.count; i++) {
        if (!value_next(&c, &key) || key.kind != VALUE_STRING)
            return false;
        on_key(context, key.text);
    }
    return true;
}
