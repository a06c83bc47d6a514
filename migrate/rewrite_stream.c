#include "migrate/rewrite_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void id_arg(struct rewrite *w, struct stream_id id)
{
    char text[48];
    int n = snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
    rewrite_arg(w, (struct span){ text, (size_t)n });
}

static void on_entry(struct rewrite *w, const struct rdb_item *item)
{
    id_arg(w, item->id);
    for (uint32_t i = 0; i < item->field_count; i++)
        rewrite_arg(w, item->fields[i]);
    rewrite_give(w, "XADD", NULL, false);
    w->entries++;
}

/* A stream without entries appears only through a group; one that is taken away again will do. */
static void make_empty(struct rewrite *w)
{
    static const struct span name = { "slotgate", 8 };
    rewrite_arg(w, name);
    rewrite_arg(w, SPAN("0"));
    rewrite_arg(w, SPAN("MKSTREAM"));
    rewrite_give(w, "XGROUP", "CREATE", false);
    rewrite_arg(w, name);
    rewrite_give(w, "XGROUP", "DESTROY", true);
}

static void on_stream(struct rewrite *w, const struct rdb_item *item)
{
    if (w->entries == 0)
        make_empty(w);
    id_arg(w, item->id);
    if (item->has_added && w->facts->entries_added) {
        rewrite_arg(w, SPAN("ENTRIESADDED"));
        rewrite_number(w, (int64_t)item->added);
        rewrite_arg(w, SPAN("MAXDELETEDID"));
        id_arg(w, item->deleted);
    }
    rewrite_give(w, "XSETID", NULL, true);
}

static void on_group(struct rewrite *w, const struct rdb_item *item)
{
    w->pending_count = 0;
    writer_clear(&w->group, 2);
    write_raw(&w->group, item->name);
    rewrite_arg(w, item->name);
    id_arg(w, item->id);
    if (item->read >= 0 && w->facts->entries_added) {
        rewrite_arg(w, SPAN("ENTRIESREAD"));
        rewrite_number(w, item->read);
    }
    rewrite_give(w, "XGROUP", "CREATE", false);
}

static void on_pending(struct rewrite *w, const struct rdb_item *item)
{
    if (w->pending_count == w->pending_room) {
        w->pending_room = w->pending_room > 0 ? w->pending_room * 2 : 64;
        w->pending = realloc(w->pending, w->pending_room * sizeof(*w->pending));
        REQUIRE(w->pending != NULL);
    }
    w->pending[w->pending_count++] =
        (struct rewrite_pending){ .id = item->id, .time = item->time, .count = item->count };
}

static void on_consumer(struct rewrite *w, const struct rdb_item *item)
{
    writer_clear(&w->consumer, 2);
    write_raw(&w->consumer, item->name);
    if (!w->facts->create_consumer)
        return; /* the claims make it; one without pending entries does not matter to anybody */
    rewrite_arg(w, writer_span(&w->group));
    rewrite_arg(w, item->name);
    rewrite_give(w, "XGROUP", "CREATECONSUMER", true);
}

static int compare_ids(const void *a, const void *b)
{
    const struct stream_id *x = &((const struct rewrite_pending *)a)->id;
    const struct stream_id *y = &((const struct rewrite_pending *)b)->id;
    if (x->ms != y->ms)
        return x->ms < y->ms ? -1 : 1;
    return x->seq == y->seq ? 0 : x->seq < y->seq ? -1 : 1;
}

static bool on_claim(struct rewrite *w, const struct rdb_item *item)
{
    struct rewrite_pending key = { .id = item->id };
    struct rewrite_pending *p = w->pending_count == 0 ? NULL
                                                      : bsearch(&key, w->pending, w->pending_count,
                                                                sizeof(key), compare_ids);
    if (p == NULL) {
        w->error = "the value is damaged: a consumer has an entry that its group lacks";
        return false;
    }
    rewrite_arg(w, writer_span(&w->group));
    rewrite_arg(w, writer_span(&w->consumer));
    rewrite_number(w, 0);
    id_arg(w, p->id);
    rewrite_arg(w, SPAN("TIME"));
    rewrite_number(w, p->time);
    rewrite_arg(w, SPAN("RETRYCOUNT"));
    rewrite_number(w, (int64_t)p->count);
    rewrite_arg(w, SPAN("FORCE"));
    rewrite_arg(w, SPAN("JUSTID"));
    rewrite_give(w, "XCLAIM", NULL, true);
    return true;
}

bool rewrite_stream_item(struct rewrite *w, const struct rdb_item *item)
{
    switch (item->part) {
    case RDB_PART_ENTRY:
        on_entry(w, item);
        return true;
    case RDB_PART_STREAM:
        on_stream(w, item);
        return true;
    case RDB_PART_GROUP:
        on_group(w, item);
        return true;
    case RDB_PART_PENDING:
        on_pending(w, item);
        return true;
    case RDB_PART_CONSUMER:
        on_consumer(w, item);
        return true;
    default:
        return on_claim(w, item);
    }
}
