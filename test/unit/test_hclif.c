/* SPDX-License-Identifier: MIT */
/*
 * The structures of common/hclif.h against the octet diagrams of
 * doc/protocol.md 3, and its constants against the tables of 1, 3 and 4.  Every
 * number here was taken from the document.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hclif.h"

/* A member occupies @bytes octets from octet @first on. */
#define assert_at(type, member, first, bytes)                                  \
    do {                                                                       \
        assert_int_equal(offsetof(struct type, member), (first));              \
        assert_int_equal(sizeof(((struct type *)NULL)->member), (bytes));      \
    } while (0)

/* ---- Structures -------------------------------------------------------- */

static void control_is_one_page(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hclif_control), 4096);
}

static void control_members_are_where_the_diagram_says(void **state)
{
    (void)state;
    assert_at(hclif_control, magic, 0, 4);
    assert_at(hclif_control, version, 4, 4);
    assert_at(hclif_control, generation, 8, 8);
    assert_at(hclif_control, incarnation, 16, 8);
    assert_at(hclif_control, features, 24, 4);
    assert_at(hclif_control, num_queues, 28, 2);
    assert_at(hclif_control, ring_page_order, 30, 1);
    assert_at(hclif_control, num_extra, 31, 1);
    assert_at(hclif_control, tx_pages, 32, 4);
    assert_at(hclif_control, rx_pages, 36, 4);
    assert_at(hclif_control, extra_refs, 40, 16);
    assert_at(hclif_control, extra_refs[1], 44, 4);
    assert_at(hclif_control, extra_refs[3], 52, 4);
    assert_at(hclif_control, reserved, 56, 8);
    assert_at(hclif_control, refs, 64, 4032);
    assert_at(hclif_control, refs[1006], 4088, 4);
    assert_at(hclif_control, refs[1007], 4092, 4);
}

static void side_fits_in_one_page(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hclif_side), 64 + 8 * 64);
    assert_true(sizeof(struct hclif_side) <= 4096);
}

static void side_members_are_where_the_diagram_says(void **state)
{
    (void)state;
    assert_at(hclif_side, alive, 0, 1);
    assert_at(hclif_side, reserved, 1, 63);
    assert_at(hclif_side, event, 64, 8 * 64);
    assert_at(hclif_side, event[0].position, 64, 4);
    assert_at(hclif_side, event[0].reserved, 68, 60);
    assert_at(hclif_side, event[1].position, 128, 4);
    assert_at(hclif_side, event[7].position, 512, 4);
}

static void event_is_one_cache_line(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hclif_event), 64);
    assert_at(hclif_event, position, 0, 4);
    assert_at(hclif_event, reserved, 4, 60);
}

static void request_is_one_slot(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hclif_request), 64);
}

static void request_members_are_where_the_diagram_says(void **state)
{
    (void)state;
    assert_at(hclif_request, tag, 0, 4);
    assert_at(hclif_request, handle, 4, 2);
    assert_at(hclif_request, opcode, 6, 1);
    assert_at(hclif_request, flags, 7, 1);
    assert_at(hclif_request, argument, 8, 8);
    assert_at(hclif_request, tx_bytes, 16, 4);
    assert_at(hclif_request, tx_offset, 20, 4);
    assert_at(hclif_request, rx_bytes, 24, 4);
    assert_at(hclif_request, rx_offset, 28, 4);
    assert_at(hclif_request, data, 32, 28);
    assert_at(hclif_request, sequence, 60, 4);
}

static void completion_is_one_slot(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct hclif_completion), 64);
}

static void completion_members_are_where_the_diagram_says(void **state)
{
    (void)state;
    assert_at(hclif_completion, tag, 0, 4);
    assert_at(hclif_completion, status, 4, 2);
    assert_at(hclif_completion, flags, 6, 2);
    assert_at(hclif_completion, rx_bytes, 8, 4);
    assert_at(hclif_completion, data, 12, 48);
    assert_at(hclif_completion, sequence, 60, 4);
}

/* The fields are little-endian; HCL runs where the processor is too. */
static void magic_reads_HCL1_in_memory(void **state)
{
    struct hclif_control control = {.magic = HCLIF_CONTROL_MAGIC};

    (void)state;
    assert_int_equal(HCLIF_CONTROL_MAGIC, 0x314c4348);
    assert_memory_equal(&control, "HCL1", 4);
}

/* ---- Constants --------------------------------------------------------- */

static void limits_are_those_of_the_document(void **state)
{
    (void)state;
    assert_int_equal(HCLIF_VERSION, 1);
    assert_int_equal(HCLIF_PAGE_BYTES, 4096);
    assert_int_equal(HCLIF_SLOT_BYTES, 64);
    assert_int_equal(HCLIF_SLOTS_PER_PAGE, 64);
    assert_int_equal(HCLIF_MAX_QUEUES, 8);
    assert_int_equal(HCLIF_MAX_RING_PAGE_ORDER, 6);
    assert_int_equal(HCLIF_MAX_EXTRA_PAGES, 4);
    assert_int_equal(HCLIF_CONTROL_REFS, 1008);
    assert_int_equal(HCLIF_EXTRA_REFS, 1024);
    assert_int_equal(HCLIF_REQUEST_DATA, 28);
    assert_int_equal(HCLIF_COMPLETION_DATA, 48);
}

static void flags_are_those_of_the_document(void **state)
{
    (void)state;
    assert_int_equal(HCLIF_TX_POOL, 0x01);
    assert_int_equal(HCLIF_RX_POOL, 0x02);
    assert_int_equal(HCLIF_OVERRUN, 0x0001);
}

static void opcodes_are_those_of_the_document(void **state)
{
    (void)state;
    assert_int_equal(HCLIF_OP_OPEN, 1);
    assert_int_equal(HCLIF_OP_CLOSE, 2);
    assert_int_equal(HCLIF_OP_READ, 3);
    assert_int_equal(HCLIF_OP_WRITE, 4);
    assert_int_equal(HCLIF_OP_EXCHANGE, 5);
    assert_int_equal(HCLIF_OP_CANCEL, 6);
    assert_int_equal(HCLIF_OP_CLASS, 128);
}

static void statuses_are_those_of_the_document(void **state)
{
    (void)state;
    assert_int_equal(HCLIF_STATUS_OK, 0);
    assert_int_equal(HCLIF_STATUS_INVALID, 1);
    assert_int_equal(HCLIF_STATUS_UNSUPPORTED, 2);
    assert_int_equal(HCLIF_STATUS_BAD_HANDLE, 3);
    assert_int_equal(HCLIF_STATUS_BUSY, 4);
    assert_int_equal(HCLIF_STATUS_DENIED, 5);
    assert_int_equal(HCLIF_STATUS_LIMIT, 6);
    assert_int_equal(HCLIF_STATUS_IO, 7);
    assert_int_equal(HCLIF_STATUS_GONE, 8);
    assert_int_equal(HCLIF_STATUS_CANCELLED, 9);
    assert_int_equal(HCLIF_STATUS_TIMEOUT, 10);
}

static void backend_nodes_have_the_names_of_the_document(void **state)
{
    (void)state;
    assert_string_equal(HCLIF_KIND, "hcl");
    assert_string_equal(HCLIF_NODE_FRONTEND, "frontend");
    assert_string_equal(HCLIF_NODE_FRONTEND_ID, "frontend-id");
    assert_string_equal(HCLIF_NODE_DEVICE, "device");
    assert_string_equal(HCLIF_NODE_DOMAIN, "domain");
    assert_string_equal(HCLIF_NODE_UUID, "uuid");
    assert_string_equal(HCLIF_NODE_OPTIONS, "options");
    assert_string_equal(HCLIF_NODE_ONLINE, "online");
    assert_string_equal(HCLIF_NODE_PAUSE, "pause");
    assert_string_equal(HCLIF_NODE_STATE, "state");
    assert_string_equal(HCLIF_NODE_CLASS, "class");
    assert_string_equal(HCLIF_NODE_VERSIONS, "versions");
    assert_string_equal(HCLIF_NODE_GENERATION, "generation");
    assert_string_equal(HCLIF_NODE_MAX_QUEUES, "max-queues");
    assert_string_equal(HCLIF_NODE_MAX_RING_PAGE_ORDER, "max-ring-page-order");
    assert_string_equal(HCLIF_NODE_MAX_POOL_PAGES, "max-pool-pages");
    assert_string_equal(HCLIF_NODE_MAX_HANDLES, "max-handles");
    assert_string_equal(HCLIF_NODE_IDEMPOTENT, "idempotent");
    assert_string_equal(HCLIF_NODE_INCARNATION, "incarnation");
    assert_string_equal(HCLIF_NODE_ERROR, "error");
}

static void frontend_nodes_have_the_names_of_the_document(void **state)
{
    (void)state;
    assert_string_equal(HCLIF_NODE_BACKEND, "backend");
    assert_string_equal(HCLIF_NODE_BACKEND_ID, "backend-id");
    assert_string_equal(HCLIF_NODE_VERSION, "version");
    assert_string_equal(HCLIF_NODE_CONTROL_REF, "control-ref");
    assert_string_equal(HCLIF_NODE_EVENT_CHANNEL, "event-channel-%u");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_is_one_page),
        cmocka_unit_test(control_members_are_where_the_diagram_says),
        cmocka_unit_test(side_fits_in_one_page),
        cmocka_unit_test(side_members_are_where_the_diagram_says),
        cmocka_unit_test(event_is_one_cache_line),
        cmocka_unit_test(request_is_one_slot),
        cmocka_unit_test(request_members_are_where_the_diagram_says),
        cmocka_unit_test(completion_is_one_slot),
        cmocka_unit_test(completion_members_are_where_the_diagram_says),
        cmocka_unit_test(magic_reads_HCL1_in_memory),
        cmocka_unit_test(limits_are_those_of_the_document),
        cmocka_unit_test(flags_are_those_of_the_document),
        cmocka_unit_test(opcodes_are_those_of_the_document),
        cmocka_unit_test(statuses_are_those_of_the_document),
        cmocka_unit_test(backend_nodes_have_the_names_of_the_document),
        cmocka_unit_test(frontend_nodes_have_the_names_of_the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
