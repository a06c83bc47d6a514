/* CLIENT ... about the calling connection; texts and checks as in Redis 7.0, networking.c. */
#include <stdlib.h>

#include "base/text.h"
#include "proxy/local.h"
#include "proxy/worker.h"

/* --- labels ---------------------------------------------------------------------------------- */

bool local_label_ok(struct span label)
{
    for (size_t i = 0; i < label.len; i++)
        if (label.at[i] < '!' || label.at[i] > '~')
            return false;
    return true;
}

struct client_labels *local_labels(struct client *c)
{
    if (c->labels == NULL)
        c->labels = calloc(1, sizeof(*c->labels));
    REQUIRE(c->labels != NULL);
    return c->labels;
}

/* An empty value takes the label away. */
void local_set_label(char **label, struct span value)
{
    free(*label);
    *label = value.len > 0 ? text_copy(value.at, value.len) : NULL;
}

bool local_client_setname(struct client *c, const struct argv *argv, struct writer *w)
{
    struct span name = argv_get(argv, 2);
    if (!local_label_ok(name)) {
        write_error(w, "ERR Client names cannot contain spaces, newlines or special characters.");
        return true;
    }
    local_set_label(&local_labels(c)->name, name);
    write_simple(w, "OK");
    return true;
}

bool local_client_getname(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    if (c->labels != NULL && c->labels->name != NULL)
        write_bulk_text(w, c->labels->name);
    else
        write_null(w);
    return true;
}

/* Redis 7.2's command; today's client libraries send it first thing. */
bool local_client_setinfo(struct client *c, const struct argv *argv, struct writer *w)
{
    struct span option = argv_get(argv, 2), value = argv_get(argv, 3);
    struct client_labels *labels = local_labels(c);
    char **label = span_is(option, "lib-name")  ? &labels->lib_name
                   : span_is(option, "lib-ver") ? &labels->lib_ver
                                                : NULL;
    if (label == NULL) {
        write_error(w, "ERR Unrecognized option '%.*s'", (int)option.len, option.at);
        return true;
    }
    if (!local_label_ok(value)) {
        write_error(w, "ERR %.*s cannot contain spaces, newlines or special characters.",
                    (int)option.len, option.at);
        return true;
    }
    local_set_label(label, value);
    write_simple(w, "OK");
    return true;
}

/* --- modes ----------------------------------------------------------------------------------- */

bool local_client_id(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    write_integer(w, (long long)c->id);
    return true;
}

bool local_client_reply(struct client *c, const struct argv *argv, struct writer *w)
{
    struct span mode = argv_get(argv, 2);
    if (span_is(mode, "on")) {
        client_set_reply_mode(c, REPLY_ON);
        write_simple(w, "OK");
    } else if (span_is(mode, "off")) {
        client_set_reply_mode(c, REPLY_OFF);
    } else if (span_is(mode, "skip")) {
        if (c->reply_mode != REPLY_OFF)
            client_set_reply_mode(c, REPLY_SKIP_NEXT);
    } else {
        write_error(w, "ERR syntax error");
    }
    return true;
}

static bool set_switch(bool *on, const struct argv *argv, struct writer *w)
{
    struct span value = argv_get(argv, 2);
    if (!span_is(value, "on") && !span_is(value, "off")) {
        write_error(w, "ERR syntax error");
        return true;
    }
    *on = span_is(value, "on");
    write_simple(w, "OK");
    return true;
}

bool local_client_no_evict(struct client *c, const struct argv *argv, struct writer *w)
{
    return set_switch(&c->no_evict, argv, w);
}

bool local_client_no_touch(struct client *c, const struct argv *argv, struct writer *w)
{
    return set_switch(&c->no_touch, argv, w);
}

/* --- client-side caching, which the proxy does not have --------------------------------------- */

bool local_client_tracking(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    struct span mode = argv_get(argv, 2);
    if (span_is(mode, "off"))
        write_simple(w, "OK");
    else if (span_is(mode, "on"))
        write_error(w, "ERR slotgate: CLIENT TRACKING is not supported yet");
    else
        write_error(w, "ERR syntax error");
    return true;
}

bool local_client_caching(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_error(w, "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                   "OPTIN or OPTOUT mode enabled");
    return true;
}

bool local_client_getredir(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_integer(w, -1);
    return true;
}

bool local_client_trackinginfo(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_map(w, 3);
    write_bulk_text(w, "flags");
    write_set(w, 1);
    write_bulk_text(w, "off");
    write_bulk_text(w, "redirect");
    write_integer(w, -1);
    write_bulk_text(w, "prefixes");
    write_array(w, 0);
    return true;
}
