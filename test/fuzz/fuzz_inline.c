/*
 * Any line is either empty, unbalanced, or becomes one request that the parser takes as a whole;
 * and that request's arguments, quoted again, become the same request.
 */
#include "resp/inline.h"
#include "resp/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Appends the argument in double quotes with every byte escaped. */
static void quote(struct writer *line, struct span arg)
{
    static const char hex[] = "0123456789abcdef";
    write_raw(line, SPAN("\""));
    for (size_t i = 0; i < arg.len; i++) {
        unsigned char c = (unsigned char)arg.at[i];
        const char escaped[] = { '\\', 'x', hex[c >> 4], hex[c & 15] };
        write_raw(line, (struct span){ escaped, sizeof(escaped) });
    }
    write_raw(line, SPAN("\" "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct writer request;
    writer_init(&request, 2);
    int result = inline_to_request((struct span){ (const char *)data, size }, &request);
    if (result != INLINE_OK) {
        REQUIRE(result == INLINE_EMPTY || result == INLINE_UNBALANCED);
        REQUIRE(request.len == 0);
        writer_close(&request);
        return 0;
    }
    struct request_parser p = { .state = 0 };
    struct arg_room room = { .v = NULL };
    struct argv argv;
    size_t used;
    const char *error;
    REQUIRE(request_parse(&p, &request_limits_default, &room, request.at, request.len, &argv, &used,
                          &error) == REQUEST_ARGS);
    REQUIRE(used == request.len);
    struct writer line, again;
    writer_init(&line, 2);
    writer_init(&again, 2);
    for (uint32_t i = 0; i < argv.count; i++)
        quote(&line, argv_get(&argv, i));
    REQUIRE(inline_to_request(writer_span(&line), &again) == INLINE_OK);
    REQUIRE(span_equal(writer_span(&request), writer_span(&again)));
    writer_close(&line);
    writer_close(&again);
    writer_close(&request);
    arg_room_close(&room);
    return 0;
}
