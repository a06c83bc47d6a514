/* docs/metrics.md says what the rows say, and the rows are sane. UPDATE_DOCS=1 (./dev docs) writes
   the page again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/histogram.h"
#include "proxy/stats.h"
#include "test/lib/page.h"

static void the_page_is_up_to_date(void **state)
{
    (void)state;
    page_expect(METRICS_PAGE, stats_write_doc);
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);
    return len >= tail && strcmp(name + len - tail, end) == 0;
}

/* As Prometheus wants names: counters end with _total, units are said, none comes twice. */
static void names_are_sane(void **state)
{
    (void)state;
    for (size_t i = 0; i < stats_metric_count; i++) {
        const struct stats_metric *m = &stats_metrics[i];
        assert_memory_equal(m->name, "slotgate_", 9);
        assert_int_equal(strspn(m->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(m->name));
        assert_int_equal(ends_with(m->name, "_total"), m->kind == STATS_COUNTER);
        if (m->unit == STATS_SECONDS)
            assert_non_null(strstr(m->name, "_seconds"));
        if (m->unit == STATS_BYTES)
            assert_non_null(strstr(m->name, "_bytes"));
        assert_true(ends_with(m->help, "."));
        if (m->act == NULL || !ends_with(m->act, "."))
            fail_msg("%s does not say what to do when it moves", m->name);
        assert_true(m->offset % sizeof(uint64_t) == 0);
        for (size_t n = 0; n < i; n++) {
            assert_string_not_equal(stats_metrics[n].name, m->name);
            if ((stats_metrics[n].label == STATS_BY_NODE) == (m->label == STATS_BY_NODE))
                assert_int_not_equal(stats_metrics[n].offset, m->offset);
        }
    }
}

static void bounds_are_ends_of_buckets(void **state)
{
    (void)state;
    for (size_t i = 0; i < stats_bound_count; i++) {
        uint32_t place = 0;
        while (histogram_end(place) < stats_bounds[i])
            place++;
        assert_int_equal(histogram_end(place), stats_bounds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_up_to_date),
        cmocka_unit_test(names_are_sane),
        cmocka_unit_test(bounds_are_ends_of_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
