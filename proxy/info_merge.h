/*
 * info_merge.h: the INFO texts of all masters become the INFO of one Redis.
 *
 * Pure: texts in, a text out; no socket, no clock, no cluster. Each field has a rule (added up, the
 * largest, computed anew ...); what no rule names is added up when it is a number, else one node
 * speaks. Sections whose fields differ from node to node (commandstats, errorstats, latencystats,
 * keyspace, modules) are the union of all.
 */
#ifndef PROXY_INFO_MERGE_H
#define PROXY_INFO_MERGE_H

#include "resp/span.h"
#include "resp/writer.h"

/* A field that the caller knows better than any node. */
struct info_field {
    const char *name, *value;
};

/* Writes the merged text, bare and not as a reply. Sections and fields stand in the order of the
   text with the lowest redis_version. */
void info_merge(const struct span *texts, uint32_t count, const struct info_field *own,
                uint32_t own_count, struct writer *out);

/* The value of a field anywhere in a text; .at is NULL when there is none. */
struct span info_value(struct span text, const char *name);

/* Whether version a is lower than b, number by number: 6.2.14 < 7.0.5 < 7.0.15. */
bool info_version_below(struct span a, struct span b);

/* For info_merge.c: writes one of the sections that are a union; false: it is none of them.
   `texts` are the section's lines of each node. */
bool info_union(struct span section, const struct span *texts, uint32_t count, struct writer *out);
/* Takes the next line off a text, without its end. */
struct span info_line(struct span *text);
/* Writes formatted text of up to 255 bytes. */
void info_print(struct writer *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The value of a line "name:value" if it has that name; else .at is NULL. */
struct span info_field_of(struct span line, struct span name);

#endif
