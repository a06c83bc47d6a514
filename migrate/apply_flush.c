/* FLUSHALL and FLUSHDB of this source's own keys (--flush own): the target is looked through for
   them, with everything before answered, and nothing behind sent until they are gone. */
#include <stdlib.h>

#include "base/log.h"
#include "migrate/advice.h"
#include "migrate/apply_words.h"
#include "migrate/key_set.h"
#include "migrate/sweep.h"

struct apply_flush {
    struct sweep sweep;
    struct key_set none; /* what may stay */
    struct apply_mark *mark;
};

void apply_flush_own(struct apply *a, const struct argv *argv)
{
    struct apply_flush *f = calloc(1, sizeof(*f));
    REQUIRE(f != NULL);
    a->flush = f;
    f->mark = apply_unit_begin(a);
    sweep_open(&f->sweep, a->options, a->target, &f->none);
    if (span_is(argv_get(argv, 0), "flushdb") && a->options->databases == COPY_DB_PREFIX)
        sweep_only(&f->sweep, a->db);
    sweep_begin(&f->sweep);
}

void apply_flush_end(struct apply *a)
{
    if (a->flush == NULL)
        return;
    sweep_close(&a->flush->sweep);
    free(a->flush);
    a->flush = NULL;
}

void apply_flush_step(struct apply *a)
{
    static const struct span name = { "flushall", 8 };
    struct apply_flush *f = a->flush;
    if (f == NULL || a->broken)
        return;
    enum sweep_result result = sweep_step(&f->sweep);
    if (result == SWEEP_MORE)
        return;
    if (result == SWEEP_BAD) {
        log_error("this source's keys cannot be removed from the target", "reason=%s action=%s",
                  log_text(f->sweep.error), log_text(advice_on(ADVICE_SWEEP, f->sweep.error)));
        a->error = "the source has executed FLUSHALL or FLUSHDB, which the target did not let us "
                   "repeat";
    } else {
        log_info("this source's keys are removed", "looked_at=%llu removed=%llu",
                 (unsigned long long)f->sweep.looked_at, (unsigned long long)f->sweep.removed);
        apply_unit_done(f->mark, name, SPAN(""), "");
    }
    apply_flush_end(a);
    net_hurry(a->target->net);
}
