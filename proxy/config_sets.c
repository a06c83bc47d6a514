#include "proxy/config_sets.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "proxy/keyspace_events.h"
#include "proxy/worker_options.h"
#include "resp/value.h"

enum { REASON_MAX = 1024, OLD_VALUE_MAX = 64 };

static const char events[] = "notify-keyspace-events";

uint64_t config_sets_stamp(struct worker *w)
{
    return atomic_fetch_add(&w->crew->board->sets_ever, 1) + 1;
}

/* --- what is remembered ----------------------------------------------------------------------- */

static struct config_value *find(const struct config_sets *sets, const char *name)
{
    for (uint32_t i = 0; i < sets->count; i++)
        if (strcmp(sets->v[i].name, name) == 0)
            return &sets->v[i];
    return NULL;
}

static struct config_value *add(struct config_sets *sets, const char *name)
{
    sets->v = realloc(sets->v, (sets->count + 1) * sizeof(sets->v[0]));
    REQUIRE(sets->v != NULL);
    sets->v[sets->count] = (struct config_value){ .name = text_copy(name, strlen(name)) };
    return &sets->v[sets->count++];
}

void config_sets_note(struct worker *w, const char *name, struct span value, uint64_t stamp)
{
    struct config_value *v = find(&w->config_sets, name);
    if (v == NULL)
        v = add(&w->config_sets, name);
    free(v->value);
    v->value = text_copy(value.at, value.len);
    v->stamp = stamp;
}

void config_sets_forget(struct config_sets *sets)
{
    for (uint32_t i = 0; i < sets->count; i++) {
        free(sets->v[i].name);
        free(sets->v[i].value);
    }
    free(sets->v);
    *sets = (struct config_sets){ 0 };
}

void config_sets_reloaded(struct config_sets *sets)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sets->count; i++) {
        if (strcmp(sets->v[i].name, events) == 0) {
            sets->v[kept++] = sets->v[i];
            continue;
        }
        free(sets->v[i].name);
        free(sets->v[i].value);
    }
    sets->count = kept;
}

/* --- letters: an array of name, value, stamp, name, ... --------------------------------------- */

void config_sets_write(const struct config_sets *sets, uint64_t from, struct writer *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sets->count; i++)
        count += sets->v[i].stamp >= from;
    write_array(out, (size_t)count * 3);
    for (uint32_t i = 0; i < sets->count; i++) {
        const struct config_value *v = &sets->v[i];
        if (v->stamp < from)
            continue;
        write_bulk_text(out, v->name);
        write_bulk_text(out, v->value);
        write_integer(out, (long long)v->stamp);
    }
}

struct change {
    struct span name, value;
    uint64_t stamp;
};

static bool read_change(struct value_cursor *at, struct change *ch)
{
    struct value name, value, stamp;
    if (!value_next(at, &name) || name.kind != VALUE_STRING || !value_next(at, &value) ||
        value.kind != VALUE_STRING || !value_next(at, &stamp) || stamp.kind != VALUE_INTEGER)
        return false;
    *ch = (struct change){ name.text, value.text, (uint64_t)stamp.number };
    return true;
}

/* The option gets the value, unless it does not fit the others. */
static bool change_option(struct worker *w, const struct option *row, struct span value)
{
    struct options *options = &w->config.options;
    char old[OLD_VALUE_MAX], why[REASON_MAX];
    option_format(options, row, old, sizeof(old));
    if (option_change(options, row, value.at, value.len, why, sizeof(why)) != 0)
        return false;
    if (config_check(&w->config, why, sizeof(why)) == 0)
        return true;
    REQUIRE(option_change(options, row, old, strlen(old), why, sizeof(why)) == 0);
    return false;
}

static void take_over(struct worker *w, const struct change *ch)
{
    const struct option *row = option_find(&w->config.options, ch->name.at, ch->name.len);
    bool is_events = span_equal(ch->name, (struct span){ events, sizeof(events) - 1 });
    if (!is_events && (row == NULL || (row->flags & OPTION_RELOADABLE) == 0))
        return;
    const char *name = is_events ? events : row->name;
    const struct config_value *known = find(&w->config_sets, name);
    if (known != NULL && known->stamp >= ch->stamp)
        return;
    bool taken = is_events ? keyspace_events_parse(ch->value, &w->keyspace_events)
                           : change_option(w, row, ch->value);
    if (!taken) {
        log_warn("option of another worker not taken over", "name=%s", name);
        return;
    }
    config_sets_note(w, name, ch->value, ch->stamp);
    log_info("option changed", "name=%s", name);
}

void config_sets_read(struct worker *w, struct span letter)
{
    struct value_cursor at = { letter.at, letter.at + letter.len };
    struct value list;
    struct change ch;
    if (!value_next(&at, &list) || list.kind != VALUE_LIST || list.count == 0)
        return;
    for (uint64_t i = 0; i < list.count / 3 && read_change(&at, &ch); i++)
        take_over(w, &ch);
    worker_take_options(w);
}

void config_sets_on_letter(void *context, const struct talk_letter *letter)
{
    struct worker *w = context;
    config_sets_read(w, letter->body);
    talk_answer(&w->talk, letter, SPAN(""));
}
