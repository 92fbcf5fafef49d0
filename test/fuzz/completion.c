/* SPDX-License-Identifier: MIT */
/*
 * Completions as a frontend sees them (frontend/queue.c, session.c, submit.c,
 * result.c and pool.c): a program submits, a backend writes whatever it likes
 * into the memory that it shares, also while the frontend rings for it.
 *
 * What must hold: no access outside of the program's buffers, which are freed
 * as soon as they are the program's again; no octet behind rx_bytes is
 * written; each request ends once; nothing goes on for ever; all pieces of the
 * pools come back.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "fuzz.h"
#include "result.h"
#include "session.h"

#define MAX_SLOTS 128
#define POOL_BYTES 2048
#define MAX_HANDLES 6
#define MAX_IOS 256
#define UNTOUCHED 0xee

/* A request of the program. */
struct io {
    struct hcl_handle *handle;
    uint64_t id;
    struct hcl_request *waited_for; /* or NULL */
    uint8_t *rx;                    /* owned; a piece of the pool, if that */
    uint8_t *tx;                    /* a piece of the pool, or NULL */
    uint32_t rx_bytes;
    uint32_t tx_bytes;
    bool rx_in_pool;
    bool used;
};

/* One life of the shared memory: each part exactly as large as it is. */
struct life {
    uint32_t num_slots;
    struct hcl_slot *requests, *completions;
    uint32_t *front_event, *back_event;
    struct hcl_consumer in;
    struct hcl_producer out;
};

static struct hcl_session session;
static struct life life;
static uint8_t *tx_pool, *rx_pool;
static struct io ios[MAX_IOS];
static struct hcl_handle *handles[MAX_HANDLES];
static struct fuzz_input *input; /* also for what happens in the doorbell */
static bool answers_at_once;

/* Pieces of the pools that the program has given up with their requests. */
static void *lost_tx[MAX_IOS], *lost_rx[MAX_IOS];
static unsigned int num_lost;

static void *allocate(size_t bytes)
{
    /* Multiples of a line are aligned to it, as pages are. */
    void *memory = bytes && bytes % HCLIF_SLOT_BYTES == 0
                       ? aligned_alloc(HCLIF_SLOT_BYTES, bytes)
                       : malloc(bytes ? bytes : 1);

    if (!memory) {
        abort();
    }
    memset(memory, 0, bytes);
    return memory;
}

/* ---- The backend ------------------------------------------------------- */

static void answer(uint32_t tag, uint16_t status, uint32_t rx_bytes)
{
    struct hclif_completion completion = {
        .tag = tag, .status = status, .rx_bytes = rx_bytes, .flags = 0xffff};

    memset(completion.data, 0xa7, sizeof(completion.data));
    hcl_producer_put(&life.out, &completion);
}

/* The next request, as a good backend would; the most that it may say. */
static bool answer_next(uint16_t status)
{
    struct hclif_request request;

    if (hcl_consumer_take(&life.in, &request) != HCL_TAKE_SLOT) {
        return false;
    }
    assert(request.tag < life.num_slots);
    answer(request.tag, status,
           status == HCLIF_STATUS_OK ? request.rx_bytes
                                     : HCLIF_COMPLETION_DATA);
    return true;
}

static void scribble(void)
{
    uint32_t value = fuzz_u32(input);
    uint32_t at = fuzz_u16(input);

    switch (at & 3) {
    case 0:
        *life.back_event = value;
        break;
    case 1:
        rx_pool[value % POOL_BYTES] = (uint8_t)at;
        break;
    default:
        at = (at >> 2) % (life.num_slots * (HCLIF_SLOT_BYTES / 4));
        life.completions[at / 16].word[at % 16] = value;
    }
}

static void backend_step(void)
{
    uint32_t what = fuzz_u8(input);

    if (!life.num_slots) {
        return;
    }
    switch (what & 3) {
    case 0:
        answer_next(HCLIF_STATUS_OK);
        break;
    case 1:
        answer_next((uint16_t)(what >> 2));
        break;
    case 2:
        answer(fuzz_u8(input), (uint16_t)(what >> 5), fuzz_u16(input));
        break;
    default:
        scribble();
    }
}

/* The backend may run at just this moment, and ask to be woken again. */
static void doorbell(void *arg)
{
    uint32_t steps = fuzz_below(input, 4);

    assert(arg == &life);
    while (steps-- > 0) {
        backend_step();
    }
    if (answers_at_once) {
        while (answer_next(HCLIF_STATUS_OK)) {
        }
        hcl_consumer_arm(&life.in);
    }
}

/* ---- Its memory -------------------------------------------------------- */

static void life_end(void)
{
    free(life.requests);
    free(life.completions);
    free(life.front_event);
    free(life.back_event);
    memset(&life, 0, sizeof(life));
}

static void attach(void)
{
    uint32_t order = fuzz_below(input, 4);
    struct hcl_queue_memory memory = {.doorbell = doorbell,
                                      .doorbell_arg = &life};

    life_end();
    life.num_slots = 16u << order;
    life.requests = allocate((size_t)life.num_slots * HCLIF_SLOT_BYTES);
    life.completions = allocate((size_t)life.num_slots * HCLIF_SLOT_BYTES);
    life.front_event = allocate(sizeof(uint32_t));
    life.back_event = allocate(sizeof(uint32_t));
    hcl_consumer_init(&life.in, life.requests, life.num_slots, life.back_event);
    hcl_producer_init(&life.out, life.completions, life.num_slots,
                      life.front_event);
    memory.requests = life.requests;
    memory.completions = life.completions;
    memory.own_event = life.front_event;
    memory.peer_event = life.back_event;
    memory.num_slots = life.num_slots;
    hcl_session_attach(&session, &memory, 1 + fuzz_below(input, MAX_HANDLES));
}

static void detach(uint8_t repeatable)
{
    struct hcl_opcodes opcodes = {{0}};

    if (!life.num_slots) {
        return;
    }
    for (uint8_t i = 0; i < 8; i++) {
        if (repeatable & (1u << i)) {
            hcl_opcodes_add(&opcodes, i);
        }
    }
    hcl_session_detach(&session, &opcodes);
    life_end(); /* it is not touched any more */
}

/* ---- The program ------------------------------------------------------- */

static uint8_t mark_of(const struct io *io)
{
    return (uint8_t)(io - ios + 1);
}

static void io_free(struct io *io)
{
    /* Nobody else was given any of its piece. */
    for (uint32_t i = 0; io->tx && i < io->tx_bytes; i++) {
        assert(io->tx[i] == mark_of(io));
    }
    if (io->rx_in_pool) {
        assert(hcl_pool_free(&session.rx, io->rx));
    } else {
        free(io->rx);
    }
    if (io->tx) {
        assert(hcl_pool_free(&session.tx, io->tx));
    }
    memset(io, 0, sizeof(*io));
}

static void take_result(const struct hcl_result *result)
{
    struct io *io = result->user;
    struct hcl_err err = {0};

    assert(io->used && result->id == io->id);
    assert(result->rx_bytes <= io->rx_bytes);
    assert(result->status <= HCL_TIMEOUT ||
           result->status == HCL_OUTCOME_UNKNOWN ||
           result->status == HCL_ENDED);
    assert(hcl_result_err(result, &err) == result->error &&
           err.code == result->error);
    assert(memchr(result->text, '\0', sizeof(result->text)));
    for (const char *c = result->text; *c; c++) {
        assert(*c >= 0x20 && *c < 0x7f);
    }
    for (uint32_t i = result->rx_bytes; !io->rx_in_pool && i < io->rx_bytes;
         i++) {
        assert(io->rx[i] == UNTOUCHED);
    }
    io_free(io);
}

/* As hcl_call does it. */
static void reap_waited_for(void)
{
    for (unsigned int i = 0; i < MAX_IOS; i++) {
        struct hcl_request *request = ios[i].waited_for;

        if (ios[i].used && request && request->state == HCL_REQUEST_DONE) {
            struct hcl_result result = request->result;

            result.user = &ios[i];
            hcl_session_release(&session, request);
            take_result(&result);
        }
    }
}

static void reap(unsigned int max)
{
    struct hcl_result results[8];
    unsigned int count;

    do {
        count = hcl_session_reap(&session, results, max);
        assert(count <= max);
        for (unsigned int i = 0; i < count; i++) {
            take_result(&results[i]);
        }
    } while (count == 8);
    reap_waited_for();
}

static uint32_t take_bytes(void)
{
    uint32_t value = fuzz_u8(input);

    return value < 64 ? value : (value - 63) * 16;
}

/* Memory for an answer, as many octets as it may have, or NULL. */
static void make_rx(struct io *io, bool in_pool)
{
    if (in_pool) {
        io->rx = hcl_pool_alloc(&session.rx, io->rx_bytes);
        io->rx_in_pool = io->rx;
    }
    if (!io->rx) {
        io->rx = allocate(io->rx_bytes);
        memset(io->rx, UNTOUCHED, io->rx_bytes);
    }
}

static struct io *free_io(void)
{
    for (unsigned int i = 0; i < MAX_IOS; i++) {
        if (!ios[i].used) {
            return &ios[i];
        }
    }
    return NULL;
}

static void submit(struct hcl_handle *handle)
{
    static const uint8_t opcodes[] = {HCL_READ, HCL_WRITE, HCL_EXCHANGE, 1};
    struct io *io = free_io();
    uint32_t shape = fuzz_u8(input);
    struct hcl_io what = {.opcode = opcodes[shape & 3], .user = io};
    struct hcl_request *request;
    void *tx_copy = NULL;

    if (!io || !handle) {
        return;
    }
    what.tx_bytes = take_bytes();
    io->rx_bytes = what.rx_bytes = take_bytes();
    if (shape & 4) {
        io->tx = hcl_pool_alloc(&session.tx, what.tx_bytes);
        io->tx_bytes = what.tx_bytes;
        what.tx = io->tx;
    }
    if (io->tx) {
        memset(io->tx, mark_of(io), io->tx_bytes);
    }
    if (!io->tx && !(shape & 0x40)) {
        tx_copy = allocate(what.tx_bytes);
        what.tx = tx_copy;
    }
    make_rx(io, shape & 8);
    what.rx = io->rx;
    io->used = true;
    io->handle = handle;
    if (hcl_session_submit(handle, &what, shape & 16, &request) == 0) {
        io->id = request->id;
        io->waited_for = shape & 16 ? request : NULL;
        assert(request->state != HCL_REQUEST_FREE);
    } else {
        io_free(io);
    }
    free(tx_copy); /* it was copied */
}

/* What lies in the pool stays the request's, says hcl.h. */
static void give_up(struct io *io)
{
    if (num_lost == MAX_IOS) {
        return;
    }
    lost_tx[num_lost] = io->tx;
    lost_rx[num_lost++] = io->rx_in_pool ? io->rx : NULL;
    hcl_session_release(&session, io->waited_for);
    io->rx = io->rx_in_pool ? NULL : io->rx;
    io->rx_in_pool = false;
    io->tx = NULL;
    io_free(io);
}

static void cancel(bool release)
{
    struct io *io = &ios[fuzz_u8(input) % MAX_IOS];
    struct hcl_request *request;

    if (!io->used || !io->handle) {
        return;
    }
    request = hcl_session_find(io->handle, io->id);
    if (request) {
        hcl_session_cancel(&session, request);
    }
    reap_waited_for();
    if (io->used && io->waited_for && release) {
        give_up(io);
    }
}

static void close_handle(unsigned int index)
{
    struct hcl_handle *handle = handles[index];

    if (!handle) {
        return;
    }
    hcl_session_close(handle);
    handles[index] = NULL;
    for (unsigned int i = 0; i < MAX_IOS; i++) {
        if (ios[i].handle == handle) {
            ios[i].handle = NULL;
        }
    }
}

static void program_step(uint32_t what)
{
    uint32_t index = (what >> 3) % MAX_HANDLES;

    switch (what & 7) {
    case 0:
        if (!handles[index]) {
            (void)!hcl_session_open(&session, &handles[index], NULL);
        }
        break;
    case 1:
        close_handle(index);
        break;
    case 2:
        cancel(what & 0x40);
        break;
    case 3:
        reap(1 + (what >> 3 & 7));
        break;
    default:
        submit(handles[index]);
    }
}

/* ---- The connection ---------------------------------------------------- */

static void end(void)
{
    struct hcl_err why;

    hcl_err_set(&why, -EPROTO, "the backend broke the protocol");
    hcl_session_end(&session, &why);
    life_end();
}

static void run(void)
{
    enum hcl_queue_fault fault = hcl_session_run(&session);

    assert(session.queue.in_flight <= session.queue.memory.num_slots);
    assert(hcl_queue_fault_text(fault)[0]);
    if (fault != HCL_QUEUE_NO_FAULT) {
        if (fuzz_below(input, 2)) {
            end();
        } else {
            detach(fuzz_u8(input));
        }
    }
}

static void connection_step(uint32_t what)
{
    switch (what & 7) {
    case 0:
        hcl_session_drain(&session);
        detach(fuzz_u8(input));
        break;
    case 1:
        if (!life.num_slots && !session.end.code) {
            attach();
        }
        break;
    case 2:
        answers_at_once = what & 8;
        break;
    case 3:
        if ((what & 0x38) == 0x38) {
            end();
        }
        break;
    default:
        run();
    }
}

static void finish(void)
{
    for (unsigned int i = 0; i < MAX_HANDLES; i++) {
        close_handle(i);
    }
    end();
    reap(8);
    for (unsigned int i = 0; i < MAX_IOS; i++) {
        assert(!ios[i].used);
    }
    assert(!session.handles && !session.waiting.first && !session.done.first);
    for (; num_lost > 0; num_lost--) {
        (void)hcl_pool_free(&session.tx, lost_tx[num_lost - 1]);
        (void)hcl_pool_free(&session.rx, lost_rx[num_lost - 1]);
    }
    assert(hcl_pool_largest(&session.tx) == POOL_BYTES);
    assert(hcl_pool_largest(&session.rx) == POOL_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};

    input = &in;
    answers_at_once = false;
    tx_pool = allocate(POOL_BYTES);
    rx_pool = allocate(POOL_BYTES);
    if (hcl_session_init(&session, MAX_SLOTS) < 0 ||
        hcl_session_pools(&session, tx_pool, POOL_BYTES, rx_pool, POOL_BYTES) <
            0) {
        abort();
    }
    attach();
    while (fuzz_more(&in)) {
        uint32_t what = fuzz_u8(&in);

        switch (what & 3) {
        case 0:
        case 1:
            program_step(what >> 1);
            break;
        case 2:
            backend_step();
            break;
        default:
            connection_step(what >> 2);
        }
    }
    finish();
    hcl_session_clear(&session);
    free(tx_pool);
    free(rx_pool);
    return 0;
}
