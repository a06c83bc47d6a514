/*
 * input.h: reads a file, or stdin, on the loop and hands its bytes on as fast as they are taken.
 *
 * The reads themselves run in libuv's pool, so that a slow disk or pipe holds up nothing else.
 * Life: input_open -> on_data again and again -> on_end, once (0, or an errno) -> input_close.
 */
#ifndef MIGRATE_INPUT_H
#define MIGRATE_INPUT_H

#include <stdbool.h>
#include <uv.h>

#include "base/check.h"
#include "resp/span.h"

enum { INPUT_BUFFER = 256 * 1024 };

struct input {
    uv_loop_t *loop;
    uv_fs_t request;
    uv_file file;
    /* Gives how many of the bytes were taken; the rest comes again after input_go_on. */
    size_t (*on_data)(void *context, struct span bytes);
    void (*on_end)(void *context, int error);
    void *context;
    size_t at, len; /* what is in the buffer and not taken yet */
    bool reading, closing, ended;
    char buffer[INPUT_BUFFER];
};

/* path: "-" is stdin. Gives 0 or an errno. */
MUST_USE int input_open(struct input *in, uv_loop_t *loop, const char *path,
                        size_t (*on_data)(void *context, struct span bytes),
                        void (*on_end)(void *context, int error), void *context);
/* There is room again. To be called at the beginning, too. */
void input_go_on(struct input *in);
/* No callback comes any more; in must live until the loop has run empty. */
void input_close(struct input *in);

#endif
