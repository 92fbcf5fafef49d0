/* SPDX-License-Identifier: MIT */
/* The supervisor against doc/protocol.md 2: attachments and the handshake. */
#include "test_backend_supervisor.h"

/* ---- Tests -------------------------------------------------------------- */

static void a_new_attachment_is_advertised(void **state)
{
    (void)state;
    attach(0);
    want(0, "state", "2");
    want(0, "class", "echo");
    want(0, "versions", "1");
    want(0, "max-queues", "1");
    want(0, "max-ring-page-order", "2");
    want(0, "max-pool-pages", "256");
    want(0, "max-handles", "16");
    want(0, "idempotent", "3,4,5");
    want(0, "incarnation", NULL);
    assert_int_equal(fake.num_watches, 2);
}

static void half_a_directory_is_left_alone_until_it_is_whole(void **state)
{
    (void)state;
    set(BACK, 0, "frontend-id", GUEST);
    attach(1);
    want(1, "state", "2");
    want(0, "state", NULL);
    set(BACK, 0, "device", "dev0");
    set(BACK, 0, "domain", "guest3");
    usleep(20000);
    want(0, "state", NULL);
    set(BACK, 0, "state", "1");
    set(BACK, 0, "online", "1");
    want(0, "state", "2");
}

static void blank_options_are_none(void **state)
{
    (void)state;
    pthread_mutex_lock(&fake_lock);
    attach(0);
    set(BACK, 0, "options", " ");
    pthread_mutex_unlock(&fake_lock);
    want(0, "state", "2");
    want(0, "error", NULL);
}

static void a_directory_of_another_domain_is_left_alone(void **state)
{
    (void)state;
    set(BACK, 0, "frontend-id", "4");
    set(BACK, 0, "device", "dev0");
    set(BACK, 0, "domain", "guest3");
    attach(1);
    want(1, "state", "2");
    want(0, "state", NULL);
}

static void a_frontend_is_connected(void **state)
{
    (void)state;
    attach(0);
    set(BACK, 0, "error", "of old");
    want(0, "state", "2");
    publish(0, LIFE);
    want(0, "state", "4");
    want(0, "incarnation", LIFE);
    want(0, "error", NULL);
    set(FRONT, 0, "state", "4");
    /* Connected to nothing but the worker: no copy stays open. */
    assert_int_equal(fake_open_handles, 1);
}

static void few_transactions_make_a_connection(void **state)
{
    (void)state;
    connect_guest(0);
    /* Three that write or connect: 2, the offer, 4; and looks at 3 or 4. */
    assert_true(fake.transactions <= 6);
}

static void a_frontend_that_closes_may_come_again(void **state)
{
    (void)state;
    connect_guest(0);
    set(FRONT, 0, "state", "5");
    want(0, "state", "2");
    want(0, "incarnation", NULL);
    set(FRONT, 0, "state", "6");
    set(FRONT, 0, "state", "1");
    publish(0, OTHER_LIFE);
    want(0, "state", "4");
    want(0, "incarnation", OTHER_LIFE);
}

static void a_new_life_of_the_frontend_ends_the_old_connection(void **state)
{
    (void)state;
    connect_guest(0);
    publish(0, OTHER_LIFE);
    want(0, "incarnation", OTHER_LIFE);
    want(0, "state", "4");
}

static void an_answer_to_another_generation_is_no_answer(void **state)
{
    (void)state;
    attach(0);
    attach(1);
    want(0, "state", "2");
    want(1, "state", "2");
    pthread_mutex_lock(&fake_lock);
    publish(0, LIFE);
    set(FRONT, 0, "generation", "00000000000000ff");
    pthread_mutex_unlock(&fake_lock);
    usleep(50000);
    want(0, "state", "2");
    want(0, "error", NULL);
}

static void an_illegal_state_is_a_fault(void **state)
{
    (void)state;
    connect_guest(0);
    set(FRONT, 0, "state", "99");
    want(0, "state", "6");
    want(0, "incarnation", LIFE);
    want(0, "error", "the frontend's state is illegal");
    set(FRONT, 0, "state", "1");
    want(0, "state", "2");
}

static void a_state_that_vanishes_is_a_fault(void **state)
{
    (void)state;
    connect_guest(0);
    fake_remove(FRONT "0");
    want(0, "state", "6");
    want(0, "error", "the guest has gone: its state is missing");
}

/* Publishes without, or with a bad, node. */
static void expect_bad_node(int devid, const char *node, const char *value,
                            const char *incarnation)
{
    char path[128];

    attach(devid);
    want(devid, "state", "2");
    snprintf(path, sizeof(path), FRONT "%d/%s", devid, node);
    pthread_mutex_lock(&fake_lock);
    publish(devid, LIFE);
    if (value) {
        fake_set(path, value);
    } else {
        fake_remove(path);
    }
    pthread_mutex_unlock(&fake_lock);
    want(devid, "state", "6");
    want(devid, "incarnation", incarnation);
    want_part(devid, "error", node);
}

static void nodes_that_are_missing_or_malformed_are_faults(void **state)
{
    (void)state;
    expect_bad_node(10, "version", NULL, LIFE);
    expect_bad_node(11, "version", "2", LIFE);
    expect_bad_node(12, "control-ref", NULL, LIFE);
    expect_bad_node(13, "control-ref", "-1", LIFE);
    expect_bad_node(14, "event-channel-0", NULL, LIFE);
    expect_bad_node(15, "event-channel-0", "0", LIFE);
    expect_bad_node(16, "event-channel-0", "4294967295", LIFE);
    expect_bad_node(17, "generation", NULL, LIFE);
    expect_bad_node(18, "generation", "zz", LIFE);
    expect_bad_node(19, "incarnation", NULL, NO_LIFE);
    expect_bad_node(20, "incarnation", "1", NO_LIFE);
    expect_bad_node(21, "incarnation", NO_LIFE, NO_LIFE);
}

static void a_bad_control_page_is_a_fault(void **state)
{
    (void)state;
    attach(0);
    want(0, "state", "2");
    pthread_mutex_lock(&fake_lock);
    publish(0, LIFE);
    fake_control[0] ^= 1;
    pthread_mutex_unlock(&fake_lock);
    want(0, "state", "6");
    want_part(0, "error", "magic");
    want(0, "incarnation", LIFE);
}

static void a_control_page_that_cannot_be_mapped_is_named(void **state)
{
    (void)state;
    attach(0);
    want(0, "state", "2");
    pthread_mutex_lock(&fake_lock);
    publish(0, LIFE);
    set(FRONT, 0, "control-ref", "9");
    pthread_mutex_unlock(&fake_lock);
    want(0, "state", "6");
    want_part(0, "error", "grant reference 9 (control page)");
}

static void the_bad_reference_is_named(void **state)
{
    (void)state;
    fake_bad_ref = 107; /* ro: 4 pages; rw: back page, ring, 2 of the pool */
    attach(CANNOT_MAP);
    want(CANNOT_MAP, "state", "2");
    publish(CANNOT_MAP, LIFE);
    want(CANNOT_MAP, "state", "6");
    want(CANNOT_MAP, "error",
         "grant reference 107 (rx pool page 1) cannot be mapped: Invalid "
         "argument");
    want(CANNOT_MAP, "incarnation", LIFE);
    /* Each range once, then halves: not each page. */
    assert_in_range(fake_maps, 1, 6);
}

static void a_fault_closes_one_connection(void **state)
{
    (void)state;
    connect_guest(0);
    attach(FINDS_FAULT);
    want(FINDS_FAULT, "state", "2");
    publish(FINDS_FAULT, LIFE);
    want(FINDS_FAULT, "state", "6");
    want(FINDS_FAULT, "error", "tag in use: 7");
    want(FINDS_FAULT, "incarnation", LIFE);
    want(0, "state", "4");
    /* The same life is not taken again, a new one is. */
    set(FRONT, FINDS_FAULT, "state", "4");
    usleep(20000);
    want(FINDS_FAULT, "state", "6");
    set(FRONT, FINDS_FAULT, "state", "6");
    want(FINDS_FAULT, "state", "2");
    want(FINDS_FAULT, "incarnation", NULL);
    want(FINDS_FAULT, "error", "tag in use: 7");
}

static void a_program_that_died_may_be_followed_by_another(void **state)
{
    (void)state;
    attach(SEES_DEATH);
    want(SEES_DEATH, "state", "2");
    pthread_mutex_lock(&fake_lock);
    publish(SEES_DEATH, LIFE);
    pthread_mutex_unlock(&fake_lock);
    want(SEES_DEATH, "state", "4");
    want(SEES_DEATH, "departed", NULL);
    set(FRONT, SEES_DEATH, "state", "4");
    want(SEES_DEATH, "state", "2");
    want(SEES_DEATH, "departed", LIFE);
    publish(SEES_DEATH, OTHER_LIFE);
    want(SEES_DEATH, "state", "4");
    want(SEES_DEATH, "departed", NULL);
    set(FRONT, SEES_DEATH, "state", "4");
    want(SEES_DEATH, "departed", OTHER_LIFE);
}

static void a_program_that_is_dead_already_is_said_to_be(void **state)
{
    (void)state;
    attach(FINDS_IT_DEAD);
    want(FINDS_IT_DEAD, "state", "2");
    publish(FINDS_IT_DEAD, LIFE);
    want(FINDS_IT_DEAD, "state", "6");
    want(FINDS_IT_DEAD, "departed", LIFE);
    want(FINDS_IT_DEAD, "incarnation", LIFE);
}

static void what_fails_on_our_side_is_not_the_guests_fault(void **state)
{
    (void)state;
    attach(0);
    attach(HAS_TOO_LITTLE);
    want(0, "state", "2");
    want(HAS_TOO_LITTLE, "state", "2");
    fake_no_gntdev = true;
    publish(0, LIFE);
    want(0, "state", "1");
    want_part(0, "error", "cannot open gntdev");
    want(0, "incarnation", NULL);
    fake_no_gntdev = false;
    want(0, "state", "4");
    want(0, "error", NULL);
    publish(HAS_TOO_LITTLE, LIFE);
    want(HAS_TOO_LITTLE, "state", "1");
    want(HAS_TOO_LITTLE, "error", "no memory");
    want(HAS_TOO_LITTLE, "incarnation", NULL);
    set(FRONT, HAS_TOO_LITTLE, "state", "1");
    want(HAS_TOO_LITTLE, "state", "2");
}

static void what_cannot_be_written_is_tried_again(void **state)
{
    (void)state;
    attach(0);
    want(0, "state", "2");
    fake_no_write = "incarnation";
    publish(0, LIFE);
    want_part(0, "error", "cannot write state 4");
    want(0, "state", "1");
    fake_no_write = NULL;
    want(0, "state", "4");
    set(FRONT, 0, "state", "4");
    fake_no_write = "generation";
    set(FRONT, 0, "state", "6");
    want(0, "state", "5");
    usleep(50000);
    want(0, "state", "5");
    fake_no_write = NULL;
    want(0, "state", "2");
}

static void what_cannot_be_read_changes_nothing(void **state)
{
    (void)state;
    connect_guest(0);
    attach(7);
    want(7, "state", "2");
    set(BACK, 7, "pause", "1");
    want(7, "state", "1");
    fake_no_read = "pause";
    set(BACK, 7, "uuid", "x");
    usleep(50000);
    want(7, "state", "1");
    fake_no_read = "device";
    set(BACK, 0, "uuid", "x");
    set(BACK, 0, "online", "0");
    usleep(50000);
    want(0, "state", "6");
    set(BACK, 0, "online", "1");
    fake_no_read = "state";
    usleep(50000);
    set(BACK, 7, "pause", "0");
    fake_no_read = NULL;
    want(0, "state", "2");
    want(7, "state", "2");
}

static void an_unknown_device_is_refused_with_the_known_ones(void **state)
{
    (void)state;
    attach_as(0, "dev9", "guest3");
    want(0, "state", "6");
    want(0, "error", "no device \"dev9\" in hcl.conf; it has: dev0");
    want(0, "incarnation", NULL);
}

static void a_guest_that_allow_does_not_name_is_refused(void **state)
{
    (void)state;
    attach_as(0, "dev0", "stranger");
    want(0, "state", "6");
    want_part(0, "error", "guest \"stranger\" may not use device \"dev0\"");
    set(BACK, 0, "domain", "guest3");
    want(0, "state", "2");
}

static void detach_ends_without_incarnation(void **state)
{
    (void)state;
    connect_guest(0);
    set(BACK, 0, "online", "0");
    want(0, "state", "6");
    want(0, "incarnation", NULL);
    want(0, "error", "detached by the administrator");
    set(FRONT, 0, "state", "6");
    set(FRONT, 0, "state", "1");
    usleep(20000);
    want(0, "state", "6");
    set(BACK, 0, "online", "1");
    want(0, "state", "2");
}

static void pause_releases_and_goes_on(void **state)
{
    (void)state;
    connect_guest(0);
    set(BACK, 0, "pause", "1");
    want(0, "state", "1");
    set(FRONT, 0, "state", "1");
    usleep(20000);
    want(0, "state", "1");
    set(BACK, 0, "pause", "0");
    want(0, "state", "2");
    publish(0, OTHER_LIFE);
    want(0, "state", "4");
}

static void a_directory_that_goes_is_not_made_again(void **state)
{
    (void)state;
    connect_guest(0);
    connect_guest(7);
    fake_remove(BACK "0");
    for (int i = 0; fake.num_watches != 2 && i < 5000; i++) {
        usleep(1000);
    }
    assert_int_equal(fake.num_watches, 2);
    want(0, "state", NULL);
    want(0, "error", NULL);
    want(7, "state", "4");
}

static void a_domain_that_goes_takes_its_attachments(void **state)
{
    (void)state;
    connect_guest(0);
    connect_guest(7);
    fake_remove("/local/domain/" GUEST);
    want(0, "state", "6");
    want(7, "state", "6");
    fake_remove("/local/domain/0/backend/hcl/" GUEST);
    for (int i = 0; fake.num_watches != 1 && i < 5000; i++) {
        usleep(1000);
    }
    assert_int_equal(fake.num_watches, 1);
    want(0, "state", NULL);
    want(7, "state", NULL);
}

static void a_directory_made_again_begins_anew(void **state)
{
    (void)state;
    connect_guest(0);
    pthread_mutex_lock(&fake_lock);
    fake_remove(FRONT "0");
    fake_remove(BACK "0");
    attach_as(0, "dev9", "guest3");
    pthread_mutex_unlock(&fake_lock);
    want(0, "state", "6");
    want_part(0, "error", "no device \"dev9\"");
    pthread_mutex_lock(&fake_lock);
    fake_remove(FRONT "0");
    fake_remove(BACK "0");
    attach(0);
    pthread_mutex_unlock(&fake_lock);
    want(0, "state", "2");
}

static void a_directory_made_again_while_it_connects_is_another(void **state)
{
    (void)state;
    attach(SLOW);
    want(SLOW, "state", "2");
    publish(SLOW, LIFE);
    usleep(100000);
    /* The frontend directory is as it was: only ours says who may. */
    pthread_mutex_lock(&fake_lock);
    fake_remove("/local/domain/0/backend/hcl/" GUEST "/100");
    attach_as(SLOW, "dev0", "stranger");
    set(FRONT, SLOW, "state", "3");
    pthread_mutex_unlock(&fake_lock);
    for (int i = 0; i < 500; i++) {
        char now[8] = "";

        fake_get(BACK "100/state", now, sizeof(now));
        assert_string_not_equal(now, "4");
        usleep(1000);
    }
    want(SLOW, "state", "6");
    want_part(SLOW, "error", "guest \"stranger\" may not use");
}

static void a_worker_that_dies_is_followed_by_a_new_generation(void **state)
{
    char before[32];
    char after[32];

    (void)state;
    connect_guest(0);
    get(BACK, 0, "generation", before, sizeof(before));
    attach(CRASHES);
    want(CRASHES, "state", "2");
    publish(CRASHES, LIFE);
    want_part(0, "error", "signal 6");
    want(0, "state", "2");
    get(BACK, 0, "generation", after, sizeof(after));
    assert_string_not_equal(before, after);
    /* The old answer is none; a new one is. */
    usleep(20000);
    want(0, "state", "2");
    publish(0, OTHER_LIFE);
    want(0, "state", "4");
}

static void a_device_that_is_lost_refuses_until_it_is_back(void **state)
{
    (void)state;
    connect_guest(0);
    attach(LOSES_DEVICE);
    want(LOSES_DEVICE, "state", "2");
    publish(LOSES_DEVICE, LIFE);
    want(0, "state", "6");
    want(0, "error", "device dev0: unplugged");
    want(0, "incarnation", NULL);
    /* The next worker finds it again, a moment later. */
    want(0, "state", "2");
}

static void attachments_of_before_are_found_and_begin_anew(void **state)
{
    (void)state;
    stop();
    attach(0);
    set(BACK, 0, "generation", OTHER_LIFE);
    publish(0, LIFE);
    set(BACK, 0, "state", "4");
    set(BACK, 0, "incarnation", LIFE);
    start("name=dev0,class=echo", NULL);
    want(0, "state", "2");
    want(0, "incarnation", NULL);
}

static void the_end_is_said_to_every_guest(void **state)
{
    (void)state;
    connect_guest(0);
    attach(7);
    attach_as(8, "dev9", "guest3");
    want(7, "state", "2");
    want(8, "state", "6");
    stop();
    for (int devid = 0; devid <= 8; devid = devid ? devid + 1 : 7) {
        want(devid, "state", "1");
        want(devid, "error", "hcl-backend is stopped");
    }
    assert_int_equal(result.code, 0);
    start("name=dev0,class=echo", NULL);
}

/* ---- Without the usual device ------------------------------------------- */

static void a_missing_device_refuses_until_it_comes(void **state)
{
    char path[] = "/tmp/test_backend_supervisor.XXXXXX";
    char spec[128];

    (void)state;
    close(mkstemp(path));
    unlink(path);
    snprintf(spec, sizeof(spec), "name=late,class=rng,path=%s", path);
    start(spec, "name=dev0,class=echo");
    attach(0);
    attach_as(7, "late", "guest3");
    want(0, "state", "2");
    want(7, "state", "6");
    want(7, "error", "device late: cannot open it");
    close(open(path, O_CREAT | O_WRONLY, 0600));
    want(7, "state", "2");
    stop();
    assert_int_equal(result.code, 0);
    unlink(path);
}

static void nobody_waits_for_the_device_of_another(void **state)
{
    struct gate gate = {0};

    (void)state;
    make_gate(&gate, "name=late,class=echo");
    attach(0);
    attach_as(7, "late", "guest3");
    set(BACK, 7, "state", "4"); /* of a backend that crashed */
    start(gate.spec, "name=dev0,class=echo");
    want(0, "state", "2");
    want_now(7, "state", "1");
    open_gate(&gate);
    want(7, "state", "2");
    stop();
    assert_int_equal(result.code, 0);
}

static void a_mistake_in_the_configuration_ends_the_daemon(void **state)
{
    (void)state;
    start("name=dev0,class=echo", "name=dev1,class=echo,mistake=1");
    join();
    assert_int_equal(result.code, -EINVAL);
    assert_non_null(strstr(result.text, "devices item 2"));
    assert_non_null(strstr(result.text, "mistake=: unknown key"));
    assert_int_equal(fake_open_handles, 0);
}

/* ---- keeper.c alone ----------------------------------------------------- */

static void keeper_changed(void *arg, struct hcl_keeper *keeper)
{
    unsigned int *times_ready = arg;

    *times_ready += keeper->state == HCL_KEEPER_READY;
}

static void keeper_lost(void *arg, struct hcl_keeper *keeper)
{
    (void)arg;
    assert_int_equal(keeper->state, HCL_KEEPER_DOWN);
}

static void keeper_message(void *arg, struct hcl_keeper *keeper,
                           const struct hcl_message *message)
{
    (void)arg;
    (void)keeper;
    (void)message;
}

static const struct hcl_keeper_events keeper_events = {
    keeper_changed, keeper_lost, keeper_message};

/* Runs a worker to its end; what it said is read before or after that. */
static void keep(const char *spec, bool read_first, const char *trouble)
{
    struct hcl_device_config config;
    struct hcl_keeper keeper;
    struct hcl_loop *loop;
    unsigned int times_ready = 0;
    int status;
    pid_t pid;

    memset(&keeper, 0, sizeof(keeper));
    assert_int_equal(hcl_device_config_parse(&config, spec, NULL), 0);
    assert_int_equal(hcl_loop_new(&loop, NULL), 0);
    hcl_keeper_init(&keeper, &config, spec, self, &settings, loop,
                    &keeper_events, &times_ready);
    hcl_keeper_start(&keeper);
    if (read_first) {
        hcl_loop_poll(loop, 5000000);
    }
    pid = waitpid(keeper.pid, &status, 0);
    assert_true(hcl_keeper_reaped(&keeper, pid, status));
    assert_int_equal(times_ready, 0);
    assert_true(keeper.settled);
    assert_non_null(strstr(keeper.trouble, trouble));
    hcl_keeper_clear(&keeper);
    hcl_loop_free(loop);
}

static void what_a_dead_worker_said_does_not_make_it_live(void **state)
{
    (void)state;
    keep("name=dev0,class=echo,dies=1", false, "exit status 1");
}

static void a_worker_killed_at_its_start_lets_the_others_go_on(void **state)
{
    (void)state;
    keep("name=dev0,class=echo,nonsense=1", true,
         "unexpected message CONNECTED");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_attachment_is_advertised),
        TEST(half_a_directory_is_left_alone_until_it_is_whole),
        TEST(blank_options_are_none),
        TEST(a_directory_of_another_domain_is_left_alone),
        TEST(a_frontend_is_connected),
        TEST(few_transactions_make_a_connection),
        TEST(a_frontend_that_closes_may_come_again),
        TEST(a_new_life_of_the_frontend_ends_the_old_connection),
        TEST(an_answer_to_another_generation_is_no_answer),
        TEST(an_illegal_state_is_a_fault),
        TEST(a_state_that_vanishes_is_a_fault),
        TEST(nodes_that_are_missing_or_malformed_are_faults),
        TEST(a_bad_control_page_is_a_fault),
        TEST(a_control_page_that_cannot_be_mapped_is_named),
        TEST(the_bad_reference_is_named),
        TEST(a_fault_closes_one_connection),
        TEST(a_program_that_died_may_be_followed_by_another),
        TEST(a_program_that_is_dead_already_is_said_to_be),
        TEST(what_fails_on_our_side_is_not_the_guests_fault),
        TEST(what_cannot_be_written_is_tried_again),
        TEST(what_cannot_be_read_changes_nothing),
        TEST(an_unknown_device_is_refused_with_the_known_ones),
        TEST(a_guest_that_allow_does_not_name_is_refused),
        TEST(detach_ends_without_incarnation),
        TEST(pause_releases_and_goes_on),
        TEST(a_directory_that_goes_is_not_made_again),
        TEST(a_domain_that_goes_takes_its_attachments),
        TEST(a_directory_made_again_begins_anew),
        TEST(a_directory_made_again_while_it_connects_is_another),
        TEST(a_worker_that_dies_is_followed_by_a_new_generation),
        TEST(a_device_that_is_lost_refuses_until_it_is_back),
        TEST(attachments_of_before_are_found_and_begin_anew),
        TEST(the_end_is_said_to_every_guest),
        BARE(a_missing_device_refuses_until_it_comes),
        BARE(nobody_waits_for_the_device_of_another),
        BARE(a_mistake_in_the_configuration_ends_the_daemon),
        BARE(what_a_dead_worker_said_does_not_make_it_live),
        BARE(a_worker_killed_at_its_start_lets_the_others_go_on),
    };

    prepare(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
