#include "test/lib/testenv.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static int problems;
static pthread_mutex_t problems_lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool testenv_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

int scaled_ms(int ms)
{
    return testenv_sanitized() ? 3 * ms : ms;
}

void rest_us(int us)
{
    struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 };

    nanosleep(&t, NULL);
}

bool wait_until(bool (*holds)(void *arg), void *arg, int timeout_ms)
{
    uint64_t end = now_ms() + (uint64_t)timeout_ms;

    for (;;) {
        if (holds(arg))
            return true;
        if (now_ms() >= end)
            return false;
        rest_us(5000);
    }
}

const char *testenv_dir(void)
{
    if (dir[0] == '\0') {
        snprintf(dir, sizeof(dir), "/tmp/slotgate-test-XXXXXX");
        if (mkdtemp(dir) == NULL) {
            fprintf(stderr, "cannot make %s: %s\n", dir, strerror(errno));
            exit(1);
        }
    }
    return dir;
}

const char *testenv_file(const char *name, const char *text)
{
    static char paths[16][160];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", testenv_dir(), name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(text, f) == EOF || fclose(f) != 0) {
        fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
        exit(1);
    }
    return path;
}

char *file_text(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t len = 0, room = 4096;

    if (f == NULL)
        return NULL;
    char *text = malloc(room);
    REQUIRE(text != NULL);
    for (;;) {
        size_t n = fread(text + len, 1, room - len - 1, f);
        if (n == 0)
            break;
        len += n;
        if (room - len < 2) {
            room *= 2;
            text = realloc(text, room);
            REQUIRE(text != NULL);
        }
    }
    fclose(f);
    text[len] = '\0';
    return text;
}

bool file_put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    bool good = f != NULL && fputs(text, f) >= 0;
    return f != NULL && fclose(f) == 0 && good;
}

void testenv_problem(const char *fmt, ...)
{
    va_list args;

    pthread_mutex_lock(&problems_lock);
    problems++;
    fputs("problem: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    pthread_mutex_unlock(&problems_lock);
}

/* Calls what for each entry of a directory, itself excluded. */
static void each_entry(const char *path, void (*what)(const char *path))
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL) {
        char child[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        what(child);
    }
    closedir(d);
}

static void remove_tree(const char *path)
{
    struct stat s;

    if (lstat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
        each_entry(path, remove_tree);
        rmdir(path);
    } else {
        unlink(path);
    }
}

static void print_tail(const char *path)
{
    enum { TAIL = 1500 };
    const char *dot = strrchr(path, '.');

    if (dot == NULL || (strcmp(dot, ".out") != 0 && strcmp(dot, ".err") != 0))
        return;
    char *text = file_text(path);
    if (text != NULL && text[0] != '\0') {
        size_t len = strlen(text);
        fprintf(stderr, "---- the end of %s\n%s\n", path, len > TAIL ? text + len - TAIL : text);
    }
    free(text);
}

int testenv_finish(int failed)
{
    bool bad = failed != 0 || problems != 0;

    if (dir[0] != '\0') {
        if (bad) {
            each_entry(dir, print_tail);
            fprintf(stderr, "---- kept: %s\n", dir);
        } else {
            remove_tree(dir);
        }
        dir[0] = '\0';
    }
    return bad ? 1 : 0;
}
