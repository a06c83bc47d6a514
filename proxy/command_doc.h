/*
 * command_doc.h: docs/commands.md, written from the rows of the command table.
 */
#ifndef PROXY_COMMAND_DOC_H
#define PROXY_COMMAND_DOC_H

#include <stdio.h>

/* Writes the whole page. test/unit/test_command_doc.c holds the page in docs/ against it. */
void command_write_doc(FILE *out);

#endif
