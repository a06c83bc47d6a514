#include "proxy/info_merge.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

/* --- what becomes of a field ------------------------------------------------------------------ */

enum rule_kind {
    RULE_ADD = 0, /* of all masters; a text that is no number: as RULE_FIRST */
    RULE_FIRST,   /* as the node says whose text is the pattern */
    RULE_MAX,
    RULE_MIN,
    RULE_MEAN,
    RULE_TEXT,    /* always `a` */
    RULE_LOWEST,  /* version */
    RULE_EXCEPT,  /* the first that is not `a` */
    RULE_LIMIT,   /* added up; 0, for no limit, when one node has none */
    RULE_HUMAN,   /* the merged `a` for people */
    RULE_RATIO,   /* merged `a` by merged `b` */
    RULE_PERCENT, /* the same in per cent */
    RULE_DATASET, /* used_memory_dataset_perc, which needs three */
};

struct rule {
    const char *name;
    enum rule_kind kind;
    const char *a, *b;
};

static const struct rule rules[] = {
    { "redis_version", RULE_LOWEST, NULL, NULL },
    { "redis_mode", RULE_TEXT, "standalone", NULL },
    { "arch_bits", RULE_FIRST, NULL, NULL },
    { "redis_git_dirty", RULE_FIRST, NULL, NULL },
    { "redis_git_sha1", RULE_FIRST, NULL, NULL },
    { "process_supervised", RULE_TEXT, "no", NULL },
    { "hz", RULE_MAX, NULL, NULL },
    { "configured_hz", RULE_MAX, NULL, NULL },
    { "lru_clock", RULE_MAX, NULL, NULL },
    { "io_threads_active", RULE_MAX, NULL, NULL },

    { "cluster_connections", RULE_TEXT, "0", NULL },
    { "client_recent_max_input_buffer", RULE_MAX, NULL, NULL },
    { "client_recent_max_output_buffer", RULE_MAX, NULL, NULL },

    { "used_memory_human", RULE_HUMAN, "used_memory", NULL },
    { "used_memory_rss_human", RULE_HUMAN, "used_memory_rss", NULL },
    { "used_memory_peak_human", RULE_HUMAN, "used_memory_peak", NULL },
    { "used_memory_peak_perc", RULE_PERCENT, "used_memory", "used_memory_peak" },
    { "used_memory_dataset_perc", RULE_DATASET, NULL, NULL },
    { "total_system_memory_human", RULE_HUMAN, "total_system_memory", NULL },
    { "used_memory_lua_human", RULE_HUMAN, "used_memory_lua", NULL },
    { "used_memory_vm_total_human", RULE_HUMAN, "used_memory_vm_total", NULL },
    { "used_memory_scripts_human", RULE_HUMAN, "used_memory_scripts", NULL },
    { "number_of_cached_scripts", RULE_MAX, NULL, NULL }, /* every node has them all */
    { "number_of_functions", RULE_MAX, NULL, NULL },
    { "number_of_libraries", RULE_MAX, NULL, NULL },
    { "maxmemory", RULE_LIMIT, NULL, NULL },
    { "maxmemory_human", RULE_HUMAN, "maxmemory", NULL },
    { "allocator_frag_ratio", RULE_RATIO, "allocator_active", "allocator_allocated" },
    { "allocator_rss_ratio", RULE_RATIO, "allocator_resident", "allocator_active" },
    { "rss_overhead_ratio", RULE_RATIO, "used_memory_rss", "allocator_resident" },
    { "mem_fragmentation_ratio", RULE_RATIO, "used_memory_rss", "used_memory" },
    { "mem_replication_backlog", RULE_TEXT, "0", NULL },
    { "mem_total_replication_buffers", RULE_TEXT, "0", NULL },
    { "mem_clients_slaves", RULE_TEXT, "0", NULL },
    { "mem_cluster_links", RULE_TEXT, "0", NULL },
    { "active_defrag_running", RULE_MAX, NULL, NULL },

    { "loading", RULE_TEXT, "0", NULL },
    { "async_loading", RULE_TEXT, "0", NULL },
    { "current_cow_size_age", RULE_MAX, NULL, NULL },
    { "current_fork_perc", RULE_MAX, NULL, NULL },
    { "rdb_bgsave_in_progress", RULE_MAX, NULL, NULL },
    { "rdb_last_save_time", RULE_MIN, NULL, NULL },
    { "rdb_last_bgsave_status", RULE_EXCEPT, "ok", NULL },
    { "rdb_last_bgsave_time_sec", RULE_MAX, NULL, NULL },
    { "rdb_current_bgsave_time_sec", RULE_MAX, NULL, NULL },
    { "aof_enabled", RULE_MAX, NULL, NULL },
    { "aof_rewrite_in_progress", RULE_MAX, NULL, NULL },
    { "aof_rewrite_scheduled", RULE_MAX, NULL, NULL },
    { "aof_last_rewrite_time_sec", RULE_MAX, NULL, NULL },
    { "aof_current_rewrite_time_sec", RULE_MAX, NULL, NULL },
    { "aof_last_bgrewrite_status", RULE_EXCEPT, "ok", NULL },
    { "aof_rewrites_consecutive_failures", RULE_MAX, NULL, NULL },
    { "aof_last_write_status", RULE_EXCEPT, "ok", NULL },
    { "module_fork_in_progress", RULE_MAX, NULL, NULL },

    { "expired_stale_perc", RULE_MEAN, NULL, NULL },
    { "current_eviction_exceeded_time", RULE_MAX, NULL, NULL },
    { "latest_fork_usec", RULE_MAX, NULL, NULL },
    { "current_active_defrag_time", RULE_MAX, NULL, NULL },

    { "role", RULE_TEXT, "master", NULL },
    { "connected_slaves", RULE_TEXT, "0", NULL },
    { "master_failover_state", RULE_TEXT, "no-failover", NULL },
    { "master_replid2", RULE_TEXT, "0000000000000000000000000000000000000000", NULL },
    { "master_repl_offset", RULE_TEXT, "0", NULL },
    { "second_repl_offset", RULE_TEXT, "-1", NULL },
    { "repl_backlog_active", RULE_TEXT, "0", NULL },
    { "repl_backlog_size", RULE_FIRST, NULL, NULL },
    { "repl_backlog_first_byte_offset", RULE_TEXT, "0", NULL },
    { "repl_backlog_histlen", RULE_TEXT, "0", NULL },

    { "cluster_enabled", RULE_TEXT, "0", NULL },
};

static const struct rule *rule_for(struct span name)
{
    static const struct rule add = { NULL, RULE_ADD, NULL, NULL };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (name.len == strlen(rules[i].name) && memcmp(name.at, rules[i].name, name.len) == 0)
            return &rules[i];
    return &add;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct span info_line(struct span *text)
{
    const char *end = memchr(text->at, '\n', text->len);
    size_t taken = end == NULL ? text->len : (size_t)(end - text->at) + 1;
    struct span line = { text->at, end == NULL ? taken : taken - 1 };
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    text->at += taken;
    text->len -= taken;
    return line;
}

struct span info_field_of(struct span line, struct span name)
{
    if (line.len <= name.len || line.at[name.len] != ':' || memcmp(line.at, name.at, name.len) != 0)
        return (struct span){ NULL, 0 };
    return (struct span){ line.at + name.len + 1, line.len - name.len - 1 };
}

struct span info_value(struct span text, const char *name)
{
    struct span wanted = { name, strlen(name) }, value = { NULL, 0 };
    while (text.len > 0 && value.at == NULL)
        value = info_field_of(info_line(&text), wanted);
    return value;
}

bool info_version_below(struct span a, struct span b)
{
    const char *x = a.at, *y = b.at, *x_end = x + a.len, *y_end = y + b.len;
    while (x < x_end && y < y_end) {
        unsigned long m = 0, n = 0;
        for (; x < x_end && *x >= '0' && *x <= '9'; x++)
            m = m * 10 + (unsigned long)(*x - '0');
        for (; y < y_end && *y >= '0' && *y <= '9'; y++)
            n = n * 10 + (unsigned long)(*y - '0');
        if (m != n)
            return m < n;
        x++;
        y++;
    }
    return x < x_end ? false : y < y_end;
}

/* --- all nodes side by side ------------------------------------------------------------------- */

struct merge {
    const struct span *texts;
    struct span *section; /* per node: the lines of the section that is being merged */
    struct span *rest;    /* ... behind the field that was found last */
    uint32_t count;
    uint32_t pattern; /* the node whose order of fields is taken */
    const struct info_field *own;
    uint32_t own_count;
    struct writer *out;
};

/* Nodes print fields in the same order, so the next line is nearly always the right one. */
static struct span value_at(struct merge *m, uint32_t node, struct span name)
{
    struct span value = info_field_of(info_line(&m->rest[node]), name);
    if (value.at != NULL)
        return value;
    m->rest[node] = m->section[node];
    while (m->rest[node].len > 0 && value.at == NULL)
        value = info_field_of(info_line(&m->rest[node]), name);
    return value;
}

struct number {
    double value;
    int decimals;
};

static bool read_number(struct span text, struct number *out)
{
    char digits[64], *end;
    if (text.len == 0 || text.len >= sizeof(digits) || strchr("-0123456789", text.at[0]) == NULL)
        return false;
    memcpy(digits, text.at, text.len);
    digits[text.len] = '\0';
    if (strspn(digits, "-0123456789.") != text.len)
        return false;
    out->value = strtod(digits, &end);
    const char *dot = strchr(digits, '.');
    out->decimals = dot == NULL ? 0 : (int)strlen(dot + 1);
    return *end == '\0';
}

/* What the rules on numbers need. */
struct tally {
    double sum, max, min;
    int decimals;
    uint32_t found;
    bool odd;  /* one is no number */
    bool zero; /* one is 0 */
};

static struct tally tally_of(struct merge *m, struct span name)
{
    struct tally t = { .max = -INFINITY, .min = INFINITY };
    for (uint32_t i = 0; i < m->count; i++) {
        struct number n;
        struct span value = value_at(m, i, name);
        if (value.at == NULL)
            continue;
        if (!read_number(value, &n)) {
            t.odd = true;
            continue;
        }
        t.found++;
        t.sum += n.value;
        t.max = n.value > t.max ? n.value : t.max;
        t.min = n.value < t.min ? n.value : t.min;
        t.decimals = n.decimals > t.decimals ? n.decimals : t.decimals;
        t.zero = t.zero || n.value == 0;
    }
    return t;
}

static double merged(struct merge *m, const char *name)
{
    struct span text = { name, strlen(name) };
    struct tally t = tally_of(m, text);
    return rule_for(text)->kind == RULE_LIMIT && t.zero ? 0 : t.sum;
}

/* --- writing ---------------------------------------------------------------------------------- */

void info_print(struct writer *out, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    size_t len = n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1;
    write_raw(out, (struct span){ text, len });
}

/* As bytesToHuman of Redis prints it. */
static void print_human(struct writer *out, double bytes)
{
    static const char units[] = "KMGTP";
    if (bytes < 1024) {
        info_print(out, "%.0fB", bytes);
        return;
    }
    size_t unit = 0;
    for (bytes /= 1024; bytes >= 1024 && unit + 2 < sizeof(units); bytes /= 1024)
        unit++;
    info_print(out, "%.2f%c", bytes, units[unit]);
}

static double ratio(double a, double b)
{
    return b == 0 ? 0 : a / b;
}

static void print_text(struct merge *m, const struct rule *r, struct span name, struct span first)
{
    struct span chosen = first;
    for (uint32_t i = 0; i < m->count && r->kind != RULE_FIRST; i++) {
        struct span v = value_at(m, i, name);
        if (v.at == NULL)
            continue;
        if (r->kind == RULE_LOWEST ? info_version_below(v, chosen)
                                   : r->kind == RULE_EXCEPT &&
                                         (v.len != strlen(r->a) || memcmp(v.at, r->a, v.len) != 0))
            chosen = v;
    }
    write_raw(m->out, chosen);
}

static void print_number(struct merge *m, const struct rule *r, struct span name, struct span first)
{
    struct tally t = tally_of(m, name);
    double n = t.sum;
    if (t.odd || t.found == 0) {
        write_raw(m->out, first);
        return;
    }
    if (r->kind == RULE_MAX)
        n = t.max;
    else if (r->kind == RULE_MIN)
        n = t.min;
    else if (r->kind == RULE_MEAN)
        n = t.sum / t.found;
    else if (r->kind == RULE_LIMIT && t.zero)
        n = 0;
    info_print(m->out, "%.*f", t.decimals, n);
}

static void print_value(struct merge *m, struct span name, struct span first)
{
    const struct rule *r = rule_for(name);
    switch (r->kind) {
    case RULE_TEXT:
        write_raw(m->out, (struct span){ r->a, strlen(r->a) });
        break;
    case RULE_FIRST:
    case RULE_LOWEST:
    case RULE_EXCEPT:
        print_text(m, r, name, first);
        break;
    case RULE_HUMAN:
        print_human(m->out, merged(m, r->a));
        break;
    case RULE_RATIO:
        info_print(m->out, "%.2f", ratio(merged(m, r->a), merged(m, r->b)));
        break;
    case RULE_PERCENT:
        info_print(m->out, "%.2f%%", 100 * ratio(merged(m, r->a), merged(m, r->b)));
        break;
    case RULE_DATASET:
        info_print(m->out, "%.2f%%",
                   100 * ratio(merged(m, "used_memory_dataset"),
                               merged(m, "used_memory") - merged(m, "used_memory_startup")));
        break;
    case RULE_ADD:
    case RULE_MAX:
    case RULE_MIN:
    case RULE_MEAN:
    case RULE_LIMIT:
    default:
        print_number(m, r, name, first);
        break;
    }
}

/* "slave0:ip=...": this master has none to show. */
static bool is_replica_line(struct span line)
{
    return line.len > 6 && memcmp(line.at, "slave", 5) == 0 && line.at[5] >= '0' &&
           line.at[5] <= '9';
}

static void print_field(struct merge *m, struct span line)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (colon == NULL || is_replica_line(line)) {
        return;
    }
    struct span name = { line.at, (size_t)(colon - line.at) };
    struct span first = { colon + 1, line.len - name.len - 1 };
    write_raw(m->out, (struct span){ line.at, name.len + 1 });
    for (uint32_t i = 0; i < m->own_count; i++) {
        if (strlen(m->own[i].name) == name.len && memcmp(m->own[i].name, name.at, name.len) == 0) {
            info_print(m->out, "%s\r\n", m->own[i].value);
            return;
        }
    }
    print_value(m, name, first);
    write_raw(m->out, SPAN("\r\n"));
}

/* --- sections --------------------------------------------------------------------------------- */

/* The lines behind "# Name" up to the next header. */
static struct span section_of(struct span text, struct span header)
{
    while (text.len > 0) {
        struct span line = info_line(&text);
        if (!span_equal(line, header))
            continue;
        struct span lines = { text.at, 0 };
        while (text.len > 0 && text.at[0] != '#') {
            (void)info_line(&text);
            lines.len = (size_t)(text.at - lines.at);
        }
        return lines;
    }
    return (struct span){ "", 0 };
}

static void print_section(struct merge *m, struct span header)
{
    for (uint32_t i = 0; i < m->count; i++)
        m->rest[i] = m->section[i] = section_of(m->texts[i], header);
    if (m->out->len > 0)
        write_raw(m->out, SPAN("\r\n"));
    write_raw(m->out, header);
    write_raw(m->out, SPAN("\r\n"));
    struct span name = { header.at + 2, header.len > 2 ? header.len - 2 : 0 };
    if (info_union(name, m->section, m->count, m->out))
        return;
    struct span lines = m->section[m->pattern];
    while (lines.len > 0) {
        struct span line = info_line(&lines);
        if (line.len > 0)
            print_field(m, line);
    }
}

static uint32_t lowest_version(const struct span *texts, uint32_t count)
{
    uint32_t lowest = 0;
    struct span found = info_value(texts[0], "redis_version");
    for (uint32_t i = 1; i < count && found.at != NULL; i++) {
        struct span v = info_value(texts[i], "redis_version");
        if (v.at != NULL && info_version_below(v, found)) {
            lowest = i;
            found = v;
        }
    }
    return lowest;
}

void info_merge(const struct span *texts, uint32_t count, const struct info_field *own,
                uint32_t own_count, struct writer *out)
{
    if (count == 0)
        return;
    struct merge m = { .texts = texts,
                       .count = count,
                       .pattern = lowest_version(texts, count),
                       .own = own,
                       .own_count = own_count,
                       .out = out };
    m.section = calloc(count, 2 * sizeof(m.section[0]));
    REQUIRE(m.section != NULL);
    m.rest = m.section + count;
    struct span text = texts[m.pattern];
    while (text.len > 0) {
        struct span line = info_line(&text);
        if (line.len > 0 && line.at[0] == '#')
            print_section(&m, line);
    }
    free(m.section);
}
