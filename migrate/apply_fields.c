/* Commands about the times of single fields of hashes. Valkey 9 and Redis 8 send HPEXPIREAT,
   HPERSIST and HSETEX with absolute times, and Valkey HGETDEL as it is. */
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/apply_words.h"
#include "migrate/databases.h"

static const char bad_fields[] = "its fields or their time cannot be understood";

/* KEY ... FIELDS n field ...: where the words stand. */
struct fields {
    uint32_t first, count, each; /* word; fields; words for each of them */
};

/* at: of the word FIELDS. */
static bool find_fields(const struct argv *argv, uint32_t at, uint32_t each, struct fields *f)
{
    uint64_t count;
    if (at + 2 >= argv->count || !span_is(argv_get(argv, at), "fields"))
        return false;
    struct span number = argv_get(argv, at + 1);
    if (!text_to_u64(number.at, number.len, &count) || count == 0 || count > argv->count ||
        at + 2 + count * each != argv->count)
        return false;
    *f = (struct fields){ at + 2, (uint32_t)count, each };
    return true;
}

/* The caller frees them. */
static struct span *copy_fields(const struct argv *argv, const struct fields *f)
{
    struct span *names = malloc(f->count * sizeof(*names));
    REQUIRE(names != NULL);
    for (uint32_t i = 0; i < f->count; i++)
        names[i] = argv_get(argv, f->first + i * f->each);
    return names;
}

static void lose_times(struct apply *a, struct span key, uint32_t count)
{
    if (a->counters.field_times_lost == 0)
        log_warn("the target keeps no times of hash fields; they are left out", "key=%s action=%s",
                 log_bytes(key.at, key.len), log_text(advice_on(ADVICE_FIELD_TIMES, NULL)));
    a->counters.field_times_lost += count;
}

static void doubt(struct apply *a, struct span key, const char *why)
{
    struct writer name;
    if (a->options->dirty == NULL)
        return;
    writer_init(&name, 2);
    dirty_add(a->options->dirty, databases_label(a->options, a->db, key, &name), why);
    writer_close(&name);
}

/* The time that the target is told. */
static int64_t time_for(struct apply *a, const struct argv *argv, const struct fields *f,
                        int64_t at)
{
    struct writer name;
    if (a->options->expiry == NULL)
        return apply_not_too_soon(a, at);
    struct span *fields = copy_fields(argv, f);
    writer_init(&name, 2);
    struct span label = databases_label(a->options, a->db, argv_get(argv, 1), &name);
    at = expiry_of_fields(a->options->expiry, label, fields, f->count, at, a->now, copy_now(NULL));
    writer_close(&name);
    free(fields);
    return apply_not_too_soon(a, at);
}

/* --- HEXPIRE and its like: key, time, [condition,] FIELDS, n, field ... -------------------- */

/* Of several fields Valkey names also those for which the condition did not hold. While times are
   held back nobody can tell which they were. */
static int64_t time_if(struct apply *a, const struct argv *argv, int64_t at)
{
    struct expiry *e = a->options->expiry;
    static const struct fields none = { 0 };
    if (e != NULL && expiry_is_behind(e, a->now, copy_now(NULL)))
        doubt(a, argv_get(argv, 1), "times of its fields were set on a condition, during the copy");
    return time_for(a, argv, &none, at);
}

static void send_expiry(struct apply *a, const struct argv *argv, bool seconds, bool relative)
{
    char digits[TEXT_NUMBER_MAX];
    struct fields f;
    int64_t at;
    uint32_t where = argv->count > 3 && !span_is(argv_get(argv, 3), "fields") ? 4 : 3;
    if (!find_fields(argv, where, 1, &f) ||
        !apply_moment(a, argv_get(argv, 2), seconds, relative, &at)) {
        apply_fail(a, argv, bad_fields);
        return;
    }
    if (!a->target->facts.field_times) {
        lose_times(a, argv_get(argv, 1), f.count);
        return;
    }
    bool condition = where == 4 && f.count > 1;
    struct span *words = apply_copy_words(argv);
    uint32_t count = argv->count;
    if (where == 4 && !condition) { /* it held, or this would not be in the stream */
        for (uint32_t i = 3; i + 1 < count; i++)
            words[i] = words[i + 1];
        count--;
    }
    at = condition ? time_if(a, argv, at) : time_for(a, argv, &f, at);
    words[0] = SPAN("HPEXPIREAT");
    words[2] = (struct span){ digits, text_from_i64(digits, at) };
    apply_words(a, words, count);
    free(words);
}

void apply_hexpire(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, true, true);
}

void apply_hpexpire(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, false, true);
}

void apply_hexpireat(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, true, false);
}

void apply_hpexpireat(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, false, false);
}

void apply_hpersist(struct apply *a, const struct argv *argv)
{
    if (!a->target->facts.field_times) {
        apply_drop(a, argv);
        return;
    }
    struct span *words = apply_copy_words(argv);
    apply_words(a, words, argv->count);
    free(words);
}

/* --- HSETEX: key, [conditions, time,] FIELDS, n, field, value ... -------------------------- */

struct setting {
    struct fields fields;
    bool timed, keep;
    int64_t at;
};

static bool read_setting(const struct apply *a, const struct argv *argv, struct setting *s)
{
    uint32_t i = 2;
    *s = (struct setting){ 0 };
    for (; i < argv->count && !span_is(argv_get(argv, i), "fields"); i++) {
        const struct apply_time_word *t = apply_time_word(argv_get(argv, i));
        s->keep |= span_is(argv_get(argv, i), "keepttl");
        if (t == NULL)
            continue; /* FNX, FXX: the condition held */
        i++;
        s->timed =
            i < argv->count && apply_moment(a, argv_get(argv, i), t->seconds, t->relative, &s->at);
        if (!s->timed)
            return false;
    }
    return find_fields(argv, i, 2, &s->fields);
}

/* The first `head` words are the caller's; behind them come the fields with their values. */
static void send_fields(struct apply *a, const struct argv *argv, const struct fields *f,
                        struct span *words, uint32_t head)
{
    uint32_t count = f->count * f->each;
    for (uint32_t i = 0; i < count; i++)
        words[head + i] = argv_get(argv, f->first + i);
    apply_words(a, words, head + count);
}

/* HSET, and a HPEXPIREAT behind it. */
static void set_and_date(struct apply *a, const struct argv *argv, const struct setting *s,
                         struct span *words, struct span ms)
{
    words[0] = SPAN("HSET");
    words[1] = argv_get(argv, 1);
    send_fields(a, argv, &s->fields, words, 2);
    words[0] = SPAN("HPEXPIREAT");
    words[1] = argv_get(argv, 1);
    words[2] = ms;
    words[3] = SPAN("FIELDS");
    words[4] = argv_get(argv, s->fields.first - 1);
    for (uint32_t i = 0; i < s->fields.count; i++)
        words[5 + i] = argv_get(argv, s->fields.first + i * 2);
    apply_words(a, words, 5 + s->fields.count);
}

static void set_with_times(struct apply *a, const struct argv *argv, const struct setting *s,
                           struct span *words)
{
    char digits[TEXT_NUMBER_MAX];
    struct span ms = { NULL, 0 };
    uint32_t head = 2;
    if (s->timed)
        ms = (struct span){ digits, text_from_i64(digits, time_for(a, argv, &s->fields, s->at)) };
    if (!a->target->facts.set_fields) {
        set_and_date(a, argv, s, words, ms);
        return;
    }
    words[0] = SPAN("HSETEX");
    words[1] = argv_get(argv, 1);
    words[head++] = s->timed ? SPAN("PXAT") : SPAN("KEEPTTL");
    if (s->timed)
        words[head++] = ms;
    words[head++] = SPAN("FIELDS");
    words[head++] = argv_get(argv, s->fields.first - 1);
    send_fields(a, argv, &s->fields, words, head);
}

void apply_hsetex(struct apply *a, const struct argv *argv)
{
    const struct target_facts *facts = &a->target->facts;
    struct setting s;
    if (!read_setting(a, argv, &s)) {
        apply_fail(a, argv, bad_fields);
        return;
    }
    bool times = facts->field_times && (s.timed || s.keep);
    if (times && !s.timed && !facts->set_fields) {
        apply_fail(a, argv, "the target cannot keep the times of fields that are set (HSETEX)");
        return;
    }
    /* Six words more than the command has fields and values, at most. */
    struct span *words = malloc((argv->count + 6) * sizeof(*words));
    REQUIRE(words != NULL);
    if (times) {
        set_with_times(a, argv, &s, words);
    } else {
        if (s.timed)
            lose_times(a, argv_get(argv, 1), s.fields.count);
        words[0] = SPAN("HSET");
        words[1] = argv_get(argv, 1);
        send_fields(a, argv, &s.fields, words, 2);
    }
    free(words);
}

/* HGETDEL: key, FIELDS, n, field ... */
void apply_hgetdel(struct apply *a, const struct argv *argv)
{
    struct fields f;
    if (!find_fields(argv, 2, 1, &f)) {
        apply_fail(a, argv, bad_fields);
        return;
    }
    struct span *words = malloc((f.count + 2) * sizeof(*words));
    REQUIRE(words != NULL);
    words[0] = SPAN("HDEL");
    words[1] = argv_get(argv, 1);
    send_fields(a, argv, &f, words, 2);
    free(words);
}

/* --- hashes that come and go as a whole ---------------------------------------------------- */

void apply_forget_times(struct apply *a, struct span key)
{
    struct writer name;
    if (a->options->expiry == NULL)
        return;
    writer_init(&name, 2);
    expiry_forget_key(a->options->expiry, databases_label(a->options, a->db, key, &name));
    writer_close(&name);
}

void apply_follow(struct apply *a, struct span from, uint64_t db, struct span to)
{
    struct writer rooms[2];
    if (a->options->expiry == NULL)
        return;
    writer_init(&rooms[0], 2);
    writer_init(&rooms[1], 2);
    from = databases_label(a->options, a->db, from, &rooms[0]);
    to = databases_label(a->options, db, to, &rooms[1]);
    if (expiry_follow(a->options->expiry, from, to) && a->options->dirty != NULL)
        dirty_add(a->options->dirty, to, "renamed or copied while times of its fields were held");
    writer_close(&rooms[0]);
    writer_close(&rooms[1]);
}
