/* SPDX-License-Identifier: MIT */
#include "request_devices.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "fake_loop.h"
#include "helper.h"
#include "request_memory.h"

/* Descriptors that the kernel does not know. */
#define RNG_FD 1001
#define TTY_FD 1002

/* ---- A class that holds its jobs --------------------------------------- */

#define MAX_HELD 1024

struct held {
    struct hcl_job *job;
    uint32_t sum; /* of a private payload */
};

static struct held held[MAX_HELD];
static unsigned int num_held, num_open;
static bool moves, refuses, capped;
static uint32_t depth; /* 0: no limit */

static uint32_t sum_of(const struct hcl_job *job)
{
    const uint8_t *tx = job->tx;
    uint32_t sum = 1;

    for (uint32_t i = 0; i < job->tx_bytes; i++) {
        sum = sum * 31 + tx[i];
    }
    return sum;
}

static int hold_open(struct hcl_device *device, const struct hcl_spec *spec,
                     struct hcl_err *err)
{
    struct hcl_service *service = hcl_device_service(device);

    service->depth = depth;
    service->units = depth / 2;
    service->measured = depth & 1;
    service->opcodes = "4,5,200";
    service->job_ns = 1000;
    (void)spec;
    (void)err;
    return 0;
}

static void hold_close(struct hcl_device *device)
{
    (void)device;
}

static uint16_t hold_handle_open(struct hcl_device *device,
                                 struct hcl_handle *handle)
{
    uint8_t *state = hcl_handle_state(handle);

    (void)device;
    assert(*state == 0);
    if (refuses) {
        return HCLIF_STATUS_BUSY;
    }
    *state = 1;
    num_open++;
    return HCLIF_STATUS_OK;
}

static void hold_handle_close(struct hcl_device *device,
                              struct hcl_handle *handle)
{
    uint8_t *state = hcl_handle_state(handle);

    (void)device;
    assert(*state == 1);
    for (unsigned int i = 0; i < num_held; i++) {
        assert(held[i].job->handle != handle);
    }
    num_open--;
}

/* Whatever the guest did since: a private payload is as it was. */
static void hold_end(unsigned int index, uint16_t status, uint32_t rx_bytes)
{
    struct hcl_job *job = held[index].job;

    assert(moves || sum_of(job) == held[index].sum);
    held[index] = held[--num_held];
    rx_bytes = rx_bytes < job->rx_bytes ? rx_bytes : job->rx_bytes;
    memset(job->rx, 0x5a, rx_bytes);
    if (status == HCLIF_STATUS_OK || status == HCLIF_STATUS_CANCELLED) {
        hcl_job_complete(job, status, rx_bytes, rx_bytes & HCLIF_OVERRUN);
    } else {
        hcl_job_fail(job, status, "the device says so, with many many words");
    }
}

/* Jobs that occupy the device. */
static unsigned int num_busy(void)
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < num_held; i++) {
        count += held[i].job->opcode != HCLIF_OP_READ;
    }
    return count;
}

static void hold_submit(struct hcl_device *device, struct hcl_job *job)
{
    uint8_t *state = job->state;

    (void)device;
    assert(job->tx && job->rx && *state == 0 && num_held < MAX_HELD);
    assert(moves || (!region_has(job->tx) && !region_has(job->rx)));
    assert(depth == 0 || job->opcode == HCLIF_OP_READ || num_busy() < depth);
    *state = 1;
    held[num_held].job = job;
    held[num_held++].sum = sum_of(job);
    if (job->opcode == CLASS_OPCODE_HELD) {
        hold_end(num_held - 1, (uint16_t)(job->argument & 15), job->rx_bytes);
    }
}

static void hold_cancel(struct hcl_device *device, struct hcl_job *job)
{
    unsigned int i = 0;

    (void)device;
    while (i < num_held && held[i].job != job) {
        i++;
    }
    assert(i < num_held);
    hold_end(i, job->argument & 1 ? HCLIF_STATUS_OK : HCLIF_STATUS_CANCELLED,
             4);
}

static const char *const no_keys[] = {NULL};

#define HOLD_CLASS(more)                                                       \
    .abi = HCL_CLASS_ABI, .name = "hold", .opcodes = "3,4,5,200",              \
    .idempotent = "", .handle_bytes = 1, .job_bytes = 1, .keys = no_keys,      \
    .open = hold_open, .close = hold_close, .handle_open = hold_handle_open,   \
    .handle_close = hold_handle_close, .submit = hold_submit,                  \
    .cancel = hold_cancel, more

static const struct hcl_class hold_class = {HOLD_CLASS(.flags = 0)};
static const struct hcl_class move_class = {
    HOLD_CLASS(.flags = HCL_CLASS_MOVES_BYTES)};

/* ---- The generator: what its helper process says ----------------------- */

static struct {
    size_t bytes; /* that are in the pipe */
    bool ended;
    int reason;
} rng;

int hcl_helper_start(struct hcl_helper *helper, int file, struct hcl_err *err)
{
    (void)file;
    (void)err;
    helper->pid = 1;
    helper->fd = RNG_FD;
    return 0;
}

ssize_t hcl_helper_read(struct hcl_helper *helper, void *buf, size_t bytes)
{
    size_t got = bytes < rng.bytes ? bytes : rng.bytes;

    assert(helper->fd == RNG_FD && bytes > 0);
    if (got == 0) {
        return rng.ended ? rng.reason : -EAGAIN;
    }
    memset(buf, 'r', got);
    rng.bytes -= got;
    return (ssize_t)got;
}

int hcl_helper_end(struct hcl_helper *helper)
{
    assert(helper->fd == RNG_FD && rng.ended);
    return rng.reason;
}

void hcl_helper_stop(struct hcl_helper *helper)
{
    helper->pid = 0;
    helper->fd = -1;
}

/* ---- The serial port: what the kernel says, by --wrap of the linker ----- */

static struct {
    size_t bytes; /* received */
    size_t room;  /* for what is sent */
    bool broken, gone;
} tty;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
ssize_t __real_read(int fd, void *buf, size_t bytes);
ssize_t __wrap_read(int fd, void *buf, size_t bytes);
ssize_t __real_write(int fd, const void *buf, size_t bytes);
ssize_t __wrap_write(int fd, const void *buf, size_t bytes);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_tcsetattr(int fd, int actions, const struct termios *termios);
int __wrap_tcflush(int fd, int queue);

int __wrap_open(const char *path, int flags, ...)
{
    return strcmp(path, "tty") == 0 ? TTY_FD : __real_open(path, flags);
}

int __wrap_close(int fd)
{
    return fd == TTY_FD ? 0 : __real_close(fd);
}

static ssize_t failed(int code)
{
    errno = code;
    return -1;
}

ssize_t __wrap_read(int fd, void *buf, size_t bytes)
{
    size_t got = bytes < tty.bytes ? bytes : tty.bytes;

    if (fd != TTY_FD) {
        return __real_read(fd, buf, bytes);
    }
    if (tty.broken) {
        return failed(EIO);
    }
    if (got == 0) {
        return tty.gone ? 0 : failed(EAGAIN);
    }
    memset(buf, 's', got);
    tty.bytes -= got;
    return (ssize_t)got;
}

ssize_t __wrap_write(int fd, const void *buf, size_t bytes)
{
    const uint8_t *octets = buf;
    volatile uint8_t last;
    size_t put = bytes < tty.room ? bytes : tty.room;

    if (fd != TTY_FD) {
        return __real_write(fd, buf, bytes);
    }
    if (tty.broken) {
        return failed(EIO);
    }
    if (put == 0 && bytes > 0) {
        return failed(EAGAIN);
    }
    /* Nothing is written outside of what was given to us. */
    for (size_t i = 0; i < put; i++) {
        last = octets[i];
    }
    (void)last;
    tty.room -= put;
    return (ssize_t)put;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    (void)request;
    assert(fd == TTY_FD);
    return 0;
}

int __wrap_tcsetattr(int fd, int actions, const struct termios *termios)
{
    (void)actions;
    (void)termios;
    assert(fd == TTY_FD);
    return 0;
}

int __wrap_tcflush(int fd, int queue)
{
    (void)queue;
    assert(fd == TTY_FD);
    return 0;
}

/* ---- All of them ------------------------------------------------------- */

static uint32_t ready(int fd)
{
    if (fd == RNG_FD) {
        return (rng.bytes ? EPOLLIN : 0u) | (rng.ended ? EPOLLHUP : 0u);
    }
    assert(fd == TTY_FD);
    return (tty.bytes || tty.gone || tty.broken ? EPOLLIN : 0u) |
           (tty.room || tty.broken ? EPOLLOUT : 0u);
}

const char *devices_start(struct fuzz_input *in,
                          const struct hcl_class **ret_class)
{
    static const char *const specs[] = {
        "path=tty", "path=tty,baud=115200,data=7,parity=odd,stop=2,flow=rtscts",
        "path=tty,flow=xonxoff", "path=tty,baud=1", "share=broadcast"};
    uint32_t which = fuzz_u8(in);

    memset(&rng, 0, sizeof(rng));
    memset(&tty, 0, sizeof(tty));
    num_held = num_open = 0;
    refuses = false;
    fake_ready = ready;
    fake_now_us = 0;
    moves = which & 1;
    capped = which & 16;
    depth = which & 32 ? 2 + (which >> 6) : 0;
    switch (which % 5) {
    case 0:
        *ret_class = hcl_class_find("echo");
        return "";
    case 1:
        *ret_class = hcl_class_find("rng");
        return which & 8 ? "path=/dev/null" : "path=/proc/self/exe";
    case 2:
        *ret_class = hcl_class_find("serial");
        return specs[which / 5 % (sizeof(specs) / sizeof(*specs))];
    case 3:
        if (which & 64) {
            *ret_class = hcl_class_find("delay");
            return which & 128 ? "units=3" : "job-us=300,kib-ns=1000,depth=1";
        }
        /* fall through */
    default:
        *ret_class = moves ? &move_class : &hold_class;
        return "";
    }
}

struct hcl_share devices_share(unsigned int guest)
{
    struct hcl_share share = HCL_SHARE_DEFAULT;

    share.weight += guest * 50;
    if (capped && guest == 0) {
        share.max_requests_per_s = 1000;
        share.max_kib_per_s = 1;
    }
    return share;
}

void devices_step(struct fuzz_input *in)
{
    static const int reasons[] = {0, -EIO, -ECHILD, 0};
    uint32_t what = fuzz_u8(in);

    fake_now_us += what * UINT64_C(10);
    switch (what & 3) {
    case 0:
        if (num_held > 0) {
            uint32_t index = fuzz_u8(in) % num_held;

            hold_end(index, (uint16_t)(what >> 4), fuzz_u8(in));
        }
        break;
    case 1:
        tty.bytes = rng.bytes = (size_t)fuzz_u8(in) * (what >> 2);
        break;
    case 2:
        tty.room = fuzz_u8(in);
        refuses = what & 16;
        break;
    default:
        tty.broken = what & 4;
        tty.gone = what & 8;
        if (what & 16 && !rng.ended) {
            rng.ended = true;
            rng.reason = reasons[what >> 6];
        }
    }
}

bool devices_crashed(void)
{
    return rng.ended && rng.reason == -ECHILD;
}

void devices_end(void)
{
    assert(num_held == 0);
    assert(num_open == 0);
}
