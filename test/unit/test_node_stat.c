/* Places of nodes: found again by name, reused when their node is gone, and one for all others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/node_stat.h"

enum { ROOM = 4 };

static void a_name_keeps_its_place(void **state)
{
    struct node_stat *v = calloc(ROOM, sizeof(*v));
    struct node_stats all;
    (void)state;
    node_stats_open(&all, v, ROOM);
    struct node_stat *a = node_stats_take(&all, "a:1"), *b = node_stats_take(&all, "b:1");
    assert_ptr_not_equal(a, b);
    a->lost = 7;
    node_stats_give(&all, a);
    assert_ptr_equal(node_stats_take(&all, "a:1"), a);
    assert_int_equal(a->lost, 7);
    free(v);
}

/* Another process goes on with the memory. */
static void the_next_one_goes_on(void **state)
{
    struct node_stat *v = calloc(ROOM, sizeof(*v));
    struct node_stats first, second;
    (void)state;
    node_stats_open(&first, v, ROOM);
    node_stats_take(&first, "a:1")->lost = 7;
    node_stats_open(&second, v, ROOM);
    assert_int_equal(second.count, 2);
    assert_int_equal(node_stats_take(&second, "a:1")->lost, 7);
    assert_int_equal(v[1].users, 1);
    free(v);
}

static void the_one_gone_longest_makes_room(void **state)
{
    struct node_stat *v = calloc(ROOM, sizeof(*v));
    struct node_stats all;
    (void)state;
    node_stats_open(&all, v, ROOM);
    struct node_stat *a = node_stats_take(&all, "a:1"), *b = node_stats_take(&all, "b:1");
    struct node_stat *c = node_stats_take(&all, "c:1");
    assert_ptr_equal(node_stats_take(&all, "d:1"), &v[0]); /* nobody is gone yet */
    assert_string_equal(v[0].name, NODE_STAT_OTHER);
    b->lost = 7;
    histogram_add(&b->latency, 5);
    node_stats_give(&all, b);
    node_stats_give(&all, a);
    uint32_t version = b->version;
    assert_ptr_equal(node_stats_take(&all, "e:1"), b);
    assert_string_equal(b->name, "e:1");
    assert_int_equal(b->lost, 0);
    assert_int_equal(histogram_count(&b->latency), 0);
    assert_int_equal(b->version, version + 2);
    assert_ptr_equal(node_stats_take(&all, "f:1"), a);
    assert_ptr_equal(node_stats_take(&all, "g:1"), &v[0]);
    assert_string_equal(c->name, "c:1");
    free(v);
}

/* A name that is cut is still found again. */
static void a_long_name(void **state)
{
    struct node_stat *v = calloc(ROOM, sizeof(*v));
    struct node_stats all;
    char name[300];
    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    node_stats_open(&all, v, ROOM);
    struct node_stat *s = node_stats_take(&all, name);
    assert_ptr_equal(node_stats_take(&all, name), s);
    assert_int_equal(s->name[NODE_STAT_NAME - 1], '\0');
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_keeps_its_place),
        cmocka_unit_test(the_next_one_goes_on),
        cmocka_unit_test(the_one_gone_longest_makes_room),
        cmocka_unit_test(a_long_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
