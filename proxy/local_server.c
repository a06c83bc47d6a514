/* ROLE and DEBUG, as a Redis answers them that has no replica. */
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
