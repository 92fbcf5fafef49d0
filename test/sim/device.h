/* SPDX-License-Identifier: MIT */
/*
 * device.h: for the files of the preloaded library (see device.c) alone.
 *
 * Locks, in the order in which they are taken: that of the list of devices, a
 * device's, the memory's, the connection's.  They are of our own making: a
 * thread sanitizer must not see order between threads that the real devices
 * would not make.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "wire.h"

/* Nothing of this file is to be seen by programs. */
#pragma GCC visibility push(hidden)

/* ---- device_wire.c ----------------------------------------------------- */

struct device_lock {
    uint32_t word; /* 0: free, 1: taken, 2: and waited for */
};

void device_lock(struct device_lock *lock);
void device_unlock(struct device_lock *lock);

/* Reads HCL_SIM; false: the library shall do nothing. */
bool device_wire_init(void);

/*
 * Sends @request, with @refs after it, and waits for the answer; @payload is
 * for what follows that.  Returns the answer's error, or -ENODEV: no host.
 * *@ret_fd is the descriptor that came along, or -1; NULL: none can come.
 */
int device_ask(const struct wire_request *request, const struct wire_ref *refs,
               struct wire_answer *answer, void *payload, size_t payload_bytes,
               int *ret_fd);

/* NULL before the first device_ask. */
struct wire_table *device_table(void);
bool device_is_pipe_dev(dev_t dev);

/* The system calls, each argument as wide as a register. */
void *device_mmap(void *at, size_t bytes, int prot, int flags, int fd,
                  off_t offset);
void *device_mremap(void *old, size_t old_bytes, size_t bytes, int flags,
                    void *to);

/* A connected socket of this machine's @name, or a negative errno. */
int device_connect(const char *name, int type);

/* Moves @fd, a new one of ours, out of the program's way. */
int device_keep_fd(int fd);

/* Around a fork; what device_memory_* need is in device_memory.c. */
void device_wire_before_fork(bool inherit);
void device_wire_after_fork(bool child);

/* As device_ask, over the connection of the child that is about to come. */
int device_ask_for_child(struct wire_request *request,
                         struct wire_answer *answer);

/* Is this a vfork's child, which runs in its parent's memory? */
bool device_is_borrowed(void);

/* ---- device.c ---------------------------------------------------------- */

/* What the calls are that ours hide. */
struct device_libc {
    bool active; /* there is a simulated host */
    ssize_t (*read)(int fd, void *buffer, size_t bytes);
    ssize_t (*write)(int fd, const void *buffer, size_t bytes);
    ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
    int (*openat)(int dir, const char *path, int flags, ...);
    int (*close)(int fd);
    int (*fcntl)(int fd, int command, ...);
};

extern struct device_libc device_libc;

/* ---- device_fds.c ------------------------------------------------------ */

/* What is known of a port of a device. */
struct device_port {
    bool known;
    uint32_t slot;
    uint32_t generation;
    uint64_t peer; /* whose pipe @peer_fd is; 0: none */
    int peer_fd;
};

/* An open device, in this process. */
struct device {
    uint32_t fds; /* descriptors that are known to be its; 0: free entry */
    enum wire_device kind;
    uint64_t inode;
    uint32_t slot; /* evtchn: in the table */
    struct device_lock lock;
    struct device_port *ports; /* by number, mapped at first use; evtchn */
};

/* The device that @fd is; NULL: none.  @sure: it is worth a system call. */
struct device *device_find(int fd, bool sure);

/* @fd is ours and not the program's; or a new one of which nothing is known. */
void device_mark_own(int fd, bool own);

/* @fd is one more of the device @inode; NULL: there are too many. */
struct device *device_add(int fd, enum wire_device kind, uint64_t inode,
                          uint32_t slot);

void device_fds_before_fork(void);
void device_fds_after_fork(void);

/* ---- device_evtchn.c --------------------------------------------------- */

int device_evtchn_ioctl(struct device *device, int fd, unsigned long command,
                        void *arg);
ssize_t device_evtchn_read(struct device *device, int fd, void *buffer,
                           size_t bytes);
ssize_t device_evtchn_write(struct device *device, int fd, const void *buffer,
                            size_t bytes);

/* The process has closed its last descriptor. */
void device_evtchn_forget(struct device *device);

/* ---- device_grant.c ---------------------------------------------------- */

int device_gntalloc_ioctl(struct device *device, unsigned long command,
                          void *arg);
int device_gntdev_ioctl(struct device *device, unsigned long command,
                        void *arg);

/* ---- device_memory.c --------------------------------------------------- */

/* The gntdev mapping at @address; -EINVAL: there is none. */
int device_memory_find(uint64_t address, uint64_t *ret_index,
                       uint32_t *ret_count);

void device_memory_before_fork(void);
void device_memory_after_fork(bool child);

#pragma GCC visibility pop

#endif /* SIM_DEVICE_H */
