#include "cluster/login.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "resp/writer.h"

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static void send_words(struct pipe *p, const char *const *words, size_t count)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, words, count);
    struct pipe_call *call = calloc(1, sizeof(*call));
    REQUIRE(call != NULL);
    pipe_send(p, call, writer_span(&w));
    writer_close(&w);
}

uint32_t login_send(struct pipe *p, const char *user, const char *password, int protocol,
                    uint16_t database)
{
    char number[8];
    uint32_t calls = 0;
    if (is_given(password) && is_given(user))
        send_words(p, (const char *[]){ "AUTH", user, password }, 3);
    else if (is_given(password))
        send_words(p, (const char *[]){ "AUTH", password }, 2);
    calls += is_given(password);
    if (protocol == 3)
        send_words(p, (const char *[]){ "HELLO", "3" }, 2);
    snprintf(number, sizeof(number), "%u", database);
    if (database != 0)
        send_words(p, (const char *[]){ "SELECT", number }, 2);
    return calls + (protocol == 3) + (database != 0);
}

uint32_t login_send_readonly(struct pipe *p)
{
    send_words(p, (const char *[]){ "READONLY" }, 1);
    return 1;
}

/* The server's reason, without anything that could carry a secret: its first word. */
static void log_refused(struct span bytes, const struct endpoint *node)
{
    char word[24];
    size_t n = 0;
    while (n + 1 < bytes.len && n < sizeof(word) - 1 && bytes.at[n + 1] > ' ') {
        word[n] = bytes.at[n + 1];
        n++;
    }
    word[n] = '\0';
    char to[ENDPOINT_TEXT_MAX];
    log_warn("login refused", "node=%s answer=%s", endpoint_text(node, to), word);
}

enum login_step login_take(struct pipe_call *call, struct span bytes, char first, bool done,
                           const struct endpoint *to)
{
    if (done)
        login_drop(call);
    if (first == '-' || first == '!' || first == '\0') {
        log_refused(bytes, to);
        return LOGIN_REFUSED;
    }
    return done ? LOGIN_ANSWERED : LOGIN_MORE;
}

void login_drop(struct pipe_call *call)
{
    free(call);
}
