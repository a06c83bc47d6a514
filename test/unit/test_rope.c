#include "resp/rope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_holds(const struct rope *r, const char *want, size_t len)
{
    assert_int_equal(r->bytes, len);
    size_t at = 0;
    for (const struct piece *p = r->head; p != NULL; p = p->next) {
        assert_true(at + p->len <= len);
        assert_memory_equal(p->at, want + at, p->len);
        at += p->len;
        assert_true((p->next == NULL) == (p == r->tail));
    }
    assert_int_equal(at, len);
}

static unsigned pieces(const struct rope *r)
{
    unsigned n = 0;
    for (const struct piece *p = r->head; p != NULL; p = p->next)
        n++;
    return n;
}

/* Small copies lie side by side in one piece; the place that is given back is theirs. */
static void test_copy(void **state)
{
    (void)state;
    struct rope_store s;
    rope_store_init(&s);
    struct rope r = { 0 };
    struct chunk *current = NULL;
    const char *hello = rope_copy(&r, &s, &current, SPAN("hello"));
    const char *world = rope_copy(&r, &s, &current, SPAN(" world"));
    assert_ptr_equal(hello + 5, world);
    assert_int_equal(pieces(&r), 1);
    assert_holds(&r, "hello world", 11);
    assert_int_equal(s.chunks.live, 1);
    /* A copy is never split: what does not fit begins a chunk, as large as need be. */
    static char big[CHUNK_SMALL * 2];
    memset(big, 'x', sizeof(big));
    rope_copy(&r, &s, &current, (struct span){ big, CHUNK_SMALL });
    assert_int_equal(pieces(&r), 2);
    rope_copy(&r, &s, &current, (struct span){ big, sizeof(big) });
    assert_int_equal(pieces(&r), 3);
    assert_int_equal(s.chunks.live, 3);
    rope_clear(&r, &s);
    assert_true(rope_is_empty(&r));
    assert_int_equal(s.chunks.live, 1);
    chunk_unref(current);
    rope_store_close(&s);
}

/* A piece without bytes would be a write that gets nowhere. */
static void test_nothing(void **state)
{
    (void)state;
    struct rope_store s;
    rope_store_init(&s);
    struct rope r = { 0 };
    struct chunk *current = NULL;
    assert_non_null(rope_copy(&r, &s, &current, (struct span){ NULL, 0 }));
    assert_true(rope_is_empty(&r));
    rope_share(&r, &s, current, (struct span){ current->bytes, 0 });
    assert_true(rope_is_empty(&r));
    chunk_unref(current);
    rope_store_close(&s);
}

static void test_share_and_drop(void **state)
{
    (void)state;
    struct rope_store s;
    rope_store_init(&s);
    struct chunk *mine = chunk_take(&s.chunks, CHUNK_READ);
    memcpy(mine->bytes, "0123 456789", 11);
    struct rope r = { 0 };
    rope_share(&r, &s, mine, (struct span){ mine->bytes, 4 });
    rope_share(&r, &s, mine, (struct span){ mine->bytes + 5, 3 });
    rope_share(&r, &s, mine, (struct span){ mine->bytes + 8, 3 }); /* joins the one before */
    assert_int_equal(mine->refs, 3);
    assert_int_equal(pieces(&r), 2);
    chunk_unref(mine);
    assert_holds(&r, "0123456789", 10);
    rope_drop(&r, &s, 0);
    rope_drop(&r, &s, 3);
    assert_holds(&r, "3456789", 7);
    rope_drop(&r, &s, 1);
    assert_int_equal(pieces(&r), 1);
    rope_drop(&r, &s, 5);
    assert_holds(&r, "9", 1);
    assert_int_equal(s.chunks.live, 1);
    rope_drop(&r, &s, 1);
    assert_true(rope_is_empty(&r));
    assert_null(r.tail);
    assert_int_equal(s.chunks.live, 0);
    rope_store_close(&s);
}

/* Small pieces are copied, so that they no longer pin their chunks; large ones go over as they are.
 */
static void test_move(void **state)
{
    (void)state;
    struct rope_store s;
    rope_store_init(&s);
    static char want[3 + ROPE_SHARE_MIN + 5];
    memset(want, 'L', sizeof(want));
    memcpy(want, "abc", 3);
    memcpy(want + 3 + ROPE_SHARE_MIN, "small", 5);
    struct chunk *small = chunk_take(&s.chunks, CHUNK_READ);
    struct chunk *large = chunk_take(&s.chunks, CHUNK_READ);
    memset(large->bytes, 'L', ROPE_SHARE_MIN);
    memcpy(small->bytes, "small", 5);
    struct rope from = { 0 }, to = { 0 };
    struct chunk *current = NULL;
    rope_copy(&to, &s, &current, SPAN("abc"));
    rope_share(&from, &s, large, (struct span){ large->bytes, ROPE_SHARE_MIN });
    rope_share(&from, &s, small, (struct span){ small->bytes, 5 });
    rope_move(&to, &from, &s, &current);
    assert_true(rope_is_empty(&from) && from.bytes == 0 && from.tail == NULL);
    assert_int_equal(small->refs, 1);
    assert_int_equal(large->refs, 2);
    assert_holds(&to, want, sizeof(want));
    rope_move(&to, &from, &s, &current); /* nothing of nothing */
    assert_holds(&to, want, sizeof(want));
    rope_clear(&to, &s);
    chunk_unref(small);
    chunk_unref(large);
    chunk_unref(current);
    assert_int_equal(s.chunks.live, 0);
    rope_store_close(&s);
}

/* Any sequence of steps holds the same bytes as a plain buffer would. */
static void test_random(void **state)
{
    (void)state;
    enum { ROOM = 1 << 20, STEPS = 3000 };
    struct rope_store s;
    rope_store_init(&s);
    char *want = malloc(ROOM);
    assert_non_null(want);
    struct rope r = { 0 };
    struct chunk *current = NULL, *other = NULL, *mine = chunk_take(&s.chunks, CHUNK_READ);
    for (size_t i = 0; i < CHUNK_READ; i++)
        mine->bytes[i] = (char)(i * 31 + i / 251);
    size_t from = 0, to = 0;
    uint32_t random = 7;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        size_t len = (random >> 8) % (step % 50 == 0 ? 20000 : 300);
        struct span bytes = { mine->bytes + (random >> 20), len };
        unsigned what = (random >> 4) % 4;
        if (what == 3 || to + len > ROOM) {
            size_t n = len * 4 < to - from ? len * 4 : to - from;
            rope_drop(&r, &s, n);
            from += n;
            if (from == to)
                from = to = 0;
        } else {
            struct rope part = { 0 };
            if (what == 0)
                rope_copy(&r, &s, &current, bytes);
            else if (what == 1)
                rope_share(&r, &s, mine, bytes);
            else
                rope_copy(&part, &s, &other, bytes);
            rope_move(&r, &part, &s, &current);
            memcpy(want + to, bytes.at, len);
            to += len;
        }
        assert_int_equal(r.bytes, to - from);
        if (step % 100 == 0)
            assert_holds(&r, want + from, to - from);
    }
    assert_holds(&r, want + from, to - from);
    rope_clear(&r, &s);
    chunk_unref(mine);
    chunk_unref(current);
    chunk_unref(other);
    assert_int_equal(s.chunks.live, 0);
    assert_int_equal(s.pieces.live, 0);
    free(want);
    rope_store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),           cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_share_and_drop), cmocka_unit_test(test_move),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
