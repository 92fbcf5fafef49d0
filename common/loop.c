/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 16

struct hcl_source {
    struct hcl_loop *loop;
    struct hcl_source *next_dead; /* in the loop's graveyard */
    int fd;                       /* the caller's, or own_fd */
    int own_fd;                   /* -1, or the signalfd */
    bool dead;
    void (*fn)(void *arg, uint32_t events);
    void (*signal_fn)(void *arg, int signal);
    void *arg;
};

struct hcl_loop {
    int epoll_fd;
    int timer_fd;
    bool stop;
    unsigned int depth;        /* nested hcl_loop_poll calls */
    struct hcl_source *dead;   /* freed when no dispatch can point to them */
    struct hcl_timer *timers;  /* armed, soonest first; embedded in owners */
    struct hcl_source *ticker; /* owned: the timerfd */
};

uint64_t hcl_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t hcl_now_us(void)
{
    return hcl_now_ns() / 1000;
}

/* ---- Timers ------------------------------------------------------------ */

/* Sets the timerfd to the soonest timer, or off. */
static void timers_program(struct hcl_loop *loop)
{
    struct itimerspec when = {0};

    if (loop->timers) {
        /* 0 would switch it off; in the past is fine and fires at once. */
        uint64_t due = loop->timers->due_us ? loop->timers->due_us : 1;

        when.it_value.tv_sec = (time_t)(due / 1000000);
        when.it_value.tv_nsec = (long)(due % 1000000) * 1000;
    }
    /* Fails only for arguments that are never given here. */
    (void)timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void timers_run(void *arg, uint32_t events)
{
    struct hcl_loop *loop = arg;
    uint64_t ticks, now = hcl_now_us();
    struct hcl_timer *timer;

    (void)events;
    /* Only clears readiness; the list says what is due. */
    if (read(loop->timer_fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN) {
        return;
    }
    while (loop->timers && loop->timers->due_us <= now) {
        timer = loop->timers;
        loop->timers = timer->next;
        timer->loop = NULL;
        timer->fn(timer->arg);
    }
    timers_program(loop);
}

void hcl_timer_start(struct hcl_timer *timer, struct hcl_loop *loop,
                     uint64_t delay_us, void (*fn)(void *arg), void *arg)
{
    struct hcl_timer **at;

    hcl_timer_stop(timer);
    timer->loop = loop;
    timer->due_us = hcl_now_us() + delay_us;
    timer->fn = fn;
    timer->arg = arg;
    for (at = &loop->timers; *at && (*at)->due_us <= timer->due_us;
         at = &(*at)->next) {
    }
    timer->next = *at;
    *at = timer;
    if (loop->timers == timer) {
        timers_program(loop);
    }
}

void hcl_timer_stop(struct hcl_timer *timer)
{
    struct hcl_timer **at;

    if (!timer->loop) {
        return;
    }
    for (at = &timer->loop->timers; *at != timer; at = &(*at)->next) {
    }
    *at = timer->next;
    timer->loop = NULL;
}

/* ---- The loop ---------------------------------------------------------- */

int hcl_loop_new(struct hcl_loop **ret_loop, struct hcl_err *err)
{
    struct hcl_loop *loop = calloc(1, sizeof(*loop));
    int ret;

    if (!loop) {
        return hcl_err_sys(err, -ENOMEM, "event loop");
    }
    loop->timer_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        ret = hcl_err_sys(err, -errno, "event loop: epoll_create1");
        goto out;
    }
    loop->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0) {
        ret = hcl_err_sys(err, -errno, "event loop: timerfd_create");
        goto out;
    }
    ret = hcl_source_new(&loop->ticker, loop, loop->timer_fd, EPOLLIN,
                         timers_run, loop, err);
out:
    if (ret < 0) {
        hcl_loop_free(loop);
        return ret;
    }
    *ret_loop = loop;
    return 0;
}

static void bury(struct hcl_loop *loop)
{
    struct hcl_source *source;

    while (loop->dead) {
        source = loop->dead;
        loop->dead = source->next_dead;
        free(source);
    }
}

void hcl_loop_free(struct hcl_loop *loop)
{
    if (!loop) {
        return;
    }
    hcl_source_free(loop->ticker);
    bury(loop);
    if (loop->timer_fd >= 0) {
        close(loop->timer_fd);
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    free(loop);
}

int hcl_loop_poll(struct hcl_loop *loop, int64_t timeout_us)
{
    struct epoll_event events[BATCH];
    struct hcl_source *source;
    int timeout_ms, count, i, ran = 0;

    if (timeout_us < 0) {
        timeout_ms = -1;
    } else if (timeout_us > 3600 * INT64_C(1000000)) {
        timeout_ms = 3600 * 1000;
    } else {
        timeout_ms = (int)((timeout_us + 999) / 1000);
    }
    count = epoll_wait(loop->epoll_fd, events, BATCH, timeout_ms);
    if (count < 0) {
        return -EINTR; /* nothing else can be wrong */
    }
    loop->depth++;
    for (i = 0; i < count; i++) {
        source = events[i].data.ptr;
        if (!source->dead) {
            ran++;
            source->fn(source->signal_fn ? source : source->arg,
                       events[i].events);
        }
    }
    if (--loop->depth == 0) {
        bury(loop);
    }
    return ran;
}

void hcl_loop_run(struct hcl_loop *loop)
{
    loop->stop = false;
    while (!loop->stop) {
        hcl_loop_poll(loop, -1);
    }
}

void hcl_loop_stop(struct hcl_loop *loop)
{
    loop->stop = true;
}

int hcl_loop_fd(const struct hcl_loop *loop)
{
    return loop->epoll_fd;
}

/* ---- Descriptors ------------------------------------------------------- */

int hcl_source_new(struct hcl_source **ret_source, struct hcl_loop *loop,
                   int fd, uint32_t events,
                   void (*fn)(void *arg, uint32_t events), void *arg,
                   struct hcl_err *err)
{
    struct hcl_source *source = calloc(1, sizeof(*source));
    struct epoll_event event = {.events = events};
    int ret;

    if (!source) {
        return hcl_err_sys(err, -ENOMEM, "event source");
    }
    source->loop = loop;
    source->fd = fd;
    source->own_fd = -1;
    source->fn = fn;
    source->arg = arg;
    event.data.ptr = source;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        ret = hcl_err_sys(err, -errno, "event source: epoll_ctl");
        free(source);
        return ret;
    }
    *ret_source = source;
    return 0;
}

void hcl_source_events(struct hcl_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int ret =
        epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);

    /* The descriptor was closed before its source was freed: our bug. */
    assert(ret == 0);
    (void)ret;
}

void hcl_source_free(struct hcl_source *source)
{
    if (!source) {
        return;
    }
    assert(!source->dead);
    (void)epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    if (source->own_fd >= 0) {
        close(source->own_fd);
    }
    source->dead = true;
    source->next_dead = source->loop->dead;
    source->loop->dead = source;
    if (source->loop->depth == 0) {
        bury(source->loop);
    }
}

/* ---- Signals ----------------------------------------------------------- */

static void signals_read(void *arg, uint32_t events)
{
    struct hcl_source *source = arg;
    struct signalfd_siginfo info;

    (void)events;
    while (!source->dead &&
           read(source->own_fd, &info, sizeof(info)) == sizeof(info)) {
        source->signal_fn(source->arg, (int)info.ssi_signo);
    }
}

int hcl_source_signals(struct hcl_source **ret_source, struct hcl_loop *loop,
                       const int *signals, void (*fn)(void *arg, int signal),
                       void *arg, struct hcl_err *err)
{
    sigset_t set;
    int fd, ret;

    sigemptyset(&set);
    for (; *signals; signals++) {
        sigaddset(&set, *signals);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
        return hcl_err_sys(err, -errno, "signals: sigprocmask");
    }
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return hcl_err_sys(err, -errno, "signals: signalfd");
    }
    ret = hcl_source_new(ret_source, loop, fd, EPOLLIN, signals_read, arg, err);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    (*ret_source)->own_fd = fd;
    (*ret_source)->signal_fn = fn;
    return 0;
}
