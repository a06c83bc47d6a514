#include "migrate/key_owner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "migrate/key_hash.h"
#include "migrate/md5.h"

enum { SERVERS_MAX = 1024, NAME_MAX_LEN = 256, POINTS = 160, MEMCACHED_PORT = 11211 };

enum distribution { KETAMA, MODULA, RANDOM };

struct server {
    char name[NAME_MAX_LEN]; /* what the ring is built with: its own name, or its address */
    char address[NAME_MAX_LEN];
    uint32_t weight;
};

/* A place on Ketama's ring; Modula's table knows only the server. */
struct point {
    uint32_t value, server;
};

struct key_owner {
    bool codis;
    bool slots[KEY_OWNER_CODIS_SLOTS];
    key_hash *hash;
    uint8_t distribution; /* enum distribution */
    char tag[3];
    struct server *servers;
    uint32_t server_count, me;
    struct point *points;
    uint32_t point_count;
};

PRINTF_LIKE(3, 4)
static bool fail(char *err, size_t cap, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err, cap, fmt, args);
    va_end(args);
    return false;
}

/* --- Codis --------------------------------------------------------------------------------- */

static bool read_range(struct key_owner *o, const char *text, char *err, size_t cap)
{
    const char *dash = strchr(text, '-');
    size_t len = dash != NULL ? (size_t)(dash - text) : strlen(text);
    uint64_t first, last;
    if (!text_to_u64(text, len, &first))
        return fail(err, cap, "%.40s is no range of slots", text);
    last = first;
    if (dash != NULL && !text_to_u64(dash + 1, strlen(dash + 1), &last))
        return fail(err, cap, "%.40s is no range of slots", text);
    if (last >= KEY_OWNER_CODIS_SLOTS || first > last)
        return fail(err, cap, "slots are 0 to %d", KEY_OWNER_CODIS_SLOTS - 1);
    for (uint64_t i = first; i <= last; i++)
        o->slots[i] = true;
    return true;
}

static bool read_codis(struct key_owner *o, char *text, char *err, size_t cap)
{
    char *rest;
    if (strncmp(text, "slots=", 6) != 0)
        return fail(err, cap, "expected codis:slots=FIRST-LAST");
    o->codis = true;
    for (char *r = strtok_r(text + 6, "|", &rest); r != NULL; r = strtok_r(NULL, "|", &rest))
        if (!read_range(o, r, err, cap))
            return false;
    return true;
}

/* --- Twemproxy's rings --------------------------------------------------------------------- */

static int compare_points(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

static uint32_t weight_of_all(const struct key_owner *o)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < o->server_count; i++)
        sum += o->servers[i].weight;
    return sum;
}

/* In single precision, as Twemproxy computes it: another rounding would be another ring. */
static uint32_t digests_of(const struct key_owner *o, const struct server *s)
{
    float part = (float)s->weight / (float)weight_of_all(o);
    return (uint32_t)(float)((double)(part * POINTS / 4 * (float)o->server_count) + 0.0000000001);
}

/* Each digest of "NAME-NUMBER" gives four points. */
static void build_ketama(struct key_owner *o)
{
    for (uint32_t i = 0; i < o->server_count; i++) {
        uint32_t digests = digests_of(o, &o->servers[i]);
        for (uint32_t n = 0; n < digests; n++) {
            char text[86]; /* it cuts longer ones, so we do */
            uint32_t digest[MD5_WORDS];
            int len = snprintf(text, sizeof(text), "%s-%u", o->servers[i].name, n);
            size_t kept = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
            md5_of((struct span){ text, kept }, digest);
            for (int w = 0; w < MD5_WORDS; w++)
                o->points[o->point_count++] = (struct point){ digest[w], i };
        }
    }
    qsort(o->points, o->point_count, sizeof(*o->points), compare_points);
}

static void build_modula(struct key_owner *o)
{
    for (uint32_t i = 0; i < o->server_count; i++)
        for (uint32_t n = 0; n < o->servers[i].weight; n++)
            o->points[o->point_count++] = (struct point){ 0, i };
}

static void build_ring(struct key_owner *o)
{
    size_t room =
        o->distribution == MODULA ? weight_of_all(o) : (size_t)(o->server_count + 1) * POINTS;
    o->points = calloc(room + 1, sizeof(*o->points));
    REQUIRE(o->points != NULL);
    if (o->distribution == KETAMA)
        build_ketama(o);
    else if (o->distribution == MODULA)
        build_modula(o);
}

/* --- Twemproxy's configuration ------------------------------------------------------------- */

/* HOST:PORT:WEIGHT or HOST:PORT:WEIGHT NAME. */
static bool read_server(struct key_owner *o, const char *text, char *err, size_t cap)
{
    struct server *s = &o->servers[o->server_count];
    const char *blank = strchr(text, ' ');
    size_t len = blank != NULL ? (size_t)(blank - text) : strlen(text);
    size_t colon = len, port = 0;
    uint64_t weight, number;
    while (colon > 0 && text[colon - 1] != ':')
        colon--;
    port = colon > 0 ? colon - 1 : 0;
    while (port > 0 && text[port - 1] != ':')
        port--;
    if (colon < 2 || port < 2 || !text_to_u64(text + colon, len - colon, &weight) ||
        !text_to_u64(text + port, colon - 1 - port, &number) || weight == 0 || weight > 100000)
        return fail(err, cap, "%.80s is not HOST:PORT:WEIGHT or HOST:PORT:WEIGHT NAME", text);
    if (o->server_count + 1 == SERVERS_MAX || len >= NAME_MAX_LEN)
        return fail(err, cap, "too many servers, or too long a name");
    /* The port of memcached is not part of the name, as in other rings of this kind. */
    size_t named = number == MEMCACHED_PORT ? port - 1 : colon - 1;
    s->weight = (uint32_t)weight;
    snprintf(s->address, sizeof(s->address), "%.*s", (int)(colon - 1), text);
    if (blank != NULL)
        snprintf(s->name, sizeof(s->name), "%s", blank + 1);
    else
        snprintf(s->name, sizeof(s->name), "%.*s", (int)named, text);
    o->server_count++;
    return true;
}

static bool read_servers(struct key_owner *o, char *text, char *err, size_t cap)
{
    char *rest;
    o->servers = calloc(SERVERS_MAX, sizeof(*o->servers));
    REQUIRE(o->servers != NULL);
    for (char *s = strtok_r(text, "|", &rest); s != NULL; s = strtok_r(NULL, "|", &rest))
        if (!read_server(o, s, err, cap))
            return false;
    return true;
}

static bool read_distribution(struct key_owner *o, const char *name, char *err, size_t cap)
{
    static const char *const names[] = {
        [KETAMA] = "ketama", [MODULA] = "modula", [RANDOM] = "random"
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0) {
            o->distribution = (uint8_t)i;
            return true;
        }
    return fail(err, cap, "no distribution of Twemproxy's is called %.40s", name);
}

static bool read_setting(struct key_owner *o, char *text, const char **me, char *err, size_t cap)
{
    char *value = strchr(text, '=');
    if (value == NULL)
        return fail(err, cap, "%.40s is no setting; expected NAME=VALUE", text);
    *value++ = '\0';
    if (strcmp(text, "servers") == 0 && o->servers == NULL)
        return read_servers(o, value, err, cap);
    if (strcmp(text, "distribution") == 0)
        return read_distribution(o, value, err, cap);
    if (strcmp(text, "hash") == 0) {
        o->hash = key_hash_find(value);
        return o->hash != NULL || fail(err, cap, "no hash of Twemproxy's is called %.40s", value);
    }
    if (strcmp(text, "hash_tag") == 0 && strlen(value) == 2) {
        memcpy(o->tag, value, 3);
        return true;
    }
    if (strcmp(text, "me") == 0) {
        *me = value;
        return true;
    }
    return fail(err, cap, "%.40s: no such setting, or a wrong value", text);
}

static bool find_me(struct key_owner *o, const char *me, char *err, size_t cap)
{
    if (o->server_count == 0 || me == NULL)
        return fail(err, cap, "servers= and me= are needed");
    while (o->me < o->server_count && strcmp(o->servers[o->me].name, me) != 0 &&
           strcmp(o->servers[o->me].address, me) != 0)
        o->me++;
    return o->me < o->server_count || fail(err, cap, "none of the servers is %.80s", me);
}

static bool read_twemproxy(struct key_owner *o, char *text, char *err, size_t cap)
{
    const char *me = NULL;
    char *rest;
    o->hash = key_hash_find("fnv1a_64");
    o->distribution = KETAMA;
    for (char *s = strtok_r(text, ",", &rest); s != NULL; s = strtok_r(NULL, ",", &rest))
        if (!read_setting(o, s, &me, err, cap))
            return false;
    if (!find_me(o, me, err, cap))
        return false;
    build_ring(o);
    return true;
}

struct key_owner *key_owner_new(const char *text, char *err, size_t cap)
{
    struct key_owner *o = calloc(1, sizeof(*o));
    char *copy = text_copy(text, strlen(text));
    bool good = false;
    REQUIRE(o != NULL);
    if (strncmp(text, "codis:", 6) == 0)
        good = read_codis(o, copy + 6, err, cap);
    else if (strncmp(text, "twemproxy:", 10) == 0)
        good = read_twemproxy(o, copy + 10, err, cap);
    else
        fail(err, cap, "expected codis:... or twemproxy:...");
    free(copy);
    if (good)
        return o;
    key_owner_free(o);
    return NULL;
}

void key_owner_free(struct key_owner *o)
{
    if (o == NULL)
        return;
    free(o->servers);
    free(o->points);
    free(o);
}

/* --- keys ---------------------------------------------------------------------------------- */

/* What stands between the two signs, of which the second one is the first behind the first. */
static struct span between(struct span key, char begin, char end, bool empty)
{
    const char *from = key.len > 0 ? memchr(key.at, begin, key.len) : NULL;
    size_t left = from != NULL ? key.len - (size_t)(from + 1 - key.at) : 0;
    const char *to = left > 0 ? memchr(from + 1, end, left) : NULL;
    if (to == NULL || (!empty && to == from + 1))
        return key;
    return (struct span){ from + 1, (size_t)(to - from - 1) };
}

static bool is_in_slots(const struct key_owner *o, struct span key)
{
    return o->slots[key_hash_crc32(between(key, '{', '}', true)) % KEY_OWNER_CODIS_SLOTS];
}

/* The first point that is not before the value; behind the last one comes the first. */
static uint32_t find_point(const struct key_owner *o, uint32_t value)
{
    uint32_t low = 0, high = o->point_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (o->points[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < o->point_count ? low : 0;
}

int key_owner_server(const struct key_owner *o, struct span key)
{
    if (o->codis || o->distribution == RANDOM)
        return -1;
    if (o->server_count == 1)
        return 0;
    if (o->tag[0] != '\0')
        key = between(key, o->tag[0], o->tag[1], false);
    uint32_t hash = o->hash(key);
    uint32_t at = o->distribution == KETAMA ? find_point(o, hash) : hash % o->point_count;
    return (int)o->points[at].server;
}

bool key_owner_parts(const struct key_owner *o)
{
    return o->codis || o->distribution != RANDOM;
}

bool key_owner_is_me(const struct key_owner *o, struct span key)
{
    if (o->codis)
        return is_in_slots(o, key);
    int server = key_owner_server(o, key);
    return server < 0 || server == (int)o->me;
}
