/* SPDX-License-Identifier: MIT */
/* The two ends find each other: descriptors, the page, waiting. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

/* How long an end spins for the other before it sleeps. */
#define SPINS 20000

/* ---- Descriptors ------------------------------------------------------- */

static void map_page(struct bench *bench)
{
    void *page = mmap(NULL, sizeof(*bench->page), PROT_READ | PROT_WRITE,
                      MAP_SHARED, bench->fds[BENCH_FD_PAGE], 0);

    if (page == MAP_FAILED) {
        bench_die("cannot map the page: %s", strerror(errno));
    }
    bench->page = page;
    /* No first touch in what is measured. */
    for (size_t at = 0; at < sizeof(*bench->page); at += 4096) {
        __atomic_fetch_add((uint8_t *)page + at, 0, __ATOMIC_RELAXED);
    }
}

static void make_sockets(struct bench *bench, int type, enum bench_fd first)
{
    int bytes = 1 << 20;

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, &bench->fds[first]) < 0) {
        bench_die("socketpair: %s", strerror(errno));
    }
    setsockopt(bench->fds[first], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    setsockopt(bench->fds[first + 1], SOL_SOCKET, SO_SNDBUF, &bytes,
               sizeof(bytes));
}

void bench_make_fds(struct bench *bench)
{
    int *fds = bench->fds;

    fds[BENCH_FD_PAGE] = memfd_create("bench", MFD_CLOEXEC);
    fds[BENCH_FD_EVENT_UP] = eventfd(0, EFD_CLOEXEC);
    fds[BENCH_FD_EVENT_DOWN] = eventfd(0, EFD_CLOEXEC);
    if (fds[BENCH_FD_PAGE] < 0 || fds[BENCH_FD_EVENT_DOWN] < 0 ||
        ftruncate(fds[BENCH_FD_PAGE], sizeof(*bench->page)) < 0 ||
        pipe2(&fds[BENCH_FD_PIPE_UP_READ], O_CLOEXEC) < 0 ||
        pipe2(&fds[BENCH_FD_PIPE_DOWN_READ], O_CLOEXEC) < 0) {
        bench_die("cannot make descriptors: %s", strerror(errno));
    }
    make_sockets(bench, SOCK_STREAM, BENCH_FD_STREAM_CLIENT);
    make_sockets(bench, SOCK_SEQPACKET, BENCH_FD_SEQPACKET_CLIENT);
    map_page(bench);
}

union fd_message {
    char space[CMSG_SPACE(BENCH_NUM_FDS * sizeof(int))];
    struct cmsghdr align;
};

void bench_send_fds(const struct bench *bench, int socket)
{
    union fd_message control = {{0}};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(bench->fds));
    memcpy(CMSG_DATA(header), bench->fds, sizeof(bench->fds));
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
        bench_die("cannot send descriptors: %s", strerror(errno));
    }
}

void bench_receive_fds(struct bench *bench, int socket)
{
    union fd_message control = {{0}};
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header;

    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) {
        bench_die("no descriptors came: only bench-server starts this program");
    }
    header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_len != CMSG_LEN(sizeof(bench->fds))) {
        bench_die("too few descriptors came");
    }
    memcpy(bench->fds, CMSG_DATA(header), sizeof(bench->fds));
    map_page(bench);
}

/* ---- Waiting ----------------------------------------------------------- */

/* Until *@word, on the page, is not @old any more. */
static void await(struct bench *bench, const uint32_t *word, uint32_t old,
                  bool sleep_now)
{
    struct bench_page *page = bench->page;
    unsigned int spins = sleep_now || page->one_core ? 0 : SPINS;

    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == old) {
        if (spins > 0) {
            spins--;
            bench_relax();
            continue;
        }
        __atomic_fetch_add(&page->sleeping, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
        __atomic_fetch_sub(&page->sleeping, 1, __ATOMIC_SEQ_CST);
    }
}

/* Changes a word on the page that the other end may wait for. */
static void set(struct bench *bench, uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&bench->page->sleeping, __ATOMIC_SEQ_CST)) {
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

void bench_link_post(struct bench *bench, const struct bench_work *work)
{
    struct bench_page *page = bench->page;
    uint32_t last = bench->posted;

    bench->work = *work;
    page->work = *work;
    bench->posted++;
    set(bench, &page->posted, bench->posted);
    await(bench, &page->ready, last, false);
}

void bench_link_finish(struct bench *bench)
{
    await(bench, &bench->page->done, bench->posted - 1, false);
}

void bench_link_next(struct bench *bench)
{
    struct bench_page *page = bench->page;

    await(bench, &page->posted, bench->posted, bench->work.op == BENCH_QUIET);
    bench->posted = __atomic_load_n(&page->posted, __ATOMIC_ACQUIRE);
    bench->work = page->work;
}

void bench_link_ready(struct bench *bench)
{
    set(bench, &bench->page->ready, bench->posted);
}

void bench_link_done(struct bench *bench)
{
    set(bench, &bench->page->done, bench->posted);
}
