/*
 * A Redis module with a few commands, loaded into the test's cluster: commands that our table
 * lacks.
 *
 * Written against the documented module ABI: Redis hands RedisModule_OnLoad a context whose first
 * word is the function that finds every other API function by name.
 */
#include <stddef.h>

typedef struct RedisModuleCtx RedisModuleCtx;
typedef struct RedisModuleString RedisModuleString;
typedef struct RedisModuleCallReply RedisModuleCallReply;
typedef int command_function(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

static int (*set_attributes)(RedisModuleCtx *ctx, const char *name, int version, int api_version);
static int (*create_command)(RedisModuleCtx *ctx, const char *name, command_function *run,
                             const char *flags, int first, int last, int step);
static int (*reply_with_string)(RedisModuleCtx *ctx, RedisModuleString *s);
static int (*reply_with_number)(RedisModuleCtx *ctx, long long n);

static RedisModuleCallReply *(*call)(RedisModuleCtx *ctx, const char *name, const char *format,
                                     ...);
static void (*free_reply)(RedisModuleCallReply *reply);
static int (*replicate)(RedisModuleCtx *ctx);

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* TM.KEY key: the key itself. */
static int tm_key(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return argc == 2 ? reply_with_string(ctx, argv[1]) : reply_with_number(ctx, -1);
}

/* TM.COUNT key [key ...]: how many keys. */
static int tm_count(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    return reply_with_number(ctx, argc - 1);
}

/* TM.SECOND word key: the key, which stands second. */
static int tm_second(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    return argc == 3 ? reply_with_string(ctx, argv[2]) : reply_with_number(ctx, -1);
}

/* TM.NOKEY: 42. */
static int tm_nokey(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    (void)argv;
    (void)argc;
    return reply_with_number(ctx, 42);
}

/* TM.APPEND word key value: appends to the key, which stands second. Replicated as it is. */
static int tm_append(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    if (argc != 4)
        return reply_with_number(ctx, -1);
    free_reply(call(ctx, "APPEND", "ss", argv[2], argv[3]));
    replicate(ctx);
    return reply_with_number(ctx, 1);
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    int (*get_api)(const char *name, void *function) = ((void **)ctx)[0];
    (void)argv;
    (void)argc;
    if (get_api("RedisModule_SetModuleAttribs", (void *)&set_attributes) != 0 ||
        get_api("RedisModule_CreateCommand", (void *)&create_command) != 0 ||
        get_api("RedisModule_Call", (void *)&call) != 0 ||
        get_api("RedisModule_FreeCallReply", (void *)&free_reply) != 0 ||
        get_api("RedisModule_ReplicateVerbatim", (void *)&replicate) != 0 ||
        get_api("RedisModule_ReplyWithString", (void *)&reply_with_string) != 0 ||
        get_api("RedisModule_ReplyWithLongLong", (void *)&reply_with_number) != 0)
        return 1;
    set_attributes(ctx, "testmodule", 1, 1);
    return create_command(ctx, "tm.key", tm_key, "readonly", 1, 1, 1) != 0 ||
           create_command(ctx, "tm.count", tm_count, "readonly", 1, -1, 1) != 0 ||
           create_command(ctx, "tm.second", tm_second, "write", 2, 2, 1) != 0 ||
           create_command(ctx, "tm.append", tm_append, "write", 2, 2, 1) != 0 ||
           create_command(ctx, "tm.nokey", tm_nokey, "readonly", 0, 0, 0) != 0;
}
