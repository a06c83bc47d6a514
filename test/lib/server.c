#include "test/lib/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

static char program[256];

static bool find(const char *name, char path[sizeof(program)])
{
    const char *folder = getenv("SLOTGATE_SERVERS");

    if (strchr(name, '/') != NULL)
        snprintf(path, sizeof(program), "%s", name);
    else
        snprintf(path, sizeof(program), "%s/%s/server",
                 folder != NULL ? folder : "/var/cache/slotgate/servers", name);
    return access(path, X_OK) == 0;
}

bool server_is_there(const char *name)
{
    char path[sizeof(program)];
    bool there = find(name, path);

    if (!there)
        fprintf(stderr, "in part only: there is no %s; ./dev servers %s\n", name, name);
    return there;
}

bool server_use(const char *name)
{
    char path[sizeof(program)];

    if (name == NULL)
        program[0] = '\0';
    if (name == NULL)
        return true;
    if (!find(name, path))
        return false;
    memcpy(program, path, sizeof(program));
    return true;
}

const char *server_program(void)
{
    const char *wanted = getenv("SLOTGATE_SERVER");

    if (program[0] == '\0' && wanted != NULL && !server_use(wanted)) {
        fprintf(stderr, "SLOTGATE_SERVER: there is no %s; see ./dev servers\n", wanted);
        abort();
    }
    return program[0] != '\0' ? program : "redis-server";
}

bool server_is_redis_6(void)
{
    return strstr(server_program(), "redis-6.") != NULL;
}
