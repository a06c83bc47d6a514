#include "proxy/reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proxy/acl.h"

enum { REASON_MAX = 1024, NAMES_MAX = 2048 };

/* names: parted by commas; they are taken apart. */
static void tell_waiting(char *names)
{
    char *rest = NULL;
    for (char *name = strtok_r(names, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        log_warn("option not changed: it needs SIGUSR2 or a restart", "name=%s", name);
}

/* The same number of users, and each is as it was. */
static bool are_same(const struct acl *a, const struct acl *b)
{
    bool same = acl_count(a) == acl_count(b);
    for (size_t i = 0; same && i < acl_count(a); i++)
        same = acl_is_same(acl_at(a, i), acl_at(b, i));
    return same;
}

static void swap_users(struct config *c, struct config *fresh, bool tell)
{
    struct acl *old = c->acl;
    if (tell && !are_same(old, fresh->acl))
        log_info("users reloaded", "users=%zu", acl_count(fresh->acl));
    c->acl = fresh->acl;
    fresh->acl = old;
}

bool reload_config(struct config *c, const struct start_words *words, bool tell)
{
    struct config *fresh = calloc(1, sizeof(*fresh));
    char reason[REASON_MAX], waiting[NAMES_MAX];
    REQUIRE(fresh != NULL);
    bool ok = config_load(fresh, words->argc, words->argv, reason, sizeof(reason)) == 0;
    if (ok) {
        swap_users(c, fresh, tell);
        size_t changed = option_reload(&c->options, &fresh->options, waiting, sizeof(waiting));
        if (tell) {
            tell_waiting(waiting);
            log_info("configuration reloaded", "changed=%zu", changed);
        }
    } else if (tell) {
        log_error("configuration not reloaded: nothing has changed", "reason=%s", log_text(reason));
    }
    config_free(fresh);
    free(fresh);
    return ok;
}
