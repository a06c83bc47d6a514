#include "cluster/zone.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"

static bool read_address(const char *text, uint8_t out[16], bool *is_ipv6)
{
    *is_ipv6 = strchr(text, ':') != NULL;
    return inet_pton(*is_ipv6 ? AF_INET6 : AF_INET, text, out) == 1;
}

/* What lies behind the first `bits` is not compared, so it may be anything. */
static bool same_beginning(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

const char *zone_name_fault(const char *text)
{
    size_t len = strlen(text);
    bool ok = len <= ZONE_NAME_MAX && strcspn(text, " ,=\"\t\r\n") == len;
    return ok ? NULL : "bad zone (expected a word of at most 40 bytes)";
}

bool zone_subnet_parse(const char *text, struct zone_subnet *out)
{
    struct zone_subnet s = { .bits = 0 };
    char address[64];
    const char *equals = strchr(text, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - text);
    if (len == 0 || len >= sizeof(address) || equals[1] == '\0' ||
        zone_name_fault(equals + 1) != NULL)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    char *slash = strchr(address, '/');
    if (slash != NULL)
        *slash = '\0';
    if (!read_address(address, s.address, &s.is_ipv6))
        return false;
    uint64_t most = s.is_ipv6 ? 128 : 32, bits = most;
    if (slash != NULL && (!text_to_u64(slash + 1, strlen(slash + 1), &bits) || bits > most))
        return false;
    s.bits = (uint8_t)bits;
    memcpy(s.zone, equals + 1, strlen(equals + 1) + 1);
    *out = s;
    return true;
}

const char *zone_subnet_fault(const char *text)
{
    struct zone_subnet ignored;
    return zone_subnet_parse(text, &ignored) ? NULL
                                             : "bad subnet (expected for example 10.0.1.0/24=zone)";
}

const char *zone_of(const struct zone_subnet *subnets, uint32_t count, const char *address)
{
    uint8_t bytes[16];
    bool is_ipv6;
    const struct zone_subnet *best = NULL;
    if (!read_address(address, bytes, &is_ipv6))
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct zone_subnet *s = &subnets[i];
        bool holds = s->is_ipv6 == is_ipv6 && same_beginning(s->address, bytes, s->bits);
        if (holds && (best == NULL || s->bits > best->bits))
            best = s;
    }
    return best == NULL ? NULL : best->zone;
}
