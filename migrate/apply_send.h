/*
 * apply_send.h: how what the rules have made of a command goes out, alone or as a part of a group
 * of one slot, and how its answer is counted. Private to apply*.c.
 */
#ifndef MIGRATE_APPLY_SEND_H
#define MIGRATE_APPLY_SEND_H

#include "migrate/apply.h"

/* A command of the stream, of which `pending` parts are not answered. */
struct apply_mark {
    struct list_node link; /* in apply->marks */
    struct apply *apply;
    uint64_t offset;
    uint64_t db; /* that is selected behind it */
    uint32_t pending;
    bool counted; /* a part that must not come twice has been sent */
    char name[24];
    struct writer keys; /* see apply_dirty_note */
};

static inline struct span apply_shown(const char *key, uint32_t len)
{
    return (struct span){ key, len < TARGET_KEY_SHOWN ? len : TARGET_KEY_SHOWN };
}

/* apply.c. target_done with a mark. */
void apply_on_answer(void *context, const struct target_call *call);
/* Takes `applied` on over marks of which nothing is pending. */
void apply_advance(struct apply *a);
/* What is gathered between MULTI and EXEC, if anything is. */
void apply_send_group(struct apply *a);

#endif
