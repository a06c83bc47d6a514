/* apply_words.h: what the rules for commands of the stream have in common. Private to apply_*.c. */
#ifndef MIGRATE_APPLY_WORDS_H
#define MIGRATE_APPLY_WORDS_H

#include "migrate/apply.h"

typedef void apply_rule(struct apply *a, const struct argv *argv);

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
apply_rule apply_hexpire, apply_hpexpire, apply_hexpireat, apply_hpexpireat;
apply_rule apply_set, apply_setex, apply_psetex, apply_setnx, apply_restore;
/* A key as a payload, with milliseconds to live from its receipt, 0: for ever. */
void apply_restore_one(struct apply *a, const struct argv *argv, struct span key, struct span ttl,
                       struct span payload);
/* Likewise only the time. */
void apply_expire_in(struct apply *a, const struct argv *argv, struct span key, struct span ttl);

/* apply_codis.c */
apply_rule apply_slotsrestore, apply_slotsrestore_async;

/* apply_databases.c: what reaches beyond the present database. */
apply_rule apply_move, apply_copy, apply_flush, apply_swapdb;
/* Whether the command moves a key to another database, and there into another slot. */
bool apply_moves_between_slots(const struct apply *a, const struct argv *argv);
/* Whether it is a FLUSHALL or FLUSHDB that shall be repeated. */
bool apply_empties_target(const struct apply *a, const struct argv *argv);

/* apply.c, for apply_across.c. The command at hand is not done until apply_unit_done says how it
   ended. */
struct apply_mark *apply_unit_begin(struct apply *a);
void apply_unit_done(struct apply_mark *m, struct span name, struct span key, const char *error);
void apply_break(struct apply *a, const char *why); /* see `broken` */

/* For the repair set (apply_dirty.c). The keys of a command whose answer would not name them all;
   the keys of one that has failed, listed so or the one that is named; and of one that was not
   sent. */
void apply_dirty_note(struct apply *a, const struct argv *argv, struct writer *keys);
void apply_dirty_unit(struct apply *a, const struct writer *keys, struct span key, const char *why);
void apply_dirty_command(struct apply *a, const struct argv *argv, const char *why);

#endif
