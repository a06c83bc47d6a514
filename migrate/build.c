#include "migrate/build.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "migrate/target_databases.h"

enum build_state { BUILDING, DATING, RENAMING, REMOVING };

struct build {
    struct list_node link; /* in copy->builds */
    struct copy *copy;
    struct copy_wave *wave;
    struct rewrite rewrite;
    struct writer key, label; /* as in copy.h */
    uint16_t database;
    char temporary[80];
    int64_t expire_at, begun;
    uint32_t pending; /* commands not answered */
    uint8_t state;    /* enum build_state */
    bool ended, dated;
    char error[TARGET_ERROR_SHOWN]; /* the first one */
};

static void set_error(struct build *b, const char *why)
{
    if (b->error[0] == '\0')
        snprintf(b->error, sizeof(b->error), "%s", why);
}

static void on_done(void *context, const struct target_call *call)
{
    struct build *b = context;
    b->pending--;
    if (call->error[0] != '\0')
        set_error(b, call->error);
    else if (b->state == RENAMING && call->zero)
        set_error(b, "BUSYKEY there is such a key already");
}

static struct span key_of(const struct build *b)
{
    return writer_span(&b->key);
}

static void send_command(struct build *b, struct span name, struct span command, bool again)
{
    b->pending++;
    target_use(b->copy->target, b->database);
    target_send(b->copy->target, name, key_of(b), command, again, on_done, b);
    target_use(b->copy->target, 0);
}

/* count words behind which nothing follows. */
static void send_words(struct build *b, const struct span *words, size_t count, bool again)
{
    struct writer w;
    writer_init(&w, 2);
    write_array(&w, count);
    for (size_t i = 0; i < count; i++)
        write_bulk(&w, words[i]);
    send_command(b, words[0], writer_span(&w), again);
    writer_close(&w);
}

static struct span temporary(const struct build *b)
{
    return (struct span){ b->temporary, strlen(b->temporary) };
}

static void send_time(struct build *b, const char *name, int64_t ms)
{
    char digits[TEXT_NUMBER_MAX];
    struct span number = { digits, text_from_i64(digits, ms) };
    send_words(b, (struct span[]){ { name, strlen(name) }, temporary(b), number }, 3, true);
}

static void on_command(void *context, struct span name, struct span command, bool again)
{
    struct build *b = context;
    if (b->error[0] != '\0')
        return; /* nothing that could be added would help */
    send_command(b, name, command, again);
    if (!b->dated)
        send_time(b, "PEXPIRE", BUILD_TEMPORARY_MS);
    b->dated = true;
}

static int64_t field_time(void *context, struct span field, int64_t at)
{
    struct build *b = context;
    struct expiry *e = b->copy->options->expiry;
    return expiry_of_copied_field(e, writer_span(&b->label), field, at, b->begun);
}

struct build *build_new(struct copy *c, const struct rdb_type *type, struct span key,
                        int64_t expire_at)
{
    struct build *b = calloc(1, sizeof(*b));
    REQUIRE(b != NULL);
    b->copy = c;
    b->wave = copy_wave_of(c);
    b->wave->pending++;
    b->expire_at = expire_at;
    b->begun = copy_now(c);
    writer_init(&b->key, 2);
    write_raw(&b->key, key);
    writer_init(&b->label, 2);
    write_raw(&b->label, writer_span(&c->label));
    b->database = c->database;
    snprintf(b->temporary, sizeof(b->temporary), "{%s}slotgate:migrate:%016llx:%u",
             target_tag(c->target, key), (unsigned long long)c->random, c->build_number++);
    if (!rewrite_open(&b->rewrite, type, temporary(b), &c->target->facts, on_command, b))
        set_error(b, b->rewrite.error);
    if (c->options->expiry != NULL)
        b->rewrite.field_time = field_time;
    list_append(&c->builds, &b->link);
    c->build_count++;
    return b;
}

void build_free(struct build *b)
{
    list_remove(&b->link);
    b->wave->pending--;
    b->copy->build_count--;
    rewrite_close(&b->rewrite);
    writer_close(&b->key);
    writer_close(&b->label);
    free(b);
}

void build_take(struct build *b, struct span bytes)
{
    if (b->error[0] == '\0' && !rewrite_take(&b->rewrite, bytes))
        set_error(b, b->rewrite.error);
}

void build_end(struct build *b)
{
    b->ended = true;
    if (b->error[0] == '\0' && !rewrite_end(&b->rewrite))
        set_error(b, b->rewrite.error);
    build_progress(b);
}

/* --- steps --------------------------------------------------------------------------------- */

static void finish_removed(struct build *b)
{
    if (b->error[0] != '\0')
        copy_failed(b->copy, writer_span(&b->label), b->error);
    else
        b->copy->counters.expired++;
    build_free(b);
}

static void remove_temporary(struct build *b)
{
    b->state = REMOVING;
    if (b->rewrite.commands == 0) {
        finish_removed(b);
        return;
    }
    send_words(b, (struct span[]){ SPAN("DEL"), temporary(b) }, 2, true);
}

static void set_time(struct build *b)
{
    struct copy *c = b->copy;
    if (b->rewrite.commands == 0) { /* a collection without elements */
        c->counters.empty++;
        build_free(b);
        return;
    }
    if (b->expire_at != RDB_NO_TIME && b->expire_at <= copy_now(c)) {
        remove_temporary(b); /* its time has come while it was built */
        return;
    }
    b->state = DATING;
    if (b->expire_at == RDB_NO_TIME)
        send_words(b, (struct span[]){ SPAN("PERSIST"), temporary(b) }, 2, true);
    else
        send_time(b, "PEXPIREAT", b->expire_at);
}

static void rename_it(struct build *b)
{
    b->state = RENAMING;
    struct span name = b->copy->options->replace ? SPAN("RENAME") : SPAN("RENAMENX");
    send_words(b, (struct span[]){ name, temporary(b), key_of(b) }, 3, false);
}

static void finish(struct build *b)
{
    b->copy->counters.rewritten++;
    b->copy->counters.field_times_lost += b->rewrite.field_times_lost;
    build_free(b);
}

void build_progress(struct build *b)
{
    if (b->pending > 0 || !b->ended)
        return;
    if (b->state == REMOVING)
        finish_removed(b);
    else if (b->error[0] != '\0')
        remove_temporary(b);
    else if (b->state == BUILDING)
        set_time(b);
    else if (b->state == DATING)
        rename_it(b);
    else
        finish(b);
}
