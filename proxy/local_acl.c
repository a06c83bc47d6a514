/* What ACL tells of the users, as Redis 7.0 does; acl.h. The users of the nodes are others. */
#include <stdlib.h>

#include "proxy/access.h"
#include "proxy/local.h"
#include "proxy/worker.h"

bool local_whoami(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    write_bulk_text(w, access_user_name(c));
    return true;
}

bool local_acl_list(struct client *c, const struct argv *argv, struct writer *w)
{
    const struct acl *a = c->worker->config.acl;
    (void)argv;
    write_array(w, acl_count(a));
    for (size_t i = 0; i < acl_count(a); i++) {
        char *line = acl_describe(acl_at(a, i));
        write_bulk_text(w, line);
        free(line);
    }
    return true;
}

bool local_acl_users(struct client *c, const struct argv *argv, struct writer *w)
{
    const struct acl *a = c->worker->config.acl;
    (void)argv;
    write_array(w, acl_count(a));
    for (size_t i = 0; i < acl_count(a); i++)
        write_bulk_text(w, acl_name(acl_at(a, i)));
    return true;
}

bool local_acl_getuser(struct client *c, const struct argv *argv, struct writer *w)
{
    const struct acl_user *u = acl_find(c->worker->config.acl, argv_get(argv, 2));
    if (u != NULL)
        acl_write_user(w, u);
    else
        write_null(w);
    return true;
}

/* ACL DRYRUN user command [argument ...] */
bool local_acl_dryrun(struct client *c, const struct argv *argv, struct writer *w)
{
    struct span name = argv_get(argv, 2), word = argv_get(argv, 3);
    const struct acl_user *u = acl_find(c->worker->config.acl, name);
    const struct argv call = { argv->base, argv->v + 3, argv->count - 3 };
    const struct command *container, *cmd = command_resolve(c->worker->commands, &call, &container);
    uint32_t arg;
    if (u == NULL) {
        write_error(w, "ERR User '%.*s' not found", (int)name.len, name.at);
    } else if (cmd == NULL) {
        write_error(w, "ERR Command '%.*s' not found", (int)word.len, word.at);
    } else if (!command_arity_ok(cmd, call.count)) {
        write_error(w, "ERR wrong number of arguments for '%s%s%s' command",
                    cmd->parent != NULL ? cmd->parent->name : "", cmd->parent != NULL ? "|" : "",
                    cmd->name);
    } else {
        enum acl_verdict v = acl_check(u, cmd, &call, c->worker->config.acl_scripts, &arg);
        acl_write_dry_run(w, v, cmd, argv_get(&call, arg));
    }
    return true;
}
