/* Libraries of functions, and scripts, are no keys: every master gets them. */
#include "migrate/copy_functions.h"

#include "base/log.h"
#include "migrate/advice.h"

static void tell_not_loaded(struct span library, const char *why)
{
    log_error("functions or a script not loaded", "library=%s reason=%s action=%s",
              log_bytes(library.at, library.len), log_text(why),
              log_text(advice_on(ADVICE_FUNCTION, why)));
}

/* "#!lua name=NAME", and the source behind it; none of a script. */
static struct span library_of(struct span text)
{
    const char *end = memchr(text.at, '\n', text.len);
    size_t head = end != NULL ? (size_t)(end - text.at) : text.len, len = 0;
    const char *at = memmem(text.at, head, "name=", 5);
    if (at == NULL)
        return SPAN("");
    for (at += 5; at + len < text.at + head && at[len] != ' ' && at[len] != '\r';)
        len++;
    return (struct span){ at, len };
}

static void on_function(void *context, const struct target_call *call)
{
    struct copy *c = context;
    c->pending--;
    if (call->error[0] == '\0')
        return;
    c->counters.functions_failed++;
    tell_not_loaded(target_key(call), call->error);
}

void copy_load_function(struct copy *c)
{
    if (!c->target->facts.functions) {
        c->counters.functions_failed++;
        tell_not_loaded(library_of(c->reader.text), "the target knows no functions");
        return;
    }
    struct writer *w = &c->command;
    writer_clear(w, 2);
    write_array(w, 4);
    write_bulk(w, SPAN("FUNCTION"));
    write_bulk(w, SPAN("LOAD"));
    write_bulk(w, SPAN("REPLACE"));
    write_bulk(w, c->reader.text);
    c->counters.functions++;
    c->pending += target_send_all(c->target, SPAN("function"), library_of(c->reader.text),
                                  writer_span(w), on_function, c);
}

void copy_load_script(struct copy *c)
{
    struct writer *w = &c->command;
    writer_clear(w, 2);
    write_array(w, 3);
    write_bulk(w, SPAN("SCRIPT"));
    write_bulk(w, SPAN("LOAD"));
    write_bulk(w, c->reader.text);
    c->pending +=
        target_send_all(c->target, SPAN("script"), SPAN(""), writer_span(w), on_function, c);
}
