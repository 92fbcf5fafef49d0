/* SPDX-License-Identifier: MIT */
#include "backend_xen.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "fuzz.h"
#include "grant.h"
#include "log.h"
#include "port.h"
#include "process.h"

/* What is mapped at a time; the supervisor only tries whether it can be. */
#define MAP_ADDRESS ((void *)4096)

struct xen xen;
struct process processes[PROCESSES];
static pid_t last_pid;
static unsigned int fds_before;
static uint64_t last_random;

static int any_fd(void)
{
    static int null = -1;
    int fd;

    if (null < 0) {
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    fd = dup(null);
    if (fd < 0) {
        abort();
    }
    return fd;
}

void xen_reset(void)
{
    memset(&xen, 0, sizeof(xen));
    memset(processes, 0, sizeof(processes));
    xen.bad_ref = UINT32_MAX;
    last_pid = 100;
    last_random = 0;
    close(any_fd()); /* opens what it copies */
    fds_before = fuzz_open_fds();
}

/* The failure that is due, once. */
static int fails(int *code, const char *what, struct hcl_err *err)
{
    int ret = *code;

    *code = 0;
    return ret < 0 ? hcl_err_sys(err, ret, "cannot %s", what) : 0;
}

/* ---- grant.h ----------------------------------------------------------- */

/* Whether the registration that was made last has the bad page. */
static bool bad_range;

int hcl_gntdev_open(struct hcl_gntdev *gntdev, struct hcl_err *err)
{
    int ret = fails(&xen.fail_open, "open gntdev", err);

    if (ret < 0) {
        return ret;
    }
    gntdev->fd = any_fd();
    gntdev->registered = gntdev->mapped = 0;
    xen.open_handles++;
    return 0;
}

void hcl_gntdev_close(struct hcl_gntdev *gntdev)
{
    if (gntdev->fd < 0) {
        return;
    }
    assert(gntdev->mapped == 0);
    close(gntdev->fd);
    gntdev->fd = -1;
    xen.open_handles--;
}

int hcl_gntdev_register(struct hcl_gntdev *gntdev, uint32_t domid,
                        const uint32_t *refs, uint32_t count,
                        uint64_t *ret_offset, struct hcl_err *err)
{
    (void)domid;
    (void)err;
    assert(gntdev->fd >= 0 && count > 0);
    bad_range = false;
    for (uint32_t i = 0; i < count; i++) {
        bad_range = bad_range || refs[i] == xen.bad_ref;
    }
    gntdev->registered += count;
    *ret_offset = (uint64_t)refs[0] << 12;
    return 0;
}

void hcl_gntdev_unregister(struct hcl_gntdev *gntdev, uint64_t offset,
                           uint32_t count)
{
    (void)offset;
    assert(gntdev->registered >= count);
    gntdev->registered -= count;
}

int hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t count,
                   bool writable, void **ret_pages, struct hcl_err *err)
{
    int ret = fails(&xen.fail_map, "map", err);

    (void)offset;
    (void)writable;
    if (ret == 0 && bad_range) {
        ret = hcl_err_sys(err, -EINVAL, "cannot map %u pages", count);
    }
    if (ret == 0) {
        gntdev->mapped += count;
        *ret_pages = MAP_ADDRESS;
    }
    return ret;
}

void hcl_gntdev_unmap(struct hcl_gntdev *gntdev, void *pages, uint32_t count)
{
    assert(pages == MAP_ADDRESS && gntdev->mapped >= count);
    gntdev->mapped -= count;
}

int hcl_gntdev_notify(struct hcl_gntdev *gntdev, uint64_t offset, uint32_t byte,
                      uint32_t port, struct hcl_err *err)
{
    (void)gntdev;
    (void)offset;
    (void)byte;
    (void)port;
    (void)err;
    abort(); /* the worker's business */
}

int hcl_gntdev_read(struct hcl_gntdev *gntdev, uint32_t domid,
                    const uint32_t *refs, uint32_t count, void *buffer,
                    struct hcl_err *err)
{
    uint8_t *to = buffer;
    int ret = fails(&xen.fail_map, "map", err);

    (void)domid;
    assert(gntdev->fd >= 0 && count > 0);
    for (uint32_t i = 0; ret == 0 && i < count; i++) {
        const void *page = NULL;

        if (refs[i] == XEN_CONTROL_REF) {
            page = &xen.control;
        } else if (refs[i] - XEN_EXTRA_REF < HCLIF_MAX_EXTRA_PAGES) {
            page = xen.extra[refs[i] - XEN_EXTRA_REF];
        }
        if (!page || refs[i] == xen.bad_ref) {
            return hcl_err_sys(err, -EINVAL, "cannot map %u pages", count);
        }
        memcpy(to + (size_t)i * HCLIF_PAGE_BYTES, page, HCLIF_PAGE_BYTES);
    }
    return ret;
}

/* ---- port.h ------------------------------------------------------------ */

struct hcl_ports {
    int fd;
};

int hcl_ports_open(struct hcl_ports **ret_ports, struct hcl_err *err)
{
    struct hcl_ports *ports;
    int ret = fails(&xen.fail_open, "open evtchn", err);

    if (ret < 0) {
        return ret;
    }
    ports = malloc(sizeof(*ports));
    if (!ports) {
        abort();
    }
    ports->fd = any_fd();
    xen.open_handles++;
    *ret_ports = ports;
    return 0;
}

void hcl_ports_free(struct hcl_ports *ports)
{
    if (ports) {
        close(ports->fd);
        free(ports);
        xen.open_handles--;
    }
}

int hcl_ports_restrict(struct hcl_ports *ports, uint32_t domid,
                       struct hcl_err *err)
{
    (void)ports;
    (void)domid;
    return fails(&xen.fail_open, "restrict evtchn", err);
}

int hcl_ports_fd(const struct hcl_ports *ports)
{
    return ports->fd;
}

/* ---- process.h and the kernel's, by --wrap of the linker ---------------- */

int hcl_process_start(pid_t *ret_pid, const char *const *argv,
                      const char *const *envp, int fd, struct hcl_err *err)
{
    struct process *process = processes;
    int ret = fails(&xen.fail_spawn, argv[0], err);

    (void)envp;
    while (process < processes + PROCESSES && process->pid) {
        process++;
    }
    if (ret == 0 && process == processes + PROCESSES) {
        ret = hcl_err_sys(err, -EAGAIN, "cannot start %s", argv[0]);
    }
    if (ret < 0) {
        return ret;
    }
    process->pid = *ret_pid = ++last_pid;
    process->ended = false;
    process->fd = fd < 0 ? -1 : dup(fd);
    return 0;
}

void hcl_process_status(int status, char *buf, size_t size)
{
    snprintf(buf, size, "status %d", status);
}

void process_end(struct process *process, int status)
{
    if (process->pid && !process->ended) {
        process->ended = true;
        process->status = status;
        if (process->fd >= 0) {
            close(process->fd);
            process->fd = -1;
        }
    }
}

bool process_any_ended(void)
{
    for (unsigned int i = 0; i < PROCESSES; i++) {
        if (processes[i].pid && processes[i].ended) {
            return true;
        }
    }
    return false;
}

int __wrap_kill(pid_t pid, int signal);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags);

int __wrap_kill(pid_t pid, int signal)
{
    assert(signal == SIGKILL && pid != 0 && pid != -1);
    for (unsigned int i = 0; i < PROCESSES; i++) {
        if (processes[i].pid == (pid < 0 ? -pid : pid)) {
            if (!xen.unkillable) {
                process_end(&processes[i], SIGKILL);
            }
            return 0;
        }
    }
    errno = ESRCH;
    return -1;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    (void)options;
    for (unsigned int i = 0; i < PROCESSES; i++) {
        struct process *process = &processes[i];

        if (process->pid && process->ended &&
            (pid == -1 || pid == process->pid)) {
            pid = process->pid;
            process->pid = 0;
            if (status) {
                *status = process->status;
            }
            return pid;
        }
    }
    return 0;
}

/* Different each time, and the same in each run. */
ssize_t __wrap_getrandom(void *buf, size_t bytes, unsigned int flags)
{
    uint64_t value = UINT64_C(0x1000000000000001) + ++last_random;

    assert(bytes == sizeof(value));
    /* As an old kernel, and one that is interrupted. */
    if (flags && last_random % 3 == 0) {
        errno = EINVAL;
        return -1;
    }
    if (!flags && last_random % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    memcpy(buf, &value, sizeof(value));
    return (ssize_t)bytes;
}

/* What is still there is a worker in the kernel, or a script. */
void xen_check_end(void)
{
    assert(xen.open_handles == 0);
    for (unsigned int i = 0; i < PROCESSES; i++) {
        struct process *process = &processes[i];

        assert(!process->pid || process->ended || process->fd < 0 ||
               xen.unkillable);
        process_end(process, 0);
    }
    assert(fuzz_open_fds() == fds_before);
}

/* ---- log.h: a line is made, and thrown away ----------------------------- */

static void make_line(const char *fmt, va_list args)
{
    char line[1024];

    vsnprintf(line, sizeof(line), fmt, args);
}

void hcl_log(enum hcl_log_level level, const char *fmt, ...)
{
    va_list args;

    (void)level;
    va_start(args, fmt);
    make_line(fmt, args);
    va_end(args);
}

void hcl_log_limited(struct hcl_log_limit *limit, enum hcl_log_level level,
                     const char *fmt, ...)
{
    va_list args;

    (void)limit;
    (void)level;
    va_start(args, fmt);
    make_line(fmt, args);
    va_end(args);
}
