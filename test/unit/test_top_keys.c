/* Hot and big keys: what is always found, what the counts may be off by, aging, merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/top_keys.h"

static struct span key_of(int i)
{
    static char text[32];
    return (struct span){ text, (size_t)snprintf(text, sizeof(text), "key:%d", i) };
}

static const struct hot_key *find(const struct hot_keys *t, struct span key)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (span_equal(top_key_text(&t->v[i].key), key))
            return &t->v[i];
    return NULL;
}

/* The promise of space-saving: true count <= shown <= true count + over. */
static void hot_ones_are_found(void **state)
{
    static struct hot_keys t;
    enum { CALLS = 100000, COLD = 10000 };
    int asked[10] = { 0 };
    uint64_t random = 1, all = 0;
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int n = (int)(random >> 40);
        int key = n % 100 < 40 ? n % 10 : 10 + n % COLD;
        if (key < 10)
            asked[key]++;
        top_hot_see(&t, key_of(key), 3);
    }
    assert_int_equal(t.count, TOP_HOT);
    for (int i = 0; i < 10; i++) {
        const struct hot_key *k = find(&t, key_of(i));
        assert_non_null(k);
        assert_true(k->calls >= 3 * (uint64_t)asked[i]);
        assert_true(k->calls - k->over <= 3 * (uint64_t)asked[i]);
        assert_true(k->over <= 3 * CALLS / TOP_HOT);
    }
    for (uint32_t i = 0; i < t.count; i++)
        all += t.v[i].calls;
    assert_int_equal(all, 3 * CALLS);
    top_hot_sort(t.v, t.count);
    for (uint32_t i = 1; i < t.count; i++)
        assert_true(t.v[i - 1].calls >= t.v[i].calls);
}

/* One that comes late inherits the calls of the one that it puts out, and says so. */
static void a_late_one(void **state)
{
    static struct hot_keys t;
    (void)state;
    for (int i = 0; i < TOP_HOT; i++)
        top_hot_see(&t, key_of(i), i == 5 ? 10 : 20);
    top_hot_see(&t, key_of(1000), 3);
    assert_int_equal(t.count, TOP_HOT);
    assert_null(find(&t, key_of(5)));
    assert_int_equal(find(&t, key_of(1000))->calls, 13);
    assert_int_equal(find(&t, key_of(1000))->over, 10);
    assert_int_equal(find(&t, key_of(6))->over, 0);
}

static void counts_grow_old(void **state)
{
    static struct hot_keys t;
    (void)state;
    top_hot_see(&t, key_of(1), 1);
    top_hot_see(&t, key_of(2), 10);
    top_hot_age(&t);
    assert_int_equal(t.count, 1);
    assert_int_equal(find(&t, key_of(2))->calls, 5);
    top_hot_clear(&t);
    assert_int_equal(t.count, 0);
    assert_int_equal(t.version % 2, 0);
}

static void tables_are_added_up(void **state)
{
    static struct hot_keys a, b;
    struct hot_key all[4];
    uint32_t count = 0;
    (void)state;
    top_hot_see(&a, key_of(1), 5);
    top_hot_see(&a, key_of(2), 1);
    top_hot_see(&b, key_of(2), 7);
    for (uint32_t i = 0; i < a.count; i++)
        count = top_hot_merge(all, count, &a.v[i]);
    for (uint32_t i = 0; i < b.count; i++)
        count = top_hot_merge(all, count, &b.v[i]);
    top_hot_sort(all, count);
    assert_int_equal(count, 2);
    assert_int_equal(all[0].calls, 8);
    assert_int_equal(all[1].calls, 5);
}

/* Two long keys with the same beginning are two. */
static void long_keys(void **state)
{
    static struct hot_keys t;
    char text[300];
    (void)state;
    memset(text, 'x', sizeof(text));
    top_hot_see(&t, (struct span){ text, 300 }, 1);
    text[299] = 'y';
    top_hot_see(&t, (struct span){ text, 300 }, 1);
    top_hot_see(&t, (struct span){ text, 299 }, 1);
    assert_int_equal(t.count, 3);
    assert_int_equal(top_key_text(&t.v[0].key).len, TOP_SHOWN);
    assert_int_equal(t.v[0].key.len, 300);
}

static void the_largest_stay(void **state)
{
    static struct big_keys t, copy;
    (void)state;
    assert_int_equal(top_big_least(&t), TOP_BIG_MIN);
    for (int i = 0; i < 2 * TOP_BIG; i++)
        top_big_see(&t, key_of(i), 100000 + (uint64_t)(i * 37 % (2 * TOP_BIG)), i % 2 == 0, 7);
    assert_int_equal(t.count, TOP_BIG);
    assert_int_equal(top_big_least(&t), 100000 + TOP_BIG);
    top_big_see(&t, key_of(1000), 100000, true, 7); /* too small */
    top_big_copy(&copy, &t);
    top_big_sort(copy.v, copy.count);
    for (uint32_t i = 0; i < copy.count; i++)
        assert_int_equal(copy.v[i].request + copy.v[i].reply, 100000 + 2 * TOP_BIG - 1 - i);
}

static void both_sizes_of_a_key(void **state)
{
    static struct big_keys t;
    struct big_key all[2];
    (void)state;
    top_big_see(&t, key_of(1), 50000, false, 3);
    top_big_see(&t, key_of(1), 60000, true, 4);
    top_big_see(&t, key_of(1), 20000, true, 5);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.v[0].request, 50000);
    assert_int_equal(t.v[0].reply, 60000);
    assert_int_equal(t.v[0].tally, 4);
    uint32_t count = top_big_merge(all, 0, &t.v[0]);
    t.v[0].request = 70000;
    t.v[0].tally = 9;
    assert_int_equal(top_big_merge(all, count, &t.v[0]), 1);
    assert_int_equal(all[0].request, 70000);
    assert_int_equal(all[0].tally, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hot_ones_are_found),  cmocka_unit_test(a_late_one),
        cmocka_unit_test(counts_grow_old),     cmocka_unit_test(tables_are_added_up),
        cmocka_unit_test(long_keys),           cmocka_unit_test(the_largest_stay),
        cmocka_unit_test(both_sizes_of_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
