/*
 * acl.h: the users of the proxy and what each of them may do, in Redis's terms.
 *
 * They come from the ACL file, in the format of Redis 7.0's (its documentation: ACL SETUSER, ACL
 * LOAD). Without a file there is only `default`, who may do everything, with the password of
 * `requirepass` or with none. The user admin is not among them: see access.h.
 *
 * Life: acl_load or acl_of_password -> never changed -> acl_unref by the last who holds it. Pure:
 * it knows no client and no socket.
 */
#ifndef PROXY_ACL_H
#define PROXY_ACL_H

#include "cluster/command.h"
#include "resp/writer.h"

struct acl;
struct acl_user;

/* Users of a file, or NULL and one line in err, which holds no password. */
struct acl *acl_load(const char *path, char *err, size_t cap);
/* password NULL: none is needed. */
struct acl *acl_of_password(const char *password);
struct acl *acl_ref(struct acl *a);
/* a may be NULL. */
void acl_unref(struct acl *a);

/* NULL: there is none of that name. Lent; lives as long as a. */
const struct acl_user *acl_find(const struct acl *a, struct span name);
const struct acl_user *acl_default(const struct acl *a);
size_t acl_count(const struct acl *a);
/* Sorted by name. */
const struct acl_user *acl_at(const struct acl *a, size_t i);

const char *acl_name(const struct acl_user *u);
/* Whether this password opens the door. Takes the same time whatever is wrong with it. */
bool acl_opens(const struct acl_user *u, struct span password);
bool acl_needs_no_password(const struct acl_user *u);
/* The same, and it is enabled: who comes is this user at once. */
bool acl_is_open(const struct acl_user *u);
/* May do everything, so that nothing needs to be checked. */
bool acl_is_free(const struct acl_user *u);
/* The same name, state, passwords and rights. */
bool acl_is_same(const struct acl_user *a, const struct acl_user *b);

/* --- what a user may do ----------------------------------------------------------------------- */

enum acl_verdict {
    ACL_ALLOWED,
    ACL_NO_COMMAND,
    ACL_NO_KEY,
    ACL_NO_CHANNEL,
    ACL_NO_SCRIPT, /* what a script does cannot be seen from here, see acl-scripts */
    ACL_NO_BY,     /* SORT: patterns name keys that nobody declares */
    ACL_NO_GET,    /* the same */
    ACL_NO_MODULE, /* a learned command whose keys cannot be told */
};

/* argv: complete, with a right number of arguments for cmd. scripts: whether users with limits may
   run them. *arg: of a key or channel, which argument it is. */
enum acl_verdict acl_check(const struct acl_user *u, const struct command *cmd,
                           const struct argv *argv, bool scripts, uint32_t *arg);
/* The error for a client, without '-'. */
void acl_write_denial(struct writer *w, enum acl_verdict verdict, const struct command *cmd);
/* The same as ACL DRYRUN says it. */
void acl_write_dry_run(struct writer *w, enum acl_verdict verdict, const struct command *cmd,
                       struct span arg);

/* --- how it is told --------------------------------------------------------------------------- */

/* The line of ACL LIST; the caller frees it. */
char *acl_describe(const struct acl_user *u);
/* What ACL GETUSER answers. */
void acl_write_user(struct writer *w, const struct acl_user *u);

#endif
