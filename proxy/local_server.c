/* ROLE, ACL and DEBUG, as a Redis answers them that has no replica and one user. */
#include "base/text.h"
#include "cluster/keyslot.h"
#include "proxy/local.h"
#include "proxy/worker.h"

bool local_role(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_array(w, 3);
    write_bulk_text(w, "master");
    write_integer(w, 0);
    write_array(w, 0);
    return true;
}

/* --- ACL: clients of the proxy are all the default user, who may do everything ---------------- */

bool local_acl_list(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_array(w, 1);
    write_bulk_text(w, "user default on nopass ~* &* +@all");
    return true;
}

bool local_acl_users(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_array(w, 1);
    write_bulk_text(w, "default");
    return true;
}

bool local_acl_getuser(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    if (!span_equal(argv_get(argv, 2), SPAN("default"))) {
        write_null(w);
        return true;
    }
    write_map(w, 6);
    write_bulk_text(w, "flags");
    write_set(w, 2);
    write_bulk_text(w, "on");
    write_bulk_text(w, "nopass");
    write_bulk_text(w, "passwords");
    write_array(w, 0);
    write_bulk_text(w, "commands");
    write_bulk_text(w, "+@all");
    write_bulk_text(w, "keys");
    write_bulk_text(w, "~*");
    write_bulk_text(w, "channels");
    write_bulk_text(w, "&*");
    write_bulk_text(w, "selectors");
    write_array(w, 0);
    return true;
}

/* Nobody has ever been denied anything. */
bool local_acl_log(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    struct span how_many = argv->count == 3 ? argv_get(argv, 2) : SPAN("10");
    struct span log = argv_get(argv, 1);
    int64_t count;
    if (argv->count > 3)
        write_error(w,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL "
                    "HELP.",
                    (int)log.len, log.at);
    else if (span_is(how_many, "reset"))
        write_simple(w, "OK");
    else if (!text_to_i64(how_many.at, how_many.len, &count))
        write_error(w, "ERR value is not an integer or out of range");
    else
        write_array(w, 0);
    return true;
}

/* --- DEBUG ------------------------------------------------------------------------------------ */

/* Only what looks at one key and changes nothing gets through, and the node may refuse it. */
bool local_debug(struct client *c, const struct argv *argv, struct writer *w)
{
    if (argv->count == 3 && span_is(argv_get(argv, 1), "object"))
        local_route(c, argv, keyslot_of(argv_get(argv, 2)));
    else
        local_refuse(c->last_command, w);
    return true;
}
