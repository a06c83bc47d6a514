#include "migrate/admin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "migrate/advice.h"

enum { ASK_MS = 5000, READ_MS = 10 * 1000, OWED_MAX = 256 * 1024, SAY_MAX = 8192 };

/*
 *   ASKING (a line is awaited, for ASK_MS) -> ANSWERING (the user's) -> LEAVING (what is written
 *   may take READ_MS to be read) -> closed; a client that hangs up is closed at once.
 */
struct admin_client {
    struct admin *admin; /* NULL: it is closing */
    uv_pipe_t pipe;
    uv_timer_t timer;
    int handles; /* open ones */
    bool answering, leaving;
    size_t len;
    char line[ADMIN_LINE_MAX];
};

static const char full[] = "ERR 8 others are asking; ask again when one of them has gone";
_Static_assert(ADMIN_CLIENTS == 8, "as the text says");

struct words {
    uv_write_t request;
    struct admin_client *client;
    char text[];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct admin_client *c = handle->data;
    if (--c->handles == 0)
        free(c);
}

static void drop(struct admin_client *c)
{
    struct admin *a = c->admin;
    if (a == NULL)
        return;
    for (int i = 0; i < ADMIN_CLIENTS; i++)
        if (a->clients[i] == c)
            a->clients[i] = NULL;
    c->admin = NULL;
    if (c->answering)
        a->user->on_gone(a->context, c);
    c->answering = false;
    uv_close((uv_handle_t *)&c->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}

/* --- what is said -------------------------------------------------------------------------- */

static void drop_if_done(struct admin_client *c)
{
    if (c->leaving && c->admin != NULL &&
        uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0)
        drop(c);
}

static void on_written(uv_write_t *request, int status)
{
    struct words *w = CONTAINER_OF(request, struct words, request);
    struct admin_client *c = w->client;
    free(w);
    if (status < 0)
        drop(c);
    else
        drop_if_done(c);
}

static void say(struct admin_client *c, const char *text, size_t len)
{
    struct words *w = malloc(sizeof(*w) + len);
    REQUIRE(w != NULL);
    w->client = c;
    memcpy(w->text, text, len);
    uv_buf_t buf = uv_buf_init(w->text, (unsigned)len);
    if (uv_write(&w->request, (uv_stream_t *)&c->pipe, &buf, 1, on_written) != 0)
        free(w);
}

void admin_say(struct admin_client *c, const char *fmt, ...)
{
    char text[SAY_MAX];
    va_list args;
    if (c->admin == NULL || uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) > OWED_MAX)
        return;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text) - 1, fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) - 1 ? (size_t)n : sizeof(text) - 2;
    text[len++] = '\n';
    say(c, text, len);
}

/* What fits into the socket goes out: nobody waits for the rest. */
static void say_last(struct admin_client *c, const char *last)
{
    uv_buf_t bufs[] = { uv_buf_init((char *)(uintptr_t)last, (unsigned)strlen(last)),
                        uv_buf_init((char[]){ '\n' }, 1) };
    uv_try_write((uv_stream_t *)&c->pipe, bufs, ARRAY_LEN(bufs));
}

static void on_timer(uv_timer_t *timer)
{
    drop(timer->data);
}

void admin_end(struct admin_client *c, const char *why)
{
    if (c->admin == NULL)
        return;
    c->answering = false;
    c->leaving = true;
    uv_timer_start(&c->timer, on_timer, READ_MS, 0);
    if (why == NULL)
        admin_say(c, "OK");
    else
        admin_say(c, "ERR %s", why);
}

void admin_refuse(struct admin_client *client, const char *why)
{
    char text[512];
    if (why != NULL)
        snprintf(text, sizeof(text), "%.256s; %s", why, advice_on(ADVICE_ADMIN, why));
    admin_end(client, why != NULL ? text : NULL);
}

/* --- what is asked ------------------------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct admin_client *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->line + c->len, (unsigned)(sizeof(c->line) - 1 - c->len));
}

static void take_line(struct admin_client *c)
{
    char *end = memchr(c->line, '\n', c->len);
    if (end == NULL && c->len == sizeof(c->line) - 1)
        drop(c);
    if (end == NULL)
        return;
    *end = '\0';
    if (end > c->line && end[-1] == '\r')
        end[-1] = '\0';
    c->answering = true;
    uv_timer_stop(&c->timer);
    c->admin->user->on_line(c->admin->context, c, c->line);
}

/* Behind the line only the end is of interest: what else comes is thrown away. */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct admin_client *c = stream->data;
    (void)buf;
    if (n < 0) {
        drop(c);
        return;
    }
    if (c->answering || c->leaving)
        return;
    c->len += (size_t)n;
    take_line(c);
}

static void on_client(uv_stream_t *server, int status)
{
    struct admin *a = server->data;
    struct admin_client *c = calloc(1, sizeof(*c));
    REQUIRE(c != NULL);
    c->admin = a;
    c->handles = 2;
    uv_pipe_init(server->loop, &c->pipe, 0);
    uv_timer_init(server->loop, &c->timer);
    c->pipe.data = c->timer.data = c;
    int free_at = 0;
    while (free_at < ADMIN_CLIENTS && a->clients[free_at] != NULL)
        free_at++;
    bool accepted = status == 0 && uv_accept(server, (uv_stream_t *)&c->pipe) == 0;
    if (accepted && free_at == ADMIN_CLIENTS)
        say_last(c, full);
    if (!accepted || free_at == ADMIN_CLIENTS) {
        drop(c);
        return;
    }
    a->clients[free_at] = c;
    uv_timer_start(&c->timer, on_timer, ASK_MS, 0);
    uv_read_start((uv_stream_t *)&c->pipe, on_room, on_read);
}

/* --- life ---------------------------------------------------------------------------------- */

static bool somebody_listens(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    bool there = connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return there;
}

int admin_open(struct admin *a, uv_loop_t *loop, const char *path, const struct admin_user *user,
               void *context)
{
    struct stat st;
    *a = (struct admin){ .user = user, .context = context };
    if (strlen(path) >= sizeof(a->path))
        return ENAMETOOLONG;
    strcpy(a->path, path);
    if (somebody_listens(path))
        return EADDRINUSE;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    uv_pipe_init(loop, &a->pipe, 0);
    a->pipe.data = a;
    a->open = true;
    mode_t before = umask(0177);
    int rc = uv_pipe_bind(&a->pipe, path);
    umask(before);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&a->pipe, ADMIN_CLIENTS, on_client);
    if (rc == 0)
        return 0;
    a->open = false;
    uv_close((uv_handle_t *)&a->pipe, NULL);
    return -rc;
}

void admin_close(struct admin *a, const char *last)
{
    if (!a->open)
        return;
    a->open = false;
    for (int i = 0; i < ADMIN_CLIENTS; i++) {
        if (a->clients[i] == NULL)
            continue;
        if (a->clients[i]->answering)
            say_last(a->clients[i], last);
        drop(a->clients[i]);
    }
    uv_close((uv_handle_t *)&a->pipe, NULL);
    unlink(a->path);
}
