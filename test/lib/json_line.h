/*
 * json_line.h: a strict reader of the JSON lines of the log: one flat object, whose values are
 * strings or integers.
 */
#ifndef TEST_LIB_JSON_LINE_H
#define TEST_LIB_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* NULL, or what is wrong with the line (len bytes, without the line end). */
const char *json_line_fault(const char *line, size_t len);
/* The value of a member, unescaped if it is a string, a number as its digits. False: there is none,
   or it does not fit. The line is a sound one. */
bool json_line_get(const char *line, size_t len, const char *key, char *out, size_t room);
/* Asserts that each line of the text is sound, has time, level, pid and event, and that there are
   at least so many; lines are told apart by '\n'. */
void json_lines_check(const char *text, int at_least);

#endif
