/* SPDX-License-Identifier: MIT */
#include "fake_loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>

struct hcl_source {
    struct hcl_loop *loop;
    struct hcl_source *next;
    int fd; /* -1: signals */
    uint32_t events;
    bool dead;
    void (*fn)(void *arg, uint32_t events);
    void (*signal_fn)(void *arg, int signal);
    void *arg;
};

struct hcl_loop {
    struct hcl_source *sources; /* dead ones too, while depth > 0 */
    struct hcl_timer *timers;   /* soonest first */
    unsigned int depth;
    bool stop;
};

struct hcl_loop *fake_loop;
uint64_t fake_now_us;
uint32_t (*fake_ready)(int fd);
void (*fake_idle)(void);

uint64_t hcl_now_us(void)
{
    return fake_now_us;
}

uint64_t hcl_now_ns(void)
{
    return fake_now_us * 1000;
}

/* ---- Timers ------------------------------------------------------------ */

void hcl_timer_start(struct hcl_timer *timer, struct hcl_loop *loop,
                     uint64_t delay_us, void (*fn)(void *arg), void *arg)
{
    struct hcl_timer **at = &loop->timers;

    hcl_timer_stop(timer);
    timer->loop = loop;
    timer->due_us = fake_now_us + delay_us;
    timer->fn = fn;
    timer->arg = arg;
    while (*at && (*at)->due_us <= timer->due_us) {
        at = &(*at)->next;
    }
    timer->next = *at;
    *at = timer;
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

/* One that is armed meanwhile waits for the next time, as with a timerfd. */
static int run_timers(struct hcl_loop *loop)
{
    int ran = 0;

    while (ran < 64 && loop->timers && loop->timers->due_us <= fake_now_us) {
        struct hcl_timer *timer = loop->timers;

        loop->timers = timer->next;
        timer->loop = NULL;
        timer->fn(timer->arg);
        ran++;
    }
    return ran;
}

bool fake_skip_to_timer(void)
{
    const struct hcl_loop *loop = fake_loop;

    if (!loop->timers) {
        return false;
    }
    if (loop->timers->due_us > fake_now_us) {
        fake_now_us = loop->timers->due_us;
    }
    return true;
}

/* ---- Sources ----------------------------------------------------------- */

int hcl_source_new(struct hcl_source **ret_source, struct hcl_loop *loop,
                   int fd, uint32_t events,
                   void (*fn)(void *arg, uint32_t events), void *arg,
                   struct hcl_err *err)
{
    struct hcl_source *source = calloc(1, sizeof(*source));

    (void)err;
    if (!source) {
        abort();
    }
    source->loop = loop;
    source->next = loop->sources;
    source->fd = fd;
    source->events = events;
    source->fn = fn;
    source->arg = arg;
    loop->sources = source;
    *ret_source = source;
    return 0;
}

void hcl_source_events(struct hcl_source *source, uint32_t events)
{
    assert(!source->dead);
    source->events = events;
}

static void bury(struct hcl_loop *loop)
{
    struct hcl_source **at = &loop->sources;

    while (*at) {
        struct hcl_source *source = *at;

        if (source->dead) {
            *at = source->next;
            free(source);
        } else {
            at = &source->next;
        }
    }
}

void hcl_source_free(struct hcl_source *source)
{
    if (!source) {
        return;
    }
    assert(!source->dead);
    source->dead = true;
    if (source->loop->depth == 0) {
        bury(source->loop);
    }
}

int hcl_source_signals(struct hcl_source **ret_source, struct hcl_loop *loop,
                       const int *signals, void (*fn)(void *arg, int signal),
                       void *arg, struct hcl_err *err)
{
    int ret = hcl_source_new(ret_source, loop, -1, 0, NULL, arg, err);

    (void)signals;
    (*ret_source)->signal_fn = fn;
    return ret;
}

bool fake_signal(int signal)
{
    struct hcl_source *source = fake_loop->sources;

    while (source && (source->dead || !source->signal_fn)) {
        source = source->next;
    }
    if (source) {
        source->signal_fn(source->arg, signal);
    }
    return source;
}

/* ---- The loop ---------------------------------------------------------- */

int hcl_loop_new(struct hcl_loop **ret_loop, struct hcl_err *err)
{
    (void)err;
    *ret_loop = calloc(1, sizeof(**ret_loop));
    if (!*ret_loop) {
        abort();
    }
    fake_loop = *ret_loop;
    return 0;
}

/* Whoever ends a loop has ended all that was on it. */
void hcl_loop_free(struct hcl_loop *loop)
{
    if (!loop) {
        return;
    }
    assert(!loop->sources);
    assert(!loop->timers);
    fake_loop = NULL;
    free(loop);
}

int hcl_loop_poll(struct hcl_loop *loop, int64_t timeout_us)
{
    int ran;

    (void)timeout_us;
    loop->depth++;
    ran = run_timers(loop);
    for (struct hcl_source *source = loop->sources; source;
         source = source->next) {
        uint32_t ready = source->dead || source->fd < 0
                             ? 0
                             : fake_ready(source->fd) &
                                   (source->events | EPOLLERR | EPOLLHUP);

        if (ready) {
            source->fn(source->arg, ready);
            ran++;
        }
    }
    if (--loop->depth == 0) {
        bury(loop);
    }
    return ran;
}

void hcl_loop_run(struct hcl_loop *loop)
{
    unsigned int idle = 0, busy = 0;

    loop->stop = false;
    while (!loop->stop) {
        if (hcl_loop_poll(loop, -1) > 0) {
            busy++;
            idle = 0;
        } else {
            idle++;
            busy = 0;
            fake_idle();
        }
        assert(busy < FAKE_CALLS && idle < FAKE_CALLS);
    }
}

void hcl_loop_stop(struct hcl_loop *loop)
{
    loop->stop = true;
}

int hcl_loop_fd(const struct hcl_loop *loop)
{
    (void)loop;
    return -1;
}
