/* Commands that give a key a time to live: made absolute, without conditions, and as late as
   expiry.h wants it. */
#include <stdlib.h>

#include "base/text.h"
#include "migrate/apply_words.h"
#include "migrate/databases.h"

enum { REPLAY_SLACK_MS = 60 * 1000 };

static const char bad_time[] = "its time cannot be understood";
static const char unknown[] = "a command that this program does not know";

bool apply_moment(const struct apply *a, struct span text, bool seconds, bool relative,
                  int64_t *out)
{
    int64_t n;
    if (!text_to_i64(text.at, text.len, &n) || n > INT64_MAX / 2000 || n < INT64_MIN / 2000)
        return false;
    *out = (seconds ? n * 1000 : n) + (relative ? a->now : 0);
    return true;
}

int64_t apply_not_too_soon(const struct apply *a, int64_t ms)
{
    int64_t soonest = copy_now(NULL) + REPLAY_SLACK_MS;
    return a->offset > a->replay_end || ms > soonest ? ms : soonest;
}

/* The time that the target is told. */
static int64_t time_for(struct apply *a, struct span key, int64_t at)
{
    struct writer name;
    if (a->options->expiry == NULL)
        return apply_not_too_soon(a, at);
    writer_init(&name, 2);
    struct span label = databases_label(a->options, a->db, key, &name);
    at = expiry_of_stream(a->options->expiry, label, at, a->now, copy_now(NULL));
    writer_close(&name);
    return apply_not_too_soon(a, at);
}

static void send_moment(struct apply *a, struct span key, int64_t at)
{
    char digits[TEXT_NUMBER_MAX];
    struct span ms = { digits, text_from_i64(digits, time_for(a, key, at)) };
    apply_words(a, (struct span[]){ SPAN("PEXPIREAT"), key, ms }, 3);
}

/* --- EXPIRE and its like ------------------------------------------------------------------- */

static void send_expiry(struct apply *a, const struct argv *argv, bool seconds, bool relative)
{
    int64_t at;
    /* NX, XX, GT and LT stay away: only what took effect at the source is in the stream. */
    if (argv->count < 3 || !apply_moment(a, argv_get(argv, 2), seconds, relative, &at))
        apply_fail(a, argv, bad_time);
    else
        send_moment(a, argv_get(argv, 1), at);
}

void apply_expire(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, true, true);
}

void apply_pexpire(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, false, true);
}

void apply_expireat(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, true, false);
}

void apply_pexpireat(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, false, false);
}

/* --- SET and its like ---------------------------------------------------------------------- */

/* SET and, since not every target knows PXAT, a PEXPIREAT behind it. */
static void set_until(struct apply *a, struct span key, struct span value, int64_t at)
{
    char digits[TEXT_NUMBER_MAX];
    struct span ms = { digits, text_from_i64(digits, time_for(a, key, at)) };
    if (a->target->facts.set_until) {
        apply_words(a, (struct span[]){ SPAN("SET"), key, value, SPAN("PXAT"), ms }, 5);
        return;
    }
    apply_words(a, (struct span[]){ SPAN("SET"), key, value }, 3);
    apply_words(a, (struct span[]){ SPAN("PEXPIREAT"), key, ms }, 3);
}

static void send_setex(struct apply *a, const struct argv *argv, bool seconds)
{
    int64_t at;
    if (argv->count != 4 || !apply_moment(a, argv_get(argv, 2), seconds, true, &at))
        apply_fail(a, argv, bad_time);
    else
        set_until(a, argv_get(argv, 1), argv_get(argv, 3), at);
}

void apply_setex(struct apply *a, const struct argv *argv)
{
    send_setex(a, argv, true);
}

void apply_psetex(struct apply *a, const struct argv *argv)
{
    send_setex(a, argv, false);
}

void apply_setnx(struct apply *a, const struct argv *argv)
{
    if (argv->count == 3)
        apply_words(a, (struct span[]){ SPAN("SET"), argv_get(argv, 1), argv_get(argv, 2) }, 3);
    else
        apply_fail(a, argv, unknown);
}

static const struct apply_time_word time_words[] = {
    { "ex", true, true }, { "px", false, true }, { "exat", true, false }, { "pxat", false, false }
};

const struct apply_time_word *apply_time_word(struct span word)
{
    for (size_t i = 0; i < ARRAY_LEN(time_words); i++)
        if (span_is(word, time_words[i].word))
            return &time_words[i];
    return NULL;
}

/* NX, XX and GET stay away: it took effect. */
void apply_set(struct apply *a, const struct argv *argv)
{
    bool keep = false, timed = false;
    int64_t at = 0;
    if (argv->count < 3) {
        apply_fail(a, argv, unknown);
        return;
    }
    for (uint32_t i = 3; i < argv->count; i++) {
        const struct apply_time_word *t = apply_time_word(argv_get(argv, i));
        keep |= span_is(argv_get(argv, i), "keepttl");
        if (t == NULL)
            continue;
        timed = i + 1 < argv->count &&
                apply_moment(a, argv_get(argv, i + 1), t->seconds, t->relative, &at);
        if (!timed) {
            apply_fail(a, argv, bad_time);
            return;
        }
        i++;
    }
    struct span words[] = { SPAN("SET"), argv_get(argv, 1), argv_get(argv, 2), SPAN("KEEPTTL") };
    if (timed)
        set_until(a, words[1], words[2], at);
    else
        apply_words(a, words, keep ? 4 : 3);
}

/* GETEX reads, and is in a stream for what it does to the time. */
void apply_getex(struct apply *a, const struct argv *argv)
{
    int64_t at;
    const struct apply_time_word *t = argv->count == 4 ? apply_time_word(argv_get(argv, 2)) : NULL;
    if (argv->count == 3 && span_is(argv_get(argv, 2), "persist")) {
        apply_words(a, (struct span[]){ SPAN("PERSIST"), argv_get(argv, 1) }, 2);
        return;
    }
    if (argv->count == 2) {
        apply_drop(a, argv);
        return;
    }
    if (t == NULL || !apply_moment(a, argv_get(argv, 3), t->seconds, t->relative, &at))
        apply_fail(a, argv, bad_time);
    else
        send_moment(a, argv_get(argv, 1), at);
}

/* --- RESTORE: key, time, payload, options ... ---------------------------------------------- */

/* The options that stay, behind the first four words: as many words as are left. The time counts
   from receipt unless ABSTTL says otherwise. */
static uint32_t restore_options(struct span *words, uint32_t count, bool *absolute)
{
    uint32_t kept = 4;
    *absolute = false;
    for (uint32_t i = 4; i < count; i++) {
        if (span_is(words[i], "absttl"))
            *absolute = true;
        else if (!span_is(words[i], "replace"))
            words[kept++] = words[i];
    }
    return kept;
}

/* words: room for two more than count. Always with REPLACE: it took effect at the source. */
static void send_restore(struct apply *a, const struct argv *argv, struct span *words,
                         uint32_t count)
{
    char digits[TEXT_NUMBER_MAX];
    bool absolute;
    int64_t at = 0;
    count = restore_options(words, count, &absolute);
    bool timed = !span_equal(words[2], SPAN("0"));
    if (timed && !apply_moment(a, words[2], false, !absolute, &at)) {
        apply_fail(a, argv, bad_time);
        return;
    }
    words[count++] = SPAN("REPLACE");
    if (a->options->expiry != NULL)
        apply_forget_times(a, words[1]);
    if (timed) {
        at = time_for(a, words[1], at);
        if (a->target->facts.absolute)
            words[count++] = SPAN("ABSTTL");
        else
            at -= copy_now(NULL);
        words[2] = (struct span){ digits, text_from_i64(digits, at > 0 ? at : 1) };
    }
    apply_words(a, words, count);
}

/* Also RESTORE-ASKING: a cluster that imports a slot says so to its replicas. */
void apply_restore(struct apply *a, const struct argv *argv)
{
    if (argv->count < 4) {
        apply_fail(a, argv, unknown);
        return;
    }
    struct span *words = malloc((argv->count + 2) * sizeof(*words));
    REQUIRE(words != NULL);
    words[0] = SPAN("RESTORE");
    for (uint32_t i = 1; i < argv->count; i++)
        words[i] = argv_get(argv, i);
    send_restore(a, argv, words, argv->count);
    free(words);
}

void apply_restore_one(struct apply *a, const struct argv *argv, struct span key, struct span ttl,
                       struct span payload)
{
    struct span words[6] = { SPAN("RESTORE"), key, ttl, payload };
    send_restore(a, argv, words, 4);
}

void apply_expire_in(struct apply *a, const struct argv *argv, struct span key, struct span ttl)
{
    int64_t at;
    if (apply_moment(a, ttl, false, true, &at))
        send_moment(a, key, at);
    else
        apply_fail(a, argv, bad_time);
}
