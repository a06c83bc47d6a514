#include "proxy/local.h"

#include <stdio.h>
#include <stdlib.h>

/* Sub rows by "container|sub"; "container|*" serves every sub row that is not named itself. */
static const struct {
    const char *name;
    local_command *run;
} locals[] = {
    { "acl|whoami", local_whoami },
    { "asking", local_asking },
    { "auth", local_auth },
    { "client|caching", local_client_caching },
    { "client|getname", local_client_getname },
    { "client|getredir", local_client_getredir },
    { "client|help", local_client_help },
    { "client|id", local_client_id },
    { "client|info", local_client_info },
    { "client|kill", local_client_kill },
    { "client|list", local_client_list },
    { "client|no-evict", local_client_no_evict },
    { "client|no-touch", local_client_no_touch },
    { "client|pause", local_client_pause },
    { "client|reply", local_client_reply },
    { "client|setinfo", local_client_setinfo },
    { "client|setname", local_client_setname },
    { "client|tracking", local_client_tracking },
    { "client|trackinginfo", local_client_trackinginfo },
    { "client|unblock", local_client_unblock },
    { "client|unpause", local_client_pause },
    { "client", local_client_help },
    { "cluster|*", local_cluster },
    { "config|get", local_config_get },
    { "echo", local_echo },
    { "function|stats", local_function_stats },
    { "hello", local_hello },
    { "memory|doctor", local_memory_doctor },
    { "memory|stats", local_memory_stats },
    { "move", local_move },
    { "ping", local_ping },
    { "pubsub|channels", local_pubsub_names },
    { "pubsub|numpat", local_pubsub_numpat },
    { "pubsub|numsub", local_pubsub_counts },
    { "pubsub|shardchannels", local_pubsub_names },
    { "pubsub|shardnumsub", local_pubsub_counts },
    { "quit", local_quit },
    { "randomkey", local_randomkey },
    { "readonly", local_readonly },
    { "readwrite", local_readonly },
    { "reset", local_reset },
    { "scan", local_scan },
    { "script|exists", local_script_exists },
    { "select", local_select },
    { "swapdb", local_swapdb },
    { "time", local_time },
};

static local_command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(locals); i++)
        if (strcmp(locals[i].name, name) == 0)
            return locals[i].run;
    return NULL;
}

local_command **dispatch_find_locals(const struct command_table *commands)
{
    uint32_t n = command_table_size(commands);
    local_command **found = calloc(COMMANDS_MAX, sizeof(found[0])); /* learned ones come later */
    REQUIRE(found != NULL);
    for (uint32_t i = 0; i < n; i++) {
        const struct command *cmd = command_at(commands, i);
        char name[64], all[64];
        const char *container = cmd->parent != NULL ? cmd->parent->name : "";
        snprintf(name, sizeof(name), "%s%s%s", container, *container != '\0' ? "|" : "", cmd->name);
        snprintf(all, sizeof(all), "%s|*", container);
        found[i] = find(name);
        if (found[i] == NULL && cmd->how == HOW_LOCAL)
            found[i] = find(all);
        REQUIRE(found[i] != NULL || cmd->how != HOW_LOCAL);
    }
    return found;
}
