#include "proxy/blocking_ids.h"

#include <stdlib.h>

#include "resp/value.h"

/* The first argument behind STREAMS; 0: none, or keys and ids do not come in pairs. */
static uint32_t first_key(const struct argv *argv)
{
    uint32_t i = 1;
    while (i < argv->count && !span_is(argv_get(argv, i), "streams"))
        i++;
    return i < argv->count && (argv->count - i - 1) % 2 == 0 ? i + 1 : 0;
}

void stream_ids_open(struct stream_ids *ids, const struct command *cmd, const struct argv *argv)
{
    uint32_t from = strcmp(cmd->name, "xread") == 0 ? first_key(argv) : 0;
    *ids = (struct stream_ids){ .argv = argv };
    if (from == 0)
        return;
    uint32_t keys = (argv->count - from) / 2;
    for (uint32_t i = 0; i < keys; i++) {
        if (!span_is(argv_get(argv, from + keys + i), "$"))
            continue;
        if (ids->v == NULL)
            ids->v = calloc(keys, sizeof(ids->v[0]));
        REQUIRE(ids->v != NULL);
        ids->v[ids->count++] = (struct stream_id){ .key = from + i, .arg = from + keys + i };
    }
}

void stream_ids_close(struct stream_ids *ids)
{
    free(ids->v);
    ids->v = NULL;
}

static void skip_known(struct stream_ids *ids)
{
    while (ids->next < ids->count && ids->v[ids->next].len > 0)
        ids->next++;
}

uint32_t stream_ids_ask(struct stream_ids *ids, struct writer *w, struct span prefix)
{
    uint32_t replies = 0;
    for (uint32_t i = 0; i < ids->count; i++) {
        if (ids->v[i].len > 0)
            continue;
        write_raw(w, prefix);
        write_array(w, 6);
        write_bulk_text(w, "XREVRANGE");
        write_bulk(w, argv_get(ids->argv, ids->v[i].key));
        write_bulk_text(w, "+");
        write_bulk_text(w, "-");
        write_bulk_text(w, "COUNT");
        write_bulk_text(w, "1");
        replies += prefix.len > 0 ? 2 : 1;
    }
    ids->next = 0;
    ids->head_len = 0;
    skip_known(ids);
    return replies;
}

/* [[id, fields]] or []; an error leaves the id unknown. */
static void read_id(struct stream_id *id, struct span reply)
{
    struct value_cursor c = { reply.at, reply.at + reply.len };
    struct value v;
    if (!value_next(&c, &v) || v.kind != VALUE_LIST)
        return;
    struct span text = SPAN("0-0");
    if (v.count > 0) {
        struct value entry, first;
        if (!value_next(&c, &entry) || !value_next(&c, &first))
            return;
        if (first.kind != VALUE_STRING || first.text.len >= STREAM_ID_MAX)
            return;
        text = first.text;
    }
    memcpy(id->text, text.at, text.len);
    id->len = (uint8_t)text.len;
}

void stream_ids_take(struct stream_ids *ids, struct span bytes, bool done)
{
    size_t room = sizeof(ids->head) - ids->head_len;
    size_t n = bytes.len < room ? bytes.len : room;
    memcpy(ids->head + ids->head_len, bytes.at, n);
    ids->head_len = (uint8_t)(ids->head_len + n);
    if (!done)
        return;
    bool is_prefix = ids->head_len > 0 && ids->head[0] == '+';
    if (!is_prefix && ids->next < ids->count) {
        read_id(&ids->v[ids->next++], (struct span){ ids->head, ids->head_len });
        skip_known(ids);
    }
    ids->head_len = 0;
}

struct span stream_ids_known(const struct stream_ids *ids, uint32_t arg, struct span as_given)
{
    for (uint32_t i = 0; i < ids->count; i++)
        if (ids->v[i].arg == arg && ids->v[i].len > 0)
            return (struct span){ ids->v[i].text, ids->v[i].len };
    return as_given;
}
