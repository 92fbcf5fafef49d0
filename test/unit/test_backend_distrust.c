/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor neither believes nor gives away, whoever it deals with:
 * a guest, the toolstack, a worker that has been taken over.
 */
#include "test_backend_supervisor.h"

/* ---- Tests -------------------------------------------------------------- */

/* Its event channels can be bound to that guest's only. */
static void a_worker_gets_what_is_its_guests_alone(void **state)
{
    (void)state;
    connect_guest(0);
    assert_int_equal(fake_restricted, atoi(GUEST));
}

static void a_worker_speaks_of_its_own_connections_only(void **state)
{
    (void)state;
    start("name=dev0,class=echo", "name=dev1,class=echo");
    connect_guest(0);
    attach_as(LIES, "dev1", "guest3");
    want(LIES, "state", "2");
    publish(LIES, LIFE);
    want(LIES, "error", "the truth");
    want_now(0, "state", "4");
    want_now(0, "error", NULL);
    stop();
    assert_int_equal(result.code, 0);
}

/* stop() looks for it. */
static void the_search_for_a_bad_reference_leaves_nothing_mapped(void **state)
{
    (void)state;
    fake_bad_ref = 106;
    attach(CANNOT_MAP);
    want(CANNOT_MAP, "state", "2");
    publish(CANNOT_MAP, LIFE);
    want_part(CANNOT_MAP, "error", "grant reference 106");
}

/* A half of what the guest wrote is no fault of its own. */
static void a_fault_counts_only_if_what_was_read_commits(void **state)
{
    (void)state;
    attach(0);
    want(0, "state", "2");
    fake_late = "version";
    publish(0, LIFE);
    want(0, "state", "4");
    want_now(0, "error", NULL);
}

/* 5 would make the frontend restart before it has read why. */
static void a_fault_is_said_without_state_5(void **state)
{
    (void)state;
    connect_guest(0);
    connect_guest(7);
    set(FRONT, 0, "state", "99");
    want(0, "state", "6");
    assert_int_equal(fake_fives, 0);
    set(FRONT, 7, "state", "5");
    want(7, "state", "2");
    assert_int_equal(fake_fives, 1);
}

/* The directory is another, though no event has said so yet. */
static void state_4_is_written_over_2_only(void **state)
{
    unsigned int before;

    (void)state;
    attach(SLOW);
    want(SLOW, "state", "2");
    publish(SLOW, LIFE);
    for (int i = 0; fake_control_reads == 0 && i < 10000; i++) {
        usleep(1000);
    }
    pthread_mutex_lock(&fake_lock);
    fake_deaf = true;
    before = fake.transactions;
    attach(SLOW);
    pthread_mutex_unlock(&fake_lock);
    for (int i = 0; fake.transactions == before && i < 10000; i++) {
        usleep(1000);
    }
    assert_true(fake.transactions > before);
    /* To the end of that one. */
    pthread_mutex_lock(&fake_lock);
    pthread_mutex_unlock(&fake_lock);
    want_now(SLOW, "state", "1");
    want_now(SLOW, "incarnation", NULL);
    fake_deaf = false;
    want(SLOW, "state", "2");
}

/* No class has any: a guest that asks for one is not what it seems to be. */
static void an_option_that_nobody_knows_is_refused(void **state)
{
    (void)state;
    pthread_mutex_lock(&fake_lock);
    attach(0);
    set(BACK, 0, "options", "rate=5,x=1");
    pthread_mutex_unlock(&fake_lock);
    want(0, "state", "6");
    want_part(0, "error", "unknown option \"rate\"");
    want(0, "incarnation", NULL);
    set(BACK, 0, "options", "");
    want(0, "state", "2");
}

/* It is hcl.conf that says what a guest gets, and the name that counts. */
static void a_guests_share_is_what_hcl_conf_says(void **state)
{
    (void)state;
    start("name=dev0,class=echo,weight=guest2:200|guest3:300,"
          "max-requests-per-s=guest*:50,max-kib-per-s=7",
          NULL);
    attach(SAYS_ITS_SHARE);
    want(SAYS_ITS_SHARE, "state", "2");
    publish(SAYS_ITS_SHARE, LIFE);
    want(SAYS_ITS_SHARE, "error", "weight 300, 50 requests, 7 KiB");
    stop();
    assert_int_equal(result.code, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_gets_what_is_its_guests_alone),
        BARE(a_worker_speaks_of_its_own_connections_only),
        TEST(the_search_for_a_bad_reference_leaves_nothing_mapped),
        TEST(a_fault_counts_only_if_what_was_read_commits),
        TEST(a_fault_is_said_without_state_5),
        TEST(state_4_is_written_over_2_only),
        TEST(an_option_that_nobody_knows_is_refused),
        BARE(a_guests_share_is_what_hcl_conf_says),
    };

    prepare(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
