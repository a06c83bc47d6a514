/* The POSTs: what somebody may do here. Each leaves a line in the log. */
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/talk_topics.h"
#include "proxy/worker_options.h"

enum { LEVEL_MAX = 16 };

/* The supervisor leaves with all of its workers, this one included. */
void admin_drain(struct worker *w, struct http_exchange *x)
{
    if (w->draining) {
        admin_say(x, 202, "draining already");
    } else if (!crew_tell_supervisor(w->crew, SIGTERM)) {
        admin_say(x, 503, "there is no supervisor to tell, or a takeover is under way: try again");
    } else {
        log_info("drain asked for over HTTP", "supervisor=%d", (int)w->crew->supervisor);
        admin_say(x, 202, "draining");
    }
}

/* level=NAME in the query, or NAME as the body. */
static bool wanted_level(const struct http_request *r, char out[LEVEL_MAX])
{
    if (http_query_value(r, "level", out, LEVEL_MAX))
        return true;
    size_t len = strcspn(r->body, "\r\n");
    if (len == 0 || len >= LEVEL_MAX)
        return false;
    memcpy(out, r->body, len);
    out[len] = '\0';
    return true;
}

/* The same way as CONFIG SET, so a worker that starts later has it, too. */
static void tell_others(struct worker *w, const char *level)
{
    struct writer letter;
    uint64_t stamp = config_sets_stamp(w);
    config_sets_note(w, "log-level", (struct span){ level, strlen(level) }, stamp);
    writer_init(&letter, 2);
    config_sets_write(&w->config_sets, stamp, &letter);
    talk_tell(&w->talk, TALK_CONFIG, writer_span(&letter));
    writer_close(&letter);
}

void admin_log_level(struct worker *w, struct http_exchange *x)
{
    char level[LEVEL_MAX], why[256];
    const struct option *row = option_find(&w->config.options, "log-level", 9);
    REQUIRE(row != NULL);
    if (!wanted_level(http_exchange_request(x), level)) {
        admin_say(x, 400, "which level? POST /log-level?level=debug|info|warn|error");
        return;
    }
    if (option_change(&w->config.options, row, level, strlen(level), why, sizeof(why)) != 0) {
        admin_say(x, 400, "%s", why);
        return;
    }
    worker_take_options(w);
    tell_others(w, level);
    log_info("log level changed over HTTP", "level=%s", log_text(level));
    admin_say(x, 200, "log-level %s", level);
}
