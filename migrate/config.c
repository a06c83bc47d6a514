#include "migrate/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/option_doc.h"
#include "base/text.h"
#include "migrate/state.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, DAY = 24 * 60 * MINUTE, BUILDS = 64, WINDOW = 4096 };

static const struct option_choice log_levels[] = {
    { "debug", LOG_LEVEL_DEBUG },
    { "info", LOG_LEVEL_INFO },
    { "warn", LOG_LEVEL_WARN },
    { "error", LOG_LEVEL_ERROR },
    { NULL, 0 },
};

enum { EXACTLY_MARKERS, EXACTLY_OFF };

static const struct option_choice exactly[] = {
    { "markers", EXACTLY_MARKERS },
    { "off", EXACTLY_OFF },
    { NULL, 0 },
};

/* It stands in names of keys beside a hash tag, and in a line of CLIENT LIST. */
static const char *name_fault(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '{' || text[i] == '}')
            return "expected letters, digits and signs without blanks and braces";
    return len > 0 && len <= STATE_NAME_MAX ? NULL : "expected 1 to 64 letters";
}

static const struct option_choice log_formats[] = {
    { "logfmt", LOG_FORMAT_LOGFMT },
    { "json", LOG_FORMAT_JSON },
    { NULL, 0 },
};

static const struct option_choice mixed[] = {
    { "fail", FILTER_MIXED_FAIL },
    { "apply", FILTER_MIXED_APPLY },
    { "drop", FILTER_MIXED_DROP },
    { NULL, 0 },
};

static const struct option_choice flushes[] = {
    { "refuse", COPY_FLUSH_REFUSE },
    { "apply", COPY_FLUSH_APPLY },
    { "ignore", COPY_FLUSH_IGNORE },
    { NULL, 0 },
};

enum { OWNER_DROP, OWNER_REPORT };

static const struct option_choice owner_policies[] = {
    { "drop", OWNER_DROP },
    { "report", OWNER_REPORT },
    { NULL, 0 },
};

static const struct option_choice tls_verify[] = {
    { "name", TLS_VERIFY_NAME },
    { "chain", TLS_VERIFY_CHAIN },
    { "no", TLS_VERIFY_NONE },
    { NULL, 0 },
};

static const char *url_fault(const char *text)
{
    struct url *u = malloc(sizeof(*u));
    REQUIRE(u != NULL);
    const char *wrong = url_parse(u, text);
    explicit_bzero(u, sizeof(*u));
    free(u);
    return wrong;
}

#define FIELD(name) OPTION_FIELD(struct config, name)
#define TARGET "The target"
#define SOURCE "The source"
#define KEYS "Keys"
#define FILTERS "What goes over"
#define VERIFY "Comparing"
#define CONTROL "Watching and ending"
#define TLS "TLS"
#define PROCESS "The process"

/* clang-format off */
static const struct option rows[] = {
    { .name = "target-cluster", .type = OPTION_STRING, .group = TARGET, .argument = "host:port,...",
      .wrong = url_fault, FIELD(target_cluster),
      .help = "Write straight into this cluster, of which some nodes are named, instead of to a "
              "TARGET." },
    { .name = "target-user", .type = OPTION_STRING, .group = TARGET, .argument = "user",
      FIELD(target_user), .help = "User for the target, if not the default user." },
    { .name = "target-auth", .type = OPTION_SECRET, .group = TARGET, .argument = "password",
      FIELD(target_auth),
      .help = "Password for the target. Other users of the machine can read it on a command line; "
              "prefer the environment." },
    { .name = "window", .type = OPTION_SIZE, .group = TARGET, .argument = "size",
      .fallback = "16mb", .min = 64 << 10, FIELD(window),
      .help = "Bytes of commands that may be unanswered at the same time." },
    { .name = "connect-timeout", .type = OPTION_DURATION, .group = TARGET, .argument = "duration",
      .fallback = "10s", .min = 1, .max = DAY, FIELD(connect_timeout),
      .help = "Time that connecting may take, and that a target may take to come up." },
    { .name = "request-timeout", .type = OPTION_DURATION, .group = TARGET, .argument = "duration",
      .fallback = "60s", .min = 1, .max = DAY, FIELD(request_timeout),
      .help = "Time that one command may take with all its retries before it counts as failed." },
    { .name = "exactly", .type = OPTION_ENUM, .group = TARGET, .argument = "markers | off",
      .fallback = "markers", .choices = exactly, FIELD(exactly),
      .help = "How sync delivers the stream. markers: each command once, whatever breaks; costs one "
              "key for each slot of the target, __mig:NAME:{...}, and the right to CLIENT LIST, "
              "KILL and SETNAME. off: at least once." },

    { .name = "rate-limit", .type = OPTION_SIZE, .group = TARGET, .argument = "size",
      .fallback = "0", FIELD(rate_limit),
      .help = "Bytes of commands a second that the target gets at most; 0: no limit. What the "
              "source sends meanwhile stays in the spool." },
    { .name = "rate-limit-commands", .type = OPTION_INT, .group = TARGET, .argument = "number",
      .fallback = "0", FIELD(rate_limit_commands),
      .help = "Commands a second that the target gets at most; 0: no limit." },

    { .name = "source-user", .type = OPTION_STRING, .group = SOURCE, .argument = "user",
      FIELD(source_user), .help = "User for the source, if not the default user." },
    { .name = "source-auth", .type = OPTION_SECRET, .group = SOURCE, .argument = "password",
      FIELD(source_auth), .help = "Password for the source; prefer the environment." },
    { .name = "source-timeout", .type = OPTION_DURATION, .group = SOURCE, .argument = "duration",
      .fallback = "60s", .min = 1, .max = DAY, FIELD(source_timeout),
      .help = "Silence of the source after which the connection counts as lost." },
    { .name = "psync-command", .type = OPTION_STRING, .group = SOURCE, .argument = "name",
      .fallback = "PSYNC", FIELD(psync_command),
      .help = "What PSYNC is called at a source that has renamed it." },
    { .name = "announce-ip", .type = OPTION_STRING, .group = SOURCE, .argument = "address",
      FIELD(announce_ip), .help = "Address that the source shows for this replica." },
    { .name = "announce-port", .type = OPTION_INT, .group = SOURCE, .argument = "port",
      .fallback = "0", .max = 65535, FIELD(announce_port),
      .help = "Port that the source shows for this replica. With 0 no Sentinel can take it for a "
              "replica to promote." },
    { .name = "spool-dir", .type = OPTION_STRING, .group = SOURCE, .argument = "directory",
      .fallback = ".", FIELD(spool_dir),
      .help = "Where to keep what the source has sent and the target has not taken yet." },
    { .name = "spool-max", .type = OPTION_SIZE, .group = SOURCE, .argument = "size",
      .fallback = "10gb", .min = 1 << 20, FIELD(spool_max),
      .help = "Bytes of that at most; when it is full, the source is read no further until the "
              "target has caught up." },

    { .name = "name", .type = OPTION_STRING, .group = SOURCE, .argument = "name",
      .wrong = name_fault, FIELD(name),
      .help = "What the source is called in the names of keys and connections at the target. Two "
              "sources of one target need two names. Without it: the source's address." },
    { .name = "state-dir", .type = OPTION_STRING, .group = SOURCE, .argument = "directory",
      FIELD(state_dir),
      .help = "Directory for the spool and for what sync needs to go on after it was stopped or "
              "killed; needs --exactly markers. Without it each start is a new full copy." },
    { .name = "follow", .type = OPTION_BOOL, .group = SOURCE, .fallback = "yes", FIELD(follow),
      .help = "Behind the full copy, follow the stream. With no, sync ends with the full copy." },

    { .name = "tail", .type = OPTION_BOOL, .group = SOURCE, .fallback = "no", FIELD(tail),
      .help = "scan: copy again each key that a notification names. The source needs "
              "notify-keyspace-events KEA, or at least E and the classes of its keys." },

    { .name = "db", .type = OPTION_STRING, .group = KEYS, .argument = "N | only:N | prefix",
      FIELD(db),
      .help = "What becomes of several databases. N or only:N: the keys of database N are copied, "
              "others skipped and counted. prefix: a key of database N is called dbN:key, those "
              "of 0 keep their names. Without it keys of other databases than 0 are failures." },
    { .name = "flush", .type = OPTION_ENUM, .group = KEYS, .argument = "policy",
      .choices = flushes, .fallback = "refuse", FIELD(flush),
      .help = "What becomes of FLUSHALL and FLUSHDB in the stream. refuse: the program stops. apply: "
              "the whole target is emptied, so only for its one source. ignore: nothing." },
    { .name = "publish", .type = OPTION_BOOL, .group = KEYS, .fallback = "no", FIELD(publish),
      .help = "Pass on the messages in the stream (PUBLISH, SPUBLISH), but none of Sentinel's." },
    { .name = "big-key", .type = OPTION_SIZE, .group = KEYS, .argument = "size",
      .fallback = "8mb", .min = 1 << 10, .max = 256 << 20, FIELD(big_key),
      .help = "Values above it are built piece by piece under a temporary name, which does not "
              "block the target." },
    { .name = "rewrite", .type = OPTION_BOOL, .group = KEYS, .fallback = "no", FIELD(rewrite),
      .help = "Build every value by commands, none by RESTORE; for targets that lack it." },
    { .name = "replace", .type = OPTION_BOOL, .group = KEYS, .fallback = "yes", FIELD(replace),
      .help = "Overwrite keys that the target has already. With no each of them is a failure." },
    { .name = "ttl-slack", .type = OPTION_DURATION, .group = KEYS, .argument = "duration",
      .fallback = "5s", .max = DAY, FIELD(ttl_slack),
      .help = "Added to each time to live that sync brings over from the stream, so that a key that "
              "is renewed at the last moment outlives a short lag." },
    { .name = "ttl-exact", .type = OPTION_BOOL, .group = KEYS, .fallback = "no", FIELD(ttl_exact),
      .help = "Add nothing; a key that is renewed at the last moment may then die at the target." },
    { .name = "ttl-calm", .type = OPTION_DURATION, .group = KEYS, .argument = "duration",
      .fallback = "10s", .max = DAY, FIELD(ttl_calm),
      .help = "Until the stream has been followed without a lag for so long, no key expires at the "
              "target by its own clock, only by the source's DEL." },
    { .name = "failed-file", .type = OPTION_STRING, .group = KEYS, .argument = "file",
      FIELD(failed_file), .help = "File that gets a line for each key that failed: key, reason." },

    { .name = "include-key", .type = OPTION_LIST, .group = FILTERS, .argument = "glob",
      FIELD(include_key), .help = "Only keys that match one of these (* ? [a-z]); may be repeated." },
    { .name = "exclude-key", .type = OPTION_LIST, .group = FILTERS, .argument = "glob",
      FIELD(exclude_key), .help = "No keys that match one of these; may be repeated." },
    { .name = "include-type", .type = OPTION_LIST, .group = FILTERS, .argument = "type",
      .wrong = filter_type_fault, FIELD(include_type),
      .help = "Only keys of these types: string, list, set, zset, hash, stream, module. In the "
              "stream the command tells the type; DEL, EXPIRE, RENAME and their like pass." },
    { .name = "exclude-type", .type = OPTION_LIST, .group = FILTERS, .argument = "type",
      .wrong = filter_type_fault, FIELD(exclude_type), .help = "No keys of these types." },
    { .name = "include-db", .type = OPTION_LIST, .group = FILTERS, .argument = "number",
      .wrong = filter_database_fault, FIELD(include_db),
      .help = "Only keys of these databases; what becomes of several is said by --db." },
    { .name = "exclude-db", .type = OPTION_LIST, .group = FILTERS, .argument = "number",
      .wrong = filter_database_fault, FIELD(exclude_db), .help = "No keys of these databases." },
    { .name = "include-command", .type = OPTION_LIST, .group = FILTERS, .argument = "name",
      FIELD(include_command), .help = "Of the stream, only these commands." },
    { .name = "exclude-command", .type = OPTION_LIST, .group = FILTERS, .argument = "name",
      FIELD(exclude_command), .help = "Of the stream, all but these commands." },
    { .name = "filter-mixed", .type = OPTION_ENUM, .group = FILTERS, .argument = "policy",
      .choices = mixed, .fallback = "fail", FIELD(filter_mixed),
      .help = "What becomes of a command about keys that go over and keys that do not, such as "
              "RENAME; DEL and MSET are taken apart. fail: it is told and counted as failed." },
    { .name = "owner", .type = OPTION_STRING, .group = FILTERS, .argument = "description",
      FIELD(owner),
      .help = "The source stands behind Twemproxy or Codis; keys that the proxy would look for at "
              "another server are stale copies. codis:slots=0-511|800, or twemproxy:hash=fnv1a_64,"
              "distribution=ketama,hash_tag={},servers=HOST:PORT:WEIGHT NAME|...,me=NAME, as in "
              "its configuration file." },
    { .name = "owner-policy", .type = OPTION_ENUM, .group = FILTERS, .argument = "policy",
      .choices = owner_policies, .fallback = "drop", FIELD(owner_policy),
      .help = "What becomes of stale copies. drop: they stay behind, and are counted. report: they "
              "are counted only." },

    { .name = "rounds", .type = OPTION_INT, .group = VERIFY, .argument = "number",
      .fallback = "3", .min = 1, .max = 1000, FIELD(rounds),
      .help = "Times that a key has to differ before it is told; while writes go on, keys differ "
              "for a moment." },
    { .name = "round-pause", .type = OPTION_DURATION, .group = VERIFY, .argument = "duration",
      .fallback = "1s", .max = DAY, FIELD(round_pause), .help = "Time between two rounds." },
    { .name = "ttl-tolerance", .type = OPTION_DURATION, .group = VERIFY, .argument = "duration",
      .fallback = "7s", .max = DAY, FIELD(ttl_tolerance),
      .help = "How far apart times to live may be and still count as the same. Less than "
              "--ttl-slack makes every renewed key differ." },
    { .name = "diff-file", .type = OPTION_STRING, .group = VERIFY, .argument = "file",
      FIELD(diff_file), .help = "File that gets a line for each key that differs: key, how." },

    { .name = "admin-socket", .type = OPTION_STRING, .group = CONTROL, .argument = "path",
      FIELD(admin_socket),
      .help = "sync: UNIX socket for the commands status, pause, resume, cutover and finish. "
              "Without it, NAME.sock in the state directory, if there is one." },
    { .name = "repair", .type = OPTION_BOOL, .group = CONTROL, .fallback = "no", FIELD(repair),
      .help = "sync: bring keys of the repair set over again as soon as the stream is caught up, "
              "not only at cutover." },
    { .name = "repair-file", .type = OPTION_STRING, .group = CONTROL, .argument = "file",
      FIELD(repair_file),
      .help = "sync: the repair set: a line for each key that could not be brought over exactly. "
              "Without it, NAME.repair in the state directory or the spool directory." },
    { .name = "repair-from", .type = OPTION_STRING, .group = CONTROL, .argument = "file",
      FIELD(repair_from),
      .help = "cutover: repair the keys of this file, too, such as verify's --diff-file." },
    { .name = "sample", .type = OPTION_INT, .group = CONTROL, .argument = "number",
      .fallback = "1000", .max = 100000, FIELD(sample),
      .help = "cutover: keys, chosen by the source, that are compared." },
    { .name = "pause-source", .type = OPTION_DURATION, .group = CONTROL, .argument = "duration",
      .fallback = "0", .max = DAY, FIELD(pause_source),
      .help = "cutover: first let the source hold back all writes for so long (CLIENT PAUSE WRITE, "
              "6.2 or later). 0: it does not." },

    { .name = "tls-ca-cert-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      FIELD(tls_ca_cert_file),
      .help = "Authorities that are trusted to have signed the certificates of servers named by "
              "rediss:// (PEM). Without it those of the system." },
    { .name = "tls-cert-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      FIELD(tls_cert_file), .help = "Certificate that servers are shown, if they ask (PEM)." },
    { .name = "tls-key-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      FIELD(tls_key_file), .help = "Its private key (PEM)." },
    { .name = "tls-verify", .type = OPTION_ENUM, .group = TLS, .argument = "name | chain | no",
      .fallback = "name", .choices = tls_verify, FIELD(tls_verify),
      .help = "What a server's certificate has to show: that an authority has signed it, and with "
              "name that it is for the host name or address that was dialled. no: anything." },

    { .name = "dry-run", .type = OPTION_BOOL, .group = PROCESS, .fallback = "no",
      .flags = OPTION_NO_ENV, FIELD(dry_run),
      .help = "sync and scan: ask source and target whether it would work, print what was found "
              "and what would be done, and change nothing. Exit code 1: something will not work." },
    { .name = "log-level", .type = OPTION_ENUM, .group = PROCESS, .argument = "level",
      .fallback = "info", .choices = log_levels, FIELD(log_level),
      .help = "The least important lines that are logged." },
    { .name = "log-format", .type = OPTION_ENUM, .group = PROCESS, .argument = "format",
      .fallback = "logfmt", .choices = log_formats, FIELD(log_format),
      .help = "How lines of the log are written: logfmt, or json, one object per line." },
    { .name = "version", .letter = 'v', .type = OPTION_BOOL, .group = PROCESS,
      .flags = OPTION_NO_ENV, FIELD(version), .help = "Print the version." },
    { .name = "help", .letter = 'h', .type = OPTION_BOOL, .group = PROCESS,
      .flags = OPTION_NO_ENV, FIELD(help), .help = "Print this text." },
};

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
    const char *digits = c->db;
    if (c->db == NULL)
        return 0;
    if (strcmp(c->db, "prefix") == 0) {
        o->databases = COPY_DB_PREFIX;
        return 0;
    }
    if (strncmp(digits, "only:", 5) == 0)
        digits += 5;
    o->databases = COPY_DB_ONLY;
    if (!text_to_u64(digits, strlen(digits), &o->only))
        return fail(err, cap, "--db: expected a number, only:NUMBER or prefix");
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
    };
    return 0;
}

static int read_source(struct config *c, char *err, size_t cap)
{
    if (read_url(&c->source, c->words[0], "the source", err, cap) != 0 ||
        read_certificates(c, &c->source, err, cap) != 0)
        return ERR_OPTION;
    if (c->source.count != 1)
        return fail(err, cap, "the source: one address only; run one process for each source");
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
    if (!filter_is_empty(&c->filter))
        c->copy_options.filter = &c->filter;
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
    };
    if (read_databases(c, err, cap) != 0 || read_filter(c, err, cap) != 0)
        return ERR_OPTION;
    if (command->has_source && read_source(c, err, cap) != 0)
        return ERR_OPTION;
    if (command->has_target && read_target(c, err, cap) != 0)
        return ERR_OPTION;
    if (read_exactly(c, err, cap) != 0)
        return ERR_OPTION;
    name_files(c);
    return 0;
}

int config_load(struct config *c, int argc, char *const *argv, char *err, size_t cap)
{
    *c = (struct config){ 0 };
    option_init(&c->options, rows, ARRAY_LEN(rows), "SLOTGATE_MIGRATE_", c);
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
        "\nSOURCE and TARGET are host:port or redis://[user:password@]host:port, with TLS\n"
        "rediss://...; a TARGET may be several proxies of the same data, parted by commas. Every\n"
        "option may also stand in the environment (SLOTGATE_MIGRATE_TARGET_AUTH=...). Exit code "
        "0:\n"
        "all went well; 1: something failed, or was not copied for want of a decision; 2: wrong\n"
        "usage.\n\n",
        out);
    option_write_help(rows, ARRAY_LEN(rows), out);
}
