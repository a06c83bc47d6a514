#include "proxy/scripts.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "resp/request.h"
#include "resp/writer.h"

struct script {
    struct list_node in_use_order;
    struct script *next; /* in its bucket */
    char sha[SCRIPTS_SHA_LEN];
    size_t len;
    char body[];
};

struct library {
    struct list_node in_list;
    size_t len;
    char text[];
};

/* --- scripts ---------------------------------------------------------------------------------- */

/* False: these are not 40 hex digits. */
static bool read_sha(struct span text, char sha[SCRIPTS_SHA_LEN])
{
    if (text.len != SCRIPTS_SHA_LEN)
        return false;
    for (size_t i = 0; i < SCRIPTS_SHA_LEN; i++) {
        char ch = text.at[i];
        ch = (char)(ch >= 'A' && ch <= 'F' ? ch | 0x20 : ch);
        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f')))
            return false;
        sha[i] = ch;
    }
    return true;
}

/* The bucket by three hex digits; a SHA1 is spread evenly as it is. */
static struct script **bucket_of(struct scripts *s, const char sha[SCRIPTS_SHA_LEN])
{
    uint32_t n = 0;
    for (int i = 0; i < 3; i++)
        n = n * 16 + (uint32_t)(sha[i] <= '9' ? sha[i] - '0' : sha[i] - 'a' + 10);
    return &s->buckets[n % SCRIPTS_BUCKETS];
}

static struct script **find(struct scripts *s, const char sha[SCRIPTS_SHA_LEN])
{
    struct script **at = bucket_of(s, sha);
    while (*at != NULL && memcmp((*at)->sha, sha, SCRIPTS_SHA_LEN) != 0)
        at = &(*at)->next;
    return at;
}

static void forget(struct scripts *s, struct script **at)
{
    struct script *gone = *at;
    REQUIRE(gone != NULL);
    *at = gone->next;
    list_remove(&gone->in_use_order);
    s->count--;
    s->bytes -= gone->len;
    free(gone);
}

static void used_now(struct scripts *s, struct script *one)
{
    list_remove(&one->in_use_order);
    list_append(&s->by_use, &one->in_use_order);
}

static struct script *oldest(struct scripts *s)
{
    return LIST_ENTRY(s->by_use.next, struct script, in_use_order);
}

static void hash(const struct scripts *s, struct span body, char sha[SCRIPTS_SHA_LEN])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[SCRIPTS_SHA_LEN / 2];
    REQUIRE(EVP_Digest(body.at, body.len, raw, NULL, s->sha1, NULL) == 1);
    for (size_t i = 0; i < sizeof(raw); i++) {
        sha[2 * i] = digits[raw[i] >> 4];
        sha[2 * i + 1] = digits[raw[i] & 15];
    }
}

/* True: it is new. */
static bool remember(struct scripts *s, struct span body)
{
    char sha[SCRIPTS_SHA_LEN];
    if (body.len > SCRIPTS_BYTES_MAX / 4)
        return false;
    hash(s, body, sha);
    struct script **at = find(s, sha);
    if (*at != NULL) {
        used_now(s, *at);
        return false;
    }
    struct script *one = malloc(sizeof(*one) + body.len);
    REQUIRE(one != NULL);
    memcpy(one->sha, sha, sizeof(sha));
    memcpy(one->body, body.at, body.len);
    one->len = body.len;
    one->next = NULL;
    *at = one;
    list_append(&s->by_use, &one->in_use_order);
    s->count++;
    s->bytes += one->len;
    while (s->count > SCRIPTS_MAX || s->bytes > SCRIPTS_BYTES_MAX)
        forget(s, find(s, oldest(s)->sha));
    return true;
}

static void forget_scripts(struct scripts *s)
{
    while (s->count > 0)
        forget(s, find(s, oldest(s)->sha));
}

bool scripts_knows(struct scripts *s, struct span text)
{
    char sha[SCRIPTS_SHA_LEN];
    return read_sha(text, sha) && *find(s, sha) != NULL;
}

/* --- libraries -------------------------------------------------------------------------------- */

/* The name in a library's first line, "#!lua name=mylib"; len 0: there is none. */
static struct span name_of(struct span text)
{
    static const char key[] = " name=";
    const char *nl = memchr(text.at, '\n', text.len);
    size_t line = nl == NULL ? text.len : (size_t)(nl - text.at);
    const char *at = memmem(text.at, line, key, sizeof(key) - 1);
    if (at == NULL)
        return (struct span){ text.at, 0 };
    at += sizeof(key) - 1;
    size_t len = 0, room = line - (size_t)(at - text.at);
    while (len < room && at[len] != ' ' && at[len] != '\r')
        len++;
    return (struct span){ at, len };
}

static struct library *library_of(struct list_node *n)
{
    return LIST_ENTRY(n, struct library, in_list);
}

static void drop_library(struct scripts *s, struct library *gone)
{
    list_remove(&gone->in_list);
    s->library_count--;
    free(gone);
}

static struct library *find_library(struct scripts *s, struct span name)
{
    for (struct list_node *n = s->libraries.next; n != &s->libraries; n = n->next) {
        struct library *l = library_of(n);
        if (span_equal(name_of((struct span){ l->text, l->len }), name))
            return l;
    }
    return NULL;
}

static bool remember_library(struct scripts *s, struct span text, bool replace)
{
    struct span name = name_of(text);
    if (name.len == 0 || text.len > SCRIPTS_BYTES_MAX / LIBRARIES_MAX)
        return false;
    struct library *known = find_library(s, name);
    if (known != NULL && !replace)
        return false;
    if (known != NULL)
        drop_library(s, known);
    if (s->library_count == LIBRARIES_MAX)
        drop_library(s, library_of(s->libraries.next));
    struct library *l = malloc(sizeof(*l) + text.len);
    REQUIRE(l != NULL);
    memcpy(l->text, text.at, text.len);
    l->len = text.len;
    list_append(&s->libraries, &l->in_list);
    s->library_count++;
    return true;
}

static void forget_libraries(struct scripts *s)
{
    while (s->library_count > 0)
        drop_library(s, library_of(s->libraries.next)); /* NOLINT(clang-analyzer-unix.Malloc) */
}

/* --- what goes by -------------------------------------------------------------------------- */

/* Each gives whether the other workers have to know. */

static bool see_eval(struct scripts *s, const struct argv *argv)
{
    return remember(s, argv_get(argv, 1));
}

/* A script in use is not the one to drop. */
static bool see_evalsha(struct scripts *s, const struct argv *argv)
{
    char sha[SCRIPTS_SHA_LEN];
    struct script *one = read_sha(argv_get(argv, 1), sha) ? *find(s, sha) : NULL;
    if (one != NULL)
        used_now(s, one);
    return false;
}

static bool see_load(struct scripts *s, const struct argv *argv)
{
    return remember(s, argv_get(argv, 2));
}

/* FLUSH takes ASYNC or SYNC; with anything else it fails and forgets nothing. */
static bool flushes(const struct argv *argv)
{
    return argv->count == 2 || (argv->count == 3 && (span_is(argv_get(argv, 2), "async") ||
                                                     span_is(argv_get(argv, 2), "sync")));
}

static bool see_flush(struct scripts *s, const struct argv *argv)
{
    if (flushes(argv))
        forget_scripts(s);
    return flushes(argv);
}

static bool see_function_load(struct scripts *s, const struct argv *argv)
{
    bool replace = argv->count == 4 && span_is(argv_get(argv, 2), "replace");
    return (argv->count == 3 || replace) &&
           remember_library(s, argv_get(argv, argv->count - 1), replace);
}

static bool see_function_delete(struct scripts *s, const struct argv *argv)
{
    struct library *l = find_library(s, argv_get(argv, 2));
    if (l != NULL)
        drop_library(s, l);
    return true;
}

static bool see_function_flush(struct scripts *s, const struct argv *argv)
{
    if (flushes(argv))
        forget_libraries(s);
    return flushes(argv);
}

static const struct {
    const char *container, *name;
    bool (*see)(struct scripts *s, const struct argv *argv);
} sights[] = {
    { NULL, "eval", see_eval },
    { NULL, "eval_ro", see_eval },
    { NULL, "evalsha", see_evalsha },
    { NULL, "evalsha_ro", see_evalsha },
    { "function", "delete", see_function_delete },
    { "function", "flush", see_function_flush },
    { "function", "load", see_function_load },
    { "script", "flush", see_flush },
    { "script", "load", see_load },
};

static bool is_row(const struct command *cmd, const char *container, const char *name)
{
    const char *parent = cmd->parent != NULL ? cmd->parent->name : NULL;
    return strcmp(cmd->name, name) == 0 && (parent == NULL) == (container == NULL) &&
           (parent == NULL || strcmp(parent, container) == 0);
}

bool scripts_see(struct scripts *s, const struct command *cmd, const struct argv *argv)
{
    bool news = false;
    for (size_t i = 0; i < ARRAY_LEN(sights); i++)
        if (is_row(cmd, sights[i].container, sights[i].name))
            news = sights[i].see(s, argv) || news;
    return news;
}

/* --- rescue ----------------------------------------------------------------------------------- */

/* The argument at index 1 of a request that was parsed before. */
static struct span first_argument(const struct request *r, struct arg_room *room)
{
    size_t used;
    struct argv argv = request_again((struct span){ r->bytes, r->len }, room, &used);
    REQUIRE(argv.count > 1);
    return argv_get(&argv, 1);
}

/* "SCRIPT LOAD body" or "FUNCTION LOAD body". */
static void write_load(struct writer *w, const char *container, struct span body)
{
    write_array(w, 3);
    write_bulk_text(w, container);
    write_bulk_text(w, "LOAD");
    write_bulk(w, body);
}

void scripts_write_all(const struct scripts *s, struct writer *w)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->by_use, n, safe) {
        const struct script *one = LIST_ENTRY(n, struct script, in_use_order);
        write_load(w, "SCRIPT", (struct span){ one->body, one->len });
    }
    LIST_EACH (&s->libraries, n, safe)
        write_load(w, "FUNCTION", (struct span){ library_of(n)->text, library_of(n)->len });
}

/* The request that lacked it comes behind. */
static void tell(struct scripts *s, struct link *l, const char *container, struct span body)
{
    struct writer w;
    writer_init(&w, 2);
    write_load(&w, container, body);
    router_tell(s->router, l, writer_span(&w));
    writer_close(&w);
}

static struct script *find_text(struct scripts *s, struct span text)
{
    char sha[SCRIPTS_SHA_LEN];
    return read_sha(text, sha) ? *find(s, sha) : NULL;
}

static bool load_script(struct scripts *s, struct link *l, struct span text)
{
    struct script *one = find_text(s, text);
    if (one == NULL)
        return false;
    used_now(s, one);
    tell(s, l, "SCRIPT", (struct span){ one->body, one->len });
    return true;
}

/* Which library has the function only the node could say, so it gets all; those that it has it
   refuses. */
static bool load_libraries(struct scripts *s, struct link *l)
{
    for (struct list_node *n = s->libraries.next; n != &s->libraries; n = n->next)
        tell(s, l, "FUNCTION", (struct span){ library_of(n)->text, library_of(n)->len });
    return s->library_count > 0;
}

/* The scripts used last go ahead of all requests, as far as they are few. So a pipeline does not
   find out in its middle that the node lacks one, when a younger write may have overtaken the call.
 */
static void greet(void *context, struct link *l)
{
    struct scripts *s = context;
    uint32_t count = 0;
    uint64_t bytes = 0;
    struct list_node *n = s->by_use.prev;
    for (; n != &s->by_use && l->kind <= LINK_RESP3; n = n->prev) {
        const struct script *one = LIST_ENTRY(n, struct script, in_use_order);
        bytes += one->len;
        if (++count > GREETING_SCRIPTS_MAX || bytes > GREETING_BYTES_MAX)
            return;
        tell(s, l, "SCRIPT", (struct span){ one->body, one->len });
    }
}

/* A script that does not compile is none: Redis keeps it as little. */
static void forget_broken(struct scripts *s, const struct request *r)
{
    struct arg_room room = { 0 };
    char sha[SCRIPTS_SHA_LEN];
    hash(s, first_argument(r, &room), sha);
    arg_room_close(&room);
    struct script **at = find(s, sha);
    if (*at != NULL)
        forget(s, at);
}

static bool begins(struct span error, const char *text)
{
    size_t len = strlen(text);
    return error.len >= len && memcmp(error.at, text, len) == 0;
}

static bool rescue(void *context, struct link *l, const struct request *r, struct span error)
{
    struct scripts *s = context;
    const char *name = r->cmd->name;
    if (begins(error, "-NOSCRIPT ") && strncmp(name, "evalsha", 7) == 0) {
        struct arg_room room = { 0 };
        bool loaded = load_script(s, l, first_argument(r, &room));
        arg_room_close(&room);
        return loaded;
    }
    if (begins(error, "-ERR Function not found") && strncmp(name, "fcall", 5) == 0)
        return load_libraries(s, l);
    if (begins(error, "-ERR Error compiling script") && strncmp(name, "eval", 4) == 0 &&
        strncmp(name, "evalsha", 7) != 0)
        forget_broken(s, r);
    return false;
}

/* --- blocks ----------------------------------------------------------------------------------- */

uint32_t scripts_write_loads(struct scripts *s, struct span block, struct writer *w)
{
    struct arg_room room = { 0 };
    bool has_libraries = false;
    uint32_t count = 0;
    for (size_t at = 0, used; at < block.len; at += used) {
        struct argv argv =
            request_again((struct span){ block.at + at, block.len - at }, &room, &used);
        struct span name = argv_get(&argv, 0);
        bool by_sha = span_is(name, "evalsha") || span_is(name, "evalsha_ro");
        struct script *one = by_sha ? find_text(s, argv_get(&argv, 1)) : NULL;
        if (one != NULL) {
            write_load(w, "SCRIPT", (struct span){ one->body, one->len });
            count++;
        }
        if (has_libraries || !(span_is(name, "fcall") || span_is(name, "fcall_ro")))
            continue;
        has_libraries = true;
        for (struct list_node *n = s->libraries.next; n != &s->libraries; n = n->next, count++)
            write_load(w, "FUNCTION", (struct span){ library_of(n)->text, library_of(n)->len });
    }
    arg_room_close(&room);
    return count;
}

static void prepare(void *context, struct link *l, const struct request *r)
{
    struct scripts *s = context;
    struct writer w;
    writer_init(&w, 2);
    uint32_t count = scripts_write_loads(s, (struct span){ r->bytes, r->len }, &w);
    struct span rest = writer_span(&w);
    struct arg_room room = { 0 };
    for (; count > 0; count--) {
        size_t used;
        request_again(rest, &room, &used);
        router_tell(s->router, l, (struct span){ rest.at, used });
        rest = (struct span){ rest.at + used, rest.len - used };
    }
    arg_room_close(&room);
    writer_close(&w);
}

bool scripts_heal(struct scripts *s, const struct command *cmd, const struct argv *argv,
                  struct span error)
{
    if (begins(error, "-NOSCRIPT ") && strncmp(cmd->name, "evalsha", 7) == 0)
        return scripts_knows(s, argv_get(argv, 1));
    return begins(error, "-ERR Function not found") && strncmp(cmd->name, "fcall", 5) == 0 &&
           s->library_count > 0;
}

/* --- life ------------------------------------------------------------------------------------- */

void scripts_open(struct scripts *s, struct router *rt)
{
    *s = (struct scripts){ .router = rt };
    list_init(&s->by_use);
    list_init(&s->libraries);
    s->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    REQUIRE(s->sha1 != NULL);
    rt->rescue = rescue;
    rt->greet = greet;
    rt->prepare = prepare;
    rt->rescue_context = s;
}

void scripts_close(struct scripts *s)
{
    forget_scripts(s);
    forget_libraries(s);
    EVP_MD_free(s->sha1);
}
