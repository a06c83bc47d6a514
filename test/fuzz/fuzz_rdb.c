/*
 * Any bytes as an RDB file, whole, in pieces and byte by byte, give the same facts and elements.
 * The first byte chooses the pieces.
 */
#include "test/unit/rdb_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct crc64_tables tables;
    if (tables.of[0][1] == 0)
        crc64_fill(&tables);
    if (size < 2)
        return 0;
    struct span bytes = { (const char *)data + 1, size - 1 };
    struct cut cuts[] = {
        { .first = bytes.len, .then = bytes.len },
        { .first = 1, .then = 1 },
        { .first = (size_t)data[0] + 1, .then = bytes.len },
        { .random = (uint32_t)data[0] * 2 + 1 },
    };
    struct writer logs[ARRAY_LEN(cuts)];
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        writer_init(&logs[i], 2);
        log_rdb(&logs[i], bytes, &tables, cuts[i]);
        REQUIRE(span_equal(writer_span(&logs[0]), writer_span(&logs[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++)
        writer_close(&logs[i]);
    return 0;
}
