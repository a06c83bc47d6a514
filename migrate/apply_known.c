/* What the target has to know, or to tell, before a command is sent: commands that the table lacks,
   such as those of modules, and scripts of old sources. */
#include <stdlib.h>

#include "base/log.h"
#include "cluster/learn.h"
#include "migrate/advice.h"
#include "migrate/apply_rules.h"
#include "migrate/apply_send.h"
#include "migrate/apply_words.h"
#include "migrate/replay.h"

enum {
    ASK_AGAIN_MS = 10 * 1000, /* a module may come to the target later */
    SCRIPTS = 1024,           /* one that has lost its place here is loaded once more */
};

struct apply_known {
    bool asking;
    uint64_t asked_at;         /* as uv_now; 0: not yet */
    struct writer told;        /* while asking */
    uint64_t scripts[SCRIPTS]; /* their hashes, each in its place */
};

static struct apply_known *known_of(struct apply *a)
{
    if (a->known == NULL)
        a->known = calloc(1, sizeof(*a->known));
    REQUIRE(a->known != NULL);
    return a->known;
}

void apply_forget_known(struct apply *a)
{
    if (a->known != NULL)
        writer_close(&a->known->told);
    free(a->known);
    a->known = NULL;
}

bool apply_is_asking(const struct apply *a)
{
    return a->known != NULL && a->known->asking;
}

/* --- commands ------------------------------------------------------------------------------ */

static void on_commands(void *context, const struct target_call *call)
{
    struct apply *a = context;
    struct apply_known *k = a->known;
    int added = call->error[0] == '\0'
                    ? command_table_learn(a->target->commands, writer_span(&k->told))
                    : -1;
    k->asking = false;
    writer_close(&k->told);
    if (added < 0)
        log_warn("the target does not tell its commands (COMMAND)", "reason=%s action=%s",
                 log_text(call->error), log_text(advice_on(ADVICE_COMMANDS, call->error)));
    else if (added > 0)
        log_info("commands learned from the target", "count=%d", added);
}

bool apply_must_ask(struct apply *a, const struct argv *argv)
{
    static const struct span question = { "*1\r\n$7\r\nCOMMAND\r\n", 17 };
    const struct command *container = NULL;
    uint64_t now = uv_now(a->target->net->loop);
    if (command_resolve(a->target->commands, argv, &container) != NULL || container != NULL ||
        apply_rules_know(argv_get(argv, 0)))
        return false;
    struct apply_known *k = known_of(a);
    if (k->asked_at != 0 && now - k->asked_at < ASK_AGAIN_MS)
        return false;
    k->asking = true;
    k->asked_at = now;
    writer_init(&k->told, 2);
    target_ask_shard(a->target, 0, SPAN("command"), question, &k->told, on_commands, a);
    return true;
}

/* --- scripts ------------------------------------------------------------------------------- */

static uint64_t hash_of(struct span text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void on_loaded(void *context, const struct target_call *call)
{
    static const struct span name = { "script load", 11 };
    struct apply_mark *m = context;
    if (m->apply->exact && replay_is_needed(call->error))
        apply_break(m->apply, name, SPAN(""), call->error);
    else
        apply_unit_done(m, name, SPAN(""), call->error);
}

/* An old source sends EVAL once and EVALSHA from then on, but the next key may lie at another
   master, which has never seen the script. */
static void load_script(struct apply *a, struct span script)
{
    struct writer w;
    uint64_t hash = hash_of(script), *place = &known_of(a)->scripts[hash % SCRIPTS];
    if (*place == hash)
        return;
    *place = hash;
    writer_init(&w, 2);
    write_array(&w, 3);
    write_bulk(&w, SPAN("SCRIPT"));
    write_bulk(&w, SPAN("LOAD"));
    write_bulk(&w, script);
    a->mark->pending +=
        target_send_all(a->target, SPAN("script"), SPAN(""), writer_span(&w), on_loaded, a->mark);
    writer_close(&w);
}

void apply_eval(struct apply *a, const struct argv *argv)
{
    if (argv->count > 2)
        load_script(a, argv_get(argv, 1));
    apply_by_keys(a, argv);
}
