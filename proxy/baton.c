#include "proxy/baton.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const char variable[] = "SLOTGATE_BATON";

/* A program of another make than this would misread the items; the number says which make. */
enum { FORMAT = 2 };

void baton_add(struct baton *b, struct baton_item item)
{
    b->items = realloc(b->items, (b->count + 1) * sizeof(b->items[0]));
    REQUIRE(b->items != NULL);
    b->items[b->count++] = item;
}

void baton_free(struct baton *b)
{
    free(b->items);
    *b = (struct baton){ 0 };
}

const struct baton_item *baton_find(const struct baton *b, enum baton_kind kind,
                                    uint32_t generation, uint32_t number, uint32_t index)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct baton_item *item = &b->items[i];
        if (item->kind == kind && item->generation == generation && item->number == number &&
            item->index == index)
            return item;
    }
    return NULL;
}

void baton_keep_over_exec(const struct baton *b, bool keep)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].fd >= 0)
            fcntl(b->items[i].fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* --- over an exec ----------------------------------------------------------------------------- */

int baton_to_environment(const struct baton *b)
{
    char value[32];
    size_t size = b->count * sizeof(b->items[0]);
    int fd = memfd_create("slotgate-baton", 0);
    if (fd < 0)
        return -1;
    if (write(fd, b->items, size) != (ssize_t)size) {
        close(fd);
        return -1;
    }
    snprintf(value, sizeof(value), "%d:%d", FORMAT, fd);
    setenv(variable, value, 1);
    return fd;
}

static void read_items(struct baton *b, int fd)
{
    struct baton_item item;
    lseek(fd, 0, SEEK_SET);
    while (read(fd, &item, sizeof(item)) == (ssize_t)sizeof(item))
        baton_add(b, item);
    close(fd);
}

int baton_from_environment(struct baton *b)
{
    int format, fd;
    const char *value = getenv(variable);
    *b = (struct baton){ 0 };
    if (value == NULL)
        return 0;
    bool ours = sscanf(value, "%d:%d", &format, &fd) == 2 && format == FORMAT;
    baton_forget_environment();
    if (ours)
        read_items(b, fd);
    baton_keep_over_exec(b, false);
    return b->count > 0 ? 1 : -1;
}

void baton_forget_environment(void)
{
    unsetenv(variable);
}

/* --- over a socket ---------------------------------------------------------------------------- */

union control {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

bool baton_send(int to, const struct baton_item *item)
{
    struct baton_item copy = *item;
    struct iovec piece = { &copy, sizeof(copy) };
    union control control = { 0 };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    if (item->fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof(control.room);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
                               .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(c), &item->fd, sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(to, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(copy);
}

int baton_receive(int from, struct baton_item *item)
{
    struct iovec piece = { item, sizeof(*item) };
    union control control;
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof(control.room) };
    ssize_t n = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n != (ssize_t)sizeof(*item))
        return -1;
    item->fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS)
        memcpy(&item->fd, CMSG_DATA(c), sizeof(int));
    return 1;
}
