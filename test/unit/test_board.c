/* The board's file: shared by all who map it, and each layout of statistics has an area of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/stats.h"

/* As board.c has them: where the directory of areas is, and where the first area. */
enum { AREAS_AT = 1 << 20, FIRST_AT = 2 << 20 };

struct area {
    uint64_t layout, at, end;
};

static void what_one_writes_the_other_reads(void **state)
{
    int fd = board_make();
    (void)state;
    assert_true(fd >= 0);
    struct board *a = board_map(fd), *b = board_map(fd);
    assert_non_null(a);
    assert_non_null(b);
    atomic_store(&a->clients_ever, 7);
    board_stats(a)->blocks[STATS_BLOCKS - 1].counts.ops = 9;
    assert_int_equal(atomic_load(&b->clients_ever), 7);
    assert_int_equal(board_stats(b)->blocks[STATS_BLOCKS - 1].counts.ops, 9);
    board_unmap(a);
    board_unmap(b);
    close(fd);
}

/* An older program with other statistics made the file; its numbers stay as they are. */
static void another_layout(void **state)
{
    static const char old_bytes[] = "numbers of an older program";
    const struct area old = { 12345, FIRST_AT, 2 * FIRST_AT };
    struct area areas[2];
    char kept[sizeof(old_bytes)];
    int fd = board_make();
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &old, sizeof(old), AREAS_AT), sizeof(old));
    assert_int_equal(pwrite(fd, old_bytes, sizeof(old_bytes), FIRST_AT), sizeof(old_bytes));
    struct board *a = board_map(fd);
    assert_non_null(a);
    assert_int_equal(board_stats(a)->blocks[0].counts.ops, 0);
    memset(board_stats(a)->blocks[0].calls, 1, sizeof(board_stats(a)->blocks[0].calls));
    atomic_store(&board_stats(a)->used[0], 1);
    assert_int_equal(pread(fd, kept, sizeof(kept), FIRST_AT), sizeof(kept));
    assert_memory_equal(kept, old_bytes, sizeof(kept));
    assert_int_equal(pread(fd, areas, sizeof(areas), AREAS_AT), sizeof(areas));
    assert_memory_equal(&areas[0], &old, sizeof(old));
    assert_true(areas[1].layout == stats_layout());
    struct board *b = board_map(fd); /* the next one of the new make finds the same */
    assert_int_equal(atomic_load(&board_stats(b)->used[0]), 1);
    board_unmap(a);
    board_unmap(b);
    close(fd);
}

/* Many programs have taken over one from another, each with other statistics. */
static void many_layouts(void **state)
{
    enum { MANY = 1000 };
    static struct area areas[MANY + 1];
    uint64_t at = FIRST_AT;
    int fd = board_make();
    (void)state;
    assert_true(fd >= 0);
    for (uint64_t i = 0; i < MANY; i++, at += 4ull << 30)
        areas[i] = (struct area){ i + 1, at, at + (4ull << 30) };
    assert_int_equal(pwrite(fd, areas, sizeof(areas), AREAS_AT), sizeof(areas));
    struct board *a = board_map(fd);
    assert_non_null(a);
    board_stats(a)->blocks[0].counts.ops = 3;
    assert_int_equal(pread(fd, areas, sizeof(areas), AREAS_AT), sizeof(areas));
    assert_true(areas[MANY].layout == stats_layout());
    assert_true(areas[MANY].at == at);
    struct board *b = board_map(fd);
    assert_int_equal(board_stats(b)->blocks[0].counts.ops, 3);
    board_unmap(a);
    board_unmap(b);
    close(fd);
}

/* One that was made before there were statistics is shorter. */
static void a_short_file(void **state)
{
    int fd = board_make();
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof(struct board)), 0);
    struct board *a = board_map(fd);
    assert_non_null(a);
    board_stats(a)->blocks[0].counts.ops = 1;
    board_unmap(a);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_writes_the_other_reads),
        cmocka_unit_test(another_layout),
        cmocka_unit_test(many_layouts),
        cmocka_unit_test(a_short_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
