#include "migrate/key_hash.h"

#include "base/check.h"
#include "migrate/md5.h"

/* As a char of x86 is: widened with its sign. */
static uint32_t widen(char c)
{
    return (uint32_t)(int32_t)(signed char)c;
}

static uint32_t byte_of(struct span s, size_t i)
{
    return (unsigned char)s.at[i];
}

static uint32_t word_of(struct span s, size_t i)
{
    return byte_of(s, i) | byte_of(s, i + 1) << 8 | byte_of(s, i + 2) << 16 |
           byte_of(s, i + 3) << 24;
}

static uint32_t turn(uint32_t n, unsigned by)
{
    return n << by | n >> (32 - by);
}

/* --- checksums ----------------------------------------------------------------------------- */

uint32_t key_hash_crc32(struct span key)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < key.len; i++) {
        crc ^= byte_of(key, i);
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

static uint32_t crc32(struct span key)
{
    return key_hash_crc32(key) >> 16 & 0x7fff;
}

static uint32_t crc32a(struct span key)
{
    return key_hash_crc32(key);
}

static uint32_t crc16(struct span key)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < key.len; i++) {
        uint32_t step = ((crc >> 8 ^ byte_of(key, i)) & 0xff) << 8;
        for (int bit = 0; bit < 8; bit++)
            step = step << 1 ^ (step & 0x8000 ? 0x1021u : 0);
        crc = crc << 8 ^ (step & 0xffff);
    }
    return crc;
}

static uint32_t md5(struct span key)
{
    uint32_t digest[MD5_WORDS];
    md5_of(key, digest);
    return digest[0];
}

/* --- Fowler, Noll, Vo ---------------------------------------------------------------------- */

static const uint64_t fnv_64_begin = UINT64_C(0xcbf29ce484222325);
static const uint64_t fnv_64_prime = UINT64_C(0x100000001b3);
static const uint32_t fnv_32_begin = 2166136261u, fnv_32_prime = 16777619u;

static uint32_t fnv1_64(struct span key)
{
    uint64_t hash = fnv_64_begin;
    for (size_t i = 0; i < key.len; i++)
        hash = hash * fnv_64_prime ^ (uint64_t)(int64_t)(signed char)key.at[i];
    return (uint32_t)hash;
}

static uint32_t fnv1a_64(struct span key)
{
    uint32_t hash = (uint32_t)fnv_64_begin;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ widen(key.at[i])) * (uint32_t)fnv_64_prime;
    return hash;
}

static uint32_t fnv1_32(struct span key)
{
    uint32_t hash = fnv_32_begin;
    for (size_t i = 0; i < key.len; i++)
        hash = hash * fnv_32_prime ^ widen(key.at[i]);
    return hash;
}

static uint32_t fnv1a_32(struct span key)
{
    uint32_t hash = fnv_32_begin;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ widen(key.at[i])) * fnv_32_prime;
    return hash;
}

/* --- Jenkins, Hsieh, Appleby --------------------------------------------------------------- */

static uint32_t one_at_a_time(struct span key)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < key.len; i++) {
        hash += widen(key.at[i]);
        hash += hash << 10;
        hash ^= hash >> 6;
    }
    hash += hash << 3;
    hash ^= hash >> 11;
    return hash + (hash << 15);
}

static uint32_t hsieh(struct span key)
{
    uint32_t hash = 0;
    size_t i = 0;
    if (key.len == 0)
        return 0;
    for (; i + 4 <= key.len; i += 4) {
        hash += byte_of(key, i) | byte_of(key, i + 1) << 8;
        hash = hash << 16 ^ (byte_of(key, i + 2) | byte_of(key, i + 3) << 8) << 11 ^ hash;
        hash += hash >> 11;
    }
    if (key.len - i == 1) {
        hash += byte_of(key, i);
        hash ^= hash << 10;
        hash += hash >> 1;
    } else if (key.len - i > 1) {
        bool three = key.len - i == 3;
        hash += byte_of(key, i) | byte_of(key, i + 1) << 8;
        hash ^= hash << (three ? 16 : 11);
        if (three)
            hash ^= widen(key.at[i + 2]) << 18;
        hash += hash >> (three ? 11 : 17);
    }
    hash ^= hash << 3;
    hash += hash >> 5;
    hash ^= hash << 4;
    hash += hash >> 17;
    hash ^= hash << 25;
    return hash + (hash >> 6);
}

/* MurmurHash2 */
static uint32_t murmur(struct span key)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t len = (uint32_t)key.len, hash = UINT32_C(0xdeadbeef) * len ^ len;
    size_t i = 0;
    for (; i + 4 <= key.len; i += 4) {
        uint32_t k = word_of(key, i) * m;
        hash = hash * m ^ (k ^ k >> 24) * m;
    }
    for (size_t j = key.len; j > i; j--)
        hash ^= byte_of(key, j - 1) << (8 * (j - 1 - i));
    if (i < key.len)
        hash *= m;
    hash ^= hash >> 13;
    hash *= m;
    return hash ^ hash >> 15;
}

/* lookup3's hashlittle: words of 12 bytes, mixed; what is left counts as if zeros followed. */
static uint32_t jenkins(struct span key)
{
    static const uint8_t mixing[6] = { 4, 6, 8, 16, 19, 4 };
    static const uint8_t ending[7] = { 14, 11, 25, 16, 4, 14, 24 };
    uint32_t s[3], begin = UINT32_C(0xdeadbeef) + (uint32_t)key.len + 13;
    size_t i = 0;
    s[0] = s[1] = s[2] = begin;
    for (; key.len - i > 12; i += 12) {
        for (size_t w = 0; w < 3; w++)
            s[w] += word_of(key, i + 4 * w);
        for (size_t step = 0; step < 6; step++) { /* a and c; b and a; c and b */
            uint32_t *x = &s[step % 3], *y = &s[(step + 2) % 3], *z = &s[(step + 1) % 3];
            *x = (*x - *y) ^ turn(*y, mixing[step]);
            *y += *z;
        }
    }
    if (i == key.len)
        return s[2];
    for (size_t j = i; j < key.len; j++)
        s[(j - i) / 4] += byte_of(key, j) << (8 * ((j - i) % 4));
    for (size_t step = 0; step < 7; step++) { /* c and b; a and c; b and a */
        uint32_t *x = &s[(step + 2) % 3], *y = &s[(step + 1) % 3];
        *x = (*x ^ *y) - turn(*y, ending[step]);
    }
    return s[2];
}

static const struct {
    const char *name;
    key_hash *hash;
} hashes[] = {
    { "one_at_a_time", one_at_a_time },
    { "md5", md5 },
    { "crc16", crc16 },
    { "crc32", crc32 },
    { "crc32a", crc32a },
    { "fnv1_64", fnv1_64 },
    { "fnv1a_64", fnv1a_64 },
    { "fnv1_32", fnv1_32 },
    { "fnv1a_32", fnv1a_32 },
    { "hsieh", hsieh },
    { "murmur", murmur },
    { "jenkins", jenkins },
};

key_hash *key_hash_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
        if (strcmp(hashes[i].name, name) == 0)
            return hashes[i].hash;
    return NULL;
}
