#include "migrate/md5.h"

enum { BLOCK = 64, STEPS = 64 };

/* floor(2^32 * |sin(i + 1)|) */
static const uint32_t sines[STEPS] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const uint8_t turns[4][4] = {
    { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 }
};

static uint32_t turn(uint32_t n, unsigned by)
{
    return n << by | n >> (32 - by);
}

static uint32_t round_of(unsigned step, const uint32_t s[MD5_WORDS], unsigned *word)
{
    switch (step / 16) {
    case 0:
        *word = step;
        return (s[1] & s[2]) | (~s[1] & s[3]);
    case 1:
        *word = (5 * step + 1) % 16;
        return (s[3] & s[1]) | (~s[3] & s[2]);
    case 2:
        *word = (3 * step + 5) % 16;
        return s[1] ^ s[2] ^ s[3];
    default:
        *word = 7 * step % 16;
        return s[2] ^ (s[1] | ~s[3]);
    }
}

static uint32_t little(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void take_block(uint32_t digest[MD5_WORDS], const unsigned char *block)
{
    uint32_t s[MD5_WORDS];
    memcpy(s, digest, sizeof(s));
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned word;
        uint32_t f = round_of(step, s, &word);
        f += s[0] + sines[step] + little(block + (size_t)word * 4);
        s[0] = s[3];
        s[3] = s[2];
        s[2] = s[1];
        s[1] += turn(f, turns[step / 16][step % 4]);
    }
    for (int i = 0; i < MD5_WORDS; i++)
        digest[i] += s[i];
}

void md5_of(struct span bytes, uint32_t digest[MD5_WORDS])
{
    static const uint32_t begin[MD5_WORDS] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
    const unsigned char *at = (const unsigned char *)bytes.at;
    unsigned char last[2 * BLOCK] = { 0 };
    uint64_t bits = (uint64_t)bytes.len * 8;
    size_t rest = bytes.len % BLOCK;
    size_t tail = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    memcpy(digest, begin, sizeof(begin));
    for (size_t i = 0; i < bytes.len / BLOCK; i++)
        take_block(digest, at + i * BLOCK);
    if (rest > 0)
        memcpy(last, at + bytes.len - rest, rest);
    last[rest] = 0x80;
    for (size_t i = 0; i < 8; i++)
        last[tail - 8 + i] = (unsigned char)(bits >> (8 * i));
    for (size_t i = 0; i < tail; i += BLOCK)
        take_block(digest, last + i);
}
