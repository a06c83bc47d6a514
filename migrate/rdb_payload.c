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
