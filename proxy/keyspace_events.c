#include "proxy/keyspace_events.h"

#include <string.h>

/* A flag is the bit of its letter's place here; those up to EVERY are what A stands for. Redis
   7.0.15 prints n only where A does not stand. */
static const char letters[] = "g$lshzxetdnKEm";

enum { EVERY = 10, WITHOUT_A = 11 };

bool keyspace_events_parse(struct span text, uint32_t *flags)
{
    uint32_t found = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.at[i] == '\0' ? NULL : strchr(letters, text.at[i]);
        if (text.at[i] == 'A')
            found |= (1u << EVERY) - 1;
        else if (at != NULL)
            found |= 1u << (at - letters);
        else
            return false;
    }
    *flags = found;
    return true;
}

void keyspace_events_text(uint32_t flags, char out[KEYSPACE_EVENTS_MAX])
{
    uint32_t every = (1u << EVERY) - 1;
    bool all = (flags & every) == every;
    size_t len = 0;
    if (all)
        out[len++] = 'A';
    for (size_t i = all ? WITHOUT_A : 0; letters[i] != '\0'; i++)
        if ((flags & (1u << i)) != 0)
            out[len++] = letters[i];
    out[len] = '\0';
}
