/*
 * rdb_reader.h: reads an RDB file (version 1 to 12, Valkey's 80) in any pieces.
 *
 * Reports one fact at a time and decodes no value: the bytes of a value are handed on as they stand
 * in the file, so that a RESTORE payload can be made of them. Memory: the longest key, AUX text or
 * function, nothing else. The checksum is computed on the way. Knows no file and no socket.
 */
#ifndef MIGRATE_RDB_READER_H
#define MIGRATE_RDB_READER_H

#include "migrate/crc64.h"
#include "migrate/rdb_text.h"
#include "migrate/rdb_type.h"
#include "migrate/rdb_walk.h"

enum rdb_fact {
    RDB_BAD = -1,  /* error says what is wrong and where; nothing more can be read */
    RDB_MORE = 0,  /* all bytes used */
    RDB_AUX,       /* name and text */
    RDB_FUNCTION,  /* text: the source of a library */
    RDB_KEY,       /* a key begins: name, db, type, and what is said of it */
    RDB_VALUE,     /* *used bytes of its value, all there were */
    RDB_VALUE_END, /* *used bytes, the last ones */
    RDB_END,       /* the file is whole */
};

enum { RDB_NO_TIME = -1, RDB_TEXT_MAX = 512 * 1024 * 1024 };

struct rdb_reader {
    struct span name, text; /* lent until the next call */
    uint64_t db;
    const struct rdb_type *type;
    uint8_t type_byte;
    int64_t expire_at; /* ms since 1970, or RDB_NO_TIME */
    int64_t idle;      /* s, or RDB_NO_TIME */
    int16_t freq;      /* or RDB_NO_TIME */
    uint16_t stamp;    /* at RDB_VALUE_END: the lowest version for a payload */
    bool empty;       /* at RDB_VALUE_END: a collection without elements, an old server's mistake */
    uint32_t version; /* of the file, once a fact has come */
    bool valkey;
    uint64_t offset;       /* bytes used so far */
    uint64_t modules_left; /* MODULE_AUX fields that were passed over */
    uint64_t checksum;     /* at RDB_END: as the file has it; 0: it was written without one */
    char error[160];
    /* Private from here on. */
    uint8_t state, op, head_len;
    uint8_t text_count, number_count;
    char head[9];
    uint64_t numbers[2];
    bool key_done;
    uint64_t crc;
    struct rdb_walk walk;
    struct rdb_text texts[2];
    const struct crc64_tables *tables;
};

/* Borrows the tables. */
void rdb_reader_open(struct rdb_reader *r, const struct crc64_tables *tables);
void rdb_reader_close(struct rdb_reader *r);
enum rdb_fact rdb_read(struct rdb_reader *r, const char *bytes, size_t len, size_t *used);

#endif
