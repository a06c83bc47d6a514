/* docs/commands.md says what the rows say. UPDATE_DOCS=1 (./dev docs) writes it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/command_doc.h"

static void the_page_is_up_to_date(void **state)
{
    char *text = NULL;
    size_t len = 0;
    (void)state;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    command_write_doc(out);
    fclose(out);
    if (getenv("UPDATE_DOCS") != NULL) {
        FILE *page = fopen(COMMANDS_PAGE, "w");
        assert_non_null(page);
        fputs(text, page);
        fclose(page);
    }
    FILE *page = fopen(COMMANDS_PAGE, "r");
    assert_non_null(page);
    char *kept = calloc(1, len + 2);
    assert_non_null(kept);
    size_t got = fread(kept, 1, len + 1, page);
    fclose(page);
    if (got != len || memcmp(kept, text, len) != 0)
        fail_msg("docs/commands.md is out of date; run ./dev docs");
    free(kept);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_page_is_up_to_date) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
