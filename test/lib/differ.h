/*
 * differ.h: whether two replies say the same, by a named rule.
 *
 * Most replies of the proxy have to be the very bytes of one Redis. Where a reply has no order of
 * its own, or is random or about the server itself, a rule says what must still be equal. An error
 * is compared byte for byte under every rule.
 */
#ifndef TEST_LIB_DIFFER_H
#define TEST_LIB_DIFFER_H

#include <stdbool.h>
#include <stddef.h>

enum differ_rule {
    DIFFER_SAME,  /* byte for byte */
    DIFFER_SET,   /* the same elements in any order; of a map: the same pairs */
    DIFFER_PAIRS, /* as DIFFER_SET, and the flat array that stands for a map in RESP2 is in pairs */
    DIFFER_DEEP,  /* as DIFFER_SET, on every level */
    DIFFER_NEAR,  /* integers not more than a hundredth apart: times to live */
    DIFFER_SHAPE, /* the same types and counts on every level; contents may be others */
    DIFFER_KIND,  /* the same type of reply */
};

/* a and b are one complete reply each. */
bool differ_agree(enum differ_rule rule, const char *a, size_t a_len, const char *b, size_t b_len);

/*
 * Makes a request of words with one space between them; the caller frees it. In a word "^" stands
 * for a space. A word that begins with "@" is a key, and its name follows: `tag` is put in front of
 * it ("" or "{t}").
 */
char *differ_request(const char *words, size_t words_len, const char *tag, size_t *len);

#endif
