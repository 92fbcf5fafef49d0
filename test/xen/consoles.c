/* SPDX-License-Identifier: MIT */
/*
 * consoles.c - reads the console of every guest, in dom0.
 *
 * Text goes to standard output, line by line, with the guest's name before
 * it. Frames (frame.h) carry what clients (guest.c) run in the guests; they
 * connect to /run/lab/guest.
 */
#include "consoles.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct client *clients;

void *must(void *memory)
{
    if (!memory) {
        perror("consoles");
        exit(1);
    }
    return memory;
}

void add_frame(struct buffer *buffer, char type, uint32_t id, const void *data,
               size_t len)
{
    size_t need = buffer->used + FRAME_BYTES(len);

    if (need > buffer->room) {
        buffer->room = 2 * need;
        buffer->data = must(realloc(buffer->data, buffer->room));
    }
    buffer->used +=
        frame_encode(buffer->data + buffer->used, type, id, data, len);
}

void flush(struct buffer *buffer, int fd)
{
    ssize_t done = 0;

    if (buffer->used > 0 && fd >= 0) {
        done = write(fd, buffer->data, buffer->used);
    }
    if (done > 0) {
        buffer->used -= (size_t)done;
        memmove(buffer->data, buffer->data + done, buffer->used);
    }
}

void tell_gone(struct client *client)
{
    add_frame(&client->out, FRAME_GONE, 0, NULL, 0);
    client->domain = NULL;
}

/* Gives the client's command to its guest if that is up, else asks there. */
static void start(struct client *client, int ask)
{
    static uint32_t last_id;
    const char *name = frame_data(&client->in);
    size_t skip = strlen(name) + 1;
    struct domain *domain = domains;

    while (domain && (domain->fd < 0 || domain->asleep_until ||
                      strcmp(domain->name, name) != 0)) {
        domain = domain->next;
    }
    if (!domain) {
        return;
    }
    if (!domain->up) {
        if (ask && write(domain->fd, &(char){FRAME_ASK}, 1) < 0) {
            perror(name);
        }
        return;
    }
    client->domain = domain;
    client->id = ++last_id;
    add_frame(&domain->out, FRAME_RUN, client->id, name + skip,
              frame_len(&client->in) - skip);
    add_frame(&client->out, FRAME_SENT, 0, NULL, 0);
    client->asked = 0;
}

static void free_client(struct client **link)
{
    struct client *client = *link;

    if (client->domain && client->domain->up) {
        add_frame(&client->domain->out, FRAME_TERM, client->id, NULL, 0);
    }
    *link = client->next;
    close(client->fd);
    free(client->out.data);
    free(client);
}

/* Returns 0 if the client has gone. */
static int read_client(struct client *client)
{
    unsigned char in[4096];
    ssize_t len = read(client->fd, in, sizeof(in));

    for (ssize_t i = 0; i < len && !client->asked; i++) {
        if (frame_take(&client->in, in[i]) == FRAME_READY) {
            client->asked =
                frame_len(&client->in) > 2 &&
                !frame_data(&client->in)[frame_len(&client->in) - 1];
        }
    }
    return len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR));
}

static void accept_client(int listener)
{
    struct client *client = must(calloc(1, sizeof(*client)));

    client->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    client->next = clients;
    clients = client;
}

static int listen_clients(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    mkdir("/run/lab", 0755);
    snprintf(address.sun_path, sizeof(address.sun_path), "/run/lab/guest");
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 64) < 0) {
        perror(address.sun_path);
        exit(1);
    }
    return fd;
}

/* Waits for all there is to read, and to write where something waits. */
static void turn(int listener, int events)
{
    static struct pollfd wait[512];
    struct domain *domain;
    struct client *client;
    int pending = 0;
    nfds_t count = 2;

    wait[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    wait[1] = (struct pollfd){.fd = events, .events = POLLIN};
    for (domain = domains; domain && count < 256; domain = domain->next) {
        wait[count++] = (struct pollfd){
            .fd = domain->fd,
            .events = domain->out.used ? POLLIN | POLLOUT : POLLIN,
        };
        pending |= domain->asleep_until != 0;
    }
    for (client = clients; client && count < 512; client = client->next) {
        wait[count++] = (struct pollfd){
            .fd = client->fd,
            .events = client->out.used ? POLLIN | POLLOUT : POLLIN,
        };
        pending |= client->asked;
    }
    if (poll(wait, count, pending ? 1000 : -1) < 0) {
        return;
    }
    if (wait[1].revents) {
        read_watch();
    }
    count = 2;
    for (domain = domains; domain && count < 256; domain = domain->next) {
        if (wait[count].fd >= 0 && wait[count].fd == domain->fd &&
            wait[count].revents & ~POLLOUT) {
            read_console(domain);
        }
        count++;
    }
    for (struct client **link = &clients; *link && count < 512; count++) {
        if (wait[count].fd == (*link)->fd && wait[count].revents & ~POLLOUT &&
            !read_client(*link)) {
            free_client(link);
        } else {
            link = &(*link)->next;
        }
    }
    if (wait[0].revents) {
        accept_client(listener);
    }
}

/* What nothing tells of: what has become due, and what can be written. */
static void tidy(void)
{
    static time_t asked;
    time_t now = time(NULL);

    forget_domains(now);
    for (struct client *one = clients; one; one = one->next) {
        if (one->asked) {
            start(one, now != asked);
        }
        flush(&one->out, one->fd);
    }
    for (struct domain *one = domains; one; one = one->next) {
        flush(&one->out, one->fd);
    }
    asked = now;
}

int main(void)
{
    int events = watch_domains();
    int listener = listen_clients();

    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        turn(listener, events);
        tidy();
    }
}
