/* /config: every option, its value and where it comes from; of secrets only whether they are set.
 */
#include <stdlib.h>

#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/worker.h"

static const char *source_name(enum option_from from)
{
    static const char *const names[] = { [OPTION_FROM_DEFAULT] = "default",
                                         [OPTION_FROM_FILE] = "file",
                                         [OPTION_FROM_ENV] = "environment",
                                         [OPTION_FROM_ARGS] = "command line",
                                         [OPTION_FROM_RUN_TIME] = "run time" };
    return names[from];
}

static void write_option(struct json *j, const struct options *all, const struct option *row)
{
    size_t len = option_format(all, row, NULL, 0);
    char *value = malloc(len + 1);
    REQUIRE(value != NULL);
    option_format(all, row, value, len + 1);
    json_object(j, row->name);
    json_text(j, "value", value);
    json_text(j, "from", source_name(option_source(all, row)));
    json_text(j, "live",
              row->flags & OPTION_RELOADABLE  ? "yes"
              : row->flags & OPTION_BY_RELOAD ? "SIGHUP"
                                              : "no");
    json_object_end(j);
    free(value);
}

void admin_config(struct worker *w, struct http_exchange *x)
{
    const struct options *all = &w->config.options;
    struct json j;
    json_init(&j);
    json_object(&j, NULL);
    for (size_t i = 0; i < all->count; i++)
        if (!(all->rows[i].flags & OPTION_NO_FILE))
            write_option(&j, all, &all->rows[i]);
    json_object_end(&j);
    admin_send_json(x, &j);
}
