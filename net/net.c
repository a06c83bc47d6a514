#include "net/net.h"

#include "base/error.h"
#include "net/stream_private.h"
#include "net/turn_watch.h"

enum { PATIENT_TURNS = 4 };

static void on_hurry(uv_idle_t *handle)
{
    (void)handle;
}

/*
 * Patient streams are written when a turn has brought no bytes (nothing more to merge is at hand)
 * or when they have waited long enough. Until then the loop must not sleep.
 */
static void flush_patient(struct net *net)
{
    bool more_may_come = net->reads > 0 && net->waited < PATIENT_TURNS;
    net->reads = 0;
    if (!list_is_empty(&net->patient) && more_may_come) {
        net->waited++;
        net_hurry(net);
        return;
    }
    net->waited = 0;
    stream_flush_all(&net->patient);
}

static void on_flush(uv_prepare_t *handle)
{
    struct net *net = handle->data;
    net->again = false; /* whoever asked for another turn has got it */
    if (UNLIKELY(!list_is_empty(&net->unread)))
        stream_read_unread(&net->unread);
    if (net->on_turn_end != NULL)
        net->on_turn_end(net->context);
    flush_patient(net);
    stream_flush_all(&net->dirty);
    if (UNLIKELY(net->turn_watch != NULL))
        turn_watch_over(net->turn_watch);
    net->turns++;
    net->clock_old = true;
    if (UNLIKELY(net->again))
        uv_idle_start(&net->hurry, on_hurry);
    else if (uv_is_active((uv_handle_t *)&net->hurry))
        uv_idle_stop(&net->hurry);
}

void net_hurry(struct net *net)
{
    net->again = true;
}

void net_open(struct net *net, uv_loop_t *loop, void (*on_turn_end)(void *context), void *context)
{
    *net = (struct net){
        .loop = loop, .on_turn_end = on_turn_end, .context = context, .clock_old = true
    };
    net_clock(net);
    rope_store_init(&net->store);
    slab_init(&net->writes, sizeof(uv_write_t));
    list_init(&net->dirty);
    list_init(&net->patient);
    REQUIRE(uv_idle_init(loop, &net->hurry) == 0);
    list_init(&net->corked);
    list_init(&net->unread);
    REQUIRE(uv_timer_init(loop, &net->cork_timer) == 0);
    net->cork_timer.data = net;
    stream_part_open(net);
    REQUIRE(uv_prepare_init(loop, &net->flush) == 0);
    net->flush.data = net;
    REQUIRE(uv_prepare_start(&net->flush, on_flush) == 0);
    uv_unref((uv_handle_t *)&net->flush);
}

void net_close(struct net *net)
{
    uv_close((uv_handle_t *)&net->flush, NULL);
    uv_close((uv_handle_t *)&net->hurry, NULL);
    uv_close((uv_handle_t *)&net->cork_timer, NULL);
    uv_close((uv_handle_t *)&net->part_timer, NULL);
}

void net_free(struct net *net)
{
    REQUIRE(net->streams == 0);
    if (net->read_chunk != NULL)
        chunk_unref(net->read_chunk);
    if (net->wire_chunk != NULL)
        chunk_unref(net->wire_chunk);
    net->read_chunk = net->wire_chunk = NULL;
    slab_close(&net->writes);
    rope_store_close(&net->store);
}

int net_error(int uv_error)
{
    switch (uv_error) {
    case UV_EOF:
        return ERR_CLOSED_BY_PEER;
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED:
        return ERR_RESET;
    case UV_ETIMEDOUT:
        return ERR_TIMEOUT;
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
        return ERR_UNREACHABLE;
    case UV_EMFILE:
    case UV_ENFILE:
        return ERR_NO_FILES;
    case UV_ENOMEM:
        return ERR_LIMIT;
    default:
        return ERR_CONNECT;
    }
}
