/*
 * command_doc.h: docs/commands.md, written from the rows of the command table.
 */
#ifndef PROXY_COMMAND_DOC_H
#define PROXY_COMMAND_DOC_H

#include <stdio.h>

#include "proxy/dispatch.h"

/* One line of it. */
struct command_note {
    char name[80];    /* "config get" */
    const char *how;  /* "by its keys" */
    const char *note; /* or "" */
    bool unsupported; /* not yet, or refused */
    bool one_slot;    /* may have several keys, and these have to lie in one slot */
};

/* locals: from dispatch_find_locals; cross_slot: as enable-cross-slot. */
struct command_note command_note_of(const struct command *c, local_command *const *locals,
                                    bool cross_slot);

/* Writes the whole page. test/unit/test_command_doc.c holds the page in docs/ against it. */
void command_write_doc(FILE *out);

#endif
