/* Commands that the table lacks, such as those of modules: the target tells of its own. */
#include "base/log.h"
#include "cluster/learn.h"
#include "migrate/apply_rules.h"
#include "migrate/apply_words.h"

/* A module may come to the target later; until then each unknown command fails by name. */
enum { ASK_AGAIN_MS = 10 * 1000 };

static void on_commands(void *context, const struct target_call *call)
{
    struct apply *a = context;
    int added = call->error[0] == '\0'
                    ? command_table_learn(a->target->commands, writer_span(&a->told))
                    : -1;
    a->asking = false;
    writer_close(&a->told);
    if (added < 0)
        log_warn("the target does not tell its commands (COMMAND)", "reason=%s",
                 log_text(call->error));
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
    if (a->asked_at != 0 && now - a->asked_at < ASK_AGAIN_MS)
        return false;
    a->asking = true;
    a->asked_at = now;
    writer_init(&a->told, 2);
    target_ask_shard(a->target, 0, SPAN("command"), question, &a->told, on_commands, a);
    return true;
}
