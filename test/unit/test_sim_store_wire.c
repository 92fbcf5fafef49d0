/* SPDX-License-Identifier: MIT */
/*
 * The simulated xenstored: framing, slow and hostile clients, faults made on
 * purpose.
 */
#include "test_sim_store.h"

#include <poll.h>

/* Sends raw octets. */
static void push(struct client *client, const void *data, size_t bytes)
{
    assert_int_equal(send(client->fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT),
                     bytes);
}

/* ---- Framing ----------------------------------------------------------- */

static void a_request_may_come_in_pieces(void **state)
{
    struct client *dom0 = client_new(0);
    struct {
        struct xsd_sockmsg header;
        char body[6];
    } request = {{.type = XS_READ, .req_id = 7, .len = 6}, "/tool"};
    const char *octets = (const char *)&request;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(request.header) + 6; i++) {
        rig_run();
        assert_false(client_receive(dom0));
        push(dom0, octets + i, 1);
    }
    rig_run();
    assert_true(client_receive(dom0));
    assert_int_equal(dom0->header.req_id, 7);
    client_free(dom0);
}

static void requests_may_come_together(void **state)
{
    struct client *dom0 = client_new(0);
    char body[32];
    int i, bytes;

    (void)state;
    for (i = 0; i < 100; i++) {
        bytes = snprintf(body, sizeof(body), "/m%c%d", 0, i);
        client_send(dom0, XS_WRITE, 0, body, (size_t)bytes);
        client_send(dom0, XS_READ, 0, "/m", 3);
    }
    rig_run();
    for (i = 0; i < 100; i++) {
        assert_true(client_receive(dom0));
        assert_int_equal(dom0->header.type, XS_WRITE);
        assert_int_equal(dom0->header.req_id, 2 * i + 1);
        assert_true(client_receive(dom0));
        assert_int_equal(dom0->header.req_id, 2 * i + 2);
        assert_int_equal(atoi(dom0->body), i);
    }
    assert_false(client_receive(dom0));
    client_free(dom0);
}

static void the_longest_request_is_served_and_a_longer_one_ends_it(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    struct xsd_sockmsg header = {.type = XS_READ,
                                 .len = XENSTORE_PAYLOAD_MAX + 1};
    char body[XENSTORE_PAYLOAD_MAX] = "/long";

    (void)state;
    memset(body + 6, 'x', sizeof(body) - 6);
    assert_ok(client_ask(dom0, XS_WRITE, 0, body, sizeof(body)));
    ASK(dom0, XS_READ, 0, "/long");
    assert_int_equal(dom0->header.len, sizeof(body) - 6);
    push(dom0, &header, sizeof(header));
    assert_true(client_closed(dom0));
    /* Nobody else has noticed. */
    ASK(other, XS_READ, 0, "/long");
    assert_int_equal(other->header.len, sizeof(body) - 6);
    client_free(dom0);
    client_free(other);
}

static void unknown_operations_are_refused(void **state)
{
    static const uint32_t types[] = {
        XS_CONTROL,    XS_WATCH_EVENT, XS_ERROR,  XS_SET_TARGET + 1,
        XS_TYPE_COUNT, XS_INVALID,     UINT32_MAX};
    struct client *dom0 = client_new(0);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_string_equal(ASK(dom0, types[i], 0, "print"), "ENOSYS");
    }
    /* A transaction that there is none of. */
    assert_string_equal(ASK(dom0, XS_READ, 5, "/"), "ENOENT");
    assert_string_equal(client_ask(dom0, XS_READ, 0, "", 0), "EINVAL");
    client_free(dom0);
}

static void what_was_written_before_the_end_counts(void **state)
{
    struct client *dom0 = client_new(0), *last = client_new(0);

    (void)state;
    client_send(last, XS_WRITE, 0, "/last\0word", 10);
    client_send(last, XS_WRITE, 0, "/very/last\0word", 15);
    client_free(last);
    assert_string_equal(ASK(dom0, XS_READ, 0, "/last"), "word");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/very/last"), "word");
    client_free(dom0);
}

static void a_machine_is_disconnected_alone(void **state)
{
    struct client *dom0 = client_new(0), *one = client_new(1);
    struct client *other = client_new(1), *two = client_new(2);

    (void)state;
    assert_ok(ASK(one, XS_WATCH, 0, "/x\0t"));
    client_start(other);
    sim_store_disconnect(rig.host.store, &rig.machines[1]);
    assert_string_equal(client_event(one), "/x t");
    assert_true(client_closed(one));
    assert_true(client_closed(other));
    ASK(dom0, XS_READ, 0, "/");
    assert_int_equal(dom0->header.type, XS_READ);
    assert_string_equal(ASK(two, XS_READ, 0, "/"), "EACCES");
    assert_int_equal(sim_store_audit(rig.host.store, NULL), 3);
    client_free(dom0);
    client_free(one);
    client_free(other);
    client_free(two);
}

/* ---- Slow clients ------------------------------------------------------ */

/* Makes the socket hold as little as it can. */
static void shrink(struct client *client)
{
    int bytes = 1;

    assert_int_equal(
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)),
        0);
}

/* Whether the server has read enough for one more. */
static bool can_send(const struct client *client)
{
    struct pollfd poll_fd = {.fd = client->fd, .events = POLLOUT};

    return poll(&poll_fd, 1, 0) == 1;
}

/* One that asks, and does not read the answers, is not read either. */
static void answers_not_read_stop_requests(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    unsigned int sent = 0, i;
    char value[1000];

    (void)state;
    memset(value, 'v', sizeof(value));
    memcpy(value, "/value", 7);
    assert_ok(client_ask(dom0, XS_WRITE, 0, value, sizeof(value)));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/value\0r0"));
    while (can_send(guest)) {
        client_send(guest, XS_READ, 0, "/value", 7);
        sent++;
        rig_run();
        assert_true(sent < 100000);
    }
    /* Others go on. */
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/others"));
    for (i = 1; i <= sent; i++) {
        if (!client_receive(guest)) {
            rig_run();
            assert_true(client_receive(guest));
        }
        assert_int_equal(guest->header.req_id, i);
        assert_int_equal(guest->header.len, sizeof(value) - 7);
    }
    rig_run();
    assert_false(client_receive(guest));
    client_free(dom0);
    client_free(guest);
}

/*
 * A guest whose events nobody reads is not read after 20 of them; once they
 * are read, it is.
 */
static void events_not_read_stop_who_causes_them(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    struct client *watcher = client_new(0);
    unsigned int done = 0, i, events = 0;
    char body[32];

    (void)state;
    give_home(dom0);
    assert_ok(ASK(watcher, XS_WATCH, 0, "/local/domain/1\0t"));
    assert_string_equal(client_event(watcher), "/local/domain/1 t");
    /* Nothing goes to the watcher now; each event is another one. */
    rig.machines[0].cut = true;
    for (i = 0; i < 50; i++) {
        int bytes = snprintf(body, sizeof(body), "n%u%cx", i, 0);

        client_send(guest, XS_WRITE, 0, body, (size_t)bytes);
    }
    rig_run();
    while (client_receive(guest)) {
        assert_int_equal(guest->header.type, XS_WRITE);
        done++;
    }
    assert_int_equal(done, 20);
    rig.machines[0].cut = false;
    sim_store_mended(rig.host.store, &rig.machines[0]);
    while (client_event(watcher)[0]) {
        events++;
    }
    while (client_receive(guest)) {
        done++;
    }
    assert_int_equal(done, 50);
    assert_int_equal(events, 50);
    client_free(dom0);
    client_free(guest);
    client_free(watcher);
}

/* What it has still asked for happens, whoever does not listen. */
static void the_last_words_of_a_client_do_not_wait(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    struct client *watcher = client_new(2);
    char body[32];
    unsigned int i;

    (void)state;
    give_home(dom0);
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/local/domain/1\0n1\0r2"));
    assert_ok(ASK(watcher, XS_WATCH, 0, "/local/domain/1\0t"));
    assert_string_equal(client_event(watcher), "/local/domain/1 t");
    rig.machines[2].cut = true;
    for (i = 0; i < 50; i++) {
        int bytes = snprintf(body, sizeof(body), "n%u%cx", i, 0);

        client_send(guest, XS_WRITE, 0, body, (size_t)bytes);
    }
    rig_run();
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/1/n20"), "ENOENT");
    client_free(guest);
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/1/n49"), "x");
    rig.machines[2].cut = false;
    sim_store_mended(rig.host.store, &rig.machines[2]);
    assert_string_equal(client_event(watcher), "/local/domain/1/n0 t");
    client_free(dom0);
    client_free(watcher);
}

/* A full socket: the rest follows when it is read, without another request. */
static void events_wait_for_a_slow_watcher(void **state)
{
    struct client *dom0 = client_new(0), *watcher = client_new(0);
    char path[512];
    unsigned int i;

    (void)state;
    memset(path, 'x', sizeof(path));
    assert_ok(ASK(watcher, XS_WATCH, 0, "/\0t"));
    assert_string_equal(client_event(watcher), "/ t");
    for (i = 0; i < 2000; i++) {
        path[snprintf(path, 16, "/%04u", i)] = 'x';
        path[sizeof(path) - 1] = '\0';
        assert_ok(client_ask(dom0, XS_MKDIR, 0, path, sizeof(path)));
    }
    for (i = 0; i < 2000; i++) {
        if (!client_receive(watcher)) {
            rig_run();
            assert_true(client_receive(watcher));
        }
        assert_int_equal(atoi(watcher->body + 1), i);
    }
    rig_run();
    assert_false(client_receive(watcher));
    client_free(dom0);
    client_free(watcher);
}

/* Only the first of many equal events waits. */
static void an_event_that_waits_is_not_queued_again(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    int i;

    (void)state;
    give_home(dom0);
    assert_ok(ASK(guest, XS_WATCH, 0, "a\0t"));
    assert_string_equal(client_event(guest), "a t");
    assert_ok(ASK(guest, XS_WATCH, 0, "@releaseDomain\0r"));
    assert_string_equal(client_event(guest), "@releaseDomain r");
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "@releaseDomain\0r0"));
    rig.machines[1].cut = true;
    for (i = 0; i < 10; i++) {
        assert_ok(WRITE(dom0, 0, "/local/domain/1/a\0x"));
        assert_ok(WRITE(dom0, 0, "/local/domain/1/a/b\0x"));
    }
    for (i = 0; i < 2; i++) {
        assert_ok(ASK(dom0, XS_INTRODUCE, 0, "2\0001\0001"));
        assert_ok(ASK(dom0, XS_RELEASE, 0, "2"));
    }
    rig.machines[1].cut = false;
    sim_store_mended(rig.host.store, &rig.machines[1]);
    assert_string_equal(client_event(guest), "a t");
    assert_string_equal(client_event(guest), "a/b t");
    /* Each of these may speak of another domain. */
    assert_string_equal(client_event(guest), "@releaseDomain r");
    assert_string_equal(client_event(guest), "@releaseDomain r");
    assert_string_equal(client_event(guest), "");
    client_free(dom0);
    client_free(guest);
}

/* What waits for a guest has a bound: beyond it events are lost. */
static void a_guest_that_never_reads_costs_little(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    char path[2048];
    unsigned int i, seen = 0;

    (void)state;
    give_home(dom0);
    memset(path, 'x', sizeof(path));
    assert_ok(ASK(guest, XS_WATCH, 0, "/local\0t"));
    rig.machines[1].cut = true;
    for (i = 0; i < 2000; i++) {
        int bytes = snprintf(path, 64, "/local/domain/1/%04u", i);

        path[bytes] = 'x';
        path[sizeof(path) - 1] = '\0';
        assert_ok(client_ask(dom0, XS_WRITE, 0, path, sizeof(path)));
    }
    rig.machines[1].cut = false;
    sim_store_mended(rig.host.store, &rig.machines[1]);
    rig_run();
    while (client_receive(guest)) {
        seen++;
        rig_run();
    }
    /* The answer, the first event, and 2.5 MiB of 2066 octets each. */
    assert_in_range(seen, 1200, 1300);
    client_free(dom0);
    client_free(guest);
}

static void a_client_that_dies_in_the_middle_costs_nothing(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    char body[32];
    unsigned int i;

    (void)state;
    give_home(dom0);
    shrink(guest);
    assert_ok(ASK(guest, XS_WATCH, 0, "/local/domain/1\0t"));
    for (i = 0; i < 200; i++) {
        int bytes = snprintf(body, sizeof(body), "n%u%cx", i, 0);

        client_send(guest, XS_WRITE, 0, body, (size_t)bytes);
        rig_run();
    }
    client_free(guest);
    /* All that it wrote has happened, as it would have through a kernel. */
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/1/n199"), "x");
    assert_ok(ASK(dom0, XS_RM, 0, "/local/domain/1"));
    client_free(dom0);
}

/* ---- Faults ------------------------------------------------------------ */

static void a_failed_request_does_nothing(void **state)
{
    struct client *guest = client_new(1), *dom0 = client_new(0);
    unsigned int before;

    (void)state;
    rig.fault = -ENOSPC;
    assert_string_equal(WRITE(dom0, 0, "/a\0b"), "ENOSPC");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/a"), "ENOENT");
    rig.fault = -EIO;
    assert_string_equal(ASK(guest, XS_WATCH, 0, "/a\0b"), "EIO");
    assert_string_equal(client_event(guest), "");
    /* One that the protocol has no name for. */
    rig.fault = -EMFILE;
    assert_string_equal(ASK(dom0, XS_READ, 0, "/"), "EINVAL");
    before = rig.calls;
    ASK(dom0, XS_READ, 0, "/");
    ASK(dom0, 99, 0, "/");
    assert_int_equal(rig.calls - before, 2);
    client_free(dom0);
    client_free(guest);
}

/* A client takes it as over, whatever the error. */
static void a_failed_end_ends_the_transaction(void **state)
{
    struct client *dom0 = client_new(0);
    uint32_t tx = client_start(dom0);

    (void)state;
    assert_ok(WRITE(dom0, tx, "/a\0b"));
    rig.fault = -ENOMEM;
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "T"), "ENOMEM");
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "T"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/a"), "ENOENT");
    client_free(dom0);
}

static void an_answer_can_be_late(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint64_t begin = hcl_now_us();

    (void)state;
    assert_ok(ASK(dom0, XS_WATCH, 0, "/b\0t"));
    assert_string_equal(client_event(dom0), "/b t");
    rig.delay_us = 50000;
    client_send(dom0, XS_MKDIR, 0, "/a", 3);
    client_send(dom0, XS_READ, 0, "/a", 3);
    rig_run();
    /* It has happened, and others go on; their events wait, too. */
    assert_ok(ASK(other, XS_MKDIR, 0, "/b"));
    ASK(other, XS_READ, 0, "/a");
    assert_int_equal(other->header.type, XS_READ);
    while (!client_receive(dom0)) {
        hcl_loop_poll(rig.host.loop, -1);
    }
    assert_true(hcl_now_us() - begin >= 50000);
    assert_int_equal(dom0->header.type, XS_MKDIR);
    rig_run();
    assert_true(client_receive(dom0));
    assert_int_equal(dom0->header.type, XS_READ);
    assert_string_equal(client_event(dom0), "/b t");
    client_free(dom0);
    client_free(other);
}

static void a_late_answer_may_come_to_nobody(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    rig.delay_us = 3600000000u;
    client_send(dom0, XS_MKDIR, 0, "/a", 3);
    rig_run();
    client_free(dom0);
    dom0 = client_new(0);
    ASK(dom0, XS_READ, 0, "/a");
    assert_int_equal(dom0->header.type, XS_READ);
    client_free(dom0);
}

static void a_machine_that_is_cut_off_waits(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    struct client *dying = client_new(1);

    (void)state;
    give_home(dom0);
    assert_ok(ASK(guest, XS_WATCH, 0, "a\0t"));
    assert_string_equal(client_event(guest), "a t");
    rig.machines[1].cut = true;
    client_send(guest, XS_WRITE, 0, "b\0x", 3);
    client_send(dying, XS_WRITE, 0, "c\0x", 3);
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/a"));
    rig_run();
    assert_false(client_receive(guest));
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/1/b"), "ENOENT");
    /* One that comes, and one that goes meanwhile. */
    client_free(dying);
    dying = client_new(1);
    client_send(dying, XS_GET_DOMAIN_PATH, 0, "1", 2);
    rig_run();
    assert_false(client_receive(dying));
    rig.machines[1].cut = false;
    sim_store_mended(rig.host.store, &rig.machines[1]);
    rig_run();
    assert_true(client_receive(guest));
    assert_int_equal(guest->header.type, XS_WATCH_EVENT);
    assert_true(client_receive(guest));
    assert_int_equal(guest->header.type, XS_WRITE);
    assert_true(client_receive(dying));
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/1/b"), "x");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/1/c"), "x");
    client_free(dom0);
    client_free(guest);
    client_free(dying);
}

/* Cut by the very request. */
static void nothing_is_read_after_the_cut(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    client_send(dom0, XS_MKDIR, 0, "/a", 3);
    rig.machines[0].cut = true;
    rig_run();
    client_send(dom0, XS_MKDIR, 0, "/b", 3);
    rig_run();
    assert_false(client_receive(dom0));
    assert_int_equal(rig.calls, 0);
    rig.machines[0].cut = false;
    sim_store_mended(rig.host.store, &rig.machines[0]);
    rig_run();
    assert_int_equal(rig.calls, 2);
    assert_true(client_receive(dom0));
    assert_true(client_receive(dom0));
    client_free(dom0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_request_may_come_in_pieces),
        TEST(requests_may_come_together),
        TEST(the_longest_request_is_served_and_a_longer_one_ends_it),
        TEST(unknown_operations_are_refused),
        TEST(what_was_written_before_the_end_counts),
        TEST(a_machine_is_disconnected_alone),
        TEST(answers_not_read_stop_requests),
        TEST(events_not_read_stop_who_causes_them),
        TEST(the_last_words_of_a_client_do_not_wait),
        TEST(events_wait_for_a_slow_watcher),
        TEST(an_event_that_waits_is_not_queued_again),
        TEST(a_guest_that_never_reads_costs_little),
        TEST(a_client_that_dies_in_the_middle_costs_nothing),
        TEST(a_failed_request_does_nothing),
        TEST(a_failed_end_ends_the_transaction),
        TEST(an_answer_can_be_late),
        TEST(a_late_answer_may_come_to_nobody),
        TEST(a_machine_that_is_cut_off_waits),
        TEST(nothing_is_read_after_the_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
