/* SPDX-License-Identifier: MIT */
/* The class delay, and how the worker looks at hardware without events. */
#include "test_backend_rig.h"

#include <errno.h>

static struct rig rig;
static struct rig_guest guest;

static void start(const char *spec)
{
    struct hcl_err err = {0};

    if (rig_open(&rig, hcl_class_find("delay"), spec, &err) < 0) {
        fail_msg("%s: %s", spec, err.text);
    }
    rig_connect(&rig, &guest);
    rig_open_handle(&guest);
}

static void stop(void)
{
    rig_disconnect(&guest);
    rig_close(&rig);
}

static struct hclif_request request_of(uint32_t tag, uint8_t opcode)
{
    struct hclif_request request = {
        .tag = tag, .opcode = opcode, .tx_bytes = 4, .rx_bytes = 4};

    memcpy(request.data, "ping", 4);
    return request;
}

static void cancel(uint32_t tag)
{
    struct hclif_request request = {
        .tag = 60, .opcode = HCLIF_OP_CANCEL, .argument = tag};

    rig_send(&guest, request);
    rig_expect(&guest, tag, HCLIF_STATUS_CANCELLED);
    rig_expect(&guest, 60, HCLIF_STATUS_OK);
}

static void answers_are_those_of_echo(void **state)
{
    struct hclif_completion completion;

    (void)state;
    start("job-us=1");
    rig_send(&guest, request_of(1, HCLIF_OP_EXCHANGE));
    completion = rig_wait(&guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 4);
    assert_memory_equal(completion.data, "ping", 4);
    rig_send(&guest, request_of(1, HCLIF_OP_READ));
    completion = rig_wait(&guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 4);
    assert_memory_equal(completion.data, "\0\0\0\0", 4);
    rig_send(&guest, request_of(1, HCLIF_OP_WRITE));
    completion = rig_wait(&guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 0);
    stop();
}

/* Never sooner than the device is. */
static void jobs_take_their_time_one_after_the_other(void **state)
{
    uint64_t began;

    (void)state;
    start("job-us=300,kib-ns=25600000"); /* 8 bytes: 200 us */
    began = hcl_now_ns();
    for (uint32_t tag = 1; tag <= 4; tag++) {
        rig_send(&guest, request_of(tag, HCLIF_OP_EXCHANGE));
    }
    for (uint32_t tag = 1; tag <= 4; tag++) {
        rig_wait(&guest, tag, HCLIF_STATUS_OK);
        assert_true(hcl_now_ns() - began >= tag * UINT64_C(500000));
    }
    /* If nobody looked in time: what the class thinks of so few bytes. */
    assert_true(hcl_connection_stats(guest.connection)->device_ns >= 1200000);
    stop();
}

/* Nobody looks between; they are done in the time of one all the same. */
static void units_work_at_the_same_time(void **state)
{
    const struct hcl_class *class = hcl_class_find("delay");
    uint64_t began;

    (void)state;
    start("job-us=100000,units=4");
    for (uint32_t tag = 1; tag <= 4; tag++) {
        rig_send(&guest, request_of(tag, HCLIF_OP_WRITE));
    }
    began = hcl_now_ns();
    assert_int_not_equal(class->poll(rig.device, began), HCL_POLL_NEVER);
    assert_int_equal(class->poll(rig.device, began + 100000000),
                     HCL_POLL_NEVER);
    for (uint32_t tag = 1; tag <= 4; tag++) {
        rig_wait(&guest, tag, HCLIF_STATUS_OK);
    }
    stop();
}

/* However late the worker looks, the device lost no time. */
static void the_next_job_begins_when_the_one_before_ends(void **state)
{
    const struct hcl_class *class = hcl_class_find("delay");
    uint64_t first, second;

    (void)state;
    start("job-us=1000,depth=2");
    rig_send(&guest, request_of(1, HCLIF_OP_WRITE));
    rig_send(&guest, request_of(2, HCLIF_OP_WRITE));
    first = class->poll(rig.device, 0);
    second = class->poll(rig.device, first);
    assert_int_equal(second, first + 1000000);
    rig_wait(&guest, 1, HCLIF_STATUS_OK);
    rig_wait(&guest, 2, HCLIF_STATUS_OK);
    stop();
}

static void no_job_begins_before_it_came(void **state)
{
    const struct hcl_class *class = hcl_class_find("delay");
    uint64_t came;

    (void)state;
    start("job-us=1000,depth=2");
    rig_send(&guest, request_of(1, HCLIF_OP_WRITE));
    came = hcl_now_ns();
    while (hcl_now_ns() - came < 3000000) {
    }
    came = hcl_now_ns(); /* the first one is done, but nobody has looked */
    rig_send(&guest, request_of(2, HCLIF_OP_WRITE));
    assert_true(class->poll(rig.device, came) >= came + 1000000);
    rig_wait(&guest, 1, HCLIF_STATUS_OK);
    rig_wait(&guest, 2, HCLIF_STATUS_OK);
    stop();
}

static void jobs_can_be_cancelled_wherever_they_are(void **state)
{
    (void)state;
    start("job-us=10000000,depth=3");
    for (uint32_t tag = 1; tag <= 5; tag++) {
        rig_send(&guest, request_of(tag, HCLIF_OP_WRITE));
    }
    cancel(5); /* waits in the worker */
    cancel(2); /* the device has it */
    cancel(1); /* the device works at it */
    assert_int_equal(hcl_connection_in_flight(guest.connection), 2);
    cancel(4);
    cancel(3);
    assert_int_equal(hcl_class_find("delay")->poll(rig.device, UINT64_MAX - 1),
                     HCL_POLL_NEVER);
    stop();
}

/* What is far away is slept for, what is near is looked for. */
static void the_worker_sleeps_while_nothing_can_be_done(void **state)
{
    (void)state;
    start("job-us=20000");
    assert_int_equal(hcl_device_poll(rig.device), HCL_DUE_NEVER);
    rig_send(&guest, request_of(1, HCLIF_OP_WRITE));
    assert_int_equal(hcl_device_poll(rig.device), HCL_DUE_LATER);
    assert_int_equal(hcl_loop_poll(rig.loop, 5000000), 1);
    rig_wait(&guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(hcl_device_poll(rig.device), HCL_DUE_NEVER);
    stop();
    start("job-us=0");
    rig_send(&guest, request_of(1, HCLIF_OP_WRITE));
    assert_int_equal(hcl_device_poll(rig.device), HCL_DUE_NOW);
    rig_expect(&guest, 1, HCLIF_STATUS_OK);
    stop();
}

/* So that a late look at a job does not make it look long. */
static void the_scheduler_knows_when_no_job_can_have_ended(void **state)
{
    const struct hcl_class *class = hcl_class_find("delay");

    (void)state;
    start("job-us=10000000");
    rig_send(&guest, request_of(1, HCLIF_OP_WRITE));
    assert_int_equal(hcl_device_poll(rig.device), HCL_DUE_LATER);
    assert_int_equal(rig.device->sched.before_ns, class->poll(rig.device, 0));
    cancel(1);
    assert_int_equal(hcl_device_poll(rig.device), HCL_DUE_NEVER);
    assert_true(rig.device->sched.before_ns <= hcl_now_ns());
    stop();
}

static void mistakes_name_key_value_and_range(void **state)
{
    static const char *const cases[][2] = {
        {"job-us=10000001", "job-us='10000001': expected a number from 0"},
        {"kib-ns=x", "kib-ns='x'"},
        {"units=0", "units='0': expected a number from 1 to 64"},
        {"units=65", "units='65'"},
        {"units=4,depth=3", "depth='3': expected a number from 4 to 64"},
    };

    (void)state;
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hcl_err err = {0};

        assert_int_equal(
            rig_open(&rig, hcl_class_find("delay"), cases[i][0], &err),
            -EINVAL);
        if (!strstr(err.text, cases[i][1])) {
            fail_msg("%s: %s", cases[i][0], err.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_echo),
        cmocka_unit_test(jobs_take_their_time_one_after_the_other),
        cmocka_unit_test(units_work_at_the_same_time),
        cmocka_unit_test(the_next_job_begins_when_the_one_before_ends),
        cmocka_unit_test(no_job_begins_before_it_came),
        cmocka_unit_test(jobs_can_be_cancelled_wherever_they_are),
        cmocka_unit_test(the_worker_sleeps_while_nothing_can_be_done),
        cmocka_unit_test(the_scheduler_knows_when_no_job_can_have_ended),
        cmocka_unit_test(mistakes_name_key_value_and_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
