#include "proxy/acl.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/acl_private.h"

enum { FILE_MAX = 16 << 20 };

struct acl {
    struct acl_user **users; /* sorted by name */
    size_t count, refs;
};

static struct acl *acl_new(void)
{
    struct acl *a = calloc(1, sizeof(*a));
    REQUIRE(a != NULL);
    a->users = calloc(1, sizeof(struct acl_user *));
    REQUIRE(a->users != NULL);
    a->refs = 1;
    return a;
}

struct acl *acl_ref(struct acl *a)
{
    a->refs++;
    return a;
}

void acl_unref(struct acl *a)
{
    if (a == NULL || --a->refs > 0)
        return;
    for (size_t i = 0; i < a->count; i++) {
        acl_user_free(a->users[i]);
        free(a->users[i]);
    }
    free(a->users);
    free(a);
}

/* The first place whose name is not smaller. */
static size_t place_of(const struct acl *a, struct span name)
{
    size_t i = 0;
    for (; i < a->count; i++) {
        const char *other = a->users[i]->name;
        size_t len = strlen(other), least = len < name.len ? len : name.len;
        int order = memcmp(other, name.at, least);
        if (order > 0 || (order == 0 && len >= name.len))
            break;
    }
    return i;
}

const struct acl_user *acl_find(const struct acl *a, struct span name)
{
    size_t i = place_of(a, name);
    if (i == a->count ||
        !span_equal(name, (struct span){ a->users[i]->name, strlen(a->users[i]->name) }))
        return NULL;
    return a->users[i];
}

static struct acl_user *add_user(struct acl *a, struct span name)
{
    size_t i = place_of(a, name);
    struct acl_user *u = calloc(1, sizeof(*u));
    a->users = realloc(a->users, (a->count + 1) * sizeof(struct acl_user *));
    REQUIRE(u != NULL && a->users != NULL);
    memmove(&a->users[i + 1], &a->users[i], (a->count - i) * sizeof(struct acl_user *));
    a->count++;
    acl_user_init(u, name);
    return a->users[i] = u;
}

const struct acl_user *acl_default(const struct acl *a)
{
    const struct acl_user *u = acl_find(a, SPAN("default"));
    REQUIRE(u != NULL);
    return u;
}

size_t acl_count(const struct acl *a)
{
    return a->count;
}

const struct acl_user *acl_at(const struct acl *a, size_t i)
{
    REQUIRE(i < a->count);
    return a->users[i];
}

/* --- one user --------------------------------------------------------------------------------- */

const char *acl_name(const struct acl_user *u)
{
    return u->name;
}

bool acl_opens(const struct acl_user *u, struct span password)
{
    unsigned char h[SHA256_DIGEST_LENGTH];
    bool found = u->no_password;
    SHA256((const unsigned char *)password.at, password.len, h);
    for (size_t i = 0; i < u->hash_count; i++)
        found |= CRYPTO_memcmp(u->hashes[i].bytes, h, sizeof(h)) == 0;
    return found && u->on;
}

bool acl_needs_no_password(const struct acl_user *u)
{
    return u->no_password;
}

bool acl_is_open(const struct acl_user *u)
{
    return u->on && u->no_password;
}

bool acl_is_free(const struct acl_user *u)
{
    return u->all_commands && u->keys.all && u->channels.all;
}

bool acl_is_same(const struct acl_user *a, const struct acl_user *b)
{
    char *x = acl_describe(a), *y = acl_describe(b);
    bool same = strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

/* --- where they come from --------------------------------------------------------------------- */

/* As Redis has it before anybody says otherwise. */
static void add_default(struct acl *a, const char *password)
{
    struct acl_user *u = add_user(a, SPAN("default"));
    u->on = u->no_password = true;
    u->all_first = u->all_commands = u->keys.all = u->channels.all = true;
    if (password == NULL)
        return;
    u->no_password = false;
    u->hashes = calloc(1, sizeof(*u->hashes));
    REQUIRE(u->hashes != NULL);
    u->hash_count = 1;
    SHA256((const unsigned char *)password, strlen(password), u->hashes[0].bytes);
}

struct acl *acl_of_password(const char *password)
{
    struct acl *a = acl_new();
    add_default(a, password);
    return a;
}

/* One line of the file, and where to say what is wrong with it. */
struct line {
    const char *path;
    int number;
    struct span rest; /* what has not been read of it */
    char *err;
    size_t cap;
};

PRINTF_LIKE(2, 3)
static bool wrong(const struct line *l, const char *fmt, ...)
{
    va_list args;
    int n = snprintf(l->err, l->cap, "acl-file %s line %d: ", l->path, l->number);
    va_start(args, fmt);
    if (n > 0 && (size_t)n < l->cap)
        vsnprintf(l->err + n, l->cap - (size_t)n, fmt, args);
    va_end(args);
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word, which ends at a blank; of no length at the end of the line. */
static struct span next_word(struct line *l)
{
    while (l->rest.len > 0 && is_blank(*l->rest.at))
        l->rest = (struct span){ l->rest.at + 1, l->rest.len - 1 };
    struct span word = { l->rest.at, 0 };
    while (word.len < l->rest.len && !is_blank(word.at[word.len]))
        word.len++;
    l->rest = (struct span){ word.at + word.len, l->rest.len - word.len };
    return word;
}

/* A rule that is wrong is shown only if it cannot be a piece of a password. */
static bool is_showable(struct span rule, struct span before)
{
    bool in_password = before.len > 0 && (*before.at == '>' || *before.at == '<');
    return !in_password && strchr("+-~%&(", *rule.at) != NULL;
}

static bool read_rules(struct line *l, struct acl_user *u, const struct command_table *t)
{
    struct span before = { "", 0 };
    int number = 1;
    for (struct span rule = next_word(l); rule.len > 0; rule = next_word(l), number++) {
        const char *fault = acl_user_apply(u, t, rule);
        if (fault != NULL && is_showable(rule, before))
            return wrong(l, "user %s, '%s': %s", u->name, log_bytes(rule.at, rule.len), fault);
        if (fault != NULL)
            return wrong(l, "user %s, rule %d: %s", u->name, number, fault);
        before = rule;
    }
    acl_user_finish(u, t);
    return true;
}

static bool read_line(struct line *l, struct acl *a, const struct command_table *t)
{
    struct span word = next_word(l);
    if (word.len == 0)
        return true;
    struct span name = next_word(l);
    if (!span_equal(word, SPAN("user")) || name.len == 0)
        return wrong(l, "it should begin with the word user and a name");
    if (memchr(name.at, '\0', name.len) != NULL || memchr(l->rest.at, '\0', l->rest.len) != NULL)
        return wrong(l, "it holds a zero byte");
    if (span_equal(name, SPAN("admin")))
        return wrong(l, "the user admin is the one of admin-password and cannot stand here");
    if (acl_find(a, name) != NULL)
        return wrong(l, "the user %s is there already", log_bytes(name.at, name.len));
    return read_rules(l, add_user(a, name), t);
}

/* l: of no line yet. */
static bool read_lines(struct acl *a, struct line *l, struct span text)
{
    struct command_table *t = command_table_new();
    bool ok = true;
    while (ok && text.len > 0) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.at) : text.len;
        l->number++;
        l->rest = (struct span){ text.at, len };
        ok = read_line(l, a, t);
        len += end != NULL;
        text = (struct span){ text.at + len, text.len - len };
    }
    command_table_free(t);
    return ok;
}

/* The whole file; NULL: it cannot be had, see errno. The caller frees it. */
static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    char *text = malloc(FILE_MAX);
    REQUIRE(text != NULL);
    *len = fread(text, 1, FILE_MAX, file);
    int fault = ferror(file) ? errno : *len == FILE_MAX ? EFBIG : 0;
    fclose(file);
    if (fault == 0)
        return text;
    free(text);
    errno = fault;
    return NULL;
}

struct acl *acl_load(const char *path, char *err, size_t cap)
{
    size_t len;
    char *text = read_file(path, &len);
    if (text == NULL) {
        snprintf(err, cap, "cannot read acl-file %s: %s", path, strerror(errno));
        return NULL;
    }
    struct acl *a = acl_new();
    struct line l = { .path = path, .err = err, .cap = cap };
    bool ok = read_lines(a, &l, (struct span){ text, len });
    OPENSSL_cleanse(text, len);
    free(text);
    if (!ok) {
        acl_unref(a);
        return NULL;
    }
    if (acl_find(a, SPAN("default")) == NULL)
        add_default(a, NULL);
    return a;
}
