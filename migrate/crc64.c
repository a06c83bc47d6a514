#include "migrate/crc64.h"

static const uint64_t polynomial = UINT64_C(0x95ac9329ac4bc9b5); /* reflected */

void crc64_fill(struct crc64_tables *t)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? (crc >> 1) ^ polynomial : crc >> 1;
        t->of[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int k = 1; k < 8; k++) {
            uint64_t before = t->of[k - 1][byte];
            t->of[k][byte] = t->of[0][before & 0xff] ^ (before >> 8);
        }
    }
}

/* The eight bytes as a little-endian number, on any machine. */
static uint64_t read_word(const unsigned char *p)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | p[i];
    return word;
}

uint64_t crc64_add(const struct crc64_tables *t, uint64_t crc, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    for (; len >= 8; len -= 8, p += 8) {
        crc ^= read_word(p);
        crc = t->of[7][crc & 0xff] ^ t->of[6][crc >> 8 & 0xff] ^ t->of[5][crc >> 16 & 0xff] ^
              t->of[4][crc >> 24 & 0xff] ^ t->of[3][crc >> 32 & 0xff] ^ t->of[2][crc >> 40 & 0xff] ^
              t->of[1][crc >> 48 & 0xff] ^ t->of[0][crc >> 56];
    }
    for (; len > 0; len--, p++)
        crc = t->of[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
    return crc;
}
