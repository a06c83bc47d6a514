#include "migrate/advice.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"

/* clang-format off */
/* What has happened, and what to do. */
static const char *const usual[ADVICES] = {
    [ADVICE_ADMIN] = "mend that, and say it again; `status` tells how things stand",
    [ADVICE_AGAIN_LATER] = "it is tried again; if this goes on, look at the source's log and at the network",
    [ADVICE_BEGINS_ANEW] = "nothing, it goes on; a larger repl-backlog-size at the source makes it rare",
    [ADVICE_CHOICE] = "name a file that verify --diff-file has written and this user may read",
    [ADVICE_CODIS_MOVES] = "stop the migration of slots in Codis until the cutover, then run verify",
    [ADVICE_COMMAND] = "mend the reason; then `cutover` brings its keys over from the source",
    [ADVICE_COMMANDS] = "let the target's user call COMMAND; `cutover` brings over what failed without",
    [ADVICE_COPY_AGAIN] = "nothing, all of the copy is brought to the target again",
    [ADVICE_COPY_LOST] = "run verify --diff-file FILE, then cutover --repair-from FILE; or start anew with a larger --spool-max",
    [ADVICE_DEBRIS] = "look whether the file is the one you meant; all before is taken",
    [ADVICE_EVERYWHERE] = "say it at each master of the target by hand; no repair can bring it over",
    [ADVICE_EVICTION] = "set maxmemory-policy noeviction at the target, or give it room for all",
    [ADVICE_EXPIRY] = "make room in that folder (--state-dir or --spool-dir); after the cutover run verify",
    [ADVICE_FIELD_TIMES] = "take a target that has them (Redis 7.4, Valkey 9), or live without",
    [ADVICE_FILE] = "make room, or name another place where this user may write",
    [ADVICE_FUNCTION] = "load it at each master by hand: FUNCTION DUMP at the source, FUNCTION RESTORE there",
    [ADVICE_KEY] = "mend the reason; then `cutover` (or --repair yes) brings it over from the source",
    [ADVICE_KEY_ONCE] = "mend the reason; then run the same again with --include-key",
    [ADVICE_LEFT] = "say `cutover`, or start with --repair yes",
    [ADVICE_LISTEN] = "end the process that has it, or choose another one (--admin-socket, --metrics-port)",
    [ADVICE_MENDING] = "nothing, it is tried until it works; if it goes on, look at the target's nodes",
    [ADVICE_NAMES] = "let the source's user call RANDOMKEY and SELECT, or say cutover --sample 0 and run verify",
    [ADVICE_NOTICES] = "look at CONFIG GET notify-keyspace-events there; it needs KEA",
    [ADVICE_OLD_WAY] = "name its PSYNC by --psync-command if it is renamed; by SYNC no broken connection can go on",
    [ADVICE_OPEN_FILES] = "raise it (ulimit -n, LimitNOFILE=) if the source is large",
    [ADVICE_REPAIR] = "its keys stay in the repair set; mend the reason and say `cutover` again",
    [ADVICE_REPAIR_SET] = "make room there; then verify --diff-file FILE, and cutover --repair-from FILE",
    [ADVICE_SPOOL_FULL] = "let the target take more (--rate-limit, --window), or raise --spool-max before the source's output buffer is full",
    [ADVICE_SPOOL_SMALL] = "raise --spool-max above the size of the snapshot if a restart must not copy anew",
    [ADVICE_START] = "mend that, and start again with the same options",
    [ADVICE_STATE] = "name the directory of this source (--state-dir), or an empty one for a new full copy",
    [ADVICE_SWEEP] = "let the target's user call SCAN and UNLINK, and start again",
    [ADVICE_TIME] = "say PEXPIREAT at the target by hand, or run verify and cutover --repair-from",
    [ADVICE_VANISHED] = "run verify, and remove its extra keys; or start with --allow-full-resync",
};

/* What the reason begins with, ours first; the first row that fits counts. */
static const struct {
    const char *why, *what;
} rows[] = {
    /* commands of the stream */
    { "a form of SLOTSRESTORE", "stop the migration of slots in Codis; `cutover` brings its keys over from the source" },
    { "a master has lost it", "say `cutover`, which brings its keys over from the source" },
    { "it brings a key from a database", "name that database in --db too, or leave the key behind" },
    { "it has no place", "find out who writes such commands to the source; verify tells what differs" },
    { "it is about another database", "start again with --db only:N, prefix or map" },
    { "it is in database", "start again with --db only:N, prefix or map" },
    { "it names no key", "say it at the target by hand; no repair can bring it over" },
    { "its database cannot", "look at what the source's clients send; verify tells what differs" },
    { "its fields or their time", "say `cutover`, which brings its keys over from the source" },
    { "its keys cannot be found", "say `cutover`; if verify still finds a difference, set those keys by hand" },
    { "its keys lie in several slots", "write through slotgate, which can do that; or `cutover` brings its keys over from the source" },
    { "its time cannot", "say `cutover`, which brings its keys over from the source" },
    { "it would touch all keys", "see docs/migration.md \"What happens to a command of the stream\" about --flush" },
    { "a command that this program", "say `cutover`, which brings its keys over from the source" },
    { "neither this program nor", "load the module at the target too; then `cutover` brings its key over" },
    { "of its keys some", "choose by --filter-mixed drop or apply, or let the filters take all of them" },
    { "the list that it takes from", "say `cutover`, which brings its keys over from the source" },
    { "the source has deleted whole slots", "run verify with --owner, and remove its extra keys" },
    { "the target cannot keep the times", "take a target that has them (Redis 7.4, Valkey 9), or live without" },
    { "what it moves between slots", "raise --big-key, or let `cutover` bring its keys over from the source" },
    { "what it was made of", "say `cutover`, which brings its keys over from the source" },
    { "the target knows no functions", "take a target of 7.0 or newer, or live without its functions" },
    /* keys */
    { "BUSYKEY", "remove the key at the target, or say --replace yes" },
    { "a module's value", "load the module at the target and raise --big-key above the value's size" },
    { "its time was over", "nothing: it has expired meanwhile" },
    { "the target is too old", "take a newer target, or leave the key behind (--exclude-key)" },
    { "the value is damaged", "look at the key at the source (DEBUG OBJECT), and write it anew there" },
    /* the stream, the file */
    { "a SELECT in the stream", "what the source sends is damaged; start again for a new full copy" },
    { "damaged near offset", "take a new file; redis-check-rdb tells what is wrong with this one" },
    { "the checksum is wrong", "take a new file; this one was damaged on its way" },
    { "the file cannot be read", "name a file that is there and that this user may read" },
    { "the file cannot be written", "make room, or name another place where this user may write" },
    { "the file ends in the middle", "take a new file; this one is not whole" },
    { "the file has RDB version", "take a newer slotgate-migrate, or `scan`" },
    { "the keys' names cannot", "make room in --spool-dir, and start again" },
    { "the payload ends in the middle", "start again; if it comes again, look at the source's log" },
    { "there is something behind", "look whether the file is the one you meant" },
    { "this is no RDB file", "name a file that SAVE, BGSAVE or dump has written" },
    { "what the source sends is no", "is that a Redis? look at its log; start again for a new full copy" },
    /* our files */
    { "the list of keys", "make room there (--spool-dir), and start again" },
    { "the spool", "make room there (--spool-dir, --state-dir), and start again with the same options" },
    { "the state", "make room there (--state-dir), and start again with the same options" },
    { "the times held back", "make room there (--spool-dir, --state-dir), and start again with the same options" },
    /* the source */
    { "an answer to SCAN", "is that a Redis, or a proxy without SCAN? name the server itself" },
    { "interrupted before the end", "start again; that takes a new full copy" },
    { "interrupted", "start again with the same options to go on" },
    { "more keys change", "run it when less is written, or make the target faster; then verify" },
    { "the connection to the source", "look at the source's log and at the network, and start again" },
    { "the source cannot be reached", "look at SOURCE, the network and the source's bind and protected-mode" },
    { "the source cannot go on", "start again; with --allow-full-resync it makes the new full copy by itself" },
    { "the source does not accept", "look at --source-user and --source-auth" },
    { "the source does not answer", "look at the source and its user's rights (docs/migration.md \"Step by step\")" },
    { "the source does not go on", "look at the source's log and at the network; `cutover` tries again" },
    { "the source does not let us DUMP", "give its user +dump (docs/migration.md \"Step by step\")" },
    { "the source does not let us replicate", "give its user +psync +replconf, name a renamed PSYNC by --psync-command, or use `scan`" },
    { "the source does not send", "look at the source's log: it could not make its snapshot; then start again" },
    { "the source does not tell its offset", "give its user +info, and name the server itself, not a proxy" },
    { "the source has executed FLUSHALL, FLUSHDB or SWAPDB", "empty the target as far as it is right and start again, or choose by --flush or --db" },
    { "the source has executed FLUSHALL or FLUSHDB", "let the target's user call SCAN and UNLINK, and start again" },
    { "the source refuses the subscription", "give its user +psubscribe and &__keyevent*" },
    { "the source refuses us", "look at the source's maxclients, protected-mode and users" },
    { "the source sends a line", "is that a Redis? look at SOURCE" },
    { "the source sends no keyspace", "say CONFIG SET notify-keyspace-events KEA there, or leave --tail away" },
    { "the source tells another offset", "name the same server as the source, no balancer before several" },
    { "the source was asked by SYNC", "stop the writers, wait for lag 0 (`status`), say `finish`, and run verify" },
    { "the source's answer", "is that a Redis? look at SOURCE, and at its log" },
    { "the source's backlog", "start again, with --allow-full-resync if keys may have vanished; and raise repl-backlog-size" },
    { "the subscription to the source's", "start again: notifications are not kept; then run verify" },
    { "the next start", "let the target's user call SCAN and UNLINK, and start again" },
    /* the target */
    { "a connection to the target", "nothing, it is tried again" },
    { "another slotgate-migrate", "end the other one, or give this one another --name; see again in ten seconds" },
    { "no node of the cluster", "look at --target-cluster, its user, and CLUSTER SLOTS there" },
    { "some cannot be read", "look at the target's nodes; it is tried again" },
    { "the cluster does not serve", "make the cluster whole (redis-cli --cluster check)" },
    { "the target cannot be asked", "give its user GET and SET of keys __mig:* (docs/migration.md \"Step by step\")" },
    { "the target does not answer", "look at its address, the network, and its bind and protected-mode" },
    { "the target does not let us write our own", "give its user GET, SET and DEL of keys __mig:*, or say --exactly off" },
    { "the target does not tell its version", "give its user +info" },
    { "the target has not the databases", "raise `databases` there, or map to others by --db" },
    { "the target is the source", "name the server that the data is to move to" },
    { "the target is a node", "name it by --target-cluster" },
    { "the target is not the one", "name the right target, or empty it and --state-dir for a new full copy" },
    /* repairs */
    { "it was not repaired", "start again and say `cutover`" },
    { "the point of the stream", "look at the lag (`status`); `cutover` tries again" },
    { "the process is ending", "start again and say `cutover`" },
    /* the socket */
    { "it is ending already", "wait until the process is gone" },
    { "it is paused", "say `resume` first" },
    { "not all went well", "see the summary that the process has printed, and its repair file" },
    { "not now", "look at `status`, and say it again when that is over" },
    { "something remains", "see docs/migration.md \"Repairs\"; mend the reasons and say `cutover` again" },
    { "the source begins", "wait for the new full copy (`status`), and say it again" },
    { "unknown command:", "see slotgate-migrate --help" },
    { "unknown ", "take a newer slotgate-migrate, or `scan`" },
    /* what servers say */
    { "CLUSTERDOWN", "make the target's cluster whole; then `cutover` or the same again brings it over" },
    { "CROSSSLOT", "write through slotgate, which can do that; or `cutover` brings its keys over" },
    { "DENIED", "set protected-mode no there, or a password" },
    { "ERR Bad data format", "try --rewrite yes, which builds the value by commands" },
    { "ERR DUMP payload version", "take a newer target, or try --rewrite yes" },
    { "ERR max number of clients", "raise maxclients there" },
    { "ERR unknown command", "allow it there (rename-command, module), or take a newer target" },
    { "ERR unknown subcommand", "take a newer server" },
    { "LOADING", "wait until it has loaded its data; then `cutover` or the same again brings it over" },
    { "MISCONF", "let it save its snapshots again, or set stop-writes-on-bgsave-error no there" },
    { "NOAUTH", "give a user and password (--source-auth, --target-auth)" },
    { "NOPERM", "give that user the right to do so (docs/migration.md \"Step by step\")" },
    { "NOSCRIPT", "say SCRIPT LOAD at every master; then `cutover` brings its keys over" },
    { "OOM", "give the target more memory (maxmemory); then `cutover` or the same again brings it over" },
    { "READONLY", "name a master; or wait until its failover is over" },
    { "WRONGPASS", "look at user and password (--source-auth, --target-auth)" },
    { "WRONGTYPE", "say `cutover`, which brings the key over from the source" },
};
/* clang-format on */

const char *advice_on(enum advice about, const char *why)
{
    for (size_t i = 0; why != NULL && i < ARRAY_LEN(rows); i++)
        if (strncmp(why, rows[i].why, strlen(rows[i].why)) == 0)
            return rows[i].what;
    return usual[about];
}
