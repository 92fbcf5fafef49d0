/* SPDX-License-Identifier: MIT */
/*
 * Request slots as the backend sees them (backend/connection.c, request.c and
 * job.c, and the classes): two guests on one device write whatever they like
 * into the memory that they share, and into nothing else.
 *
 * What must hold: no access outside the shared regions and none for writing in
 * the guest's; never more in flight than slots; each completion answers a
 * request; a fault ends that connection and touches no other; nothing is left.
 */
#include <assert.h>
#include <stdlib.h>

#include "connection_internal.h"
#include "fake_loop.h"
#include "fuzz.h"
#include "request_devices.h"
#include "request_memory.h"

#define GUESTS 2
#define MAX_SLOTS (HCLIF_SLOTS_PER_PAGE << REGION_MAX_ORDER)

/* One queue as its guest has it. */
struct guest_queue {
    struct hcl_producer requests;
    struct hcl_consumer completions;
    uint32_t in_flight;
    uint32_t pending[MAX_SLOTS]; /* by tag: taken, not completed */
    uint32_t room[MAX_SLOTS];    /* by tag: most rx_bytes of those */
};

struct guest {
    struct hcl_connection *connection; /* NULL: none */
    struct hcl_layout layout;
    uint32_t max_handles;
    struct region ro, rw;
    struct guest_queue queues[REGION_MAX_QUEUES];
    uint64_t taken, completed;
};

static struct guest guests[GUESTS];
static struct hcl_device *device;
static struct hcl_loop *loop;

/* ---- Connecting -------------------------------------------------------- */

static void doorbell(void *arg, uint32_t queue)
{
    const struct guest *guest = arg;

    assert(queue < guest->layout.num_queues);
}

static void connect_guest(struct guest *guest, struct fuzz_input *in)
{
    struct hcl_layout *l = &guest->layout;
    struct hcl_connection_setup setup = {.doorbell = doorbell, .arg = guest};
    struct hclif_side *front, *back;

    l->num_queues = 1 + fuzz_below(in, REGION_MAX_QUEUES);
    l->ring_page_order = fuzz_below(in, REGION_MAX_ORDER + 1);
    l->tx_pages = fuzz_below(in, REGION_MAX_POOL + 1);
    l->rx_pages = fuzz_below(in, REGION_MAX_POOL + 1);
    guest->max_handles = 1 + fuzz_below(in, 4);
    region_size(&guest->ro, hcl_layout_ro_pages(l));
    region_size(&guest->rw, hcl_layout_rw_pages(l));
    memset(guest->queues, 0, sizeof(guest->queues));
    guest->taken = guest->completed = 0;
    front = (struct hclif_side *)guest->ro.mine;
    back = (struct hclif_side *)guest->rw.mine;
    front->alive = 1;
    for (uint32_t i = 0; i < l->num_queues; i++) {
        size_t ring = hcl_layout_ring_offset(l, i);

        hcl_producer_init(&guest->queues[i].requests, guest->ro.mine + ring,
                          hcl_layout_slots(l), &back->event[i].position);
        hcl_consumer_init(&guest->queues[i].completions, guest->rw.mine + ring,
                          hcl_layout_slots(l), &front->event[i].position);
    }
    setup.layout = *l;
    setup.share = devices_share((unsigned int)(guest - guests));
    setup.max_handles = guest->max_handles;
    setup.ro = guest->ro.theirs;
    setup.rw = guest->rw.theirs;
    if (hcl_connection_new(&guest->connection, device, &setup, NULL) < 0) {
        abort();
    }
    assert(back->alive == 1);
}

static void disconnect_guest(struct guest *guest)
{
    struct hclif_completion completion;

    if (!guest->connection) {
        return;
    }
    hcl_connection_free(guest->connection);
    guest->connection = NULL;
    assert(((struct hclif_side *)guest->rw.mine)->alive == 0);
    for (uint32_t i = 0; i < guest->layout.num_queues; i++) {
        assert(hcl_consumer_take(&guest->queues[i].completions, &completion) ==
               HCL_TAKE_EMPTY);
    }
}

/* ---- What must hold ---------------------------------------------------- */

static bool range_ok(uint32_t offset, uint32_t bytes, uint32_t pages)
{
    return (uint64_t)offset + bytes <= (uint64_t)pages * HCLIF_PAGE_BYTES;
}

/* The checks of a request that need no knowledge of others. */
static bool request_ok(const struct guest *guest, const struct hclif_request *r)
{
    bool tx = r->flags & HCLIF_TX_POOL
                  ? range_ok(r->tx_offset, r->tx_bytes, guest->layout.tx_pages)
                  : r->tx_offset == 0 && r->tx_bytes <= HCLIF_REQUEST_DATA;
    bool rx = r->flags & HCLIF_RX_POOL
                  ? range_ok(r->rx_offset, r->rx_bytes, guest->layout.rx_pages)
                  : r->rx_offset == 0 && r->rx_bytes <= HCLIF_COMPLETION_DATA;

    return tx && rx && r->tag < hcl_layout_slots(&guest->layout) &&
           r->flags <= (HCLIF_TX_POOL | HCLIF_RX_POOL);
}

static void check_fault(const struct guest *guest, uint32_t in_flight,
                        const struct hclif_request *request)
{
    const struct hcl_fault_report *report =
        hcl_connection_fault(guest->connection);

    assert(report->text[0]);
    switch (report->fault) {
    case HCL_FAULT_IN_FLIGHT:
        assert(in_flight == hcl_layout_slots(&guest->layout));
        break;
    case HCL_FAULT_TAG_BUSY:
        assert(in_flight < hcl_layout_slots(&guest->layout));
        break;
    default:
        assert(!request_ok(guest, request));
    }
}

/* Requests that were taken since @before; the last one may be the fault. */
static void note_taken(struct guest *guest, uint32_t index, uint32_t before,
                       bool last_is_fault)
{
    struct guest_queue *queue = &guest->queues[index];
    uint32_t now = guest->connection->queues[index].requests.position;

    assert(now - before <= queue->requests.num_slots);
    for (uint32_t at = before; at != now; at++) {
        struct hclif_request request;

        memcpy(&request,
               &queue->requests.slots[at & (queue->requests.num_slots - 1)],
               sizeof(request));
        guest->taken++;
        if (last_is_fault && at + 1 == now) {
            check_fault(guest, guest->connection->queues[index].in_flight,
                        &request);
            return;
        }
        assert(request_ok(guest, &request));
        queue->in_flight++;
        if (queue->pending[request.tag]++ == 0 ||
            queue->room[request.tag] < request.rx_bytes) {
            queue->room[request.tag] = request.rx_bytes;
        }
    }
}

static void drain_queue(struct guest *guest, uint32_t index)
{
    struct guest_queue *queue = &guest->queues[index];
    struct hclif_completion c;
    enum hcl_take took;

    while ((took = hcl_consumer_take(&queue->completions, &c)) ==
           HCL_TAKE_SLOT) {
        assert(c.tag < queue->requests.num_slots && queue->pending[c.tag] > 0);
        assert(c.rx_bytes <= (c.status == HCLIF_STATUS_OK
                                  ? queue->room[c.tag]
                                  : HCLIF_COMPLETION_DATA));
        assert((c.flags & ~HCLIF_OVERRUN) == 0);
        queue->pending[c.tag]--;
        queue->in_flight--;
        guest->completed++;
    }
    assert(took == HCL_TAKE_EMPTY);
    assert(queue->in_flight <= queue->requests.num_slots);
    assert(queue->in_flight == guest->connection->queues[index].in_flight);
}

/* After each call of the backend. */
static void check_guests(void)
{
    for (unsigned int i = 0; i < GUESTS; i++) {
        struct guest *guest = &guests[i];
        const struct hcl_stats *stats;

        if (!guest->connection) {
            continue;
        }
        for (uint32_t j = 0; j < guest->layout.num_queues; j++) {
            drain_queue(guest, j);
        }
        stats = hcl_connection_stats(guest->connection);
        assert(stats->requests == guest->taken);
        assert(stats->completions == guest->completed);
    }
}

/*
 * The guest has had more requests out, without taking completions, than its
 * ring has slots: the last ones have overwritten the first.  Its own loss.
 */
static bool lost_count(const struct guest *guest)
{
    bool lost = false;

    for (uint32_t i = 0; i < guest->layout.num_queues; i++) {
        lost |= guest->queues[i].in_flight > hcl_layout_slots(&guest->layout);
    }
    return lost;
}

static void serve(struct guest *guest, uint32_t budget)
{
    uint32_t before[REGION_MAX_QUEUES] = {0};
    uint32_t last = 0, num_queues = guest->layout.num_queues;
    uint32_t first = guest->connection->next_queue;
    enum hcl_serve served;
    bool fault;

    assert(num_queues <= REGION_MAX_QUEUES);
    for (uint32_t i = 0; i < num_queues; i++) {
        before[i] = guest->connection->queues[i].requests.position;
    }
    served = hcl_connection_serve(guest->connection, budget * HCL_REQUEST_NS);
    hcl_device_flush(device);
    for (uint32_t i = 0; i < num_queues; i++) {
        uint32_t at = (first + i) % num_queues; /* as they are served */

        if (guest->connection->queues[at].requests.position != before[at]) {
            last = at;
        }
    }
    /* A wrong sequence is found in a slot that is not taken. */
    fault =
        served == HCL_SERVE_FAULT &&
        hcl_connection_fault(guest->connection)->fault != HCL_FAULT_SEQUENCE;
    for (uint32_t i = 0; i < num_queues; i++) {
        note_taken(guest, i, before[i], fault && i == last);
    }
    if (lost_count(guest)) {
        hcl_connection_free(guest->connection);
        guest->connection = NULL;
        check_guests();
        return;
    }
    check_guests();
    if (served == HCL_SERVE_FAULT) {
        disconnect_guest(guest);
    }
}

/* ---- What a guest does ------------------------------------------------- */

static uint32_t take_size(struct fuzz_input *in)
{
    uint32_t value = fuzz_u8(in);

    if (value < 128) {
        return value;
    }
    return value < 250 ? (value - 127) * 64 : fuzz_u32(in);
}

static void put(struct guest *guest, struct fuzz_input *in)
{
    static const uint8_t opcodes[] = {
        HCLIF_OP_OPEN,   HCLIF_OP_READ,  HCLIF_OP_WRITE,    HCLIF_OP_EXCHANGE,
        HCLIF_OP_CANCEL, HCLIF_OP_CLOSE, CLASS_OPCODE_HELD, 77};
    struct hclif_request request = {0};
    uint32_t shape = fuzz_u8(in);
    uint32_t queue = (shape >> 3) % guest->layout.num_queues;

    request.opcode = opcodes[shape & 7];
    request.flags = (shape >> 4) & 3;
    request.flags |= (uint8_t)((shape & 0xc0) == 0xc0 ? fuzz_u8(in) : 0);
    request.tag = fuzz_u8(in);
    request.tag = request.tag == 255 ? fuzz_u32(in) : request.tag;
    request.handle = fuzz_u8(in);
    request.argument = fuzz_u8(in);
    request.tx_bytes = take_size(in);
    request.rx_bytes = take_size(in);
    request.tx_offset = take_size(in);
    request.rx_offset = take_size(in);
    memset(request.data, (int)request.tag, sizeof(request.data));
    hcl_producer_put(&guest->queues[queue].requests, &request);
}

/* As many as a ring has, or more, each with its tag. */
static void put_many(struct guest *guest, struct fuzz_input *in)
{
    struct hclif_request request = {.opcode = HCLIF_OP_READ, .rx_bytes = 4};
    uint32_t tag = fuzz_u8(in), count = fuzz_u8(in);

    for (; count > 0; count--) {
        request.tag = tag++ % hcl_layout_slots(&guest->layout);
        hcl_producer_put(&guest->queues[0].requests, &request);
    }
}

/* Octets anywhere in what the guest may write, or in the next slot. */
static void scribble(struct guest *guest, struct fuzz_input *in)
{
    uint32_t value = fuzz_u32(in), where = fuzz_u16(in);
    const struct hcl_queue *queue = &guest->connection->queues[0];
    uint32_t slot = queue->requests.position & (queue->num_slots - 1);
    size_t at = (size_t)where * 4 % guest->ro.bytes;

    if (where >= 0x8000) {
        at = hcl_layout_ring_offset(&guest->layout, 0) +
             (size_t)slot * HCLIF_SLOT_BYTES + (size_t)(where & 15) * 4;
    }
    memcpy(guest->ro.mine + at, &value, sizeof(value));
}

/* ---- The device -------------------------------------------------------- */

static void device_step(struct fuzz_input *in)
{
    devices_step(in);
    hcl_device_poll(device);
    hcl_loop_poll(loop, 0);
    hcl_device_flush(device);
    check_guests();
}

static void step(struct fuzz_input *in)
{
    uint32_t what = fuzz_u8(in);
    struct guest *guest = &guests[what >> 7];

    if (!guest->connection) {
        connect_guest(guest, in);
    }
    switch (what & 7) {
    case 0:
        put(guest, in);
        break;
    case 1:
        put_many(guest, in);
        break;
    case 2:
        put(guest, in);
        serve(guest, 32);
        break;
    case 3:
        serve(guest, 1 + fuzz_u8(in));
        break;
    case 4:
        scribble(guest, in);
        break;
    case 5:
        hcl_connection_peer_alive(guest->connection);
        disconnect_guest(guest);
        check_guests();
        break;
    default:
        device_step(in);
    }
}

static void device_failed(void *arg, const struct hcl_err *err)
{
    (void)arg;
    assert(err->code < 0 && err->text[0]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (unsigned int i = 0; i < GUESTS; i++) {
        region_map(&guests[i].ro, false);
        region_map(&guests[i].rw, true);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    const struct hcl_class *class;
    struct hcl_spec spec;
    struct hcl_err err;

    if (hcl_spec_parse(&spec, devices_start(&in, &class), NULL) < 0 ||
        hcl_loop_new(&loop, NULL) < 0) {
        abort();
    }
    if (hcl_device_open(&device, class, "dev0", &spec, loop, device_failed,
                        NULL, &err) == 0) {
        while (fuzz_more(&in) && !devices_crashed()) {
            step(&in);
        }
        for (unsigned int i = 0; i < GUESTS; i++) {
            disconnect_guest(&guests[i]);
            check_guests();
        }
        hcl_device_free(device);
    }
    devices_end();
    hcl_loop_free(loop);
    return 0;
}
