/* apply_words.h: what the rules for commands of the stream have in common. Private to apply_*.c. */
#ifndef MIGRATE_APPLY_WORDS_H
#define MIGRATE_APPLY_WORDS_H

#include "migrate/apply.h"

typedef void apply_rule(struct apply *a, const struct argv *argv);

/* What a key of the source's present database is called at the target; lent by name, an open
   writer. */
struct span apply_name(const struct apply *a, struct span key, struct writer *name);
/* Sends the words with the key at position 1 under its name at the target. */
void apply_words(struct apply *a, struct span *words, size_t count);
/* The words of the command; the caller frees them. */
struct span *apply_copy_words(const struct argv *argv);
/* Whether the filters let a key through; counts it if not. */
bool apply_wants(struct apply *a, struct span key);
/* The same for the whole command, of which splits says that it goes over key by key. */
bool apply_wants_command(struct apply *a, const struct argv *argv, bool splits);
void apply_drop(struct apply *a, const struct argv *argv);
void apply_fail(struct apply *a, const struct argv *argv, const char *why);

/* apply_times.c: the commands that give a key a time to live. */
apply_rule apply_expire, apply_pexpire, apply_expireat, apply_pexpireat;
apply_rule apply_hexpire, apply_hpexpire, apply_hexpireat, apply_hpexpireat;
apply_rule apply_set, apply_setex, apply_psetex, apply_setnx, apply_restore, apply_restore_asking;

#endif
