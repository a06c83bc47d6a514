/*
 * What a Codis server puts into its stream when a slot comes to it from another one: whole keys and
 * pieces of keys with relative times. Layouts from Codis's slots.c and slots_async.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/apply_words.h"

static const char malformed[] = "a form of SLOTSRESTORE that this program does not know";

/* While slots move, a key may lie at two sources, and their streams can overtake each other. */
static void warn_of_moves(struct apply *a, struct span key)
{
    if (!a->codis_warned)
        log_warn("a slot of Codis moves to this source while it is copied", "key=%s action=%s",
                 log_bytes(key.at, key.len), log_text(advice_on(ADVICE_CODIS_MOVES, NULL)));
    a->codis_warned = true;
}

/* --- SLOTSRESTORE: key, time, payload, again and again -------------------------------------- */

void apply_slotsrestore(struct apply *a, const struct argv *argv)
{
    warn_of_moves(a, argv->count > 1 ? argv_get(argv, 1) : SPAN(""));
    if (argv->count < 4 || argv->count % 3 != 1) {
        apply_fail(a, argv, malformed);
        return;
    }
    for (uint32_t i = 1; i < argv->count; i += 3)
        if (apply_wants(a, argv_get(argv, i)))
            apply_restore_one(a, argv, argv_get(argv, i), argv_get(argv, i + 1),
                              argv_get(argv, i + 2));
}

/* --- SLOTSRESTORE-ASYNC: kind, key, time, hint, elements ------------------------------------ */

/* Every form behind delete sets the time, or takes it away. */
static void set_time(struct apply *a, const struct argv *argv)
{
    struct span key = argv_get(argv, 2), ttl = argv_get(argv, 3);
    if (span_equal(ttl, SPAN("0")))
        apply_words(a, (struct span[]){ SPAN("PERSIST"), key }, 2);
    else
        apply_expire_in(a, argv, key, ttl);
}

static void delete_key(struct apply *a, const struct argv *argv)
{
    apply_words(a, (struct span[]){ SPAN("DEL"), argv_get(argv, 2) }, 2);
}

static void set_string(struct apply *a, const struct argv *argv)
{
    if (argv->count != 5) {
        apply_fail(a, argv, malformed);
        return;
    }
    apply_words(a, (struct span[]){ SPAN("SET"), argv_get(argv, 2), argv_get(argv, 4) }, 3);
    if (!span_equal(argv_get(argv, 3), SPAN("0")))
        set_time(a, argv);
}

static void set_object(struct apply *a, const struct argv *argv)
{
    if (argv->count == 5)
        apply_restore_one(a, argv, argv_get(argv, 2), argv_get(argv, 3), argv_get(argv, 4));
    else
        apply_fail(a, argv, malformed);
}

/* The elements behind the hint, added by that command. */
static void add_elements(struct apply *a, const struct argv *argv, struct span name)
{
    if (argv->count < 5) {
        apply_fail(a, argv, malformed);
        return;
    }
    struct span *words = apply_copy_words(argv);
    words[3] = name;
    words[4] = words[2];
    if (argv->count > 5)
        apply_words(a, words + 3, argv->count - 3);
    free(words);
    set_time(a, argv);
}

static void add_to_list(struct apply *a, const struct argv *argv)
{
    add_elements(a, argv, SPAN("RPUSH"));
}

static void add_to_set(struct apply *a, const struct argv *argv)
{
    add_elements(a, argv, SPAN("SADD"));
}

static void add_to_hash(struct apply *a, const struct argv *argv)
{
    add_elements(a, argv, SPAN("HMSET"));
}

/* Member, and the score as the eight bytes of a double, lowest first. */
static void add_to_zset(struct apply *a, const struct argv *argv)
{
    uint32_t pairs = argv->count > 5 ? (argv->count - 5) / 2 : 0;
    struct span *words = malloc((2 + (size_t)pairs * 2) * sizeof(*words));
    char(*scores)[32] = malloc((pairs + 1) * sizeof(*scores));
    REQUIRE(words != NULL && scores != NULL);
    bool good = argv->count >= 5 && argv->count % 2 == 1;
    words[0] = SPAN("ZADD");
    words[1] = good ? argv_get(argv, 2) : SPAN("");
    for (uint32_t i = 0; good && i < pairs; i++) {
        struct span raw = argv_get(argv, 6 + i * 2);
        double score = 0;
        good = raw.len == sizeof(score);
        memcpy(&score, raw.at, good ? sizeof(score) : 0);
        int n = snprintf(scores[i], sizeof(scores[i]), "%.17g", score);
        words[2 + i * 2] = (struct span){ scores[i], (size_t)n };
        words[3 + i * 2] = argv_get(argv, 5 + i * 2);
    }
    if (!good)
        apply_fail(a, argv, malformed);
    if (good && pairs > 0)
        apply_words(a, words, 2 + pairs * 2);
    if (good)
        set_time(a, argv);
    free(words);
    free(scores);
}

static const struct {
    const char *kind;
    apply_rule *rule;
    uint32_t count; /* words at least */
} forms[] = {
    { "delete", delete_key, 3 }, { "dict", add_to_set, 5 },  { "expire", set_time, 4 },
    { "hash", add_to_hash, 5 },  { "list", add_to_list, 5 }, { "object", set_object, 5 },
    { "string", set_string, 5 }, { "zset", add_to_zset, 5 },
};

void apply_slotsrestore_async(struct apply *a, const struct argv *argv)
{
    warn_of_moves(a, argv->count > 2 ? argv_get(argv, 2) : SPAN(""));
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (argv->count < 3 || !span_is(argv_get(argv, 1), forms[i].kind))
            continue;
        if (argv->count < forms[i].count)
            break;
        if (apply_wants(a, argv_get(argv, 2)))
            forms[i].rule(a, argv);
        return;
    }
    apply_fail(a, argv, malformed);
}
