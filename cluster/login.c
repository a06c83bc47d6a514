#include "cluster/login.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "resp/writer.h"

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

enum login_kind { MUST, MAY_FAIL, PEER };

struct login_call {
    struct pipe_call call;
    enum login_kind kind;
};

static void send_words(struct pipe *p, enum login_kind kind, const char *const *words, size_t count)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, words, count);
    struct login_call *call = calloc(1, sizeof(*call));
    REQUIRE(call != NULL);
    call->kind = kind;
    pipe_send(p, &call->call, writer_span(&w));
    writer_close(&w);
}

uint32_t login_send(struct pipe *p, const struct login_words *words, int protocol)
{
    const char *user = words->user, *password = words->password;
    char number[8];
    uint32_t calls = 0;
    if (is_given(password) && is_given(user))
        send_words(p, MUST, (const char *[]){ "AUTH", user, password }, 3);
    else if (is_given(password))
        send_words(p, MUST, (const char *[]){ "AUTH", password }, 2);
    calls += is_given(password);
    if (protocol == 3)
        send_words(p, MUST, (const char *[]){ "HELLO", "3" }, 2);
    snprintf(number, sizeof(number), "%u", words->database);
    if (words->database != 0)
        send_words(p, MUST, (const char *[]){ "SELECT", number }, 2);
    if (is_given(words->name))
        send_words(p, words->name_is_wish ? MAY_FAIL : MUST,
                   (const char *[]){ "CLIENT", "SETNAME", words->name }, 3);
    if (words->asks_peer)
        send_words(p, PEER, (const char *[]){ "PROXY", "FENCE" }, 2);
    return calls + (protocol == 3) + (words->database != 0) + is_given(words->name) +
           words->asks_peer;
}

uint32_t login_send_readonly(struct pipe *p)
{
    send_words(p, MUST, (const char *[]){ "READONLY" }, 1);
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

/* "+ID": a short line, so that a node sends it in one piece. */
static void keep_peer(struct span bytes, char first, char peer[LOGIN_PEER_MAX])
{
    size_t n = 0;
    for (size_t i = 1; first == '+' && i < bytes.len && n < LOGIN_PEER_MAX - 1; i++)
        if (bytes.at[i] != '\r' && bytes.at[i] != '\n')
            peer[n++] = bytes.at[i];
    peer[n] = '\0';
}

enum login_step login_take(struct pipe_call *call, struct span bytes, char first, bool done,
                           const struct endpoint *to, char peer[LOGIN_PEER_MAX])
{
    enum login_kind kind = CONTAINER_OF(call, struct login_call, call)->kind;
    if (done)
        login_drop(call);
    if (kind == PEER)
        keep_peer(bytes, first, peer);
    if (kind == MUST && (first == '-' || first == '!' || first == '\0')) {
        log_refused(bytes, to);
        return LOGIN_REFUSED;
    }
    return done ? LOGIN_ANSWERED : LOGIN_MORE;
}

void login_drop(struct pipe_call *call)
{
    free(CONTAINER_OF(call, struct login_call, call));
}
