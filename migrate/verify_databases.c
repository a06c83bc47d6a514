#include "migrate/verify_databases.h"

#include "base/text.h"

static bool is_wanted(const struct copy_options *o, uint64_t db)
{
    return databases_take(o, db) && (o->filter == NULL || filter_database(o->filter, db));
}

static void add_source(struct verify_databases *d, uint64_t db)
{
    if (is_wanted(d->options, db) && d->sources < VERIFY_DATABASES_MAX)
        d->at_source[d->sources++] = (uint16_t)db;
}

/* Lines "db3:keys=7,expires=0,...". */
static void read_keyspace(struct verify_databases *d, struct span info)
{
    const char *at = info.at, *end = info.at + info.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = stop != NULL ? (size_t)(stop - at) : (size_t)(end - at);
        const char *colon = memchr(at, ':', len);
        uint64_t db;
        if (colon != NULL && len > 2 && memcmp(at, "db", 2) == 0 &&
            text_to_u64(at + 2, (size_t)(colon - at) - 2, &db) && db <= UINT16_MAX)
            add_source(d, db);
        at += len + 1;
    }
}

bool verify_databases_ask(const struct copy_options *options)
{
    return options->databases == COPY_DB_PREFIX;
}

void verify_databases_init(struct verify_databases *d, const struct copy_options *options,
                           struct span keyspace)
{
    *d = (struct verify_databases){ .options = options, .targets = 1 };
    if (verify_databases_ask(options)) {
        read_keyspace(d, keyspace);
    } else if (options->databases == COPY_DB_MAP) {
        for (uint32_t i = 0; i < options->map.count; i++) {
            add_source(d, options->map.rows[i].from);
            d->at_target[i] = options->map.rows[i].to;
        }
        d->targets = options->map.count;
    } else {
        add_source(d, options->only);
    }
}

static bool has_source(const struct verify_databases *d, uint64_t db)
{
    uint32_t i = 0;
    while (i < d->sources && d->at_source[i] != db)
        i++;
    return i < d->sources;
}

struct span verify_databases_source(const struct verify_databases *d, uint16_t database,
                                    struct span name, uint16_t *source)
{
    const struct copy_options *o = d->options;
    uint32_t i = 0;
    uint64_t db;
    if (o->databases == COPY_DB_MAP) {
        while (i + 1 < o->map.count && o->map.rows[i].to != database)
            i++;
        *source = o->map.rows[i].from;
        return name;
    }
    struct span key = databases_split(o, name, &db);
    bool split = key.at == name.at || has_source(d, db);
    *source = (uint16_t)(split ? db : 0);
    return split ? key : name;
}

struct span verify_databases_target(const struct verify_databases *d, uint16_t source,
                                    struct span key, struct writer *room, uint16_t *database)
{
    const struct copy_options *o = d->options;
    *database = databases_at_target(o, source);
    return o->databases == COPY_DB_PREFIX ? databases_label(o, source, key, room) : key;
}
