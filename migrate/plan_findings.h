/* plan_findings.h: what the answers of a server mean for a migration. Private to plan.c. Pure but
   for printing. */
#ifndef MIGRATE_PLAN_FINDINGS_H
#define MIGRATE_PLAN_FINDINGS_H

#include "migrate/config.h"
#include "resp/value.h"

enum plan_mark { PLAN_WARN, PLAN_FAIL };

struct plan_findings {
    const struct config *config;
    uint32_t warnings, failures;
    uint64_t source_keys, source_memory;
    uint64_t target_keys, target_used, target_max; /* of all shards */
    bool memory_known, unbounded, evicts;
};

void plan_say(const char *fmt, ...) PRINTF_LIKE(1, 2); /* all is well */
/* Something is not; todo: what about it. */
void plan_find(struct plan_findings *f, enum plan_mark mark, const char *todo, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* info: the text of INFO. */
void plan_source_info(struct plan_findings *f, struct span info);
void plan_target_info(struct plan_findings *f, struct span info);
/* CONFIG GET client-output-buffer-limit, the value. */
void plan_output_limit(struct plan_findings *f, struct span limits);
void plan_spool(struct plan_findings *f);
/* Once all servers have answered. */
void plan_memory(struct plan_findings *f);
void plan_print(struct plan_findings *f);

#endif
