/* SPDX-License-Identifier: MIT */
/* domains.c - domains and their consoles; see consoles.h */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenstore.h>

#include "consoles.h"

/* How long the commands of a saved guest wait for it to be restored. */
#define ASLEEP_S 60

struct domain *domains;

static struct xs_handle *store;
static xc_interface *control;

static char *read_node(unsigned int domid, const char *node)
{
    char path[128];

    snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, node);
    return xs_read(store, XBT_NULL, path, NULL);
}

static void copy_node(char *to, size_t room, unsigned int domid,
                      const char *node)
{
    char *value = read_node(domid, node);

    if (value) {
        snprintf(to, room, "%s", value);
    }
    free(value);
}

static void end_line(struct domain *domain)
{
    char out[sizeof(domain->name) + sizeof(domain->line) + 4];
    int len = snprintf(out, sizeof(out), "%s: %.*s\n", domain->name,
                       (int)domain->line_used, domain->line);

    domain->line_used = 0;
    if (len > 0 && write(1, out, (size_t)len) < 0) {
        exit(1);
    }
}

static void text(struct domain *domain, char byte)
{
    size_t used = domain->line_used;

    /* Asked before it was up: its tty has echoed FRAME_ASK as ^E. */
    if (!domain->up && byte == 'E' && used && domain->line[used - 1] == '^') {
        domain->line_used--;
        return;
    }
    if (byte == '\n' || used == sizeof(domain->line)) {
        end_line(domain);
    }
    if (byte != '\n' && byte != '\r') {
        domain->line[domain->line_used++] = byte;
    }
}

/* Has this command run on, in the guest that has just said it is here? */
static int still_runs(const struct domain *domain, uint32_t id)
{
    uint32_t one;

    for (size_t at = 0; at + 4 <= frame_len(&domain->in); at += 4) {
        memcpy(&one, frame_data(&domain->in) + at, 4);
        if (one == id) {
            return 1;
        }
    }
    return 0;
}

static void take_here(struct domain *domain)
{
    struct client *client;

    for (client = clients; client && !domain->up; client = client->next) {
        if (client->domain == domain && !still_runs(domain, client->id)) {
            tell_gone(client);
        }
    }
    domain->up = 1;
    copy_node(domain->name, sizeof(domain->name), domain->domid, "name");
}

static void take_frame(struct domain *domain)
{
    const char *data = frame_data(&domain->in);
    size_t len = frame_len(&domain->in);
    char type = frame_type(&domain->in);
    struct client *client = clients;

    if (type == FRAME_HERE) {
        take_here(domain);
        return;
    }
    if (type == FRAME_TEXT) {
        if (domain->line_used > 0) {
            end_line(domain);
        }
        for (size_t i = 0; i < len; i++) {
            text(domain, data[i]);
        }
        if (domain->line_used > 0) {
            end_line(domain);
        }
        return;
    }
    while (client &&
           !(client->domain == domain && client->id == frame_id(&domain->in))) {
        client = client->next;
    }
    if (!client || (type == FRAME_EXIT && len != 1)) {
        return;
    }
    add_frame(&client->out, type, 0, data, len);
    if (type == FRAME_EXIT) {
        client->domain = NULL;
    }
}

/* The console has closed: the domain is dead, or saved. */
static void sleep_or_die(struct domain *domain)
{
    if (domain->line_used > 0) {
        end_line(domain);
    }
    close(domain->fd);
    domain->fd = -1;
    domain->up = 0;
    domain->out.used = 0;
    domain->asleep_until = time(NULL) + (domain->suspended ? ASLEEP_S : 0);
}

void read_console(struct domain *domain)
{
    unsigned char in[4096];
    ssize_t len = read(domain->fd, in, sizeof(in));

    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len <= 0) {
        sleep_or_die(domain);
        return;
    }
    for (ssize_t i = 0; i < len; i++) {
        switch (frame_take(&domain->in, in[i])) {
        case FRAME_PLAIN:
            text(domain, (char)in[i]);
            break;
        case FRAME_READY:
            take_frame(domain);
            break;
        case FRAME_MORE:
            break;
        }
    }
}

static void free_domain(struct domain **link)
{
    struct domain *domain = *link;
    struct client *client;

    for (client = clients; client; client = client->next) {
        if (client->domain == domain) {
            tell_gone(client);
        }
    }
    *link = domain->next;
    free(domain->out.data);
    free(domain);
}

/* A guest with its console open; one that was saved goes on as it was. */
static struct domain *find_or_add(unsigned int domid)
{
    struct domain *domain;
    char vm[sizeof(domain->vm)] = "";

    copy_node(vm, sizeof(vm), domid, "vm");
    for (domain = domains; domain; domain = domain->next) {
        if (domain->asleep_until ? strcmp(domain->vm, vm) == 0
                                 : domain->domid == domid) {
            break;
        }
    }
    if (!domain) {
        domain = must(calloc(1, sizeof(*domain)));
        domain->fd = -1;
        memcpy(domain->vm, vm, sizeof(vm));
        domain->next = domains;
        domains = domain;
    }
    return domain;
}

/* Returns 0 if it has no console yet. */
static int open_console(unsigned int domid)
{
    char *path = read_node(domid, "console/tty");
    struct domain *domain;
    struct termios raw;

    if (!path || path[0] != '/') {
        free(path);
        return 0;
    }
    domain = find_or_add(domid);
    domain->domid = domid;
    domain->suspended = 0;
    domain->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (domain->fd < 0) {
        perror(path);
    } else if (tcgetattr(domain->fd, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(domain->fd, TCSANOW, &raw);
    }
    copy_node(domain->name, sizeof(domain->name), domid, "name");
    if (domain->asleep_until && write(domain->fd, &(char){FRAME_ASK}, 1) < 0) {
        perror(path);
    }
    domain->asleep_until = 0;
    free(path);
    return 1;
}

/* Domids only grow: each domain is watched once, until its console is there. */
static void watch_new_domains(void)
{
    static unsigned int highest;
    unsigned int seen = highest;
    unsigned int count = 0;
    char **list = xs_directory(store, XBT_NULL, "/local/domain", &count);

    for (unsigned int i = 0; list && i < count; i++) {
        unsigned int domid = (unsigned int)atoi(list[i]);
        char path[64];

        snprintf(path, sizeof(path), "/local/domain/%u/console/tty", domid);
        if (domid > seen) {
            xs_watch(store, path, path);
            highest = domid > highest ? domid : highest;
        }
    }
    free(list);
}

static void note_suspended(void)
{
    for (struct domain *one = domains; one; one = one->next) {
        xc_dominfo_t info;

        if (one->fd >= 0 &&
            xc_domain_getinfo(control, one->domid, 1, &info) == 1 &&
            info.domid == one->domid) {
            one->suspended =
                info.shutdown && info.shutdown_reason == SHUTDOWN_suspend;
        }
    }
}

void read_watch(void)
{
    char **event = xs_check_watch(store);
    unsigned int domid;

    if (!event) {
        return;
    }
    if (sscanf(event[XS_WATCH_PATH], "/local/domain/%u/", &domid) == 1) {
        if (open_console(domid)) {
            xs_unwatch(store, event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
        }
    } else if (strcmp(event[XS_WATCH_PATH], "@introduceDomain") == 0) {
        watch_new_domains();
    } else {
        note_suspended();
    }
    free(event);
}

void forget_domains(time_t now)
{
    struct domain **link = &domains;

    while (*link) {
        if ((*link)->asleep_until && now >= (*link)->asleep_until) {
            free_domain(link);
        } else {
            link = &(*link)->next;
        }
    }
}

int watch_domains(void)
{
    store = must(xs_open(0));
    control = must(xc_interface_open(NULL, NULL, 0));
    if (!xs_watch(store, "@introduceDomain", "") ||
        !xs_watch(store, "@releaseDomain", "")) {
        perror("consoles: xs_watch");
        exit(1);
    }
    return xs_fileno(store);
}
