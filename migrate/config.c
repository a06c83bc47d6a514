#include "migrate/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/option_doc.h"
#include "base/text.h"
#include "migrate/config_fit.h"
#include "migrate/databases.h"
#include "migrate/options.h"

enum { BUILDS = 64, WINDOW = 4096 };

/* clang-format off */
static const struct config_command commands[] = {
    { "restore", "FILE [TARGET]", "Write the keys of an RDB file into the target; - reads stdin.",
      1, 2, false, true },
    { "dump", "SOURCE FILE",
      "Take a full copy of the source, as a replica does, into an RDB file.", 2, 2, true, false },
    { "sync", "SOURCE [TARGET]",
      "Copy everything of the source into the target, then follow its stream until stopped\n"
      "      (SIGINT, SIGTERM). Each command is delivered exactly once (--exactly). With --state-dir\n"
      "      a new start goes on where the last one ended, else it is a new full copy.",
      1, 2, true, true },
    { "scan", "SOURCE [TARGET]",
      "Copy the keys of database 0 by SCAN, DUMP and PTTL, for sources that let nobody replicate.\n"
      "      Best effort: what changes while it is read may differ in the end. With --tail it\n"
      "      follows the source's keyspace notifications until stopped.",
      1, 2, true, true },
    { "verify", "SOURCE [TARGET]",
      "Compare all keys of source and target, in some rounds; exit code 1 if any differs for good.",
      1, 2, true, true },
    { "status", "SOCKET", "Tell how far a running sync has come.", 1, 1, false, false },
    { "metrics", "SOCKET", "The same for Prometheus.", 1, 1, false, false },
    { "pause", "SOCKET", "Let it write nothing to the target; the spool takes what comes.", 1, 1,
      false, false },
    { "resume", "SOCKET", "Let it write again.", 1, 1, false, false },
    { "cutover", "SOCKET",
      "Wait until the target has all, set the times to live that were held back, compare a sample,\n"
      "      repair, and report; exit code 1 if anything remains. The sync goes on until finish.",
      1, 1, false, false },
    { "finish", "SOCKET", "Apply what has been received, then end it.", 1, 1, false, false },
};
/* clang-format on */

PRINTF_LIKE(3, 4)
static int fail(char *err, size_t cap, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err, cap, fmt, args);
    va_end(args);
    return ERR_OPTION;
}

/* --- the command --------------------------------------------------------------------------- */

/* "restore FILE TARGET": the words stand before the options. Gives how many there are. */
static int take_words(struct config *c, int argc, char *const *argv, char *err, size_t cap)
{
    const char *name = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    if (name == NULL)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            c->command = &commands[i];
    if (c->command == NULL)
        return fail(err, cap, "unknown command %.40s; try slotgate-migrate --help", name);
    for (int at = 2; at < argc && (argv[at][0] != '-' || argv[at][1] == '\0'); at++) {
        if (c->word_count == c->command->words_max)
            return fail(err, cap, "%s takes no more than %s", name, c->command->usage);
        c->words[c->word_count++] = argv[at];
    }
    return 1 + (int)c->word_count;
}

/* --- what the options add up to ------------------------------------------------------------ */

static int read_databases(struct config *c, char *err, size_t cap)
{
    struct copy_options *o = &c->copy_options;
    const char *wrong = c->db != NULL ? databases_read(o, c->db) : NULL;
    if (wrong != NULL)
        return fail(err, cap, "--db: %s", wrong);
    if (o->databases != COPY_DB_MAP)
        return 0;
    if (c->flush == COPY_FLUSH_OWN || c->allow_full_resync)
        return fail(err, cap, "--db map goes neither with --flush own nor --allow-full-resync");
    for (uint32_t i = 0, n = 0; i < o->map.count; i++)
        if (o->map.rows[i].to != 0)
            c->databases[n++] = o->map.rows[i].to;
    return 0;
}

static int read_url(struct url *u, const char *text, const char *what, char *err, size_t cap)
{
    const char *wrong = url_parse(u, text);
    return wrong == NULL ? 0 : fail(err, cap, "%s: %s", what, wrong);
}

static int read_certificates(struct config *c, const struct url *u, char *err, size_t cap)
{
    const struct tls_options o = { .cert_file = c->tls_cert_file,
                                   .key_file = c->tls_key_file,
                                   .ca_file = c->tls_ca_cert_file,
                                   .verify = (enum tls_verify)c->tls_verify };
    if (!u->tls || c->tls != NULL)
        return 0;
    c->tls = tls_context_new(TLS_CLIENT, &o, err, cap);
    return c->tls != NULL ? 0 : ERR_OPTION;
}

static const char *or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

static int read_target(struct config *c, char *err, size_t cap)
{
    bool named = c->word_count == c->command->words_max;
    const char *text = c->target_cluster;
    if (named == (text != NULL))
        return fail(err, cap,
                    named ? "both a TARGET and --target-cluster are given"
                          : "no TARGET is given, and no --target-cluster");
    text = named ? c->words[c->word_count - 1] : text;
    if (read_url(&c->target, text, "the target", err, cap) != 0 ||
        read_certificates(c, &c->target, err, cap) != 0)
        return ERR_OPTION;
    if (c->target.database > 0)
        return fail(err, cap, "the target: which database is said by --db map:FROM=TO");
    const char *user = or_null(c->target_user), *password = or_null(c->target_auth);
    c->target_options = (struct target_options){
        .cluster = !named,
        .endpoints = c->target.endpoints,
        .endpoint_count = c->target.count,
        .user = user != NULL ? user : or_null(c->target.user),
        .password = password != NULL ? password : or_null(c->target.password),
        .tls = c->target.tls ? c->tls : NULL,
        .connect_timeout = c->connect_timeout,
        .request_timeout = c->request_timeout,
        .window_bytes = c->window,
        .window = WINDOW,
        .rate_bytes = c->rate_limit,
        .rate_commands = (uint64_t)c->rate_limit_commands,
        .databases = c->databases,
    };
    return 0;
}

/* redis://HOST:PORT/3 is --db only:3. */
static int read_source_database(struct config *c, char *err, size_t cap)
{
    const char *name = c->command->name;
    int db = c->source.database;
    bool can = strcmp(name, "sync") == 0 || strcmp(name, "verify") == 0;
    if (db < 0 || (db == 0 && c->db == NULL))
        return 0;
    if (!can)
        return fail(err, cap, "the source: %s takes no database behind the address", name);
    if (c->db != NULL)
        return fail(err, cap, "the source: name its database there or by --db, not both");
    c->copy_options.databases = COPY_DB_ONLY;
    c->copy_options.only = (uint64_t)db;
    return 0;
}

static int read_source(struct config *c, char *err, size_t cap)
{
    if (read_url(&c->source, c->words[0], "the source", err, cap) != 0 ||
        read_certificates(c, &c->source, err, cap) != 0)
        return ERR_OPTION;
    if (c->source.count != 1)
        return fail(err, cap, "the source: one address only; run one process for each source");
    if (read_source_database(c, err, cap) != 0)
        return ERR_OPTION;
    const char *user = or_null(c->source_user), *password = or_null(c->source_auth);
    c->source_options = (struct source_options){
        .endpoint = c->source.endpoints[0],
        .user = user != NULL ? user : or_null(c->source.user),
        .password = password != NULL ? password : or_null(c->source.password),
        .tls = c->source.tls ? c->tls : NULL,
        .psync = c->psync_command,
        .announce_ip = or_null(c->announce_ip),
        .announce_port = c->announce_port,
        .connect_timeout = c->connect_timeout,
        .silence = c->source_timeout,
    };
    c->source_as_target = (struct target_options){
        .endpoints = c->source.endpoints,
        .endpoint_count = 1,
        .user = c->source_options.user,
        .password = c->source_options.password,
        .tls = c->source_options.tls,
        .connect_timeout = c->connect_timeout,
        .request_timeout = c->request_timeout,
        .window_bytes = c->window,
        .window = WINDOW,
    };
    return 0;
}

/* What sync leaves at the target bears the source's name. */
static int read_exactly(struct config *c, char *err, size_t cap)
{
    const struct endpoint *from = &c->source.endpoints[0];
    if (c->state_dir != NULL && c->exactly == EXACTLY_OFF)
        return fail(err, cap, "--state-dir needs --exactly markers");
    if (c->exactly == EXACTLY_OFF || strcmp(c->command->name, "sync") != 0)
        return 0;
    char address[ENDPOINT_TEXT_MAX];
    snprintf(c->source_name, sizeof(c->source_name), "%.64s",
             c->name != NULL ? c->name : endpoint_text(from, address));
    snprintf(c->marker, sizeof(c->marker), "__mig:%s", c->source_name);
    snprintf(c->connection_name, sizeof(c->connection_name), "slotgate-migrate:%s", c->source_name);
    c->target_options.name = c->connection_name;
    return 0;
}

static int read_filter(struct config *c, char *err, size_t cap)
{
    char why[200];
    c->filter = (struct filter){
        .keys = { c->include_key, c->exclude_key },
        .commands = { c->include_command, c->exclude_command },
        .types = { c->include_type, c->exclude_type },
        .databases = { c->include_db, c->exclude_db },
        .mixed = c->filter_mixed,
        .report = c->owner_policy == OWNER_REPORT,
    };
    if (or_null(c->owner) != NULL) {
        c->filter.owner = key_owner_new(c->owner, why, sizeof(why));
        if (c->filter.owner == NULL)
            return fail(err, cap, "--owner: %s", why);
    }
    if (c->flush == COPY_FLUSH_OWN && c->filter.owner == NULL && c->include_key.count == 0)
        return fail(err, cap,
                    "--flush own needs --owner or --include-key, which tell whose a key "
                    "of the target is");
    if (!filter_is_empty(&c->filter))
        c->copy_options.filter = &c->filter;
    return 0;
}

/* What --allow-full-resync deletes must be this source's for sure. */
static int read_resync(struct config *c, char *err, size_t cap)
{
    const struct key_owner *owner = c->filter.owner;
    if (!c->allow_full_resync || strcmp(c->command->name, "sync") != 0)
        return 0;
    if (c->exactly == EXACTLY_OFF || !c->replace)
        return fail(err, cap, "--allow-full-resync needs --exactly markers and --replace yes");
    if (owner != NULL && c->owner_policy == OWNER_REPORT)
        return fail(err, cap, "--allow-full-resync needs --owner-policy drop");
    if (!c->only_source && (owner == NULL || !key_owner_parts(owner)))
        return fail(
            err, cap,
            "--allow-full-resync deletes keys of the target that the source has no more; it "
            "has to know which are this source's: %s",
            owner == NULL ? "say --owner, or --only-source if there are no others"
                          : "with this --owner any key may be");
    c->source_options.again = true;
    return 0;
}

static const char *or_default(const char *given, const char *folder, const char *name,
                              const char *suffix, char *out)
{
    if (or_null(given) != NULL || folder == NULL)
        return or_null(given);
    snprintf(out, CONFIG_PATH_MAX, "%.900s/%s%s", folder, name, suffix);
    return out;
}

/* Of two processes in one directory each has its own. */
static void name_files(struct config *c)
{
    char address[ENDPOINT_TEXT_MAX];
    const char *name = c->name;
    if (strcmp(c->command->name, "sync") != 0)
        return;
    if (name == NULL)
        name = endpoint_text(&c->source.endpoints[0], address);
    c->socket_path = or_default(c->admin_socket, c->state_dir, name, ".sock", c->socket_room);
    c->repair_path = or_default(c->repair_file, c->state_dir != NULL ? c->state_dir : c->spool_dir,
                                name, ".repair", c->repair_room);
}

static int read_all(struct config *c, char *err, size_t cap)
{
    const struct config_command *command = c->command;
    if (command == NULL)
        return fail(err, cap, "no command given; try slotgate-migrate --help");
    if (c->word_count < command->words_min)
        return fail(err, cap, "%s needs %s", command->name, command->usage);
    const char *others, *misfit = config_misfit(&c->options, command->name, &others);
    if (misfit != NULL)
        return fail(err, cap, "--%s goes with %s, not with %s", misfit, others, command->name);
    if (c->dry_run && strcmp(command->name, "sync") != 0 && strcmp(command->name, "scan") != 0)
        return fail(err, cap, "--dry-run goes with sync and scan");
    c->copy_options = (struct copy_options){ .big_key = c->big_key,
                                             .rewrite = c->rewrite,
                                             .replace = c->replace,
                                             .skip_expired = true,
                                             .flush = c->flush,
                                             .publish = c->publish,
                                             .builds = BUILDS };
    c->expiry_options = (struct expiry_options){
        .folder = c->spool_dir,
        .slack = c->ttl_exact ? 0 : (int64_t)c->ttl_slack,
        .calm = (int64_t)c->ttl_calm,
        .copy = &c->copy_options,
    };
    if (read_databases(c, err, cap) != 0 || read_filter(c, err, cap) != 0)
        return ERR_OPTION;
    if (command->has_source && read_source(c, err, cap) != 0)
        return ERR_OPTION;
    if (command->has_target && read_target(c, err, cap) != 0)
        return ERR_OPTION;
    if (read_exactly(c, err, cap) != 0 || read_resync(c, err, cap) != 0)
        return ERR_OPTION;
    name_files(c);
    return 0;
}

int config_load(struct config *c, int argc, char *const *argv, char *err, size_t cap)
{
    *c = (struct config){ 0 };
    option_init(&c->options, options_rows, options_count, "SLOTGATE_MIGRATE_", c);
    int skip = take_words(c, argc, argv, err, cap);
    if (skip < 0)
        return skip;
    /* The reader passes over the first word, which is the program's name. */
    int code = option_read_args(&c->options, argc - skip, argv + skip, err, cap);
    if (code != 0 || c->help || c->version)
        return code;
    code = option_read_env(&c->options, err, cap);
    return code == 0 ? read_all(c, err, cap) : code;
}

void config_free(struct config *c)
{
    option_free(&c->options);
    key_owner_free(c->filter.owner);
    tls_context_unref(c->tls);
    c->tls = NULL;
    explicit_bzero(c->source.password, sizeof(c->source.password));
    explicit_bzero(c->target.password, sizeof(c->target.password));
}

void config_write_help(FILE *out)
{
    fputs("Usage: slotgate-migrate COMMAND WORDS [options]\n\n"
          "Moves data from one Redis into a Redis Cluster, or into whatever looks like a Redis.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].help);
    fputs(
        "\nSOURCE and TARGET are host:port or redis://[user:password@]host:port[/db], with TLS\n"
        "rediss://...; a TARGET may be several proxies of the same data, parted by commas. Every\n"
        "option may also stand in the environment (SLOTGATE_MIGRATE_TARGET_AUTH=...). Exit code "
        "0:\n"
        "all went well; 1: something failed, or was not copied for want of a decision; 2: wrong\n"
        "usage.\n\n",
        out);
    option_write_help(options_rows, options_count, out);
}
