#include "test/lib/liar_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "test/lib/testenv.h"

struct fake_node *honest, *liar;
uint16_t honest_port, liar_port;

void liar_tell_map(void)
{
    const struct fake_range map[] = { { 0, 8191, honest_port }, { 8192, 16383, liar_port } };
    fake_node_map(honest, map, 2);
    fake_node_map(liar, map, 2);
}

void liar_begin(struct client *c)
{
    static const char *const quick[] = { "--request-timeout", "500ms", "--topology-interval",
                                         "300ms", NULL };
    char seeds[64];

    honest_port = port_take();
    liar_port = port_take();
    honest = fake_node_start(honest_port);
    liar = fake_node_start(liar_port);
    liar_tell_map();
    snprintf(seeds, sizeof(seeds), "127.0.0.1:%d,127.0.0.1:%d", honest_port, liar_port);
    proxy_start(&proxy, seeds, quick);
    assert_true(client_open(c, proxy.port));
    client_ask_expect(c, "$3\r\nfoo\r\n", "GET", "foo");
    client_ask_expect(c, "$3\r\nbar\r\n", "GET", "bar");
}

void liar_end(struct client *c)
{
    client_close(c);
    proxy_stop(&proxy);
    fake_node_stop(honest);
    fake_node_stop(liar);
    honest = liar = NULL;
    port_give_back(honest_port);
    port_give_back(liar_port);
}
