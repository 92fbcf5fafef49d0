/* SPDX-License-Identifier: MIT */
/*
 * ring.c with its two ends in two threads, over one mapping, as doc/protocol.md
 * 3.4 and 3.5 have it: rings, event positions and pools.  So ThreadSanitizer
 * can judge the order of every access (make check-tsan); two mappings of the
 * same pages are two memories for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "ring.h"

#define SLOTS 16
#define PIECE_WORDS 32 /* of a pool: one piece for each request in flight */

struct shared {
    struct hcl_slot requests[SLOTS];
    struct hcl_slot completions[SLOTS];
    struct hclif_side front, back;
    uint32_t tx_pool[SLOTS][PIECE_WORDS];
    uint32_t rx_pool[SLOTS][PIECE_WORDS];
};

/* What one end has for itself. */
struct end {
    struct shared *shared;
    struct hcl_producer out;
    struct hcl_consumer in;
    int own_bell, peer_bell;
    uint32_t random;
};

struct message {
    uint32_t word[16];
};

static uint32_t next_random(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

/* A ring's memory as if @position slots had gone through. */
static void wind(struct hcl_slot *slots, uint32_t position)
{
    uint32_t i;

    for (i = 1; i <= SLOTS; i++) {
        slots[(position - i) % SLOTS].word[HCL_SLOT_SEQUENCE] =
            position - i + 1;
    }
}

static void start_at(struct end *end, uint32_t out, uint32_t in)
{
    end->out.position = end->out.published = out;
    end->in.position = in;
}

/* Both ends, shortly before their positions wrap. */
static void make_ends(struct shared *shared, struct end *front,
                      struct end *back)
{
    const uint32_t request = UINT32_MAX - 500, completion = UINT32_MAX - 900;
    uint32_t *front_event = &shared->front.event[0].position;
    uint32_t *back_event = &shared->back.event[0].position;

    wind(shared->requests, request);
    wind(shared->completions, completion);
    *front_event = completion;
    *back_event = request;
    front->shared = back->shared = shared;
    hcl_producer_init(&front->out, shared->requests, SLOTS, back_event);
    hcl_consumer_init(&front->in, shared->completions, SLOTS, front_event);
    hcl_producer_init(&back->out, shared->completions, SLOTS, front_event);
    hcl_consumer_init(&back->in, shared->requests, SLOTS, back_event);
    start_at(front, request, completion);
    start_at(back, completion, request);
    front->own_bell = back->peer_bell = eventfd(0, EFD_CLOEXEC);
    back->own_bell = front->peer_bell = eventfd(0, EFD_CLOEXEC);
    assert_true(front->own_bell >= 0 && back->own_bell >= 0);
    front->random = 0x9e3779b9;
    back->random = 0x2545f491;
}

/* ---- Both ways --------------------------------------------------------- */

/*
 * A frontend and a backend that answers, each with its doorbell.  A lost event
 * or slot ends in a poll that times out; nothing else depends on time.
 */
#define MESSAGES 300000
#define RUN_US 1000000
#define LOST_MS 20000
#define NUMBER_WORD 13
#define LAST_WORD 14

static void flush(struct end *end)
{
    uint64_t one = 1;

    if (hcl_producer_notify(&end->out)) {
        (void)!write(end->peer_bell, &one, sizeof(one));
    }
}

/* Sleeps until the bell rings; false if it never does. */
static bool wait_bell(int bell)
{
    struct pollfd ready = {.fd = bell, .events = POLLIN};
    uint64_t count;

    return poll(&ready, 1, LOST_MS) == 1 &&
           read(bell, &count, sizeof(count)) == sizeof(count);
}

/* Takes one slot, sleeping for it; NULL or what went wrong. */
static const char *take_or_wait(struct end *end, struct message *ret_message)
{
    enum hcl_take take;

    while ((take = hcl_consumer_take(&end->in, ret_message)) != HCL_TAKE_SLOT) {
        if (take == HCL_TAKE_FAULT) {
            return "a fault";
        }
        if (hcl_consumer_arm(&end->in) && !wait_bell(end->own_bell)) {
            return "an event was lost";
        }
    }
    return NULL;
}

/* The words of message or piece @number; @salt tells them apart. */
static void fill(uint32_t *words, uint32_t count, uint32_t number,
                 uint32_t salt)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        words[i] = (number * count + i + salt) * 2654435761u;
    }
}

static bool is_filled(const uint32_t *words, uint32_t count, uint32_t number,
                      uint32_t salt)
{
    uint32_t expected[PIECE_WORDS];

    fill(expected, count, number, salt);
    return memcmp(words, expected, count * sizeof(*words)) == 0;
}

enum salt { REQUEST = 1, PAYLOAD, COMPLETION, ANSWER };

/* Reads the payload, writes the answer, and says so. */
static const char *answer(struct end *end, const struct message *request)
{
    uint32_t number = request->word[NUMBER_WORD];
    struct message completion = *request;

    if (!is_filled(request->word, NUMBER_WORD, number, REQUEST)) {
        return "a request is not as it was put";
    }
    if (!is_filled(end->shared->tx_pool[number % SLOTS], PIECE_WORDS, number,
                   PAYLOAD)) {
        return "a payload is not as it was put";
    }
    fill(end->shared->rx_pool[number % SLOTS], PIECE_WORDS, number, ANSWER);
    fill(completion.word, NUMBER_WORD, number, COMPLETION);
    hcl_producer_put(&end->out, &completion);
    return NULL;
}

/* Until the message that says it is the last; batches of any length. */
static void *backend_thread(void *arg)
{
    struct end *end = arg;
    uint32_t burst = 0;
    struct message message;
    const char *wrong = NULL;

    do {
        if (hcl_consumer_take(&end->in, &message) != HCL_TAKE_SLOT) {
            flush(end);
            wrong = take_or_wait(end, &message);
        }
        if (!wrong) {
            wrong = answer(end, &message);
        }
        if (burst-- == 0) {
            burst = next_random(&end->random) % SLOTS;
            flush(end);
        }
    } while (!wrong && !message.word[LAST_WORD]);
    flush(end);
    return (void *)wrong;
}

static void ask(struct end *end, uint32_t number, bool last)
{
    struct message message = {
        .word = {[NUMBER_WORD] = number, [LAST_WORD] = last}};

    fill(message.word, NUMBER_WORD, number, REQUEST);
    fill(end->shared->tx_pool[number % SLOTS], PIECE_WORDS, number, PAYLOAD);
    hcl_producer_put(&end->out, &message);
}

static const char *check_answer(const struct end *end,
                                const struct message *completion,
                                uint32_t number)
{
    if (completion->word[NUMBER_WORD] != number ||
        !is_filled(completion->word, NUMBER_WORD, number, COMPLETION)) {
        return "a completion is not as it was put";
    }
    if (!is_filled(end->shared->rx_pool[number % SLOTS], PIECE_WORDS, number,
                   ANSWER)) {
        return "an answer is not as it was put";
    }
    return NULL;
}

static const char *frontend_run(struct end *end, uint32_t *ret_received)
{
    uint64_t end_us = hcl_now_us() + RUN_US;
    uint32_t sent = 0, received = 0, burst;
    const char *wrong = NULL;
    struct message got;
    bool last = false;

    while (!wrong && (!last || received < sent)) {
        burst = 1 + next_random(&end->random) % SLOTS;
        for (; burst && !last && sent - received < SLOTS; burst--) {
            last = sent + 1 == MESSAGES || hcl_now_us() >= end_us;
            ask(end, sent++, last);
        }
        flush(end);
        wrong = take_or_wait(end, &got);
        if (!wrong) {
            wrong = check_answer(end, &got, received++);
        }
    }
    *ret_received = received;
    return wrong;
}

static void two_threads_lose_no_slot_no_byte_and_no_event(void **state)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct end front, back;
    const char *frontend_wrong;
    void *backend_wrong;
    uint32_t received = 0;
    pthread_t thread;

    (void)state;
    assert_true(shared != MAP_FAILED);
    make_ends(shared, &front, &back);
    assert_int_equal(pthread_create(&thread, NULL, backend_thread, &back), 0);
    frontend_wrong = frontend_run(&front, &received);
    pthread_join(thread, &backend_wrong);
    close(front.own_bell);
    close(back.own_bell);
    munmap(shared, sizeof(*shared));
    if (frontend_wrong || backend_wrong) {
        fail_msg("frontend: %s, backend: %s",
                 frontend_wrong ? frontend_wrong : "fine",
                 backend_wrong ? (const char *)backend_wrong : "fine");
    }
    assert_true(received > 0);
}

/* ---- The fences -------------------------------------------------------- */

/*
 * The one moment that matters for the fences of 3.5: the producer puts and asks
 * for the wish while the consumer says it and looks.  At least one of the two
 * must see the other, or both sleep for ever.  (ThreadSanitizer does not know
 * fences: here the processor is the judge.)
 */
#define RACE_ROUNDS 1000000
#define RACE_US 1400000 /* of both processors, however busy they are */
#define RACE_END UINT32_MAX

struct race {
    struct hcl_slot slots[SLOTS];
    uint32_t event;
    struct hcl_producer producer;
    struct hcl_consumer consumer;
    uint32_t go;   /* round that may begin; RACE_END: no more */
    uint32_t done; /* round that the producer finished */
    bool notified;
};

/* Waits for *@word to change from @old; other threads may need the processor.
 */
static uint32_t spin_while(const uint32_t *word, uint32_t old)
{
    uint32_t spins, now;

    for (spins = 1; (now = hcl_load_acquire(word)) == old; spins++) {
        if (spins % 4096 == 0) {
            sched_yield();
        }
    }
    return now;
}

/*
 * Up to @most turns.  The consumer, which starts a round, may take more than
 * the producer, which hears of it late: so they meet in every way.
 */
static void dawdle(uint32_t *random, uint32_t most)
{
    uint32_t turns = next_random(random) % most;

    for (; turns > 0; turns--) {
        hcl_compiler_barrier();
    }
}

static uint64_t used_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

static void *race_producer(void *arg)
{
    struct message message = {{0}};
    struct race *race = arg;
    uint32_t random = 0x2545f491, round = 0;

    while ((round = spin_while(&race->go, round)) != RACE_END) {
        dawdle(&random, 256);
        hcl_producer_put(&race->producer, &message);
        race->notified = hcl_producer_notify(&race->producer);
        hcl_store_release(&race->done, round);
    }
    return NULL;
}

static void arm_and_notify_never_miss_each_other(void **state)
{
    uint64_t end_us = used_us() + RACE_US;
    uint32_t random = 0x9e3779b9, round, missed = 0, lost = 0;
    static struct race race;
    struct message got;
    pthread_t thread;
    bool sleeps;

    (void)state;
    hcl_producer_init(&race.producer, race.slots, SLOTS, &race.event);
    hcl_consumer_init(&race.consumer, race.slots, SLOTS, &race.event);
    assert_int_equal(pthread_create(&thread, NULL, race_producer, &race), 0);
    for (round = 1; round <= RACE_ROUNDS && used_us() < end_us; round++) {
        hcl_store_release(&race.go, round);
        dawdle(&random, 1024);
        sleeps = hcl_consumer_arm(&race.consumer);
        spin_while(&race.done, round - 1);
        missed += sleeps && !race.notified;
        lost += hcl_consumer_take(&race.consumer, &got) != HCL_TAKE_SLOT;
    }
    hcl_store_release(&race.go, RACE_END);
    pthread_join(thread, NULL);
    assert_int_equal(missed, 0);
    assert_int_equal(lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_lose_no_slot_no_byte_and_no_event),
        cmocka_unit_test(arm_and_notify_never_miss_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
