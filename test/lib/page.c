#include "test/lib/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/testenv.h"

void page_expect(const char *path, void (*write)(FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    write(out);
    fclose(out);
    if (getenv("UPDATE_DOCS") != NULL) {
        FILE *page = fopen(path, "w");
        assert_non_null(page);
        fputs(text, page);
        fclose(page);
    }
    char *kept = file_text(path);
    assert_non_null(kept);
    if (strcmp(kept, text) != 0)
        fail_msg("%s is out of date; run ./dev docs", path);
    free(kept);
    free(text);
}
