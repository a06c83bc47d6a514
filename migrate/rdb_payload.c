#include "migrate/rdb_payload.h"

void rdb_payload_write(struct writer *w, const struct crc64_tables *tables, uint8_t type,
                       struct span value, uint16_t version)
{
    size_t begin = w->len;
    char tail[10] = { (char)(version & 0xff), (char)(version >> 8) };
    write_raw(w, (struct span){ (const char *)&type, 1 });
    write_raw(w, value);
    write_raw(w, (struct span){ tail, 2 });
    uint64_t crc = crc64_add(tables, 0, w->at + begin, w->len - begin);
    for (int i = 0; i < 8; i++)
        tail[2 + i] = (char)(crc >> (8 * i) & 0xff);
    write_raw(w, (struct span){ tail + 2, 8 });
}

const struct rdb_type *rdb_payload_open(struct span payload, struct span *value)
{
    enum { TAIL = RDB_PAYLOAD_EXTRA - 1 };
    if (payload.len < RDB_PAYLOAD_EXTRA)
        return NULL;
    const unsigned char *stamp = (const unsigned char *)payload.at + payload.len - TAIL;
    bool valkey = (stamp[0] | stamp[1] << 8) >= RDB_VALKEY_VERSION;
    *value = (struct span){ payload.at + 1, payload.len - RDB_PAYLOAD_EXTRA };
    return rdb_type_find((uint8_t)payload.at[0], valkey);
}
