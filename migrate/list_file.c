#include "migrate/list_file.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "migrate/advice.h"

static bool say(const char *path, int error)
{
    log_error("cannot write", "file=%s reason=%s action=%s", log_text(path),
              log_text(strerror(error)), log_text(advice_on(ADVICE_FILE, NULL)));
    return false;
}

bool list_file_open(FILE **file, const char *path)
{
    *file = path != NULL ? fopen(path, "we") : NULL;
    return path == NULL || *file != NULL || say(path, errno);
}

bool list_file_close(FILE *file, const char *path)
{
    if (file == NULL)
        return true;
    /* Of an error before the last bytes only the flag is left, not what it was. */
    bool lacks = ferror(file) != 0;
    if (fclose(file) != 0)
        return say(path, errno);
    return !lacks || say(path, EIO);
}
