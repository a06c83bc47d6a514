/*
 * fake_source.h: a source of replication that says what no server here would: the stream of an old
 * Redis, a vendor's extra words, a connection that breaks off inside a command.
 *
 * One thread, one replica at a time. The first connection gets a full copy and the first stream,
 * the next one the second stream behind +CONTINUE. The functions belong to the main thread.
 */
#ifndef TEST_LIB_FAKE_SOURCE_H
#define TEST_LIB_FAKE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_source_script {
    const char *payload;
    size_t payload_len;
    bool marked;            /* "$EOF:", and the stream only behind the second ACK; else "$LENGTH" */
    bool loading;           /* the first PSYNC is answered by -LOADING */
    const char *streams[2]; /* NUL-terminated; NULL: none */
    size_t stream_len[2];   /* 0: up to the NUL */
    bool cut;               /* closes behind the first stream */
    const char *continued;  /* what the second PSYNC is answered by */
};

enum { FAKE_SOURCE_OFFSET = 1000 }; /* of the full copy */

struct fake_source;

/* Borrows the script. */
struct fake_source *fake_source_start(uint16_t port, const struct fake_source_script *script);
void fake_source_stop(struct fake_source *f);
/* What it was told last: the offset acknowledged, the words of the last PSYNC. */
uint64_t fake_source_acknowledged(struct fake_source *f);
void fake_source_asked(struct fake_source *f, char out[128]);

#endif
