/* SPDX-License-Identifier: MIT */
/*
 * fake_xenstore.h: stands in for libxenstore and xenstored, in this process:
 * one tree, one connection, transactions that can be made to fail.  All state
 * is one structure, so that an input begins where every other began.
 */
#ifndef FAKE_XENSTORE_H
#define FAKE_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What xs_fileno says; no descriptor of the kernel's. */
#define FAKE_XS_FD 1000

#define FAKE_XS_NODES 160
#define FAKE_XS_PATH 128
#define FAKE_XS_VALUE 1100 /* more than HCL takes */
#define FAKE_XS_WATCHES 16
#define FAKE_XS_EVENTS 512
#define FAKE_XS_PENDING 32

struct fake_xs_node {
    bool used, denied;
    uint32_t hash; /* of the path */
    unsigned int bytes;
    char path[FAKE_XS_PATH];
    char value[FAKE_XS_VALUE + 1];
};

/* A change that a transaction has not committed yet. */
struct fake_xs_pending {
    bool removed;
    unsigned int bytes;
    char path[FAKE_XS_PATH];
    char value[FAKE_XS_VALUE + 1];
};

struct fake_xs_event {
    char path[FAKE_XS_PATH], token[FAKE_XS_PATH];
};

struct fake_xs {
    uint32_t domid; /* of the one that is connected */
    bool open;      /* it is */
    bool broken;    /* the connection is lost: everything fails */
    bool absolute;  /* events have absolute paths */
    /* The errno of one read, after so many good ones; 0: none.  Of writes. */
    int fail_read, fail_write;
    unsigned int good_reads, good_writes;
    unsigned int quarrels; /* commits that will fail with a conflict */
    bool in_transaction, conflict;
    unsigned int num_nodes; /* of nodes[], used or not, that ever were */
    unsigned int num_pending, num_watches, first_event, num_events;
    struct fake_xs_node nodes[FAKE_XS_NODES];
    struct fake_xs_pending pending[FAKE_XS_PENDING];
    struct fake_xs_event watches[FAKE_XS_WATCHES];
    struct fake_xs_event events[FAKE_XS_EVENTS];
};

extern struct fake_xs fake_xs;

/*
 * The target's.  After each read of a transaction: somebody else may change
 * nodes now.  Before each change that HCL commits; @value is NULL for a
 * removal. Either may be NULL.
 */
extern void (*fake_xs_meanwhile)(void);
extern void (*fake_xs_commits)(const char *path, const char *value);

/* Empties the store; nobody is connected. */
void fake_xs_reset(uint32_t domid);

/* As somebody else; @path is absolute.  A full store ignores it. */
void fake_xs_write(const char *path, const void *value, size_t bytes);
void fake_xs_remove(const char *path);
void fake_xs_deny(const char *path);

/* The value, NUL-terminated, or NULL. */
const char *fake_xs_value(const char *path);

/* The same of a node in a directory. */
void fake_xs_write_in(const char *dir, const char *node, const char *text);
const char *fake_xs_value_in(const char *dir, const char *node);

/* Every watch fires, as after a restore. */
void fake_xs_fire_all(void);

#endif /* FAKE_XENSTORE_H */
