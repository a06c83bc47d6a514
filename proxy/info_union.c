/* Sections of INFO whose fields differ from node to node: every field that any node has. */
#include <stdlib.h>

#include "proxy/info_merge.h"

enum { PAIRS_MAX = 12 };

enum union_kind {
    UNION_ADD,   /* numbers are added up; usec_per_call and avg_ttl computed */
    UNION_MAX,   /* the largest of each number (percentiles cannot be added) */
    UNION_LINES, /* whole lines, each once */
};

static const struct {
    const char *name;
    enum union_kind kind;
} sections[] = {
    { "Commandstats", UNION_ADD }, { "Errorstats", UNION_ADD }, { "Latencystats", UNION_MAX },
    { "Keyspace", UNION_ADD },     { "Modules", UNION_LINES },
};

/* One field, "name:key=number,key=number". */
struct entry {
    struct span name; /* UNION_LINES: the whole line */
    uint32_t hash;
    uint32_t pairs;
    struct span key[PAIRS_MAX];
    double value[PAIRS_MAX];
    int decimals[PAIRS_MAX];
};

struct entries {
    struct entry *v;
    uint32_t count, room;
};

static uint32_t hash_of(struct span s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 16777619u;
    return h;
}

static struct entry *find_or_add(struct entries *all, struct span name)
{
    uint32_t hash = hash_of(name);
    for (uint32_t i = 0; i < all->count; i++)
        if (all->v[i].hash == hash && span_equal(all->v[i].name, name))
            return &all->v[i];
    if (all->count == all->room) {
        all->room = all->room == 0 ? 64 : all->room * 2;
        all->v = realloc(all->v, all->room * sizeof(all->v[0]));
        REQUIRE(all->v != NULL);
    }
    struct entry *e = &all->v[all->count++];
    *e = (struct entry){ .name = name, .hash = hash };
    return e;
}

/* Takes "key=number" off the text. False: there is no such thing any more. */
static bool take_pair(struct span *text, struct span *key, double *value, int *decimals)
{
    const char *equal = text->len == 0 ? NULL : memchr(text->at, '=', text->len);
    if (equal == NULL)
        return false;
    const char *end = text->at + text->len;
    const char *comma = memchr(equal, ',', (size_t)(end - equal));
    const char *stop = comma == NULL ? end : comma;
    char digits[48], *dot;
    size_t len = (size_t)(stop - equal) - 1;
    len = len < sizeof(digits) ? len : sizeof(digits) - 1;
    memcpy(digits, equal + 1, len);
    digits[len] = '\0';
    *value = strtod(digits, NULL);
    dot = strchr(digits, '.');
    *decimals = dot == NULL ? 0 : (int)strlen(dot + 1);
    *key = (struct span){ text->at, (size_t)(equal - text->at) };
    *text = comma == NULL ? (struct span){ end, 0 }
                          : (struct span){ comma + 1, (size_t)(end - comma) - 1 };
    return true;
}

static double *pair_of(struct entry *e, struct span key)
{
    for (uint32_t i = 0; i < e->pairs; i++)
        if (span_equal(e->key[i], key))
            return &e->value[i];
    return NULL;
}

static double number_of(struct entry *e, const char *key)
{
    const double *v = pair_of(e, (struct span){ key, strlen(key) });
    return v == NULL ? 0 : *v;
}

static void add_pair(struct entry *e, enum union_kind kind, struct span key, double n, int decimals)
{
    double *v = pair_of(e, key);
    if (v == NULL && e->pairs < PAIRS_MAX) {
        e->key[e->pairs] = key;
        e->value[e->pairs] = n;
        e->decimals[e->pairs++] = decimals;
    } else if (v != NULL && kind == UNION_ADD) {
        *v += n;
    } else if (v != NULL && n > *v) {
        *v = n;
    }
}

static void add_line(struct entries *all, enum union_kind kind, struct span line)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (kind == UNION_LINES || colon == NULL) {
        (void)find_or_add(all, line);
        return;
    }
    struct span name = { line.at, (size_t)(colon - line.at) }, key;
    struct span rest = { colon + 1, line.len - name.len - 1 }, again = rest;
    struct entry *e = find_or_add(all, name);
    double n, expires = 0;
    int decimals;
    while (take_pair(&again, &key, &n, &decimals))
        if (span_is(key, "expires"))
            expires = n;
    while (take_pair(&rest, &key, &n, &decimals))
        add_pair(e, kind, key, span_is(key, "avg_ttl") ? n * expires : n, decimals);
}

static double shown(struct entry *e, uint32_t pair)
{
    double by = 0;
    if (span_is(e->key[pair], "usec_per_call"))
        by = number_of(e, "calls");
    else if (span_is(e->key[pair], "avg_ttl"))
        by = number_of(e, "expires");
    else
        return e->value[pair];
    double of = span_is(e->key[pair], "avg_ttl") ? e->value[pair] : number_of(e, "usec");
    return by == 0 ? 0 : of / by;
}

static void print_entry(struct entry *e, struct writer *out)
{
    write_raw(out, e->name);
    for (uint32_t i = 0; i < e->pairs; i++) {
        info_print(out, "%c", i == 0 ? ':' : ',');
        write_raw(out, e->key[i]);
        info_print(out, "=%.*f", e->decimals[i], shown(e, i));
    }
    write_raw(out, SPAN("\r\n"));
}

bool info_union(struct span section, const struct span *texts, uint32_t count, struct writer *out)
{
    size_t at = 0;
    while (at < ARRAY_LEN(sections) && (strlen(sections[at].name) != section.len ||
                                        memcmp(sections[at].name, section.at, section.len) != 0))
        at++;
    if (at == ARRAY_LEN(sections))
        return false;
    struct entries all = { NULL, 0, 0 };
    for (uint32_t i = 0; i < count; i++) {
        struct span lines = texts[i];
        while (lines.len > 0) {
            struct span line = info_line(&lines);
            if (line.len > 0)
                add_line(&all, sections[at].kind, line);
        }
    }
    for (uint32_t i = 0; i < all.count; i++)
        print_entry(&all.v[i], out);
    free(all.v);
    return true;
}
