/*
 * config.h: the options of slotgate-migrate, their rows and what they add up to.
 *
 * config_load reads the command and its words, then command line, environment and certificates. It
 * opens no connection and prints nothing. The struct must not be moved once it is loaded. Whoever
 * loads it calls config_free, after a failure too.
 */
#ifndef MIGRATE_CONFIG_H
#define MIGRATE_CONFIG_H

#include <stdio.h>

#include "base/option.h"
#include "migrate/copy.h"
#include "migrate/source.h"
#include "migrate/state.h"
#include "migrate/url.h"

enum { CONFIG_WORDS_MAX = 2, CONFIG_PATH_MAX = 1024 };

struct config_command {
    const char *name;
    const char *usage; /* "FILE TARGET" */
    const char *help;
    uint8_t words_min, words_max; /* beside the name */
    bool has_source, has_target;  /* the first word is a source, the last one a target */
};

struct config {
    const struct config_command *command; /* NULL with help or version */
    const char *words[CONFIG_WORDS_MAX];
    uint32_t word_count;
    struct url source, target; /* those that the command has; seeds of a cluster too */
    struct source_options source_options;
    struct target_options target_options;
    struct target_options source_as_target; /* for verify, which asks it as any client does */
    struct copy_options copy_options;       /* without the file `failed` and without expiry */
    struct expiry_options expiry_options;
    struct filter filter;

    char *tls_ca_cert_file, *tls_cert_file, *tls_key_file;
    int tls_verify;          /* enum tls_verify */
    struct tls_context *tls; /* for whom rediss:// names; NULL: nobody */

    char *target_cluster, *target_user, *target_auth, *source_user, *source_auth;
    char *db, *owner;
    uint16_t databases[DATABASES_MAPPED_MAX + 1]; /* that the target has to have; 0 ends them */
    struct option_list include_key, exclude_key, include_command, exclude_command;
    struct option_list include_type, exclude_type, include_db, exclude_db;
    int filter_mixed, owner_policy, flush;
    size_t big_key, window, spool_max, rate_limit;
    int rate_limit_commands;
    bool rewrite, replace, ttl_exact, tail, dry_run, publish, follow, version, help;
    bool repair, allow_full_resync, only_source;
    uint64_t connect_timeout, request_timeout, source_timeout; /* ms */
    char *name, *state_dir;
    int exactly;
    char source_name[STATE_NAME_MAX + 1]; /* --name, or the address */
    char marker[STATE_NAME_MAX + 8], connection_name[STATE_NAME_MAX + 24]; /* "": no markers */
    char *failed_file, *psync_command, *announce_ip, *spool_dir;
    int announce_port, rounds;
    uint64_t round_pause, ttl_tolerance, ttl_slack, ttl_calm; /* ms */
    char *diff_file;
    char *admin_socket, *repair_file, *repair_from;
    int metrics_port; /* 0: none */
    char *metrics_bind;
    uint64_t repair_every; /* ms */
    int sample;
    uint64_t pause_source;   /* ms */
    const char *socket_path; /* what is used; NULL: none */
    const char *repair_path;
    char socket_room[CONFIG_PATH_MAX], repair_room[CONFIG_PATH_MAX];
    int log_level, log_format;

    struct options options;
};

MUST_USE int config_load(struct config *c, int argc, char *const *argv, char *err, size_t cap);
void config_free(struct config *c);
void config_write_help(FILE *out);

#endif
