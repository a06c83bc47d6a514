#include "test/lib/certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/testenv.h"

static void openssl(const char *dir, const char *fmt, ...)
{
    char words[1024], line[1400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);
    snprintf(line, sizeof(line), "cd '%s' && openssl %s 2>>openssl.log", dir, words);
    if (system(line) != 0)
        fail_msg("openssl %s", words);
}

static void sign(const char *dir, const char *name, const char *extension)
{
    FILE *f = fopen(certs_file(dir, "extension"), "w");
    assert_non_null(f);
    fprintf(f, "%s\n", extension);
    fclose(f);
    openssl(dir,
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%s -keyout %s.key "
            "-out %s.csr",
            name, name, name);
    openssl(dir,
            "x509 -req -in %s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile "
            "extension -out %s.crt",
            name, name);
}

const char *certs_make(const char *name, const char *subject)
{
    char path[256], extension[160];
    snprintf(path, sizeof(path), "%s/%s", testenv_dir(), name);
    assert_int_equal(mkdir(path, 0700), 0);
    openssl(path,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
            "/CN=authority-%s -keyout ca.key -out ca.crt",
            name);
    snprintf(extension, sizeof(extension), "subjectAltName=%s", subject);
    sign(path, "server", extension);
    sign(path, "client", "extendedKeyUsage=clientAuth");
    char *dir = strdup(path);
    assert_non_null(dir);
    return dir;
}

const char *certs_file(const char *dir, const char *file)
{
    static char ring[4][320];
    static unsigned at;
    char *path = ring[at++ % 4];
    snprintf(path, sizeof(ring[0]), "%s/%s", dir, file);
    return path;
}

static bool accepts(void *arg)
{
    const struct tunnel *t = arg;
    struct client c;
    bool open = client_open(&c, t->port);
    client_close(&c);
    return open;
}

void tunnel_start(struct tunnel *t, uint16_t port, const char *dir, bool with_cert)
{
    char from[96], to[1400], name[32];
    *t = (struct tunnel){ .port = port_take() };
    snprintf(name, sizeof(name), "tunnel-%d", t->port);
    snprintf(from, sizeof(from), "TCP-LISTEN:%d,bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=128",
             t->port);
    int n = snprintf(to, sizeof(to), "OPENSSL:127.0.0.1:%d,nodelay,cafile=%s,verify=1", port,
                     certs_file(dir, "ca.crt"));
    if (with_cert)
        snprintf(to + n, sizeof(to) - (size_t)n, ",cert=%s,key=%s", certs_file(dir, "client.crt"),
                 certs_file(dir, "client.key"));
    assert_true(process_start(
        &t->process, name, (const char *const[]){ "socat", "-b", "65536", from, to, NULL }, NULL));
    assert_true(wait_until(accepts, t, scaled_ms(5000)));
}

void tunnel_stop(struct tunnel *t)
{
    process_kill(&t->process);
    port_give_back(t->port);
}
