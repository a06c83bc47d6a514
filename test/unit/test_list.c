#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int id;
    struct list_node node;
};

/* The ids in the list, read forward, are the digits of `want`; backward they mirror it. */
static void expect(const struct list_node *head, const char *want)
{
    struct list_node *n = head->next;
    size_t i = 0;
    for (; n != head; n = n->next, i++) {
        assert_true(want[i] != '\0');
        assert_int_equal(LIST_ENTRY(n, struct item, node)->id, want[i] - '0');
    }
    assert_int_equal(want[i], '\0');
    for (n = head->prev; n != head; n = n->prev)
        assert_int_equal(LIST_ENTRY(n, struct item, node)->id, want[--i] - '0');
    assert_int_equal(i, 0);
}

static struct item items[6];
static struct list_node a, b;

static int setup(void **state)
{
    (void)state;
    list_init(&a);
    list_init(&b);
    for (int i = 0; i < 6; i++) {
        items[i].id = i;
        list_init(&items[i].node);
    }
    return 0;
}

static void test_order(void **state)
{
    (void)state;
    assert_true(list_is_empty(&a));
    list_append(&a, &items[1].node);
    list_append(&a, &items[3].node);
    list_prepend(&a, &items[0].node);
    list_insert_before(&items[3].node, &items[2].node);
    expect(&a, "0123");
    assert_false(list_is_empty(&a));
    assert_true(list_is_linked(&items[2].node));
    assert_false(list_is_linked(&items[5].node));
}

static void test_remove_twice(void **state)
{
    (void)state;
    list_append(&a, &items[1].node);
    list_append(&a, &items[2].node);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    assert_false(list_is_linked(&items[1].node));
    expect(&a, "2");
    list_append(&b, &items[1].node);
    expect(&b, "1");
}

static void test_splice(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        list_append(i < 2 ? &a : &b, &items[i].node);
    list_splice(&a, &b);
    expect(&a, "012345");
    expect(&b, "");
    list_splice(&a, &b);
    expect(&a, "012345");
    list_splice(&b, &a);
    expect(&b, "012345");
    assert_true(list_is_empty(&a));
}

static void test_remove_while_walking(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        list_append(&a, &items[i].node);
    struct list_node *n, *safe;
    LIST_EACH (&a, n, safe)
        if (LIST_ENTRY(n, struct item, node)->id % 2 == 0)
            list_remove(n);
    expect(&a, "135");
    LIST_EACH (&a, n, safe)
        list_remove(n);
    assert_true(list_is_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, setup),
        cmocka_unit_test_setup(test_remove_twice, setup),
        cmocka_unit_test_setup(test_splice, setup),
        cmocka_unit_test_setup(test_remove_while_walking, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
