#include "migrate/expiry_fields.h"

/* A field's name in the table: the number of its hash, the length of the key, key, field. */
enum { NUMBER = 8, LENGTH = 4, HEAD = NUMBER + LENGTH };

void expiry_fields_open(struct expiry_fields *f, const char *folder)
{
    expiry_table_open(&f->fields, folder);
    expiry_table_open(&f->hashes, folder);
    writer_init(&f->name, 2);
}

void expiry_fields_clear(struct expiry_fields *f)
{
    expiry_table_clear(&f->fields);
    expiry_table_clear(&f->hashes);
    writer_close(&f->name);
}

static struct span name_of(struct expiry_fields *f, int64_t number, struct span key,
                           struct span field)
{
    uint32_t len = (uint32_t)key.len;
    writer_clear(&f->name, 2);
    write_raw(&f->name, (struct span){ (const char *)&number, NUMBER });
    write_raw(&f->name, (struct span){ (const char *)&len, LENGTH });
    write_raw(&f->name, key);
    write_raw(&f->name, field);
    return writer_span(&f->name);
}

int expiry_fields_put(struct expiry_fields *f, struct span key, struct span field, int64_t at)
{
    int64_t number = expiry_table_get(&f->hashes, key);
    if (number == 0) {
        int error = expiry_table_put(&f->hashes, key, number = 1);
        if (error != 0)
            return error;
    }
    return expiry_table_put(&f->fields, name_of(f, number, key, field), at);
}

void expiry_fields_forget(struct expiry_fields *f, struct span key, struct span field)
{
    int64_t number = expiry_table_get(&f->hashes, key);
    if (number != 0)
        expiry_table_forget(&f->fields, name_of(f, number, key, field));
}

bool expiry_fields_replace(struct expiry_fields *f, struct span key)
{
    int64_t number = expiry_table_get(&f->hashes, key);
    if (number != 0 && expiry_table_put(&f->hashes, key, number + 1) != 0)
        expiry_table_forget(&f->hashes, key);
    return number != 0;
}

/* False: it is of a hash that is not there any more. */
static bool read_name(const struct expiry_fields *f, struct span name, struct expiry_field *out)
{
    int64_t number;
    uint32_t len;
    memcpy(&number, name.at, NUMBER);
    memcpy(&len, name.at + NUMBER, LENGTH);
    out->key = (struct span){ name.at + HEAD, len };
    out->name = (struct span){ name.at + HEAD + len, name.len - HEAD - len };
    out->at = expiry_table_get(&f->fields, name);
    return out->at != 0 && expiry_table_get(&f->hashes, out->key) == number;
}

int expiry_fields_next(struct expiry_fields *f, struct expiry_field *out)
{
    struct span name;
    for (;;) {
        int rc = expiry_table_next(&f->fields, &name);
        if (rc <= 0)
            return rc;
        bool there = read_name(f, name, out);
        expiry_table_settle(&f->fields, name);
        if (there)
            return 1;
    }
}
