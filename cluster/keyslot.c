#include "cluster/keyslot.h"

#include "base/check.h"

/*
 * CRC-16/XMODEM, polynomial 0x1021, four bytes at a time. A CRC is linear, so the table entry of a
 * byte is the XOR of the entries of its bits; the compiler works the tables out from eight numbers
 * each: what each bit becomes after none, one, two or three further zero bytes.
 */
#define BITS_0 0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48C4, 0x9188
#define BITS_1 0x3331, 0x6662, 0xCCC4, 0x89A9, 0x0373, 0x06E6, 0x0DCC, 0x1B98
#define BITS_2 0x3730, 0x6E60, 0xDCC0, 0xA9A1, 0x4363, 0x86C6, 0x1DAD, 0x3B5A
#define BITS_3 0x76B4, 0xED68, 0xCAF1, 0x85C3, 0x1BA7, 0x374E, 0x6E9C, 0xDD38

/* clang-format off */
#define IF_BIT(byte, bit, value) (((byte) >> (bit) & 1) ? (value) : 0)
#define ENTRY_OF(n, b0, b1, b2, b3, b4, b5, b6, b7)                                                \
    (IF_BIT(n, 0, b0) ^ IF_BIT(n, 1, b1) ^ IF_BIT(n, 2, b2) ^ IF_BIT(n, 3, b3) ^                   \
     IF_BIT(n, 4, b4) ^ IF_BIT(n, 5, b5) ^ IF_BIT(n, 6, b6) ^ IF_BIT(n, 7, b7))
#define ENTRY(n, ...) ENTRY_OF(n, __VA_ARGS__)
#define ROW_4(n, ...)                                                                              \
    ENTRY(n, __VA_ARGS__), ENTRY((n) + 1, __VA_ARGS__),                                            \
    ENTRY((n) + 2, __VA_ARGS__), ENTRY((n) + 3, __VA_ARGS__)
#define ROW_16(n, ...)                                                                             \
    ROW_4(n, __VA_ARGS__), ROW_4((n) + 4, __VA_ARGS__),                                            \
    ROW_4((n) + 8, __VA_ARGS__), ROW_4((n) + 12, __VA_ARGS__)
#define ROW_64(n, ...)                                                                             \
    ROW_16(n, __VA_ARGS__), ROW_16((n) + 16, __VA_ARGS__),                                         \
    ROW_16((n) + 32, __VA_ARGS__), ROW_16((n) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    { ROW_64(0, __VA_ARGS__), ROW_64(64, __VA_ARGS__),                                             \
      ROW_64(128, __VA_ARGS__), ROW_64(192, __VA_ARGS__) }
/* clang-format on */

/* after[z][b]: what the byte b does to the sum once z further bytes have passed. */
static const uint16_t after[4][256] = { TABLE(BITS_0), TABLE(BITS_1), TABLE(BITS_2),
                                        TABLE(BITS_3) };

uint16_t keyslot_crc16(const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes;
    unsigned crc = 0;
    for (; len >= 4; p += 4, len -= 4)
        crc = (unsigned)(after[3][p[0] ^ (crc >> 8)] ^ after[2][p[1] ^ (crc & 0xFF)] ^
                         after[1][p[2]] ^ after[0][p[3]]);
    for (; len > 0; p++, len--)
        crc = ((crc << 8) & 0xFFFF) ^ after[0][p[0] ^ (crc >> 8)];
    return (uint16_t)crc;
}

uint16_t keyslot_of(struct span key)
{
    BUILD_ASSERT((SLOT_COUNT & (SLOT_COUNT - 1)) == 0, "the modulo below is a mask");
    const char *open = key.len > 0 ? memchr(key.at, '{', key.len) : NULL;
    if (UNLIKELY(open != NULL)) {
        const char *tag = open + 1;
        size_t rest = key.len - (size_t)(tag - key.at);
        const char *close = rest > 0 ? memchr(tag, '}', rest) : NULL;
        if (close != NULL && close != tag)
            return keyslot_crc16(tag, (size_t)(close - tag)) & (SLOT_COUNT - 1);
    }
    return keyslot_crc16(key.at, key.len) & (SLOT_COUNT - 1);
}
