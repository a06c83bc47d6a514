/*
 * acl_log.h: who was refused what, as ACL LOG of one Redis 7.0 keeps it: each worker keeps what its
 * own clients were refused, and ACL LOG shows those of all workers.
 *
 * Refusals of the same thing to the same user within a minute of each other are one entry with a
 * count. A name or key is cut behind ACL_LOG_TEXT_MAX bytes; passwords never come here.
 */
#ifndef PROXY_ACL_LOG_H
#define PROXY_ACL_LOG_H

#include "base/list.h"
#include "resp/span.h"

struct client;

enum { ACL_LOG_TEXT_MAX = 1024 };

/* Their numbers are sent to other workers, so they stay. */
enum acl_log_reason { ACL_LOG_COMMAND, ACL_LOG_KEY, ACL_LOG_CHANNEL, ACL_LOG_AUTH };

/* What happened; the texts are borrowed. */
struct acl_refusal {
    int64_t count, at;      /* how often; when last, in us since 1970 */
    int64_t reason, inside; /* enum acl_log_reason; whether behind MULTI */
    struct span user, object, client;
};

struct acl_log_entry {
    struct list_node link;
    struct acl_refusal what; /* of `texts` */
    char *texts;
};

struct acl_log {
    struct list_node entries; /* youngest first */
    uint32_t count;
};

void acl_log_open(struct acl_log *log);
/* Drops all entries. */
void acl_log_reset(struct acl_log *log);

/* user: as whom it came, or wanted to; object: the command, key or channel. Both are copied. */
void acl_log_add(const struct client *c, enum acl_log_reason reason, struct span user,
                 struct span object);
/* The same without a client and a clock; max: entries that are kept. */
void acl_log_keep(struct acl_log *log, const struct acl_refusal *what, uint32_t max);

#endif
