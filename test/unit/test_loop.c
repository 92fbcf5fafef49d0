/* SPDX-License-Identifier: MIT */
/* loop.c: descriptors, timers, signals, and what callbacks may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

/* Long enough for any machine; a test that works never waits for it. */
#define LONG_US 20000000

/* ---- What every test starts with and leaves behind --------------------- */

static struct hcl_loop *loop;
static int fds_before;

static int count_fds(void)
{
    int fd, count = 0;

    for (fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static int setup(void **state)
{
    (void)state;
    fds_before = count_fds();
    return hcl_loop_new(&loop, NULL);
}

/* No descriptor is left of the loop and its sources. */
static int teardown(void **state)
{
    (void)state;
    hcl_loop_free(loop);
    return count_fds() == fds_before ? 0 : -1;
}

/* A callback's notebook: which ran, how often, with what. */
struct note {
    struct hcl_source *source;
    struct note *peer; /* whose source it frees */
    struct hcl_timer timer;
    struct hcl_timer *victim; /* stopped by stop_victim */
    unsigned int calls;
    uint32_t events;
    int fd;
};

static void note_event(void *arg, uint32_t events)
{
    struct note *note = arg;

    note->calls++;
    note->events = events;
}

/* A source on a new eventfd that is readable from the start. */
static void ready_source(struct note *note,
                         void (*fn)(void *arg, uint32_t events))
{
    memset(note, 0, sizeof(*note));
    note->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(note->fd >= 0);
    assert_int_equal(
        hcl_source_new(&note->source, loop, note->fd, EPOLLIN, fn, note, NULL),
        0);
}

static void drop_source(struct note *note)
{
    hcl_source_free(note->source);
    note->source = NULL;
    close(note->fd);
}

static void drain(int fd)
{
    uint64_t count;

    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

/* Polls until @calls is @wanted; fails if that takes too long. */
static void poll_until(const unsigned int *calls, unsigned int wanted)
{
    uint64_t end_us = hcl_now_us() + LONG_US;

    while (*calls < wanted) {
        assert_true(hcl_now_us() < end_us);
        hcl_loop_poll(loop, LONG_US);
    }
}

/* ---- Descriptors ------------------------------------------------------- */

static void readable_descriptor_calls_back(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, note_event);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_int_equal(note.calls, 1);
    assert_int_equal(note.events, EPOLLIN);
    drop_source(&note);
}

static void descriptor_that_stays_ready_calls_back_again(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, note_event);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_int_equal(note.calls, 2);
    drop_source(&note);
}

static void descriptor_without_events_does_not_call_back(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, note_event);
    drain(note.fd);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(note.calls, 0);
    drop_source(&note);
}

static void changed_events_are_the_ones_that_call_back(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, note_event);
    hcl_source_events(note.source, EPOLLOUT);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_int_equal(note.events, EPOLLOUT);
    hcl_source_events(note.source, EPOLLIN | EPOLLOUT);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_int_equal(note.events, EPOLLIN | EPOLLOUT);
    drop_source(&note);
}

static void no_events_keep_a_source_silent(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, note_event);
    hcl_source_events(note.source, 0);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    drop_source(&note);
}

static void hangup_calls_back_without_being_asked_for(void **state)
{
    struct note note = {0};
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(
        hcl_source_new(&note.source, loop, ends[0], 0, note_event, &note, NULL),
        0);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    close(ends[1]);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_true(note.events & EPOLLHUP);
    hcl_source_free(note.source);
    close(ends[0]);
}

static void freed_source_does_not_call_back(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, note_event);
    hcl_source_free(note.source);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(note.calls, 0);
    close(note.fd);
}

static void free_takes_null(void **state)
{
    (void)state;
    hcl_source_free(NULL);
    hcl_loop_free(NULL);
}

static void free_leaves_the_descriptor_to_its_owner(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, note_event);
    hcl_source_free(note.source);
    drain(note.fd);
    close(note.fd);
}

static void descriptor_that_cannot_be_watched_is_an_error(void **state)
{
    struct hcl_source *source = (struct hcl_source *)&fds_before;
    struct hcl_err err = {0};

    (void)state;
    assert_int_equal(
        hcl_source_new(&source, loop, -1, EPOLLIN, note_event, NULL, &err),
        -EBADF);
    assert_int_equal(err.code, -EBADF);
    assert_non_null(strstr(err.text, strerror(EBADF)));
    assert_ptr_equal(source, &fds_before);
}

static void more_sources_than_one_batch_are_all_served(void **state)
{
    struct note notes[40];
    unsigned int i, ran = 0;

    (void)state;
    for (i = 0; i < 40; i++) {
        ready_source(&notes[i], note_event);
    }
    for (i = 0; i < 40; i++) {
        ran += hcl_loop_poll(loop, 0);
    }
    assert_true(ran >= 40);
    for (i = 0; i < 40; i++) {
        assert_true(notes[i].calls > 0);
        drop_source(&notes[i]);
    }
}

/* ---- Callbacks that free ----------------------------------------------- */

static void free_own(void *arg, uint32_t events)
{
    struct note *note = arg;

    note_event(note, events);
    drop_source(note);
}

static void callback_may_free_its_own_source(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, free_own);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(note.calls, 1);
}

/* Two sources that are ready at once and know each other. */
static void ready_pair(struct note *a, struct note *b,
                       void (*fn)(void *arg, uint32_t events))
{
    ready_source(a, fn);
    ready_source(b, fn);
    a->peer = b;
    b->peer = a;
}

static void free_peer(void *arg, uint32_t events)
{
    struct note *note = arg;

    note_event(note, events);
    drop_source(note->peer);
}

static void source_freed_in_the_same_batch_does_not_call_back(void **state)
{
    struct note a, b;

    (void)state;
    ready_pair(&a, &b, free_peer);
    /* Whichever comes first frees the other: one of the two runs. */
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    assert_int_equal(a.calls + b.calls, 1);
    drop_source(a.calls ? &a : &b);
}

static struct note replacement;

/* Frees the other and makes a new source, whose descriptor has its number. */
static void replace_peer(void *arg, uint32_t events)
{
    struct note *note = arg;
    int number = note->peer->fd;

    note_event(note, events);
    drop_source(note->peer);
    ready_source(&replacement, note_event);
    assert_int_equal(replacement.fd, number);
    drain(replacement.fd);
}

static void new_source_is_not_called_for_an_old_event(void **state)
{
    struct note a, b;

    (void)state;
    ready_pair(&a, &b, replace_peer);
    assert_int_equal(hcl_loop_poll(loop, 0), 1);
    drop_source(a.calls ? &a : &b);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(replacement.calls, 0);
    drop_source(&replacement);
}

static void poll_again(void *arg, uint32_t events)
{
    struct note *note = arg;

    note_event(note, events);
    drain(note->fd);
    hcl_loop_poll(loop, 0);
}

static void callback_may_poll_and_free_inside(void **state)
{
    struct note outer, inner;

    (void)state;
    ready_source(&outer, poll_again);
    ready_source(&inner, free_own);
    poll_until(&inner.calls, 1);
    poll_until(&outer.calls, 1);
    assert_int_equal(inner.calls, 1);
    assert_int_equal(outer.calls, 1);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    drop_source(&outer);
}

/* ---- Timers ------------------------------------------------------------ */

static char order[16];

static void note_timer(void *arg)
{
    struct note *note = arg;

    note->calls++;
}

static void note_letter(void *arg)
{
    strncat(order, arg, 1);
}

/* Polls until @wanted letters are there. */
static void poll_letters(size_t wanted)
{
    uint64_t end_us = hcl_now_us() + LONG_US;

    while (strlen(order) < wanted) {
        assert_true(hcl_now_us() < end_us);
        hcl_loop_poll(loop, LONG_US);
    }
}

static void timer_calls_back_once_and_not_too_soon(void **state)
{
    struct note note = {0};
    uint64_t start_us = hcl_now_us();

    (void)state;
    hcl_timer_start(&note.timer, loop, 20000, note_timer, &note);
    poll_until(&note.calls, 1);
    assert_true(hcl_now_us() - start_us >= 20000);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(note.calls, 1);
}

static void timer_with_no_delay_is_due_at_once(void **state)
{
    struct note note = {0};

    (void)state;
    hcl_timer_start(&note.timer, loop, 0, note_timer, &note);
    poll_until(&note.calls, 1);
}

static void timers_run_in_the_order_of_their_time(void **state)
{
    struct hcl_timer a = {0}, b = {0}, c = {0};

    (void)state;
    order[0] = '\0';
    do {
        hcl_timer_start(&b, loop, 2000, note_letter, "b");
        hcl_timer_start(&c, loop, 3000, note_letter, "c");
        hcl_timer_start(&a, loop, 1000, note_letter, "a");
        /* Unless the machine was busy between two of them. */
    } while (a.due_us >= b.due_us || b.due_us >= c.due_us);
    poll_letters(3);
    assert_string_equal(order, "abc");
}

static void timers_that_are_late_together_keep_their_order(void **state)
{
    struct hcl_timer a = {0}, b = {0}, c = {0};

    (void)state;
    order[0] = '\0';
    do {
        hcl_timer_start(&a, loop, 0, note_letter, "a");
        hcl_timer_start(&c, loop, 2000, note_letter, "c");
        hcl_timer_start(&b, loop, 1000, note_letter, "b");
    } while (b.due_us >= c.due_us);
    usleep(3000);
    poll_letters(3);
    assert_string_equal(order, "abc");
}

static void stopped_timer_does_not_call_back(void **state)
{
    struct note stopped = {0}, later = {0};

    (void)state;
    hcl_timer_start(&stopped.timer, loop, 1000, note_timer, &stopped);
    hcl_timer_start(&later.timer, loop, 2000, note_timer, &later);
    hcl_timer_stop(&stopped.timer);
    poll_until(&later.calls, 1);
    assert_int_equal(stopped.calls, 0);
}

static void timer_that_is_not_armed_may_be_stopped(void **state)
{
    struct note note = {0};

    (void)state;
    hcl_timer_stop(&note.timer);
    hcl_timer_start(&note.timer, loop, 0, note_timer, &note);
    poll_until(&note.calls, 1);
    hcl_timer_stop(&note.timer);
    hcl_timer_stop(&note.timer);
}

static void timer_started_again_runs_once_at_the_new_time(void **state)
{
    struct hcl_timer a = {0}, b = {0};

    (void)state;
    order[0] = '\0';
    hcl_timer_start(&a, loop, 0, note_letter, "a");
    hcl_timer_start(&b, loop, 1000, note_letter, "b");
    hcl_timer_start(&a, loop, 3000, note_letter, "a");
    assert_true(b.due_us < a.due_us);
    poll_letters(2);
    assert_string_equal(order, "ba");
}

static void timer_moved_forward_runs_sooner(void **state)
{
    struct note note = {0};

    (void)state;
    hcl_timer_start(&note.timer, loop, (uint64_t)3600 * 1000000, note_timer,
                    &note);
    hcl_timer_start(&note.timer, loop, 1000, note_timer, &note);
    poll_until(&note.calls, 1);
}

static void restart_three_times(void *arg)
{
    struct note *note = arg;

    note->calls++;
    assert_null(note->timer.loop);
    if (note->calls < 3) {
        hcl_timer_start(&note->timer, loop, 100, restart_three_times, note);
    }
}

static void timer_may_start_itself_again(void **state)
{
    struct note note = {0};

    (void)state;
    hcl_timer_start(&note.timer, loop, 100, restart_three_times, &note);
    poll_until(&note.calls, 3);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(note.calls, 3);
}

/* A timer that is always due again leaves a turn to the descriptors. */
static void restart_at_once(void *arg)
{
    struct note *note = arg;

    note->calls++;
    hcl_timer_start(&note->timer, loop, 0, restart_at_once, note);
}

static void timer_that_is_always_due_does_not_starve_descriptors(void **state)
{
    struct note busy = {0}, note;

    (void)state;
    ready_source(&note, note_event);
    hcl_timer_start(&busy.timer, loop, 0, restart_at_once, &busy);
    poll_until(&note.calls, 3);
    poll_until(&busy.calls, 3);
    hcl_timer_stop(&busy.timer);
    drop_source(&note);
}

static void stop_victim(void *arg)
{
    struct note *note = arg;

    note->calls++;
    hcl_timer_stop(note->victim);
}

static void timer_stopped_by_another_that_is_due_does_not_run(void **state)
{
    struct note a = {0}, b = {0}, c = {0};

    (void)state;
    a.victim = &b.timer;
    hcl_timer_start(&a.timer, loop, 0, stop_victim, &a);
    hcl_timer_start(&b.timer, loop, 0, note_timer, &b);
    hcl_timer_start(&c.timer, loop, 1000, note_timer, &c);
    poll_until(&c.calls, 1);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 0);
}

static void start_victim(void *arg)
{
    struct note *note = arg;

    note->calls++;
    hcl_timer_start(note->victim, loop, 100, note_letter, "v");
}

static void timer_started_by_another_runs(void **state)
{
    struct note a = {0}, b = {0};

    (void)state;
    order[0] = '\0';
    a.victim = &b.timer;
    hcl_timer_start(&a.timer, loop, 0, start_victim, &a);
    poll_letters(1);
    assert_string_equal(order, "v");
}

static void drop_source_of(void *arg)
{
    drop_source(arg);
}

static void timer_may_free_a_source(void **state)
{
    struct note note;
    struct hcl_timer timer = {0};

    (void)state;
    ready_source(&note, note_event);
    hcl_timer_start(&timer, loop, 0, drop_source_of, &note);
    while (note.source) {
        hcl_loop_poll(loop, LONG_US);
    }
    note.calls = 0;
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(note.calls, 0);
}

/* ---- Polling and running ----------------------------------------------- */

static void poll_returns_after_its_timeout(void **state)
{
    uint64_t start_us = hcl_now_us();

    (void)state;
    assert_int_equal(hcl_loop_poll(loop, 15000), 0);
    assert_true(hcl_now_us() - start_us >= 15000);
}

/* Rounded up to the unit of epoll_wait: no busy waiting before a deadline. */
static void poll_does_not_cut_a_timeout_below_a_millisecond(void **state)
{
    uint64_t start_us = hcl_now_us();

    (void)state;
    assert_int_equal(hcl_loop_poll(loop, 300), 0);
    assert_true(hcl_now_us() - start_us >= 300);
}

static void poll_without_end_returns_when_a_timer_ran(void **state)
{
    struct note note = {0};

    (void)state;
    hcl_timer_start(&note.timer, loop, 1000, note_timer, &note);
    assert_int_equal(hcl_loop_poll(loop, -1), 1);
    assert_int_equal(note.calls, 1);
}

static void poll_survives_a_huge_timeout(void **state)
{
    struct note note = {0};

    (void)state;
    hcl_timer_start(&note.timer, loop, 1000, note_timer, &note);
    assert_int_equal(hcl_loop_poll(loop, INT64_MAX), 1);
}

static void do_nothing(int signal)
{
    (void)signal;
}

static void poll_interrupted_by_a_signal_says_so(void **state)
{
    struct sigaction action = {.sa_handler = do_nothing}, old;
    struct note note;

    (void)state;
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    ready_source(&note, note_event);
    drain(note.fd);
    ualarm(5000, 5000);
    assert_int_equal(hcl_loop_poll(loop, LONG_US), -EINTR);
    ualarm(0, 0);
    assert_int_equal(note.calls, 0);
    sigaction(SIGALRM, &old, NULL);
    drop_source(&note);
}

static void stop_at_third(void *arg, uint32_t events)
{
    struct note *note = arg;

    note_event(note, events);
    if (note->calls == 3) {
        hcl_loop_stop(loop);
    }
}

static void run_ends_with_stop(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, stop_at_third);
    hcl_loop_run(loop);
    assert_int_equal(note.calls, 3);
    drop_source(&note);
}

static void loop_runs_again_after_a_stop(void **state)
{
    struct note note;

    (void)state;
    ready_source(&note, stop_at_third);
    hcl_loop_run(loop);
    note.calls = 0;
    hcl_loop_run(loop);
    assert_int_equal(note.calls, 3);
    drop_source(&note);
}

/* ---- Nesting ----------------------------------------------------------- */

static bool loop_is_readable(int timeout_ms)
{
    struct pollfd ready = {.fd = hcl_loop_fd(loop), .events = POLLIN};

    return poll(&ready, 1, timeout_ms) == 1 && ready.revents == POLLIN;
}

static void loop_descriptor_is_readable_while_a_source_has_work(void **state)
{
    struct note note;

    (void)state;
    assert_false(loop_is_readable(0));
    ready_source(&note, note_event);
    assert_true(loop_is_readable(0));
    drain(note.fd);
    assert_false(loop_is_readable(0));
    drop_source(&note);
}

static void loop_descriptor_is_readable_when_a_timer_is_due(void **state)
{
    struct note note = {0};

    (void)state;
    hcl_timer_start(&note.timer, loop, 1000, note_timer, &note);
    assert_true(loop_is_readable(LONG_US / 1000));
    poll_until(&note.calls, 1);
    assert_false(loop_is_readable(0));
}

static void poll_inner(void *arg, uint32_t events)
{
    (void)events;
    hcl_loop_poll(arg, 0);
}

static void loop_can_be_a_source_of_another(void **state)
{
    struct hcl_loop *outer;
    struct hcl_source *nested;
    struct note note;

    (void)state;
    assert_int_equal(hcl_loop_new(&outer, NULL), 0);
    assert_int_equal(hcl_source_new(&nested, outer, hcl_loop_fd(loop), EPOLLIN,
                                    poll_inner, loop, NULL),
                     0);
    ready_source(&note, note_event);
    assert_int_equal(hcl_loop_poll(outer, 0), 1);
    assert_int_equal(note.calls, 1);
    hcl_source_free(nested);
    hcl_loop_free(outer);
    drop_source(&note);
}

/* ---- Signals ----------------------------------------------------------- */

static struct hcl_source *signals;
static int last_signal;
static unsigned int signal_calls;

static const int usr1_and_usr2[] = {SIGUSR1, SIGUSR2, 0};

static void note_signal(void *arg, int signal)
{
    assert_ptr_equal(arg, &last_signal);
    last_signal = signal;
    signal_calls++;
}

static void free_signals(void *arg, int signal)
{
    note_signal(arg, signal);
    hcl_source_free(signals);
    signals = NULL;
}

static void catch_signals(void (*fn)(void *arg, int signal))
{
    last_signal = 0;
    signal_calls = 0;
    assert_int_equal(hcl_source_signals(&signals, loop, usr1_and_usr2, fn,
                                        &last_signal, NULL),
                     0);
}

static void signal_calls_back_with_its_number(void **state)
{
    (void)state;
    catch_signals(note_signal);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    kill(getpid(), SIGUSR2);
    poll_until(&signal_calls, 1);
    assert_int_equal(last_signal, SIGUSR2);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    hcl_source_free(signals);
}

static void each_signal_of_the_list_calls_back(void **state)
{
    (void)state;
    catch_signals(note_signal);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    poll_until(&signal_calls, 2);
    assert_int_equal(signal_calls, 2);
    hcl_source_free(signals);
}

static void signal_callback_may_free_its_source(void **state)
{
    (void)state;
    catch_signals(free_signals);
    kill(getpid(), SIGUSR1);
    poll_until(&signal_calls, 1);
    assert_int_equal(last_signal, SIGUSR1);
    kill(getpid(), SIGUSR1);
    assert_int_equal(hcl_loop_poll(loop, 0), 0);
    assert_int_equal(signal_calls, 1);
    /* It is still pending; the next test must not see it. */
    catch_signals(note_signal);
    poll_until(&signal_calls, 1);
    hcl_source_free(signals);
}

static unsigned int replace_calls;

/* The new source's descriptor has the number of the old one's. */
static void replace_signals(void *arg, int signal)
{
    (void)arg;
    (void)signal;
    replace_calls++;
    hcl_source_free(signals);
    catch_signals(note_signal);
}

static void signal_after_a_replacement_goes_to_the_new_source(void **state)
{
    (void)state;
    replace_calls = 0;
    catch_signals(replace_signals);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    poll_until(&signal_calls, 1);
    assert_int_equal(replace_calls, 1);
    assert_int_equal(last_signal, SIGUSR2);
    hcl_source_free(signals);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(readable_descriptor_calls_back),
        test(descriptor_that_stays_ready_calls_back_again),
        test(descriptor_without_events_does_not_call_back),
        test(changed_events_are_the_ones_that_call_back),
        test(no_events_keep_a_source_silent),
        test(hangup_calls_back_without_being_asked_for),
        test(freed_source_does_not_call_back),
        test(free_takes_null),
        test(free_leaves_the_descriptor_to_its_owner),
        test(descriptor_that_cannot_be_watched_is_an_error),
        test(more_sources_than_one_batch_are_all_served),
        test(callback_may_free_its_own_source),
        test(source_freed_in_the_same_batch_does_not_call_back),
        test(new_source_is_not_called_for_an_old_event),
        test(callback_may_poll_and_free_inside),
        test(timer_calls_back_once_and_not_too_soon),
        test(timer_with_no_delay_is_due_at_once),
        test(timers_run_in_the_order_of_their_time),
        test(timers_that_are_late_together_keep_their_order),
        test(stopped_timer_does_not_call_back),
        test(timer_that_is_not_armed_may_be_stopped),
        test(timer_started_again_runs_once_at_the_new_time),
        test(timer_moved_forward_runs_sooner),
        test(timer_may_start_itself_again),
        test(timer_that_is_always_due_does_not_starve_descriptors),
        test(timer_stopped_by_another_that_is_due_does_not_run),
        test(timer_started_by_another_runs),
        test(timer_may_free_a_source),
        test(poll_returns_after_its_timeout),
        test(poll_does_not_cut_a_timeout_below_a_millisecond),
        test(poll_without_end_returns_when_a_timer_ran),
        test(poll_survives_a_huge_timeout),
        test(poll_interrupted_by_a_signal_says_so),
        test(run_ends_with_stop),
        test(loop_runs_again_after_a_stop),
        test(loop_descriptor_is_readable_while_a_source_has_work),
        test(loop_descriptor_is_readable_when_a_timer_is_due),
        test(loop_can_be_a_source_of_another),
        test(signal_calls_back_with_its_number),
        test(each_signal_of_the_list_calls_back),
        test(signal_callback_may_free_its_source),
        test(signal_after_a_replacement_goes_to_the_new_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
