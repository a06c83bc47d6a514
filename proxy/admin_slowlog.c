/* /slowlog: what took long, of all workers, as JSON; the same entries as PROXY SLOWLOG's. */
#include "proxy/admin.h"
#include "proxy/admin_gather.h"
#include "proxy/admin_pages.h"
#include "proxy/worker.h"
#include "resp/value.h"

enum { ENTRIES_MAX = 100 }; /* of each worker */

static void write_words(struct json *j, struct value_cursor *at, uint64_t count)
{
    struct value v;
    json_array(j, "command");
    for (uint64_t i = 0; i < count; i++)
        if (value_next(at, &v))
            json_bytes(j, NULL, v.text);
    json_array_end(j);
}

/* The fields by their places, as slowlog.c writes them. */
static void write_entry(struct json *j, struct value_cursor *at, uint64_t fields)
{
    static const char *const names[] = { "id",     "time", "duration_us", "command",
                                         "client", "name", "upstream_us", "node" };
    struct value v;
    json_object(j, NULL);
    for (uint64_t i = 0; i < fields && value_next(at, &v); i++) {
        if (v.kind == VALUE_LIST && i == 3)
            write_words(j, at, v.count);
        else if (i >= ARRAY_LEN(names) || v.kind == VALUE_NULL)
            continue;
        else if (v.kind == VALUE_INTEGER)
            json_i64(j, names[i], v.number);
        else
            json_bytes(j, names[i], v.text);
    }
    json_object_end(j);
}

static void write_entries(struct worker *w, struct json *j)
{
    struct writer reply;
    struct value v;
    writer_init(&reply, 2);
    slowlog_write(&w->slowlog, ENTRIES_MAX, SLOWLOG_LONG, &reply);
    struct value_cursor at = { reply.at, reply.at + reply.len };
    while (value_next(&at, &v))
        write_entry(j, &at, v.count);
    writer_close(&reply);
}

const struct admin_part admin_slowlog_part = { "slowlog", write_entries };

void admin_slowlog(struct worker *w, struct http_exchange *x)
{
    admin_gather(w, x, &admin_slowlog_part);
}
