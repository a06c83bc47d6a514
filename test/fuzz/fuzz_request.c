/*
 * Any bytes, whole, in pieces and byte by byte, give the same requests; and each request written
 * again by the writer is the same request. The first byte chooses the limits and the pieces.
 */
#include "test/unit/request_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct request_limits small_limits = {
    .max_bulk = 100, .max_request = 300, .max_args = 10, .max_inline = 40
};

static void check_same(const struct writer *a, const struct writer *b)
{
    REQUIRE(span_equal(writer_span(a), writer_span(b)));
}

static void check_round_trip(const struct argv *argv)
{
    struct writer w;
    writer_init(&w, 2);
    write_array(&w, argv->count);
    for (uint32_t i = 0; i < argv->count; i++)
        write_bulk(&w, argv_get(argv, i));
    struct request_parser p = { .state = 0 };
    struct arg_room room = { .v = NULL };
    struct argv again;
    size_t used;
    const char *error;
    REQUIRE(request_parse(&p, &request_limits_default, &room, w.at, w.len, &again, &used, &error) ==
            REQUEST_ARGS);
    REQUIRE(used == w.len && again.count == argv->count);
    for (uint32_t i = 0; i < argv->count; i++)
        REQUIRE(span_equal(argv_get(argv, i), argv_get(&again, i)));
    arg_room_close(&room);
    writer_close(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct request_limits *limits = data[0] & 1 ? &small_limits : &request_limits_default;
    struct span bytes = { (const char *)data + 1, size - 1 };
    struct cut cuts[] = {
        { .first = bytes.len, .then = bytes.len },
        { .first = 1, .then = 1 },
        { .first = (size_t)data[0] + 1, .then = bytes.len },
        { .random = (uint32_t)data[0] * 2 + 1 },
    };
    struct writer logs[ARRAY_LEN(cuts)];
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        writer_init(&logs[i], 2);
        log_requests(&logs[i], bytes, limits, cuts[i]);
        check_same(&logs[0], &logs[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++)
        writer_close(&logs[i]);

    struct request_parser p = { .state = 0 };
    struct arg_room room = { .v = NULL };
    struct argv argv;
    size_t used;
    const char *error;
    if (request_parse(&p, limits, &room, bytes.at, bytes.len, &argv, &used, &error) == REQUEST_ARGS)
        check_round_trip(&argv);
    request_parser_reset(&p);
    arg_room_close(&room);
    return 0;
}
