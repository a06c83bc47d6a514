/*
 * target_facts.h: what a server of some version understands, from its reply to INFO. Pure.
 */
#ifndef MIGRATE_TARGET_FACTS_H
#define MIGRATE_TARGET_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"
#include "resp/writer.h"

#define TARGET_IS_SOURCE "the target is the source itself, or a replica or master of it"

struct target_facts {
    char version[24];      /* for people: "7.0.15" */
    uint16_t rdb;          /* the highest version stamp that RESTORE takes; 0: unknown */
    uint16_t rdb_valkey;   /* the same of Valkey's own; 0: none */
    bool replace;          /* RESTORE ... REPLACE */
    bool absolute;         /* RESTORE ... ABSTTL, IDLETIME, FREQ */
    bool hset_many;        /* HSET with several fields */
    bool streams;          /* XADD */
    bool create_consumer;  /* XGROUP CREATECONSUMER */
    bool set_until;        /* SET ... PXAT */
    bool entries_added;    /* XSETID ... ENTRIESADDED, XGROUP CREATE ... ENTRIESREAD */
    bool functions;        /* FUNCTION LOAD */
    bool expire_if;        /* PEXPIREAT ... XX */
    bool field_times;      /* HPEXPIREAT */
    bool set_fields;       /* HSETEX */
    bool counts_frequency; /* keeps FREQ of keys, not IDLETIME */
    bool evicts;           /* may drop keys when memory is full */
    bool expire_time;      /* PEXPIRETIME */
    bool cluster_node;
    bool slotgate; /* it stands before a cluster and looks like one Redis */
};

/* reply: a complete reply to INFO. False: it is none. */
MUST_USE bool target_facts_read(struct target_facts *f, struct span reply);
/* The value of a line "name:value" in the text of INFO; len 0: there is none. */
struct span target_info_line(struct span info, const char *name);
/* Adds by which ids servers know each other: of the process and of its history of replication, a
   blank behind each. A master and its replicas share one. */
void target_ids_add(struct writer *ids, struct span reply);
bool target_ids_have(const struct writer *ids, struct span id);
bool target_ids_meet(const struct writer *ids, const struct writer *others);
/* What both understand. */
void target_facts_meet(struct target_facts *f, const struct target_facts *other);
/* Whether RESTORE takes a payload with that stamp. */
bool target_takes(const struct target_facts *f, uint16_t stamp);

#endif
