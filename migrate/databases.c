#include "migrate/databases.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* --- the option ---------------------------------------------------------------------------- */

static bool read_number(const char *at, size_t len, uint16_t *out)
{
    uint64_t n;
    if (len == 0 || !text_to_u64(at, len, &n) || n > DATABASES_NUMBER_MAX)
        return false;
    *out = (uint16_t)n;
    return true;
}

static const char *read_pair(struct database_map *d, const char *text, size_t len)
{
    const char *sign = memchr(text, '=', len);
    uint16_t from, to;
    if (sign == NULL || !read_number(text, (size_t)(sign - text), &from) ||
        !read_number(sign + 1, len - (size_t)(sign + 1 - text), &to))
        return "expected map:FROM=TO,FROM=TO,... with numbers of databases";
    for (uint32_t i = 0; i < d->count; i++)
        if (d->rows[i].from == from || d->rows[i].to == to)
            return "each database may stand on each side of the map once";
    if (d->count == DATABASES_MAPPED_MAX)
        return "too many databases";
    d->rows[d->count].from = from;
    d->rows[d->count++].to = to;
    return NULL;
}

static const char *read_map(struct database_map *d, const char *text)
{
    const char *wrong = NULL;
    while (wrong == NULL) {
        size_t len = strcspn(text, ",");
        wrong = read_pair(d, text, len);
        text += len;
        if (*text++ == '\0')
            break;
    }
    return wrong;
}

const char *databases_read(struct copy_options *o, const char *text)
{
    bool map = strncmp(text, "map:", 4) == 0;
    if (map || strcmp(text, "prefix") == 0) {
        o->databases = map ? COPY_DB_MAP : COPY_DB_PREFIX;
        return map ? read_map(&o->map, text + 4) : NULL;
    }
    if (strncmp(text, "only:", 5) == 0)
        text += 5;
    o->databases = COPY_DB_ONLY;
    if (!text_to_u64(text, strlen(text), &o->only))
        return "expected a number, only:NUMBER, prefix or map:FROM=TO,...";
    return NULL;
}

/* --- databases ----------------------------------------------------------------------------- */

/* count: it is not there. */
static uint32_t find(const struct copy_options *o, uint64_t db)
{
    uint32_t i = 0;
    while (i < o->map.count && o->map.rows[i].from != db)
        i++;
    return i;
}

bool databases_take(const struct copy_options *o, uint64_t db)
{
    if (o->databases == COPY_DB_MAP)
        return find(o, db) < o->map.count;
    return o->databases == COPY_DB_PREFIX || db == o->only;
}

uint16_t databases_at_target(const struct copy_options *o, uint64_t db)
{
    uint32_t i = find(o, db);
    return i < o->map.count ? o->map.rows[i].to : 0;
}

uint64_t databases_first(const struct copy_options *o)
{
    if (o->databases == COPY_DB_MAP)
        return o->map.rows[0].from;
    return o->databases == COPY_DB_ONLY ? o->only : 0;
}

/* --- keys ---------------------------------------------------------------------------------- */

static bool has_labels(const struct copy_options *o)
{
    return o->databases == COPY_DB_PREFIX || o->databases == COPY_DB_MAP;
}

bool databases_renames(const struct copy_options *o, uint64_t db)
{
    return o->databases == COPY_DB_MAP && db != 0;
}

struct span databases_prefixed(uint64_t db, struct span key, struct writer *room)
{
    char prefix[32];
    int n = snprintf(prefix, sizeof(prefix), "db%llu:", (unsigned long long)db);
    write_raw(room, (struct span){ prefix, (size_t)n });
    write_raw(room, key);
    return writer_span(room);
}

struct span databases_label(const struct copy_options *o, uint64_t db, struct span key,
                            struct writer *room)
{
    return !has_labels(o) || db == 0 ? key : databases_prefixed(db, key, room);
}

struct span databases_label_of(const struct copy_options *o, uint16_t db, struct span key,
                               struct writer *room)
{
    uint32_t i = 0;
    if (o->databases != COPY_DB_MAP)
        return key;
    while (i + 1 < o->map.count && o->map.rows[i].to != db)
        i++;
    return databases_label(o, o->map.rows[i].from, key, room);
}

struct span databases_split(const struct copy_options *o, struct span label, uint64_t *db)
{
    const char *colon = label.len > 3 ? memchr(label.at, ':', label.len) : NULL;
    uint64_t n;
    *db = o->databases == COPY_DB_ONLY ? o->only : 0; /* with labels 0 has none */
    if (!has_labels(o) || colon == NULL || memcmp(label.at, "db", 2) != 0 ||
        !text_to_u64(label.at + 2, (size_t)(colon - label.at) - 2, &n))
        return label;
    *db = n;
    return (struct span){ colon + 1, label.len - (size_t)(colon + 1 - label.at) };
}

struct span databases_name(const struct copy_options *o, struct span label, uint64_t *db)
{
    struct span own = databases_split(o, label, db);
    return o->databases == COPY_DB_MAP ? own : label;
}

/* --- commands ------------------------------------------------------------------------------ */

void databases_select(struct writer *w, uint64_t db)
{
    write_array(w, 2);
    write_bulk(w, SPAN("SELECT"));
    write_bulk_format(w, "%llu", (unsigned long long)db);
}

uint32_t databases_write(struct writer *w, uint16_t db, const struct span *words, size_t count)
{
    if (db != 0)
        databases_select(w, db);
    write_array(w, count);
    for (size_t i = 0; i < count; i++)
        write_bulk(w, words[i]);
    if (db != 0)
        databases_select(w, 0);
    return db != 0 ? 3 : 1;
}
