#include "migrate/apply_across_steps.h"

#include "base/text.h"
#include "cluster/keyslot.h"
#include "resp/value.h"

enum { TEMPORARY_MS = 60 * 1000 };

/* --- which kind ---------------------------------------------------------------------------- */

/* BY and GET read keys that the command does not name. */
static bool sorts_by_patterns(const struct argv *argv)
{
    for (uint32_t i = 2; i + 1 < argv->count; i++)
        if (span_is(argv_get(argv, i), "get") ||
            (span_is(argv_get(argv, i), "by") &&
             memchr(argv_get(argv, i + 1).at, '*', argv_get(argv, i + 1).len) != NULL))
            return true;
    return false;
}

/* The one key that it writes, or several of them in one slot; 0: none, or several slots. */
static uint32_t written_key(const struct command *cmd, const struct argv *argv)
{
    struct key_walk walk;
    uint32_t at = 0;
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk)) {
        if ((walk.key.flags & (KEY_OW | KEY_RW | KEY_RM)) == 0)
            continue;
        if (at != 0 && keyslot_of(argv_get(argv, at)) != keyslot_of(argv_get(argv, walk.key.arg)))
            return 0;
        at = walk.key.arg;
    }
    return at;
}

enum across_kind across_kind_of(const struct command *cmd, const struct argv *argv, uint32_t *at)
{
    static const struct {
        const char *name;
        enum across_kind kind;
    } moves[] = {
        { "copy", ACROSS_COPY },       { "lmove", ACROSS_POP },     { "rename", ACROSS_RENAME },
        { "renamenx", ACROSS_RENAME }, { "rpoplpush", ACROSS_POP },
    };
    struct span name = argv_get(argv, 0);
    *at = 2;
    if (span_is(name, "copy") && argv->count > 3 && span_is(argv_get(argv, 3), "db"))
        return ACROSS_NONE;
    for (size_t i = 0; i < ARRAY_LEN(moves); i++)
        if (span_is(name, moves[i].name))
            return moves[i].kind;
    *at = 0;
    if (cmd == NULL || cmd->how != HOW_GATHER || (cmd->flags & CMD_WRITE) == 0 ||
        (span_is(name, "sort") && sorts_by_patterns(argv)))
        return ACROSS_NONE;
    *at = written_key(cmd, argv);
    return *at != 0 ? ACROSS_GATHER : ACROSS_NONE;
}

/* --- words --------------------------------------------------------------------------------- */

static void put_words(struct writer *w, const struct span *words, size_t count)
{
    write_array(w, count);
    for (size_t i = 0; i < count; i++)
        write_bulk(w, words[i]);
}

/* LMOVE source destination LEFT|RIGHT LEFT|RIGHT; RPOPLPUSH is one with RIGHT LEFT. */
static bool is_left(const struct argv *argv, uint32_t at, bool otherwise)
{
    return argv->count > at ? span_is(argv_get(argv, at), "left") : otherwise;
}

struct span across_ask(enum across_kind kind, const struct argv *argv, struct span key,
                       struct writer *w)
{
    struct span end = is_left(argv, 3, false) ? SPAN("0") : SPAN("-1");
    switch (kind) {
    case ACROSS_RENAME:
    case ACROSS_COPY:
    case ACROSS_GATHER:
        put_words(w, (struct span[]){ SPAN("DUMP"), key }, 2);
        return SPAN("dump");
    case ACROSS_POP:
        put_words(w, (struct span[]){ SPAN("LINDEX"), key, end }, 3);
        return SPAN("lindex");
    default:
        return SPAN("");
    }
}

/* --- what is written ----------------------------------------------------------------------- */

/* at NULL: the key is not there. */
static struct span text_of(const struct writer *reply)
{
    struct value_cursor c = { reply->at, reply->at + reply->len };
    struct value v;
    bool there = reply->len > 0 && value_next(&c, &v) && v.kind == VALUE_STRING;
    return there ? v.text : (struct span){ NULL, 0 };
}

static int64_t number_of(const struct writer *reply)
{
    struct value_cursor c = { reply->at, reply->at + reply->len };
    struct value v;
    return reply->len > 0 && value_next(&c, &v) && v.kind == VALUE_INTEGER ? v.number : -1;
}

/* The source's time to live, as RESTORE wants it; 0: none. */
static int64_t time_for_restore(const struct across_read *r, int64_t told)
{
    if (told < 0)
        return 0;
    int64_t at = r->expire_time ? told : r->now + told;
    if (!r->absolute)
        at -= r->now;
    return at > 0 ? at : 1;
}

static uint32_t write_moved(const struct across_read *r, struct writer *w, const char **why)
{
    const struct across_key *from = &r->keys[0];
    struct span payload = text_of(&from->value);
    char digits[TEXT_NUMBER_MAX];
    int64_t at = time_for_restore(r, number_of(&from->time));
    struct span words[] = {
        SPAN("RESTORE"), argv_get(r->argv, 2), { digits, text_from_i64(digits, at) },
        payload,         SPAN("REPLACE"),      SPAN("ABSTTL")
    };
    if (payload.at == NULL) {
        *why = "ERR no such key";
        return 0;
    }
    put_words(w, words, at != 0 && r->absolute ? 6 : 5);
    return 1;
}

static uint32_t write_pushed(const struct across_read *r, struct writer *w, const char **why)
{
    struct span element = text_of(&r->keys[0].value);
    struct span push = is_left(r->argv, 4, true) ? SPAN("LPUSH") : SPAN("RPUSH");
    if (element.at == NULL) {
        *why = "the list that it takes from has no element";
        return 0;
    }
    put_words(w, (struct span[]){ push, argv_get(r->argv, 2), element }, 3);
    return 1;
}

static void put_temporary(struct writer *w, const struct across_read *r, uint32_t i)
{
    write_bulk_format(w, "{%s}slotgate:migrate:across:%u", r->tag, i);
}

static bool is_copied(const struct across_read *r, uint32_t i)
{
    return r->keys[i].slot != r->slot && text_of(&r->keys[i].value).at != NULL;
}

static void put_copy(struct writer *w, const struct across_read *r, uint32_t i)
{
    write_array(w, 5);
    write_bulk(w, SPAN("RESTORE"));
    put_temporary(w, r, i);
    write_bulk_format(w, "%d", TEMPORARY_MS);
    write_bulk(w, text_of(&r->keys[i].value));
    write_bulk(w, SPAN("REPLACE"));
}

/* The command itself; the keys of other slots under their temporary names, whether they are there
   or not. */
static void put_renamed(struct writer *w, const struct across_read *r)
{
    uint32_t k = 0;
    write_array(w, r->argv->count);
    for (uint32_t arg = 0; arg < r->argv->count; arg++) {
        while (k < r->count && r->keys[k].arg < arg)
            k++;
        if (k < r->count && r->keys[k].arg == arg && r->keys[k].slot != r->slot)
            put_temporary(w, r, k);
        else
            write_bulk(w, argv_get(r->argv, arg));
    }
}

static uint32_t write_gathered(const struct across_read *r, struct writer *w)
{
    uint32_t copies = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        if (!is_copied(r, i))
            continue;
        put_copy(w, r, i);
        copies++;
    }
    put_renamed(w, r);
    if (copies == 0)
        return 1;
    write_array(w, copies + 1);
    write_bulk(w, SPAN("DEL"));
    for (uint32_t i = 0; i < r->count; i++)
        if (is_copied(r, i))
            put_temporary(w, r, i);
    return copies + 2;
}

static uint32_t write_as_is(const struct argv *argv, struct writer *w)
{
    write_array(w, argv->count);
    for (uint32_t i = 0; i < argv->count; i++)
        write_bulk(w, argv_get(argv, i));
    return 1;
}

uint32_t across_write(enum across_kind kind, const struct across_read *r, struct writer *w,
                      const char **why)
{
    switch (kind) {
    case ACROSS_RENAME:
    case ACROSS_COPY:
        return write_moved(r, w, why);
    case ACROSS_POP:
        return write_pushed(r, w, why);
    case ACROSS_GATHER:
        return write_gathered(r, w);
    default:
        return write_as_is(r->argv, w);
    }
}

uint32_t across_clear(enum across_kind kind, const struct argv *argv, struct span key,
                      struct writer *w)
{
    if (kind == ACROSS_RENAME)
        put_words(w, (struct span[]){ SPAN("DEL"), key }, 2);
    else if (kind == ACROSS_POP)
        put_words(w, (struct span[]){ is_left(argv, 3, false) ? SPAN("LPOP") : SPAN("RPOP"), key },
                  2);
    return kind == ACROSS_RENAME || kind == ACROSS_POP;
}
