/* docs/commands.md says what the rows say. UPDATE_DOCS=1 (./dev docs) writes it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/command_doc.h"
#include "test/lib/page.h"

static void the_page_is_up_to_date(void **state)
{
    (void)state;
    page_expect(COMMANDS_PAGE, command_write_doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_page_is_up_to_date) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
