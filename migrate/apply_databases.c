/* Commands that reach beyond the present database: MOVE, COPY ... DB, FLUSHALL, FLUSHDB, SWAPDB. */
#include "base/text.h"
#include "cluster/keyslot.h"
#include "migrate/apply_words.h"
#include "migrate/databases.h"
#include "migrate/target_databases.h"

/* Where a key of one database goes to in another one. */
struct journey {
    struct span from, to; /* keys at the source */
    uint64_t db;          /* of the second one */
    bool copy;
};

static bool has_database(const struct apply *a, uint64_t db)
{
    return databases_take(a->options, db);
}

static bool read_database(struct span text, uint64_t *db)
{
    return text_to_u64(text.at, text.len, db);
}

/* False: it stays in one database, or cannot be understood. */
static bool read_journey(const struct apply *a, const struct argv *argv, struct journey *j)
{
    struct span name = argv_get(argv, 0);
    if (span_is(name, "move") && argv->count == 3) {
        *j = (struct journey){ .from = argv_get(argv, 1), .to = argv_get(argv, 1) };
        return read_database(argv_get(argv, 2), &j->db);
    }
    if (!span_is(name, "copy") || argv->count < 5)
        return false;
    *j = (struct journey){ .from = argv_get(argv, 1), .to = argv_get(argv, 2), .copy = true };
    for (uint32_t i = 3; i + 1 < argv->count; i++)
        if (span_is(argv_get(argv, i), "db"))
            return read_database(argv_get(argv, i + 1), &j->db) && j->db != a->db;
    return false;
}

static bool in_other_slots(const struct apply *a, const struct journey *j)
{
    struct writer from, to;
    writer_init(&from, 2);
    writer_init(&to, 2);
    bool other = keyslot_of(apply_name_in(a, a->db, j->from, &from)) !=
                 keyslot_of(apply_name_in(a, j->db, j->to, &to));
    writer_close(&from);
    writer_close(&to);
    return other;
}

bool apply_moves_between_slots(const struct apply *a, const struct argv *argv)
{
    struct journey j;
    return read_journey(a, argv, &j) && has_database(a, a->db) && has_database(a, j.db) &&
           in_other_slots(a, &j);
}

/* Both are at the target, in two databases. */
static void move_or_copy(struct apply *a, const struct journey *j)
{
    char digits[TEXT_NUMBER_MAX];
    struct span db = { digits, text_from_u64(digits, databases_at_target(a->options, j->db)) };
    apply_follow(a, j->from, j->db, j->to);
    if (j->copy)
        apply_send(a,
                   (struct span[]){ SPAN("COPY"), j->from, j->to, SPAN("DB"), db, SPAN("REPLACE") },
                   6, j->from);
    else
        apply_send(a, (struct span[]){ SPAN("MOVE"), j->from, db }, 3, j->from);
}

/* Both are at the target, under two names. MOVE took effect, so nothing was there before. */
static void rename_or_copy(struct apply *a, const struct argv *argv, const struct journey *j)
{
    struct writer from, to;
    if (a->options->databases == COPY_DB_MAP) {
        if (a->target->options->cluster && in_other_slots(a, j))
            apply_fail(a, argv, "its keys lie in several slots and in other databases");
        else
            move_or_copy(a, j);
        return;
    }
    writer_init(&from, 2);
    writer_init(&to, 2);
    struct span words[] = { j->copy ? SPAN("COPY") : SPAN("RENAME"),
                            apply_name_in(a, a->db, j->from, &from),
                            apply_name_in(a, j->db, j->to, &to), SPAN("REPLACE") };
    apply_follow(a, j->from, j->db, j->to);
    apply_send(a, words, j->copy ? 4 : 3, words[1]);
    writer_close(&from);
    writer_close(&to);
}

/* MOVE and COPY ... DB, as the databases of both keys go over or do not. */
static void travel(struct apply *a, const struct argv *argv, const struct journey *j)
{
    bool here = has_database(a, a->db), there = has_database(a, j->db);
    if (here && there)
        rename_or_copy(a, argv, j);
    else if (there)
        apply_fail(a, argv, "it brings a key from a database that does not go over");
    else if (here && a->options->databases == COPY_DB_REFUSE)
        apply_fail(a, argv, "it is about another database; say what to do with that by --db");
    else if (here && !j->copy)
        apply_words(a, (struct span[]){ SPAN("DEL"), j->from }, 2);
    else
        a->counters.other_database++;
}

void apply_move(struct apply *a, const struct argv *argv)
{
    struct journey j;
    if (!read_journey(a, argv, &j))
        apply_fail(a, argv, "its database cannot be understood");
    else if (apply_wants_command(a, argv, false))
        travel(a, argv, &j);
}

void apply_copy(struct apply *a, const struct argv *argv)
{
    struct journey j;
    if (!apply_wants_command(a, argv, false))
        return;
    if (read_journey(a, argv, &j))
        travel(a, argv, &j);
    else if (apply_wants_database(a, argv))
        apply_by_keys(a, argv);
}

/* --- all keys ------------------------------------------------------------------------------ */

static void refuse(struct apply *a, const struct argv *argv)
{
    static const char why[] = "it would touch all keys of the target, of which some may be others'";
    apply_fail(a, argv, why);
    a->error = "the source has executed FLUSHALL, FLUSHDB or SWAPDB, which is not repeated at the "
               "target";
}

bool apply_empties_target(const struct apply *a, const struct argv *argv)
{
    struct span name = argv_get(argv, 0);
    bool own = a->options->flush == COPY_FLUSH_OWN;
    if (!own && a->options->flush != COPY_FLUSH_APPLY)
        return false;
    bool one = has_database(a, a->db) && (own || a->options->databases != COPY_DB_PREFIX);
    return span_is(name, "flushall") || (span_is(name, "flushdb") && one);
}

/* one: of several databases of the target. */
static void empty(struct apply *a, bool one)
{
    bool map = a->options->databases == COPY_DB_MAP;
    target_use(a->target, databases_at_target(a->options, a->db));
    apply_send(a, (struct span[]){ one && map ? SPAN("FLUSHDB") : SPAN("FLUSHALL") }, 1,
               (struct span){ NULL, 0 });
    target_use(a->target, 0);
}

void apply_flush(struct apply *a, const struct argv *argv)
{
    bool one = span_is(argv_get(argv, 0), "flushdb");
    if (a->options->flush == COPY_FLUSH_IGNORE)
        a->counters.dropped++;
    else if (apply_empties_target(a, argv) && a->options->flush == COPY_FLUSH_OWN)
        apply_flush_own(a, argv);
    else if (apply_empties_target(a, argv))
        empty(a, one);
    else if (one && !has_database(a, a->db) && a->options->databases != COPY_DB_REFUSE)
        a->counters.other_database++;
    else
        refuse(a, argv);
}

void apply_swapdb(struct apply *a, const struct argv *argv)
{
    uint64_t x, y;
    bool known = argv->count == 3 && read_database(argv_get(argv, 1), &x) &&
                 read_database(argv_get(argv, 2), &y);
    bool skips = a->options->databases == COPY_DB_ONLY || a->options->databases == COPY_DB_MAP;
    if (known && skips && !has_database(a, x) && !has_database(a, y))
        a->counters.other_database++;
    else
        refuse(a, argv);
}
