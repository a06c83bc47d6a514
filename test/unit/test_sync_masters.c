/* migrate/sync_masters.h: which changes of the target's masters in the full copy may have lost some
   of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "migrate/sync_masters.h"

enum { HALF = SLOT_COUNT / 2, MASTERS = 3 };

static struct node nodes[MASTERS + 1]; /* the last one is the heir of the one before */
static struct node *masters[MASTERS];
static struct slotmap map;

/* A map in which one master has the slots up to `border`, and another one those behind. */
static void set_map(struct sync *s, int low, uint32_t border, int high)
{
    map.covered = SLOT_COUNT;
    map.shard_count = MASTERS;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        map.shard_of[slot] = (uint16_t)(slot < border ? low : high);
    s->target.router.map = &map;
    s->target.router.epoch++;
}

static int begin(void **state)
{
    struct sync *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    for (uint32_t i = 0; i <= MASTERS; i++)
        nodes[i].fingerprint = 100 + i;
    for (int i = 0; i < MASTERS; i++)
        masters[i] = &nodes[i];
    s->masters = calloc(SLOT_COUNT, sizeof(*s->masters));
    assert_non_null(s->masters);
    s->target.router.masters = masters;
    set_map(s, 0, HALF, 1);
    sync_look_at_masters(s);
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct sync *s = *state;
    free(s->masters);
    free(s);
    return 0;
}

static void test_moved_by_hand(void **state)
{
    struct sync *s = *state;
    set_map(s, 0, HALF + 100, 1);
    sync_copy_watch(s);
    assert_false(s->copy_lost);
}

static void test_gave_way(void **state)
{
    struct sync *s = *state;
    masters[1] = &nodes[MASTERS];
    set_map(s, 0, HALF, 1);
    sync_copy_watch(s);
    assert_true(s->copy_lost);
}

/* While nobody has some slots, it may still come back. */
static void test_came_back(void **state)
{
    struct sync *s = *state;
    set_map(s, 0, HALF, SLOTMAP_NO_SHARD);
    map.covered = HALF;
    sync_copy_watch(s);
    set_map(s, 0, HALF, 1);
    sync_copy_watch(s);
    assert_false(s->copy_lost);
}

/* A master that had no slots when the copy began. */
static void test_gave_way_with_moved_slots(void **state)
{
    struct sync *s = *state;
    set_map(s, 0, HALF, 2);
    sync_copy_watch(s);
    assert_false(s->copy_lost);
    masters[2] = &nodes[MASTERS];
    set_map(s, 0, HALF, 2);
    sync_copy_watch(s);
    assert_true(s->copy_lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moved_by_hand, begin, end),
        cmocka_unit_test_setup_teardown(test_gave_way, begin, end),
        cmocka_unit_test_setup_teardown(test_came_back, begin, end),
        cmocka_unit_test_setup_teardown(test_gave_way_with_moved_slots, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
