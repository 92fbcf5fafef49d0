/* SPDX-License-Identifier: MIT */
/*
 * test_backend_hold.h: a class that holds its jobs until it is told, and one
 * guest connected to a device of it.
 */
#ifndef TEST_BACKEND_HOLD_H
#define TEST_BACKEND_HOLD_H

#include "test_backend_rig.h"

#define HELD 128

static struct hcl_job *held[HELD];
static unsigned int num_held;
static unsigned int num_open;
static unsigned int num_cancelled;
static uint64_t cancelled[HELD]; /* their arguments */
static uint16_t open_status;
static struct hclif_request *changing_slot; /* while a handle opens */

static int hold_open(struct hcl_device *device, const struct hcl_spec *spec,
                     struct hcl_err *err)
{
    (void)device;
    (void)spec;
    (void)err;
    num_held = 0;
    num_open = 0;
    num_cancelled = 0;
    open_status = HCLIF_STATUS_OK;
    changing_slot = NULL;
    return 0;
}

static void hold_close(struct hcl_device *device)
{
    (void)device;
}

static uint16_t hold_handle_open(struct hcl_device *device,
                                 struct hcl_handle *handle)
{
    uint32_t *state = hcl_handle_state(handle);

    (void)device;
    assert_int_equal(*state, 0);
    *state = 1;
    num_open += open_status == HCLIF_STATUS_OK;
    if (changing_slot) {
        memset(changing_slot, 0xff, sizeof(*changing_slot));
    }
    return open_status;
}

static void hold_handle_close(struct hcl_device *device,
                              struct hcl_handle *handle)
{
    (void)device;
    (void)handle;
    num_open--;
}

static void hold_submit(struct hcl_device *device, struct hcl_job *job)
{
    uint32_t *state = job->state;

    (void)device;
    assert_int_equal(*state, 0);
    *state = 1;
    held[num_held++] = job;
}

static void hold_cancel(struct hcl_device *device, struct hcl_job *job)
{
    (void)device;
    cancelled[num_cancelled++] = job->argument;
    for (unsigned int i = 0; i < num_held; i++) {
        if (held[i] == job) {
            held[i] = held[--num_held];
        }
    }
    hcl_job_complete(job, HCLIF_STATUS_CANCELLED, 0, 0);
}

static const char *const no_keys[] = {NULL};

#define HOLD_CLASS(...)                                                        \
    .abi = HCL_CLASS_ABI, .name = "hold", .opcodes = "3,4,5,200",              \
    .idempotent = "", .handle_bytes = sizeof(uint32_t),                        \
    .job_bytes = sizeof(uint32_t), .keys = no_keys, .open = hold_open,         \
    .close = hold_close, .handle_open = hold_handle_open,                      \
    .handle_close = hold_handle_close, .submit = hold_submit,                  \
    .cancel = hold_cancel, __VA_ARGS__

struct fixture {
    struct rig rig;
    struct rig_guest guest;
};

__attribute__((unused)) static int set_up_class(void **state,
                                                const struct hcl_class *class)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_int_equal(rig_open(&f->rig, class, "name=dev0", NULL), 0);
    rig_connect(&f->rig, &f->guest);
    *state = f;
    return 0;
}

__attribute__((unused)) static int tear_down(void **state)
{
    struct fixture *f = *state;

    rig_disconnect(&f->guest);
    assert_int_equal(num_open, 0);
    assert_int_equal(num_held, 0);
    rig_close(&f->rig);
    free(f);
    return 0;
}

__attribute__((unused)) static struct hclif_request read_request(uint32_t tag)
{
    struct hclif_request request = {
        .tag = tag, .opcode = HCLIF_OP_READ, .rx_bytes = 4};

    return request;
}

__attribute__((unused)) static void
complete_first(uint16_t status, uint32_t rx_bytes, uint16_t flags)
{
    struct hcl_job *job = held[0];

    num_held--;
    for (unsigned int i = 0; i < num_held; i++) {
        held[i] = held[i + 1];
    }
    hcl_job_complete(job, status, rx_bytes, flags);
}

__attribute__((unused)) static uint16_t status_of(struct rig_guest *guest,
                                                  struct hclif_request request)
{
    struct hclif_completion completion;

    assert_int_equal(rig_send(guest, request), HCL_SERVE_IDLE);
    assert_true(rig_take(guest, &completion));
    assert_int_equal(completion.tag, request.tag);
    return completion.status;
}

#endif /* TEST_BACKEND_HOLD_H */
