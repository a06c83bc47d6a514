#include "migrate/plan_findings.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "migrate/advice.h"
#include "migrate/databases.h"
#include "migrate/scratch.h"

#define MB(bytes) ((unsigned long long)((bytes) >> 20))

enum { BACKLOG_SMALL = 16 << 20, LIMIT_SMALL = 64 << 20 };

void plan_say(const char *fmt, ...)
{
    va_list args;
    printf("ok    ");
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

void plan_find(struct plan_findings *f, enum plan_mark mark, const char *todo, const char *fmt, ...)
{
    static const char *const words[] = { [PLAN_WARN] = "warn", [PLAN_FAIL] = "FAIL" };
    va_list args;
    f->warnings += mark == PLAN_WARN;
    f->failures += mark == PLAN_FAIL;
    printf("%s  ", words[mark]);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf(" -> %s\n", todo);
}

static bool number_in(struct span info, const char *name, uint64_t *out)
{
    struct span text = target_info_line(info, name);
    return text_to_u64(text.at, text.len, out);
}

/* --- the source ---------------------------------------------------------------------------- */

/* "keys=12,expires=0,avg_ttl=0" */
static uint64_t keys_of_database(struct span info, unsigned db)
{
    char name[16];
    uint64_t keys = 0;
    snprintf(name, sizeof(name), "db%u", db);
    struct span line = target_info_line(info, name);
    if (line.len <= 5)
        return 0;
    const char *comma = memchr(line.at, ',', line.len);
    size_t len = comma != NULL ? (size_t)(comma - line.at) : line.len;
    return text_to_u64(line.at + 5, len - 5, &keys) ? keys : 0;
}

static void look_at_databases(struct plan_findings *f, struct span info)
{
    const struct copy_options *o = &f->config->copy_options;
    uint64_t others = 0;
    enum { DATABASES_MAX = 1024 };
    for (unsigned db = 0; db < DATABASES_MAX; db++) {
        uint64_t keys = keys_of_database(info, db);
        bool goes = databases_take(o, db);
        f->source_keys += goes ? keys : 0;
        others += goes ? 0 : keys;
    }
    if (others > 0 && o->databases == COPY_DB_REFUSE)
        plan_find(f, PLAN_FAIL, "say what to do with them by --db only:N, prefix or map",
                  "source: %llu keys in other databases than 0", (unsigned long long)others);
    else if (others > 0)
        plan_say("source: %llu keys in databases that stay behind (--db)",
                 (unsigned long long)others);
}

static void look_at_replication(struct plan_findings *f, struct span info)
{
    uint64_t backlog;
    if (span_is(target_info_line(info, "master_link_status"), "down"))
        plan_find(f, PLAN_FAIL, "wait until it has its master again, or name the master",
                  "source: a replica that has lost its master; it serves no PSYNC");
    if (!number_in(info, "repl_backlog_size", &backlog))
        return;
    if (backlog < BACKLOG_SMALL)
        plan_find(f, PLAN_WARN, "raise it to what is written in a minute (CONFIG SET)",
                  "source: repl-backlog-size is %llu KB; a connection lost for some seconds of "
                  "writes would mean a new full copy",
                  (unsigned long long)(backlog >> 10));
    else
        plan_say("source: repl-backlog-size is %llu MB", MB(backlog));
}

void plan_source_info(struct plan_findings *f, struct span info)
{
    struct span version = target_info_line(info, "redis_version");
    if (span_is(target_info_line(info, "cluster_enabled"), "1"))
        plan_find(f, PLAN_WARN, "run one process for each master, and let no slot move",
                  "source: a node of a cluster; it has only its own slots");
    number_in(info, "used_memory", &f->source_memory);
    look_at_databases(f, info);
    plan_say("source: version %.*s, %llu keys to copy, %llu MB of memory", (int)version.len,
             version.at, (unsigned long long)f->source_keys, MB(f->source_memory));
    look_at_replication(f, info);
}

/* "normal 0 0 0 slave 268435456 67108864 60 pubsub ..." */
void plan_output_limit(struct plan_findings *f, struct span limits)
{
    static const char *const names[] = { "slave ", "replica " };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t len = strlen(names[i]);
        const char *at = memmem(limits.at, limits.len, names[i], len);
        if (at == NULL)
            continue;
        at += len;
        const char *end = memchr(at, ' ', (size_t)(limits.at + limits.len - at));
        uint64_t hard;
        if (end == NULL || !text_to_u64(at, (size_t)(end - at), &hard))
            return;
        if (hard > 0 && hard < LIMIT_SMALL)
            plan_find(f, PLAN_WARN, "raise it while the migration runs (CONFIG SET)",
                      "source: client-output-buffer-limit of replicas is %llu MB; a busy source "
                      "may drop this replica",
                      MB(hard));
        else
            plan_say("source: client-output-buffer-limit of replicas is %llu MB%s", MB(hard),
                     hard == 0 ? ", so none" : "");
        return;
    }
}

/* --- the target ---------------------------------------------------------------------------- */

void plan_target_info(struct plan_findings *f, struct span info)
{
    uint64_t used = 0, max = 0;
    bool known = number_in(info, "used_memory", &used) && number_in(info, "maxmemory", &max);
    struct span policy = target_info_line(info, "maxmemory_policy");
    f->memory_known &= known;
    f->unbounded |= known && max == 0;
    f->evicts |= policy.len > 0 && !span_is(policy, "noeviction");
    f->target_used += used;
    f->target_max += max;
    f->target_keys += keys_of_database(info, 0);
}

void plan_memory(struct plan_findings *f)
{
    uint64_t room = f->target_max > f->target_used ? f->target_max - f->target_used : 0;
    if (!f->memory_known)
        plan_find(f, PLAN_WARN, "compare used_memory of both sides by hand",
                  "target: it does not tell its memory");
    else if (f->unbounded)
        plan_say("target: no maxmemory; %llu MB used", MB(f->target_used));
    else if (room < f->source_memory)
        plan_find(f, PLAN_FAIL, "raise maxmemory there, or leave keys behind (--exclude-key)",
                  "target: room for %llu MB below maxmemory, the source uses %llu MB", MB(room),
                  MB(f->source_memory));
    else
        plan_say("target: room for %llu MB below maxmemory", MB(room));
    if (f->evicts)
        plan_find(f, PLAN_WARN, advice_on(ADVICE_EVICTION, NULL),
                  "target: it evicts keys when memory is full");
    if (f->target_keys > 0)
        plan_find(f, PLAN_WARN, "empty it, or make sure that they are others (--replace)",
                  "target: it has %llu keys already; keys of the same names are %s",
                  (unsigned long long)f->target_keys,
                  f->config->replace ? "overwritten" : "failures (--replace no)");
}

/* --- here ---------------------------------------------------------------------------------- */

void plan_spool(struct plan_findings *f)
{
    const char *folder = f->config->spool_dir;
    struct statvfs disk;
    int file = scratch_file(folder);
    if (file < 0 || statvfs(folder, &disk) != 0) {
        plan_find(f, PLAN_FAIL, advice_on(ADVICE_FILE, NULL),
                  "here: cannot write to --spool-dir %s: %s", folder, strerror(errno));
        if (file >= 0)
            close(file);
        return;
    }
    close(file);
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= f->source_memory)
        plan_say("here: %llu MB free for the spool in %s", MB(free_bytes), folder);
    else
        plan_find(f, PLAN_WARN, "make room there, or name another folder by --spool-dir",
                  "here: %llu MB free for the spool in %s, less than the source's memory",
                  MB(free_bytes), folder);
}

void plan_print(struct plan_findings *f)
{
    const struct config *c = f->config;
    bool sync = strcmp(c->command->name, "sync") == 0;
    printf("\nThe plan: %s about %llu keys, values above %llu KB in pieces%s; then %s.\n",
           sync ? "a snapshot of" : "SCAN and DUMP of", (unsigned long long)f->source_keys,
           (unsigned long long)(c->big_key >> 10),
           c->copy_options.filter != NULL ? ", as far as the filters let them through" : "",
           sync && c->follow  ? "the stream, until told to stop"
           : !sync && c->tail ? "keyspace notifications, until told to stop"
                              : "the end");
    if (c->rate_limit_commands > 0)
        printf("At --rate-limit-commands %d the copy takes at least %llu s.\n",
               c->rate_limit_commands,
               (unsigned long long)(f->source_keys / (uint64_t)c->rate_limit_commands));
    printf("%u warnings, %u that will not work\n", f->warnings, f->failures);
}
