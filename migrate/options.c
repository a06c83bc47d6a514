#include "migrate/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/log_choice.h"
#include "migrate/config.h"
#include "net/tls_choice.h"

enum { DAY = 24 * 60 * 60 * 1000 }; /* ms */

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

static const struct option_choice mixed[] = {
    { "fail", FILTER_MIXED_FAIL },
    { "apply", FILTER_MIXED_APPLY },
    { "drop", FILTER_MIXED_DROP },
    { NULL, 0 },
};

static const struct option_choice flushes[] = {
    { "refuse", COPY_FLUSH_REFUSE },
    { "apply", COPY_FLUSH_APPLY },
    { "own", COPY_FLUSH_OWN },
    { "ignore", COPY_FLUSH_IGNORE },
    { NULL, 0 },
};

static const struct option_choice owner_policies[] = {
    { "drop", OWNER_DROP },
    { "report", OWNER_REPORT },
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
const struct option options_rows[] = {
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
    { .name = "allow-full-resync", .type = OPTION_BOOL, .group = SOURCE, .fallback = "no",
      FIELD(allow_full_resync),
      .help = "When the source's backlog does not reach back, or a full copy broke off, make a new "
              "one by itself, and delete at the target what this source has no more. Needs --owner, "
              "by which this source's keys are known among those of others, or --only-source." },
    { .name = "only-source", .type = OPTION_BOOL, .group = SOURCE, .fallback = "no",
      FIELD(only_source),
      .help = "Says that nobody else writes to the target: every key there that the filters let "
              "over and the source has not may be deleted by --allow-full-resync." },
    { .name = "follow", .type = OPTION_BOOL, .group = SOURCE, .fallback = "yes", FIELD(follow),
      .help = "Behind the full copy, follow the stream. With no, sync ends with the full copy." },

    { .name = "tail", .type = OPTION_BOOL, .group = SOURCE, .fallback = "no", FIELD(tail),
      .help = "scan: copy again each key that a notification names. The source needs "
              "notify-keyspace-events KEA, or at least E and the classes of its keys." },

    { .name = "db", .type = OPTION_STRING, .group = KEYS, .argument = "how",
      FIELD(db),
      .help = "What becomes of several databases. N or only:N: the keys of database N are copied, "
              "others skipped and counted. prefix: a key of database N is called dbN:key, those "
              "of 0 keep their names. map:0=0,3=1: those of 3 come into the target's database 1, "
              "and so on; it must have them. Without it keys of other databases than 0 are failures." },
    { .name = "flush", .type = OPTION_ENUM, .group = KEYS, .argument = "policy",
      .choices = flushes, .fallback = "refuse", FIELD(flush),
      .help = "What becomes of FLUSHALL and FLUSHDB in the stream. refuse: the program stops. apply: "
              "the whole target is emptied, so only for its one source. own: the keys of this source "
              "are removed, by --owner or --include-key. ignore: nothing." },
    { .name = "publish", .type = OPTION_BOOL, .group = KEYS, .fallback = "no", FIELD(publish),
      .help = "Pass on the messages in the stream (PUBLISH, SPUBLISH), but none of Sentinel's or of caches." },
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
    { .name = "metrics-port", .type = OPTION_INT, .group = CONTROL, .argument = "port",
      .fallback = "0", .max = UINT16_MAX, FIELD(metrics_port),
      .help = "sync: TCP port for GET /metrics over HTTP, for Prometheus; 0: none." },
    { .name = "metrics-bind", .type = OPTION_STRING, .group = CONTROL, .argument = "address",
      .fallback = "127.0.0.1", FIELD(metrics_bind),
      .help = "Numeric address of the metrics port. Whoever reaches it may read the numbers." },
    { .name = "repair", .type = OPTION_BOOL, .group = CONTROL, .fallback = "no", FIELD(repair),
      .help = "sync: bring keys of the repair set over again as soon as the stream is caught up, "
              "not only at cutover." },
    { .name = "repair-every", .type = OPTION_DURATION, .group = CONTROL, .argument = "duration",
      .fallback = "10s", .min = 10, .max = DAY, FIELD(repair_every),
      .help = "With --repair yes: how long after one pass over the repair set the next one may begin." },
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
      .fallback = "name", .choices = tls_verify_choices, FIELD(tls_verify),
      .help = "What a server's certificate has to show: that an authority has signed it, and with "
              "name that it is for the host name or address that was dialled. no: anything." },

    { .name = "dry-run", .type = OPTION_BOOL, .group = PROCESS, .fallback = "no",
      .flags = OPTION_NO_ENV, FIELD(dry_run),
      .help = "sync and scan: ask source and target whether it would work, print what was found "
              "and what would be done, and change nothing. Exit code 1: something will not work." },
    { .name = "log-level", .type = OPTION_ENUM, .group = PROCESS, .argument = "level",
      .fallback = "info", .choices = log_level_choices, FIELD(log_level),
      .help = "The least important lines that are logged." },
    { .name = "log-format", .type = OPTION_ENUM, .group = PROCESS, .argument = "format",
      .fallback = "logfmt", .choices = log_format_choices, FIELD(log_format),
      .help = "How lines of the log are written: logfmt, or json, one object per line." },
    { .name = "version", .letter = 'v', .type = OPTION_BOOL, .group = PROCESS,
      .flags = OPTION_NO_ENV, FIELD(version), .help = "Print the version." },
    { .name = "help", .letter = 'h', .type = OPTION_BOOL, .group = PROCESS,
      .flags = OPTION_NO_ENV, FIELD(help), .help = "Print this text." },
};
/* clang-format on */

const size_t options_count = ARRAY_LEN(options_rows);
