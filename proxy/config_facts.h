/*
 * config_facts.h: the parameters that CONFIG of one Redis 7.0 knows, with believable values.
 *
 * Tools look at some of them and decide; what the servers behind really have is theirs, and a
 * managed Redis does not tell.
 */
#ifndef PROXY_CONFIG_FACTS_H
#define PROXY_CONFIG_FACTS_H

#include <stddef.h>
#include <stdint.h>

enum config_kind {
    CONFIG_KNOWN,     /* Redis lets one change it; here only to the value that it has */
    CONFIG_FIXED,     /* never changes, in Redis neither */
    CONFIG_PROTECTED, /* the same, with another error */
    CONFIG_OPTION,    /* the proxy's own option of that name, in Redis's units */
    CONFIG_EVENTS,    /* notify-keyspace-events, which goes to every master */
};

struct config_fact {
    const char *name;
    const char *value; /* of a fresh server; "" for CONFIG_OPTION and CONFIG_EVENTS */
    uint8_t kind;      /* enum config_kind */
};

/* Ends with name NULL. */
extern const struct config_fact config_facts[];

#endif
