/* SPDX-License-Identifier: MIT */
#include "forkguard.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Protects the lists, and the entries of guards together with what they stand
 * for; held over fork, so that the child sees them whole.
 */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct hcl_fork_guard *guards;
static int install_error;

/* Descriptors that are kept for ever; the list only grows. */
struct parked {
    struct parked *next;
    int fd; /* -1: in a child */
};

static struct parked *parked;

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void parent_after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

static void child_after_fork(void)
{
    struct hcl_fork_guard *guard;
    struct parked *kept;
    int i;

    for (guard = guards; guard; guard = guard->next) {
        for (i = 0; i < HCL_FORK_FDS && !guard->forked; i++) {
            if (guard->fds[i] >= 0) {
                close(guard->fds[i]);
            }
        }
        guard->forked = true;
    }
    for (kept = parked; kept; kept = kept->next) {
        if (kept->fd >= 0) {
            close(kept->fd);
            kept->fd = -1;
        }
    }
    pthread_mutex_unlock(&mutex);
}

static void install(void)
{
    install_error =
        pthread_atfork(before_fork, parent_after_fork, child_after_fork);
}

int hcl_fork_guard_start(struct hcl_fork_guard *guard)
{
    int i;

    pthread_once(&once, install);
    if (install_error) {
        return -install_error;
    }
    for (i = 0; i < HCL_FORK_FDS; i++) {
        guard->fds[i] = -1;
    }
    guard->forked = false;
    pthread_mutex_lock(&mutex);
    guard->next = guards;
    guards = guard;
    pthread_mutex_unlock(&mutex);
    return 0;
}

void hcl_fork_guard_hold(void)
{
    pthread_mutex_lock(&mutex);
}

void hcl_fork_guard_let_go(void)
{
    pthread_mutex_unlock(&mutex);
}

void hcl_fork_guard_park(struct hcl_fork_guard *guard, enum hcl_fork_fd which)
{
    struct parked *kept = calloc(1, sizeof(*kept));

    pthread_mutex_lock(&mutex);
    if (kept) {
        kept->fd = guard->fds[which];
        kept->next = parked;
        parked = kept;
    }
    guard->fds[which] = -1;
    pthread_mutex_unlock(&mutex);
}

void hcl_fork_guard_stop(struct hcl_fork_guard *guard)
{
    struct hcl_fork_guard **at = &guards;

    pthread_mutex_lock(&mutex);
    while (*at != guard) {
        at = &(*at)->next;
    }
    *at = guard->next;
    pthread_mutex_unlock(&mutex);
}
