/*
 * rdb_writer.h: writes RDB files of any version from the documented layouts, for tests.
 *
 * Independent of the reader, so that the two can be held against each other; only the checksum is
 * shared, which has its own known value.
 */
#ifndef TEST_LIB_RDB_WRITER_H
#define TEST_LIB_RDB_WRITER_H

#include "migrate/rdb_packed.h"
#include "resp/writer.h"

/* "REDIS" or "VALKEY" and the version. w is an open writer. */
void rdb_begin(struct writer *w, unsigned version, bool valkey);
/* The end, with a checksum if `summed`, else with zeros; version: below 5 there is none. */
void rdb_end(struct writer *w, unsigned version, bool summed);

void rdb_byte(struct writer *w, unsigned byte);
/* In the shortest form, or in that of so many bits: 6, 14, 32, 64. */
void rdb_length(struct writer *w, uint64_t n);
void rdb_length_of(struct writer *w, uint64_t n, int bits);
void rdb_little(struct writer *w, uint64_t n, int bytes);
void rdb_big(struct writer *w, uint64_t n, int bytes);
void rdb_double(struct writer *w, double d);
void rdb_string(struct writer *w, struct span s);
void rdb_text_of(struct writer *w, const char *text);
/* A number as a string in 1, 2 or 4 bytes. */
void rdb_number(struct writer *w, int64_t n, int bytes);
/* n times the byte, n from 10 to 264, packed as LZF. */
void rdb_repeated(struct writer *w, char byte, unsigned n);

/* A string that holds a compact form. An element that reads as a number is stored as one. */
void rdb_packed_string(struct writer *w, enum rdb_packing packing, const char *const *words,
                       size_t count);

/* A file with a key of each type that the version knows, and with each opcode. Keys are called
   "0:type name"; some expire in the year 2100. with_modules: one value of a module, too. */
void rdb_sample(struct writer *w, unsigned version, bool valkey, bool with_modules);

#endif
