/* SPDX-License-Identifier: MIT */
/*
 * The simulated xenstored: watches, and what domains' lives do to nodes and
 * watches, as C xenstored 4.17 has it.
 */
#include "test_sim_store.h"

#define assert_event(client, text)                                             \
    assert_string_equal(client_event(client), text)
#define assert_no_event(client) assert_event(client, "")

/* ---- Watches ----------------------------------------------------------- */

static void a_watch_fires_at_once(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    assert_ok(ASK(dom0, XS_WATCH, 0, "/none/yet\0t"));
    assert_event(dom0, "/none/yet t");
    assert_ok(ASK(guest, XS_WATCH, 0, "/may/not/read\0t"));
    assert_event(guest, "/may/not/read t");
    assert_ok(ASK(guest, XS_WATCH, 0, "@releaseDomain\0t"));
    assert_event(guest, "@releaseDomain t");
    assert_no_event(dom0);
    assert_no_event(guest);
    client_free(dom0);
    client_free(guest);
}

/* The answer comes before that event, and after an event of its own doing. */
static void events_and_answers_are_in_order(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    client_send(dom0, XS_WATCH, 0, "/o\0t", 5);
    client_send(dom0, XS_WRITE, 0, "/o\0v", 4);
    rig_run();
    assert_true(client_receive(dom0));
    assert_int_equal(dom0->header.type, XS_WATCH);
    assert_true(client_receive(dom0));
    assert_int_equal(dom0->header.type, XS_WATCH_EVENT);
    assert_int_equal(dom0->header.req_id, 0);
    assert_int_equal(dom0->header.tx_id, 0);
    assert_true(client_receive(dom0));
    assert_int_equal(dom0->header.type, XS_WATCH_EVENT);
    assert_true(client_receive(dom0));
    assert_int_equal(dom0->header.type, XS_WRITE);
    assert_false(client_receive(dom0));
    client_free(dom0);
}

static void a_watch_sees_its_node_and_all_below(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(ASK(dom0, XS_WATCH, 0, "/w/a\0t"));
    assert_event(dom0, "/w/a t");
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/w"));
    assert_ok(WRITE(dom0, 0, "/w/ab\0x"));
    assert_no_event(dom0);
    /* Parents that are made on the way are not told. */
    assert_ok(WRITE(dom0, 0, "/w/a/b/c\0x"));
    assert_event(dom0, "/w/a/b/c t");
    assert_ok(WRITE(dom0, 0, "/w/a\0x"));
    assert_event(dom0, "/w/a t");
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/w/a/b\0n0"));
    assert_event(dom0, "/w/a/b t");
    /* It is there: nothing has changed. */
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/w/a/b"));
    assert_string_equal(ASK(dom0, XS_READ, 0, "/w/a/b/c"), "x");
    assert_ok(ASK(dom0, XS_RM, 0, "/w/none"));
    assert_no_event(dom0);
    /* A removal is told for its top, to those above. */
    assert_ok(ASK(dom0, XS_RM, 0, "/w/a/b"));
    assert_event(dom0, "/w/a/b t");
    assert_no_event(dom0);
    client_free(dom0);
}

static void a_removal_above_fires_where_nodes_were(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/r/a/b/c"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/r/a/b\0b"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/r/a/b/c\0c"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/r/a/none\0n"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/r\0r"));
    while (client_event(dom0)[0]) {
    }
    assert_ok(ASK(dom0, XS_RM, 0, "/r/a"));
    assert_event(dom0, "/r/a/b/c c");
    assert_event(dom0, "/r/a/b b");
    assert_event(dom0, "/r/a r");
    assert_no_event(dom0);
    client_free(dom0);
}

static void a_relative_watch_is_told_relatively(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    give_home(dom0);
    assert_ok(ASK(guest, XS_WATCH, 0, "device\0rel"));
    assert_event(guest, "device rel");
    assert_ok(ASK(guest, XS_WATCH, 0, "/local/domain/1/device\0abs"));
    assert_event(guest, "/local/domain/1/device abs");
    assert_ok(ASK(guest, XS_MKDIR, 0, "device/x"));
    assert_event(guest, "device/x rel");
    assert_event(guest, "/local/domain/1/device/x abs");
    assert_ok(ASK(guest, XS_UNWATCH, 0, "device\0rel"));
    assert_string_equal(ASK(guest, XS_UNWATCH, 0, "device\0rel"), "ENOENT");
    assert_ok(ASK(guest, XS_RM, 0, "device"));
    assert_event(guest, "/local/domain/1/device abs");
    assert_no_event(guest);
    client_free(dom0);
    client_free(guest);
}

static void watches_are_told_by_path_and_token(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(ASK(dom0, XS_WATCH, 0, "/\0root"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/a\0two"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/a\0one"));
    assert_string_equal(ASK(dom0, XS_WATCH, 0, "/a\0one"), "EEXIST");
    assert_string_equal(ASK(dom0, XS_WATCH, 0, "/a/\0one"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_WATCH, 0, "\0one"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_WATCH, 0, "/a"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_WATCH, 0, "/a\0b\0c"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_UNWATCH, 0, "/a\0none"), "ENOENT");
    while (client_event(dom0)[0]) {
    }
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/a"));
    /* As registered. */
    assert_event(dom0, "/a root");
    assert_event(dom0, "/a two");
    assert_event(dom0, "/a one");
    assert_ok(ASK(dom0, XS_UNWATCH, 0, "/a\0two"));
    assert_ok(WRITE(dom0, 0, "/a\0x"));
    assert_event(dom0, "/a root");
    assert_event(dom0, "/a one");
    assert_ok(ASK(dom0, XS_RESET_WATCHES, 0, ""));
    assert_ok(WRITE(dom0, 0, "/a\0x"));
    assert_no_event(dom0);
    client_free(dom0);
}

static void only_who_may_read_is_told(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/p/hidden"));
    assert_ok(ASK(guest, XS_WATCH, 0, "/p\0t"));
    assert_event(guest, "/p t");
    assert_ok(WRITE(dom0, 0, "/p/hidden\0x"));
    assert_no_event(guest);
    /* Gets, and loses, the right: both are told. */
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/p/hidden\0n0\0r1"));
    assert_event(guest, "/p/hidden t");
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/p/hidden\0n0"));
    assert_event(guest, "/p/hidden t");
    assert_ok(WRITE(dom0, 0, "/p/hidden\0x"));
    assert_no_event(guest);
    /* Who may read the directory knows its names anyway. */
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/p\0n0\0r1"));
    assert_event(guest, "/p t");
    assert_ok(WRITE(dom0, 0, "/p/hidden\0x"));
    assert_event(guest, "/p/hidden t");
    assert_ok(ASK(dom0, XS_RM, 0, "/p/hidden"));
    assert_event(guest, "/p/hidden t");
    assert_no_event(guest);
    client_free(dom0);
    client_free(guest);
}

static void a_transaction_is_told_when_it_commits(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint32_t tx;

    (void)state;
    assert_ok(WRITE(dom0, 0, "/t/a\0x"));
    assert_ok(ASK(other, XS_WATCH, 0, "/t\0t"));
    assert_event(other, "/t t");
    tx = client_start(dom0);
    assert_ok(WRITE(dom0, tx, "/t/b\0x"));
    assert_ok(WRITE(dom0, tx, "/t/a\0y"));
    assert_ok(WRITE(dom0, tx, "/t/b\0y"));
    assert_no_event(other);
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "T"));
    /* Each node once, as first looked at. */
    assert_event(other, "/t/b t");
    assert_event(other, "/t/a t");
    assert_no_event(other);
    tx = client_start(dom0);
    assert_ok(WRITE(dom0, tx, "/t/a\0z"));
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "F"));
    assert_no_event(other);
    tx = client_start(dom0);
    assert_ok(WRITE(dom0, tx, "/t/a\0z"));
    assert_ok(WRITE(other, 0, "/t/a\0x"));
    assert_event(other, "/t/a t");
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "T"), "EAGAIN");
    assert_no_event(other);
    client_free(dom0);
    client_free(other);
}

static void a_removal_in_a_transaction_is_told(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint32_t tx;

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/t/a/b"));
    assert_ok(ASK(other, XS_WATCH, 0, "/t/a/b\0b"));
    assert_ok(ASK(other, XS_WATCH, 0, "/t\0t"));
    while (client_event(other)[0]) {
    }
    tx = client_start(dom0);
    assert_ok(ASK(dom0, XS_RM, tx, "/t/a"));
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "T"));
    assert_event(other, "/t/a t");
    assert_event(other, "/t/a/b b");
    assert_no_event(other);
    /* What was to be told to those above still is. */
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/t/a/b"));
    while (client_event(other)[0]) {
    }
    tx = client_start(dom0);
    assert_ok(WRITE(dom0, tx, "/t/a/b\0x"));
    assert_ok(ASK(dom0, XS_RM, tx, "/t/a"));
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "T"));
    assert_event(other, "/t/a/b b");
    assert_event(other, "/t/a/b t");
    assert_event(other, "/t/a t");
    assert_no_event(other);
    /* Made and removed: nothing has happened. */
    tx = client_start(dom0);
    assert_ok(ASK(dom0, XS_MKDIR, tx, "/t/c"));
    assert_ok(ASK(dom0, XS_RM, tx, "/t/c"));
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "T"));
    assert_no_event(other);
    client_free(dom0);
    client_free(other);
}

static void watches_end_with_their_connection(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);

    (void)state;
    assert_ok(ASK(other, XS_WATCH, 0, "/e\0t"));
    client_start(other);
    assert_int_equal(sim_store_audit(rig.host.store, NULL), 3 + 2);
    client_free(other);
    assert_int_equal(sim_store_audit(rig.host.store, NULL), 3);
    assert_ok(WRITE(dom0, 0, "/e\0x"));
    client_free(dom0);
}

/* ---- Domains ----------------------------------------------------------- */

/* Until somebody allows others to hear of it, dom0 alone does. */
static void special_events_have_permissions(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    assert_ok(ASK(dom0, XS_WATCH, 0, "@releaseDomain\0d"));
    assert_ok(ASK(guest, XS_WATCH, 0, "@releaseDomain\0g"));
    assert_event(dom0, "@releaseDomain d");
    assert_event(guest, "@releaseDomain g");
    assert_ok(ASK(dom0, XS_RELEASE, 0, "2"));
    assert_event(dom0, "@releaseDomain d");
    assert_no_event(guest);
    assert_string_equal(ASK(guest, XS_SET_PERMS, 0, "@releaseDomain\0r1"),
                        "EACCES");
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "@other\0r0"), "EINVAL");
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "@releaseDomain\0n0\0r1"));
    assert_ok(ASK(dom0, XS_INTRODUCE, 0, "2\0001\0001"));
    assert_ok(ASK(dom0, XS_RELEASE, 0, "2"));
    assert_event(dom0, "@releaseDomain d");
    assert_event(guest, "@releaseDomain g");
    assert_no_event(dom0);
    assert_no_event(guest);
    client_free(dom0);
    client_free(guest);
}

static void domains_are_introduced_and_released(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    rig.domains[2].introduced = false;
    assert_ok(ASK(dom0, XS_WATCH, 0, "@introduceDomain\0i"));
    assert_event(dom0, "@introduceDomain i");
    assert_string_equal(ASK(dom0, XS_IS_DOMAIN_INTRODUCED, 0, "1"), "T");
    assert_string_equal(ASK(dom0, XS_IS_DOMAIN_INTRODUCED, 0, "2"), "F");
    assert_string_equal(ASK(dom0, XS_IS_DOMAIN_INTRODUCED, 0, "9"), "F");
    assert_string_equal(ASK(guest, XS_INTRODUCE, 0, "2\0001\0001"), "EACCES");
    assert_string_equal(ASK(dom0, XS_INTRODUCE, 0, "9\0001\0001"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_INTRODUCE, 0, "2\0001"), "EINVAL");
    assert_ok(ASK(dom0, XS_INTRODUCE, 0, "2\0001\0001"));
    assert_event(dom0, "@introduceDomain i");
    assert_true(rig.domains[2].introduced);
    /* Again: no event. */
    assert_ok(ASK(dom0, XS_INTRODUCE, 0, "2\0001\0001"));
    assert_no_event(dom0);
    assert_string_equal(ASK(guest, XS_RELEASE, 0, "2"), "EACCES");
    assert_string_equal(ASK(dom0, XS_RELEASE, 0, "0"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_RELEASE, 0, "9"), "ENOENT");
    assert_ok(ASK(dom0, XS_RELEASE, 0, "2"));
    assert_false(rig.domains[2].introduced);
    assert_string_equal(ASK(dom0, XS_RELEASE, 0, "2"), "ENOENT");
    client_free(dom0);
    client_free(guest);
}

static void a_domain_is_heard_when_it_is_introduced(void **state)
{
    struct client *dom0 = client_new(0), *guest;

    (void)state;
    rig.domains[1].introduced = false;
    guest = client_new(1);
    client_send(guest, XS_GET_DOMAIN_PATH, 0, "1", 2);
    rig_run();
    assert_false(client_receive(guest));
    assert_ok(ASK(dom0, XS_INTRODUCE, 0, "1\0001\0001"));
    rig_run();
    assert_true(client_receive(guest));
    assert_string_equal(guest->body, "/local/domain/1");
    client_free(dom0);
    client_free(guest);
}

static void the_end_of_a_domain_takes_its_nodes(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    give_home(dom0);
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/data"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/dom0s"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/local/domain/1/dom0s\0n0"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/shared/one"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/shared/two"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/shared/two\0n1"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "@releaseDomain\0r"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/shared\0s"));
    while (client_event(dom0)[0]) {
    }
    rig.domains[1].dying = true;
    sim_store_domain_changed(rig.host.store, &rig.domains[1]);
    /* First the nodes, then the word of it. */
    assert_event(dom0, "/shared/two s");
    assert_event(dom0, "@releaseDomain r");
    assert_no_event(dom0);
    assert_false(rig.domains[1].introduced);
    assert_string_equal(ASK(dom0, XS_DIRECTORY, 0, "/local/domain"), "");
    assert_string_equal(ASK(dom0, XS_DIRECTORY, 0, "/shared"), "one");
    /* It may come to own something while its pages are still mapped. */
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/shared/one\0n1"));
    sim_store_domain_changed(rig.host.store, &rig.domains[1]);
    assert_string_equal(ASK(dom0, XS_READ, 0, "/shared/one"), "ENOENT");
    assert_event(dom0, "/shared/one s");
    assert_event(dom0, "/shared/one s");
    assert_no_event(dom0);
    client_free(dom0);
}

/* A later domain of that number has none of its rights. */
static void a_released_domain_has_no_rights_left(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    assert_ok(WRITE(dom0, 0, "/shown\0x"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/shown\0n0\0r1\0r2"));
    assert_string_equal(ASK(guest, XS_READ, 0, "/shown"), "x");
    assert_ok(ASK(dom0, XS_RELEASE, 0, "1"));
    assert_ok(ASK(dom0, XS_INTRODUCE, 0, "1\0001\0001"));
    assert_string_equal(ASK(guest, XS_READ, 0, "/shown"), "EACCES");
    assert_ok(WRITE(dom0, 0, "/shown\0y"));
    assert_string_equal(ASK(guest, XS_READ, 0, "/shown"), "EACCES");
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/shown\0n0\0r1"));
    assert_string_equal(ASK(guest, XS_READ, 0, "/shown"), "y");
    client_free(dom0);
    client_free(guest);
}

static void a_shutdown_is_told_once(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(ASK(dom0, XS_WATCH, 0, "@releaseDomain\0r"));
    assert_event(dom0, "@releaseDomain r");
    rig.domains[1].shutdown = 2;
    sim_store_domain_changed(rig.host.store, &rig.domains[1]);
    assert_event(dom0, "@releaseDomain r");
    assert_true(rig.domains[1].introduced);
    sim_store_domain_changed(rig.host.store, &rig.domains[1]);
    assert_no_event(dom0);
    /* The toolstack says when it goes on. */
    rig.domains[1].shutdown = -1;
    assert_string_equal(ASK(dom0, XS_RESUME, 0, "9"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_RESUME, 0, "0"), "EINVAL");
    assert_ok(ASK(dom0, XS_RESUME, 0, "1"));
    rig.domains[1].shutdown = 0;
    sim_store_domain_changed(rig.host.store, &rig.domains[1]);
    assert_event(dom0, "@releaseDomain r");
    assert_no_event(dom0);
    client_free(dom0);
}

/* Guest 1 is saved, and comes back as domain 2. */
static void move(void)
{
    struct sim_machine *machine = &rig.machines[1];

    machine->domain = NULL;
    rig.domains[1].machine = NULL;
    rig.domains[1].dying = true;
    rig.domains[2].introduced = false;
    sim_store_domain_changed(rig.host.store, &rig.domains[1]);
    rig.domains[2].machine = machine;
    machine->domain = &rig.domains[2];
}

static void a_restored_guests_watches_fire(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    give_home(dom0);
    assert_ok(ASK(guest, XS_WATCH, 0, "data\0rel"));
    assert_ok(ASK(guest, XS_WATCH, 0, "/local/domain/1/data\0abs"));
    while (client_event(guest)[0]) {
    }
    move();
    /* Neither the old domain's nor the new one's nodes are its own yet. */
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/2/data"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/local/domain/2/data\0n2"));
    assert_ok(ASK(dom0, XS_INTRODUCE, 0, "2\0001\0001"));
    client_send(guest, XS_WRITE, 0, "data\0x", 6);
    rig_run();
    assert_false(client_receive(guest));
    sim_store_restored(rig.host.store, &rig.machines[1]);
    rig_run();
    assert_true(client_receive(guest));
    assert_string_equal(guest->body, "data");
    assert_string_equal(guest->body + 5, "rel");
    assert_true(client_receive(guest));
    assert_string_equal(guest->body, "/local/domain/1/data");
    /* What was asked before is answered in the new domain. */
    assert_true(client_receive(guest));
    assert_int_equal(guest->header.type, XS_WATCH_EVENT);
    assert_string_equal(guest->body, "data");
    assert_true(client_receive(guest));
    assert_int_equal(guest->header.type, XS_WRITE);
    assert_false(client_receive(guest));
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/2/data"), "x");
    client_free(dom0);
    client_free(guest);
}

/* As Linux answers for the xenstored that it has left. */
static void a_restored_guests_transactions_are_stale(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    uint32_t first, second, third;

    (void)state;
    give_home(dom0);
    first = client_start(guest);
    second = client_start(guest);
    assert_ok(WRITE(guest, first, "x\0y"));
    move();
    assert_ok(ASK(dom0, XS_INTRODUCE, 0, "2\0001\0001"));
    sim_store_restored(rig.host.store, &rig.machines[1]);
    assert_string_equal(ASK(guest, XS_READ, first, "x"), "ENOENT");
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, first, "X"), "EINVAL");
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, first, "T"), "EAGAIN");
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, first, "T"), "ENOENT");
    assert_ok(ASK(guest, XS_TRANSACTION_END, second, "F"));
    third = client_start(guest);
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, third, "T"), "OK");
    client_free(dom0);
    client_free(guest);
}

/* ---- Audit ------------------------------------------------------------- */

static void the_audit_knows_what_is_the_hosts_own(void **state)
{
    struct client *dom0 = client_new(0), *guest;
    char text[1024] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    uint32_t tx;

    (void)state;
    assert_non_null(out);
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/0/backend"));
    sim_store_baseline(rig.host.store);
    give_home(dom0);
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/device/hcl"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/backend"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/libxl/1/device"));
    assert_ok(
        WRITE(dom0, 0, "/vm/00000000-0000-0000-0000-000000000001/name\0g"));
    assert_int_equal(sim_store_audit(rig.host.store, NULL), 0);

    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/device/hcl/0"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/backend/hcl"));
    assert_ok(WRITE(dom0, 0, "/local/domain/0/backend/hcl\0a\nb\"c"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/11"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "/x\0t\033o"));
    guest = client_new(1);
    tx = client_start(guest);
    assert_int_equal(sim_store_audit(rig.host.store, out), 6);
    fclose(out);
    assert_string_equal(text, "node: /local/domain/0/backend/hcl = \"a?b\"c\"\n"
                              "node: /local/domain/1/device/hcl/0 = \"\"\n"
                              "node: /local/domain/1/backend/hcl = \"\"\n"
                              "node: /local/domain/11 = \"\"\n"
                              "transaction: domain 1\n"
                              "watch: domain 0 /x t?o\n");
    assert_ok(ASK(guest, XS_TRANSACTION_END, tx, "F"));
    client_free(guest);
    /* Of a dead guest nothing is. */
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/local/domain/1\0n0"));
    assert_ok(ASK(dom0, XS_RM, 0, "/local/domain/1/device"));
    assert_ok(ASK(dom0, XS_RM, 0, "/local/domain/1/backend"));
    rig.domains[1].dying = true;
    /* The three from before, and four and one of the guest's. */
    assert_int_equal(sim_store_audit(rig.host.store, NULL), 3 + 5);
    client_free(dom0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_watch_fires_at_once),
        TEST(events_and_answers_are_in_order),
        TEST(a_watch_sees_its_node_and_all_below),
        TEST(a_removal_above_fires_where_nodes_were),
        TEST(a_relative_watch_is_told_relatively),
        TEST(watches_are_told_by_path_and_token),
        TEST(only_who_may_read_is_told),
        TEST(a_transaction_is_told_when_it_commits),
        TEST(a_removal_in_a_transaction_is_told),
        TEST(watches_end_with_their_connection),
        TEST(special_events_have_permissions),
        TEST(domains_are_introduced_and_released),
        TEST(a_domain_is_heard_when_it_is_introduced),
        TEST(the_end_of_a_domain_takes_its_nodes),
        TEST(a_released_domain_has_no_rights_left),
        TEST(a_shutdown_is_told_once),
        TEST(a_restored_guests_watches_fire),
        TEST(a_restored_guests_transactions_are_stale),
        TEST(the_audit_knows_what_is_the_hosts_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
