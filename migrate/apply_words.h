/* apply_words.h: what the rules for commands of the stream have in common. Private to apply_*.c. */
#ifndef MIGRATE_APPLY_WORDS_H
#define MIGRATE_APPLY_WORDS_H

#include "migrate/apply.h"

typedef void apply_rule(struct apply *a, const struct argv *argv);

struct apply_time_word {
    const char *word;
    bool seconds, relative;
};

/* apply.c. MULTI and EXEC. */
void apply_multi(struct apply *a);
void apply_exec(struct apply *a);
/* The words: what the target shall execute; the key decides where it goes. */
void apply_send(struct apply *a, const struct span *words, size_t count, struct span key);
void apply_failed(struct apply *a, struct span name, struct span key, const char *why);

/* What a key of the source's present database is called at the target; lent by name, an open
   writer. */
struct span apply_name(const struct apply *a, struct span key, struct writer *name);
/* The same for a key of that database. */
struct span apply_name_in(const struct apply *a, uint64_t db, struct span key, struct writer *name);
/* Sends the words with the key at position 1 under its name at the target. */
void apply_words(struct apply *a, struct span *words, size_t count);
/* The words of the command; the caller frees them. */
struct span *apply_copy_words(const struct argv *argv);
/* Whether the filters let a key through; counts it if not. */
bool apply_wants(struct apply *a, struct span key);
/* The same for the whole command, of which splits says that it goes over key by key. */
bool apply_wants_command(struct apply *a, const struct argv *argv, bool splits);
/* Whether --db says that the present database goes over; counts or tells it if not. */
bool apply_wants_database(struct apply *a, const struct argv *argv);
/* The command as it is, by the keys that the command table tells. */
void apply_by_keys(struct apply *a, const struct argv *argv);
void apply_drop(struct apply *a, const struct argv *argv);
void apply_fail(struct apply *a, const struct argv *argv, const char *why);

/* apply_times.c: the commands that give a key a time to live. */
apply_rule apply_getex, apply_expire, apply_pexpire, apply_expireat, apply_pexpireat;
apply_rule apply_set, apply_setex, apply_psetex, apply_setnx, apply_restore;
/* While commands may be executed again, no key may die of a time that a later one has renewed: the
   source's own DEL comes at the right moment. */
int64_t apply_not_too_soon(const struct apply *a, int64_t ms);
/* A time in the unit and from the moment that the command means, as milliseconds since 1970. */
bool apply_moment(const struct apply *a, struct span text, bool seconds, bool relative,
                  int64_t *out);
/* EX, PX, EXAT or PXAT; NULL: none of them. */
const struct apply_time_word *apply_time_word(struct span word);
/* A key as a payload, with milliseconds to live from its receipt, 0: for ever. */
void apply_restore_one(struct apply *a, const struct argv *argv, struct span key, struct span ttl,
                       struct span payload);
/* Likewise only the time. */
void apply_expire_in(struct apply *a, const struct argv *argv, struct span key, struct span ttl);

/* apply_fields.c: those about single fields of hashes. */
apply_rule apply_hexpire, apply_hpexpire, apply_hexpireat, apply_hpexpireat, apply_hpersist;
apply_rule apply_hsetex, apply_hgetdel;
/* A key comes to have another value with times of its own. */
void apply_forget_times(struct apply *a, struct span key);
/* RENAME, COPY and MOVE, to a key of that database: what is held of the first key counts for the
   second one, too. */
void apply_follow(struct apply *a, struct span from, uint64_t db, struct span to);

/* apply_known.c. True: the command is unknown, and the target is being asked; not now. */
bool apply_must_ask(struct apply *a, const struct argv *argv);
bool apply_is_asking(const struct apply *a);
apply_rule apply_eval;
/* The target has been dropped, or the end. */
void apply_forget_known(struct apply *a);

/* apply_codis.c */
apply_rule apply_slotsrestore, apply_slotsrestore_async;

/* apply_databases.c: what reaches beyond the present database. */
apply_rule apply_move, apply_copy, apply_flush, apply_swapdb;
/* Whether the command moves a key to another database, and there into another slot. */
bool apply_moves_between_slots(const struct apply *a, const struct argv *argv);
/* Whether it is a FLUSHALL or FLUSHDB that shall be repeated. */
bool apply_empties_target(const struct apply *a, const struct argv *argv);

/* apply_flush.c. Removes the keys of this source, of the present database or of all. */
void apply_flush_own(struct apply *a, const struct argv *argv);
/* In each turn; never inside an answer. */
void apply_flush_step(struct apply *a);
/* It is given up: the target has been dropped, or the end. */
void apply_flush_end(struct apply *a);

/* apply.c. The command at hand is not done until apply_unit_done says how it ended. */
struct apply_mark *apply_unit_begin(struct apply *a);
void apply_unit_done(struct apply_mark *m, struct span name, struct span key, const char *error);
/* See `broken`; of that command. */
void apply_break(struct apply *a, struct span name, struct span key, const char *why);

/* For the repair set (apply_dirty.c). The keys of a command whose answer would not name them all;
   the keys of one that has failed, listed so or the one that is named; and of one that was not
   sent. */
void apply_dirty_note(struct apply *a, const struct argv *argv, struct writer *keys);
void apply_dirty_unit(struct apply *a, const struct writer *keys, struct span key, const char *why);
void apply_dirty_command(struct apply *a, const struct argv *argv, const char *why);

#endif
