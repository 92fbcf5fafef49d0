/* SPDX-License-Identifier: MIT */
/*
 * consoles.h - what reads the guests' consoles in dom0.
 *
 * domains.c knows domains and their consoles, consoles.c the clients that run
 * commands in them. One thread, one loop; lists are walked, since a lab has
 * few of either.
 */
#ifndef CONSOLES_H
#define CONSOLES_H

#include <time.h>

#include "frame.h"

/* Bytes on their way out; grows, so that a slow reader stops nobody else. */
struct buffer {
    char *data;
    size_t used;
    size_t room;
};

struct domain {
    struct domain *next;
    unsigned int domid;
    int fd;              /* its console, -1 until there is one */
    int up;              /* its process 1 has said so */
    int suspended;       /* being saved */
    time_t asleep_until; /* saved: kept for its commands until then */
    char name[64];
    char vm[128]; /* same before and after save and restore */
    char line[512];
    size_t line_used;
    struct frame in;
    struct buffer out;
};

struct client {
    struct client *next;
    int fd;
    int asked; /* in holds its request, beginning with a name */
    uint32_t id;
    struct domain *domain; /* where its command runs; domains outlive that */
    struct frame in;
    struct buffer out;
};

extern struct domain *domains;
extern struct client *clients;

/* Ends the program if memory is NULL. */
void *must(void *memory);

void add_frame(struct buffer *buffer, char type, uint32_t id, const void *data,
               size_t len);

/* Writes what can be written now. */
void flush(struct buffer *buffer, int fd);

/* Tells the client that the guest with its command is gone. */
void tell_gone(struct client *client);

/* Begins to look for domains. Returns the descriptor of its events. */
int watch_domains(void);

/* To be called when that descriptor is readable. */
void read_watch(void);

/* To be called when the domain's console is readable. */
void read_console(struct domain *domain);

/* Forgets domains that are gone, telling their clients. */
void forget_domains(time_t now);

#endif
