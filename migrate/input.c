#include "migrate/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int input_open(struct input *in, uv_loop_t *loop, const char *path,
               size_t (*on_data)(void *context, struct span bytes),
               void (*on_end)(void *context, int error), void *context)
{
    *in = (struct input){ .loop = loop, .on_data = on_data, .on_end = on_end, .context = context };
    in->file = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    return in->file >= 0 ? 0 : errno;
}

static void close_file(struct input *in)
{
    if (in->file > STDIN_FILENO)
        close(in->file);
    in->file = -1;
}

static void end(struct input *in, int error)
{
    in->ended = true;
    in->on_end(in->context, error);
}

static void on_read(uv_fs_t *request)
{
    struct input *in = request->data;
    ssize_t n = request->result;
    uv_fs_req_cleanup(request);
    in->reading = false;
    if (in->closing) {
        close_file(in);
        return;
    }
    if (n <= 0) {
        end(in, (int)-n);
        return;
    }
    in->at = 0;
    in->len = (size_t)n;
    input_go_on(in);
}

static void read_more(struct input *in)
{
    uv_buf_t buffer = uv_buf_init(in->buffer, INPUT_BUFFER);
    in->request.data = in;
    in->reading = true;
    int rc = uv_fs_read(in->loop, &in->request, in->file, &buffer, 1, -1, on_read);
    if (rc == 0)
        return;
    in->reading = false;
    end(in, -rc);
}

void input_go_on(struct input *in)
{
    if (in->reading || in->closing || in->ended)
        return;
    if (in->at < in->len)
        in->at += in->on_data(in->context, (struct span){ in->buffer + in->at, in->len - in->at });
    if (in->at == in->len && !in->closing && !in->ended)
        read_more(in);
}

void input_close(struct input *in)
{
    if (in->closing)
        return;
    in->closing = true;
    if (!in->reading)
        close_file(in);
}
