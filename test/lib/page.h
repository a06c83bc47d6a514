/*
 * page.h: a generated page of docs/ says what the rows say.
 */
#ifndef TEST_LIB_PAGE_H
#define TEST_LIB_PAGE_H

#include <stdio.h>

/* Asserts that the file holds what `write` writes. With UPDATE_DOCS=1 (./dev docs) the file is
   written anew before. */
void page_expect(const char *path, void (*write)(FILE *out));

#endif
