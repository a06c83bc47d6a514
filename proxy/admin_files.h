/* admin_files.h: the status page's own files, proxy/page/, as the build has put them into the
 * program (proxy/page/embed.cmake). */
#ifndef PROXY_ADMIN_FILES_H
#define PROXY_ADMIN_FILES_H

#include <stddef.h>

struct admin_file {
    const char *path; /* as it is asked for */
    const char *type;
    const unsigned char *bytes;
    size_t len;
};

extern const struct admin_file admin_files[];
extern const size_t admin_file_count;

#endif
