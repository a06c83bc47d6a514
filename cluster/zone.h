/*
 * zone.h: which availability zone an address lies in, by a table of subnets. Pure.
 */
#ifndef CLUSTER_ZONE_H
#define CLUSTER_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

enum { ZONE_NAME_MAX = 40 };

/* "10.0.1.0/24=eu-west-1a", "fd00:1::/64=b", "10.0.1.7=c": a subnet and the name of its zone. */
struct zone_subnet {
    uint8_t address[16];
    uint8_t bits;
    bool is_ipv6;
    char zone[ZONE_NAME_MAX + 1];
};

/* False: the text is none; *out is untouched then. */
MUST_USE bool zone_subnet_parse(const char *text, struct zone_subnet *out);
/* NULL, or what is wrong with such a text, or with the name of a zone. */
const char *zone_subnet_fault(const char *text);
const char *zone_name_fault(const char *text);

/* The zone of a numeric address by the narrowest subnet that holds it. NULL: in none, or the
   address is no numeric one. */
const char *zone_of(const struct zone_subnet *subnets, uint32_t count, const char *address);

#endif
