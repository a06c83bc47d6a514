#include "proxy/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/error.h"
#include "base/option_doc.h"
#include "cluster/read_choice.h"
#include "proxy/acl.h"
#include "proxy/options.h"
#include "proxy/secure.h"

enum {
    SECRET_FILE_MAX = 4096,
    ADMIN_ADDRESSES_MAX = 8,
    WORKER_TIMEOUT_MIN = 500, /* a worker shows signs of life every 200 ms */
};

static const char env_prefix[] = "SLOTGATE_";

PRINTF_LIKE(3, 4)
static int fail(char *err, size_t cap, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err, cap, fmt, args);
    va_end(args);
    return ERR_OPTION;
}

/* A name that no row has is a bug and aborts. */
static const struct option *row_of(const char *name)
{
    size_t i = 0;
    while (i < options_count && strcmp(options_rows[i].name, name) != 0)
        i++;
    REQUIRE(i < options_count);
    return &options_rows[i];
}

/* Options of which the second names a file with the first one's value. */
struct secret {
    const char *name, *file_name;
    size_t value, file; /* offsets of their fields */
};

static const struct secret secrets[] = {
    { "auth", "auth-file", offsetof(struct config, auth), offsetof(struct config, auth_file) },
    { "requirepass", "requirepass-file", offsetof(struct config, requirepass),
      offsetof(struct config, requirepass_file) },
    { "admin-password", "admin-password-file", offsetof(struct config, admin_password),
      offsetof(struct config, admin_password_file) },
    { "admin-token", "admin-token-file", offsetof(struct config, admin_token),
      offsetof(struct config, admin_token_file) },
};

static char **text_at(struct config *c, size_t offset)
{
    return (char **)(void *)((char *)c + offset);
}

/* Reads the file into the value, unless a stronger source has given the password itself. */
static int read_secret_file(struct config *c, const struct secret *s, char *err, size_t cap)
{
    const struct option *row = row_of(s->name);
    const char *path = *text_at(c, s->file);
    enum option_from from = option_source(&c->options, row_of(s->file_name));
    if (*text_at(c, s->value) != NULL && option_source(&c->options, row) == from)
        return fail(err, cap, "%s and %s are both given; choose one", s->name, s->file_name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail(err, cap, "cannot read %s %s: %s", s->file_name, path, strerror(errno));
    char text[SECRET_FILE_MAX], why[256];
    size_t len = fread(text, 1, sizeof(text), file);
    int code = 0;
    if (ferror(file))
        code = fail(err, cap, "cannot read %s %s: %s", s->file_name, path, strerror(errno));
    else if (len == sizeof(text))
        code = fail(err, cap, "%s %s is too large for a password", s->file_name, path);
    fclose(file);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--; /* an editor's line end is no part of the password */
    if (code == 0 && len == 0)
        code = fail(err, cap, "%s %s is empty", s->file_name, path);
    if (code == 0 && option_give(&c->options, row, from, text, len, why, sizeof(why)) != 0)
        code = fail(err, cap, "%s %s: %s", s->file_name, path, why);
    explicit_bzero(text, sizeof(text));
    return code;
}

static int prepare_seeds(struct config *c, char *err, size_t cap)
{
    if (c->cluster_nodes.count == 0)
        return fail(err, cap, "no cluster node given; try slotgate HOST:PORT, or slotgate --help");
    c->seeds = calloc(c->cluster_nodes.count, sizeof(*c->seeds));
    REQUIRE(c->seeds != NULL);
    for (; c->seed_count < c->cluster_nodes.count; c->seed_count++) {
        bool ok =
            options_parse_address(c->cluster_nodes.items[c->seed_count], &c->seeds[c->seed_count]);
        REQUIRE(ok); /* node_fault has seen it */
    }
    return 0;
}

uint32_t config_worker_count(const struct config *c)
{
    if (c->workers != WORKERS_AUTO)
        return (uint32_t)c->workers;
    uint32_t cpus = cpu_count();
    return cpus < CREW_MAX ? cpus : CREW_MAX;
}

int config_check(const struct config *c, char *err, size_t cap)
{
    if (c->bind.count == 0)
        return fail(err, cap, "bind names no address to listen on");
    if (c->admin_port != 0 && c->admin_bind.count == 0)
        return fail(err, cap, "admin-bind names no address to listen on");
    if (c->admin_bind.count > ADMIN_ADDRESSES_MAX)
        return fail(err, cap, "admin-bind names more than %d addresses", ADMIN_ADDRESSES_MAX);
    if (c->admin_port == c->port)
        return fail(err, cap, "admin-port is the same as port");
    if (c->auth_user != NULL && c->auth == NULL)
        return fail(err, cap, "auth-user needs a password; give auth or auth-file");
    if (c->tls_clients != TLS_CLIENTS_NO && c->tls_cert_file == NULL)
        return fail(err, cap, "tls-clients needs tls-cert-file and tls-key-file");
    if (c->tls_clients != TLS_CLIENTS_NO && c->tls_auth_clients != TLS_VERIFY_NONE &&
        c->tls_ca_cert_file == NULL)
        return fail(err, cap, "tls-auth-clients needs tls-ca-cert-file; no asks for none");
    if (c->acl_file != NULL && c->requirepass != NULL)
        return fail(err, cap,
                    "acl-file and requirepass are both given; the password of the user "
                    "default stands in the file");
    if (c->worker_timeout != 0 && c->worker_timeout < WORKER_TIMEOUT_MIN)
        return fail(err, cap, "worker-timeout is shorter than 500ms; 0 is off");
    if (c->topology_min_interval > c->topology_interval)
        return fail(err, cap, "topology-min-interval is longer than topology-interval");
    if (c->read_from == READ_AZ_AFFINITY && (c->zone == NULL || c->zone[0] == '\0'))
        return fail(err, cap, "read-from az-affinity needs zone");
    return 0;
}

/* Better now than in every worker. */
static int try_certificates(const struct config *c, char *err, size_t cap)
{
    struct secure s;
    int code = secure_open(&s, c, err, cap);
    secure_close(&s);
    return code;
}

static int read_users(struct config *c, char *err, size_t cap)
{
    if (c->acl_file != NULL)
        c->acl = acl_load(c->acl_file, err, cap);
    else
        c->acl = acl_of_password(c->requirepass);
    return c->acl != NULL ? 0 : ERR_OPTION;
}

/* name "" in a file is how one unsets a text. */
static void drop_empty(char **text)
{
    if (*text != NULL && **text == '\0') {
        free(*text);
        *text = NULL;
    }
}

int config_load(struct config *c, int argc, char *const *argv, char *err, size_t cap)
{
    *c = (struct config){ 0 };
    option_init(&c->options, options_rows, options_count, env_prefix, c);
    int code = option_read_args(&c->options, argc, argv, err, cap);
    if (code != 0 || c->help || c->version)
        return code;
    code = option_read_env(&c->options, err, cap);
    drop_empty(&c->config_file);
    if (code == 0 && c->config_file != NULL)
        code = option_read_file(&c->options, c->config_file, err, cap);
    if (code != 0 || c->check)
        return code;
    char **const texts[] = {
        &c->auth_user,           &c->announce,         &c->tls_cert_file,
        &c->tls_key_file,        &c->tls_ca_cert_file, &c->tls_client_cert_file,
        &c->tls_client_key_file, &c->tls_cluster_name, &c->acl_file
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        drop_empty(texts[i]);
    for (size_t i = 0; i < ARRAY_LEN(secrets) && code == 0; i++) {
        drop_empty(text_at(c, secrets[i].value));
        drop_empty(text_at(c, secrets[i].file));
        if (*text_at(c, secrets[i].file) != NULL)
            code = read_secret_file(c, &secrets[i], err, cap);
    }
    if (code == 0)
        code = config_check(c, err, cap);
    if (code == 0)
        code = try_certificates(c, err, cap);
    if (code == 0)
        code = read_users(c, err, cap);
    if (code == 0)
        code = prepare_seeds(c, err, cap);
    return code;
}

void config_free(struct config *c)
{
    option_free(&c->options);
    free(c->seeds);
    c->seeds = NULL;
    c->seed_count = 0;
    acl_unref(c->acl);
    c->acl = NULL;
}

void config_write_help(FILE *out)
{
    fputs(
        "Usage: slotgate [options] host:port[,host:port...]\n\n"
        "Speaks to clients like one Redis and keeps the data in a Redis Cluster, of which one or\n"
        "more nodes are named. Every option may also stand in a configuration file or in the\n"
        "environment (SLOTGATE_REQUEST_TIMEOUT=5s).\n\n",
        out);
    option_write_help(options_rows, options_count, out);
}

void config_write_doc(FILE *out)
{
    fputs("# Configuration\n\n"
          "<!-- Written by `./dev docs` from the rows in proxy/options.c; edit those. -->\n\n",
          out);
    option_write_doc(options_rows, options_count, env_prefix, out);
}
