/* SPDX-License-Identifier: MIT */
/*
 * The simulated xenstored: quotas and transactions, as C xenstored 4.17 has
 * them.
 */
#include "test_sim_store.h"

/* ---- Quotas ------------------------------------------------------------ */

static void a_guests_nodes_are_limited(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    rig.host.limits.nodes = 4;
    give_home(dom0);
    assert_ok(ASK(guest, XS_MKDIR, 0, "a"));
    assert_ok(ASK(guest, XS_MKDIR, 0, "b"));
    /* Two at once do not fit: none is made. */
    assert_string_equal(ASK(guest, XS_MKDIR, 0, "c/d"), "ENOSPC");
    assert_string_equal(ASK(guest, XS_READ, 0, "c"), "ENOENT");
    ASK(guest, XS_DIRECTORY, 0, "/local/domain/1");
    assert_int_equal(guest->header.len, 4);
    assert_ok(ASK(guest, XS_MKDIR, 0, "c"));
    assert_string_equal(ASK(guest, XS_MKDIR, 0, "d"), "ENOSPC");
    /* Others' and writes do not count; what goes makes room. */
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/d/e/f/g/h"));
    assert_ok(WRITE(guest, 0, "c\0value"));
    assert_ok(ASK(guest, XS_RM, 0, "a"));
    assert_ok(ASK(guest, XS_MKDIR, 0, "d"));
    /* It can be changed at any time. */
    rig.host.limits.nodes = 5;
    assert_ok(ASK(guest, XS_MKDIR, 0, "e"));
    assert_string_equal(ASK(guest, XS_MKDIR, 0, "f"), "ENOSPC");
    /* dom0 has none. */
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1/f"));
    client_free(dom0);
    client_free(guest);
}

/* 24 bytes, and 8 for an entry of its permissions, are xenstored's own. */
static void a_guests_nodes_are_small(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    char body[2100] = "a";

    (void)state;
    give_home(dom0);
    memset(body + 2, 'x', sizeof(body) - 2);
    assert_ok(client_ask(guest, XS_WRITE, 0, body, 2 + 2047 - 32));
    assert_string_equal(client_ask(guest, XS_WRITE, 0, body, 2 + 2048 - 32),
                        "ENOSPC");
    /* What was there still is. */
    ASK(guest, XS_READ, 0, "a");
    assert_int_equal(guest->header.len, 2047 - 32);
    assert_string_equal(ASK(guest, XS_SET_PERMS, 0, "a\0n1\0r0"), "ENOSPC");
    /* Names count in their parent. */
    rig.host.limits.node_bytes = 32 + 6;
    assert_ok(ASK(guest, XS_MKDIR, 0, "bc"));
    assert_string_equal(ASK(guest, XS_MKDIR, 0, "d"), "ENOSPC");
    assert_string_equal(ASK(guest, XS_READ, 0, "d"), "ENOENT");
    assert_string_equal(ASK(guest, XS_MKDIR, 0, "bc/cdefgh/i"), "ENOSPC");
    assert_string_equal(ASK(guest, XS_READ, 0, "bc/cdefgh"), "ENOENT");
    ASK(guest, XS_DIRECTORY, 0, "bc");
    assert_int_equal(guest->header.len, 0);
    assert_ok(WRITE(dom0, 0, "/local/domain/1/b\0a long value"));
    client_free(dom0);
    client_free(guest);
}

static void a_guests_watches_are_limited(void **state)
{
    struct client *dom0 = client_new(0), *one = client_new(1);
    struct client *other = client_new(1), *two = client_new(2);

    (void)state;
    rig.host.limits.watches = 2;
    assert_ok(ASK(one, XS_WATCH, 0, "a\0t"));
    assert_ok(ASK(one, XS_WATCH, 0, "b\0t"));
    /* As in C xenstored one more than it says; all programs share it. */
    assert_ok(ASK(other, XS_WATCH, 0, "c\0t"));
    assert_string_equal(ASK(one, XS_WATCH, 0, "d\0t"), "E2BIG");
    assert_string_equal(ASK(other, XS_WATCH, 0, "d\0t"), "E2BIG");
    assert_ok(ASK(two, XS_WATCH, 0, "d\0t"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "a\0t"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "b\0t"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "c\0t"));
    assert_ok(ASK(dom0, XS_WATCH, 0, "d\0t"));
    client_free(other);
    assert_ok(ASK(one, XS_WATCH, 0, "d\0t"));
    client_free(dom0);
    client_free(one);
    client_free(two);
}

static void a_guests_transactions_are_limited(void **state)
{
    struct client *one = client_new(1), *other = client_new(1);
    uint32_t first;

    (void)state;
    rig.host.limits.transactions = 1;
    first = client_start(one);
    client_start(other);
    assert_string_equal(ASK(one, XS_TRANSACTION_START, 0, ""), "ENOSPC");
    assert_string_equal(ASK(other, XS_TRANSACTION_START, 0, ""), "ENOSPC");
    assert_ok(ASK(one, XS_TRANSACTION_END, first, "F"));
    client_start(other);
    client_free(other);
    client_start(one);
    client_start(one);
    assert_string_equal(ASK(one, XS_TRANSACTION_START, 0, ""), "ENOSPC");
    client_free(one);
}

static void a_guests_transaction_looks_at_so_many_nodes(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    uint32_t tx = client_start(guest);
    char path[16];
    int i;

    (void)state;
    give_home(dom0);
    /* The path and, as it is not there, its parent. */
    assert_string_equal(ASK(guest, XS_READ, tx, "n"), "ENOENT");
    for (i = 0; i < 1022; i++) {
        int bytes = snprintf(path, sizeof(path), "n%d", i) + 1;

        assert_string_equal(client_ask(guest, XS_READ, tx, path, (size_t)bytes),
                            "ENOENT");
    }
    assert_string_equal(ASK(guest, XS_READ, tx, "m"), "ENOSPC");
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, tx, "T"), "ENOMEM");
    client_free(dom0);
    client_free(guest);
}

/* ---- Transactions ------------------------------------------------------ */

static void a_transaction_is_seen_at_its_end(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint32_t tx;

    (void)state;
    assert_ok(WRITE(dom0, 0, "/x/old\0o"));
    tx = client_start(dom0);
    assert_ok(WRITE(dom0, tx, "/x/new/deep\0n"));
    assert_ok(WRITE(dom0, tx, "/x/old\0p"));
    assert_string_equal(ASK(dom0, XS_READ, tx, "/x/new/deep"), "n");
    ASK(dom0, XS_DIRECTORY, tx, "/x");
    assert_memory_equal(dom0->body, "old\0new", 8);
    assert_string_equal(ASK(other, XS_READ, 0, "/x/new/deep"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/x/old"), "o");
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "T"));
    assert_string_equal(ASK(other, XS_READ, 0, "/x/new/deep"), "n");
    assert_string_equal(ASK(other, XS_READ, 0, "/x/old"), "p");
    /* Its number means nothing any more. */
    assert_string_equal(ASK(dom0, XS_READ, tx, "/x"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "T"), "ENOENT");
    client_free(dom0);
    client_free(other);
}

static void an_aborted_transaction_leaves_nothing(void **state)
{
    struct client *dom0 = client_new(0);
    uint32_t tx = client_start(dom0);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, tx, "/y/z"));
    assert_ok(ASK(dom0, XS_RM, tx, "/tool"));
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "F"));
    assert_string_equal(ASK(dom0, XS_READ, 0, "/y"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_DIRECTORY, 0, "/tool"), "xenstored");
    client_free(dom0);
}

static void a_bad_end_ends_nothing(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint32_t tx = client_start(dom0);

    (void)state;
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "X"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, 0, "T"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_TRANSACTION_START, tx, ""), "EBUSY");
    /* Another connection's is unknown. */
    assert_string_equal(ASK(other, XS_TRANSACTION_END, tx, "F"), "ENOENT");
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "T"));
    client_free(dom0);
    client_free(other);
}

/* What @change does between a look and the end must cost the commit. */
static void conflict(const char *look, const void *change, size_t bytes,
                     uint32_t type, const char *expected)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint32_t tx;

    assert_ok(ASK(dom0, XS_MKDIR, 0, "/k/dir"));
    assert_ok(WRITE(dom0, 0, "/k/node\0v"));
    tx = client_start(dom0);
    client_ask(dom0, XS_READ, tx, look, strlen(look) + 1);
    assert_ok(WRITE(dom0, tx, "/result\0x"));
    assert_ok(client_ask(other, type, 0, change, bytes));
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "T"), expected);
    assert_string_equal(ASK(dom0, XS_READ, 0, "/result"),
                        strcmp(expected, "OK") == 0 ? "x" : "ENOENT");
    assert_ok(ASK(dom0, XS_RM, 0, "/k"));
    assert_ok(ASK(dom0, XS_RM, 0, "/result"));
    client_free(dom0);
    client_free(other);
}

static void a_write_to_what_was_read_is_a_conflict(void **state)
{
    (void)state;
    conflict("/k/node", "/k/node\0w", 9, XS_WRITE, "EAGAIN");
    conflict("/k/node", "/k/node\0v", 9, XS_WRITE, "EAGAIN");
    conflict("/k/node", "/k/node", 8, XS_RM, "EAGAIN");
    conflict("/k/node", "/k/node\0r0", 11, XS_SET_PERMS, "EAGAIN");
    conflict("/k/dir", "/k/dir/new", 11, XS_MKDIR, "EAGAIN");
    conflict("/k/none", "/k/none", 8, XS_MKDIR, "EAGAIN");
    conflict("/k/node", "/k/dir\0w", 8, XS_WRITE, "OK");
    conflict("/k/dir", "/k/node\0w", 9, XS_WRITE, "OK");
    conflict("/k/dir", "/k/dir", 7, XS_MKDIR, "OK");
    /* For a missing node, its ancestor was looked at, too. */
    conflict("/k/dir/none", "/k/dir/other", 13, XS_MKDIR, "EAGAIN");
}

static void of_two_transactions_the_later_loses(void **state)
{
    struct client *one = client_new(0), *two = client_new(0);
    uint32_t first, second;

    (void)state;
    assert_ok(ASK(one, XS_MKDIR, 0, "/w"));
    first = client_start(one);
    second = client_start(two);
    /* Different names, but both look at the parent. */
    assert_ok(WRITE(one, first, "/w/a\0x"));
    assert_ok(WRITE(two, second, "/w/b\0x"));
    assert_ok(ASK(two, XS_TRANSACTION_END, second, "T"));
    assert_string_equal(ASK(one, XS_TRANSACTION_END, first, "T"), "EAGAIN");
    assert_string_equal(ASK(one, XS_DIRECTORY, 0, "/w"), "b");
    /* What exists is written without a look at the parent. */
    assert_ok(WRITE(one, 0, "/w/a\0x"));
    first = client_start(one);
    second = client_start(two);
    assert_ok(WRITE(one, first, "/w/a\0y"));
    assert_ok(WRITE(two, second, "/w/b\0y"));
    assert_ok(ASK(two, XS_TRANSACTION_END, second, "T"));
    assert_ok(ASK(one, XS_TRANSACTION_END, first, "T"));
    client_free(one);
    client_free(two);
}

static void a_transaction_keeps_what_it_saw(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint32_t tx;

    (void)state;
    assert_ok(WRITE(dom0, 0, "/s/a\0old"));
    assert_ok(WRITE(dom0, 0, "/s/b\0old"));
    tx = client_start(dom0);
    assert_string_equal(ASK(dom0, XS_READ, tx, "/s/a"), "old");
    assert_ok(WRITE(other, 0, "/s/a\0new"));
    assert_ok(WRITE(other, 0, "/s/b\0new"));
    assert_string_equal(ASK(dom0, XS_READ, tx, "/s/a"), "old");
    assert_string_equal(ASK(dom0, XS_READ, tx, "/s/b"), "new");
    assert_ok(ASK(other, XS_RM, 0, "/s"));
    assert_string_equal(ASK(dom0, XS_READ, tx, "/s/a"), "old");
    assert_ok(ASK(dom0, XS_TRANSACTION_END, tx, "F"));
    client_free(dom0);
    client_free(other);
}

static void a_removal_in_a_transaction_is_one(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    uint32_t tx;

    (void)state;
    rig.host.limits.nodes = 5;
    give_home(dom0);
    assert_ok(ASK(guest, XS_MKDIR, 0, "a/b/c"));
    tx = client_start(guest);
    assert_ok(ASK(guest, XS_RM, tx, "a"));
    assert_string_equal(ASK(guest, XS_READ, tx, "a/b/c"), "ENOENT");
    assert_ok(WRITE(guest, tx, "a/b\0again"));
    assert_ok(ASK(guest, XS_MKDIR, tx, "gone"));
    assert_ok(ASK(guest, XS_RM, tx, "gone"));
    assert_ok(ASK(guest, XS_TRANSACTION_END, tx, "T"));
    assert_string_equal(ASK(guest, XS_READ, 0, "a/b"), "again");
    assert_string_equal(ASK(guest, XS_READ, 0, "a/b/c"), "ENOENT");
    assert_string_equal(ASK(guest, XS_READ, 0, "gone"), "ENOENT");
    /* All of it was counted: three are there. */
    assert_ok(ASK(guest, XS_MKDIR, 0, "x/y"));
    assert_string_equal(ASK(guest, XS_MKDIR, 0, "z"), "ENOSPC");
    client_free(dom0);
    client_free(guest);
}

static void a_commit_looks_at_the_quota_of_nodes(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    uint32_t tx;

    (void)state;
    rig.host.limits.nodes = 4;
    give_home(dom0);
    tx = client_start(guest);
    assert_ok(ASK(guest, XS_MKDIR, tx, "a/b/c"));
    /* One less than outside of a transaction, as in C xenstored. */
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, tx, "T"), "ENOSPC");
    assert_string_equal(ASK(guest, XS_READ, 0, "a"), "ENOENT");
    tx = client_start(guest);
    assert_ok(ASK(guest, XS_MKDIR, tx, "a/b"));
    assert_ok(ASK(guest, XS_TRANSACTION_END, tx, "T"));
    client_free(dom0);
    client_free(guest);
}

static void a_transaction_with_a_failed_write_fails(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    char body[2100] = "a";
    uint32_t tx;

    (void)state;
    give_home(dom0);
    tx = client_start(guest);
    assert_ok(WRITE(guest, tx, "b\0x"));
    assert_string_equal(client_ask(guest, XS_WRITE, tx, body, sizeof(body)),
                        "ENOSPC");
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, tx, "T"), "ENOMEM");
    assert_string_equal(ASK(guest, XS_READ, 0, "b"), "ENOENT");
    client_free(dom0);
    client_free(guest);
}

/* The parent as it was before the node, and the node: that cannot be right. */
static void a_removal_of_what_the_parent_lacks_fails(void **state)
{
    struct client *dom0 = client_new(0), *other = client_new(0);
    uint32_t tx;

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/m"));
    tx = client_start(dom0);
    ASK(dom0, XS_DIRECTORY, tx, "/m");
    assert_ok(ASK(other, XS_MKDIR, 0, "/m/new"));
    assert_string_equal(ASK(dom0, XS_RM, tx, "/m/new"), "EIO");
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "T"), "EAGAIN");
    assert_string_equal(ASK(dom0, XS_DIRECTORY, 0, "/m"), "new");
    client_free(dom0);
    client_free(other);
}

static void a_node_that_could_not_be_made_is_not_there(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);
    uint32_t tx;

    (void)state;
    give_home(dom0);
    rig.host.limits.node_bytes = 32 + 6;
    tx = client_start(guest);
    /* It is the parent that gets too large. */
    assert_string_equal(ASK(guest, XS_MKDIR, tx, "a-long-name"), "ENOSPC");
    assert_string_equal(ASK(guest, XS_READ, tx, "a-long-name"), "ENOENT");
    assert_string_equal(ASK(guest, XS_TRANSACTION_END, tx, "T"), "ENOMEM");
    assert_string_equal(ASK(guest, XS_MKDIR, 0, "a-long-name"), "ENOSPC");
    assert_string_equal(ASK(guest, XS_READ, 0, "a-long-name"), "ENOENT");
    client_free(dom0);
    client_free(guest);
}

static void a_commit_needs_the_new_owner(void **state)
{
    struct client *dom0 = client_new(0);
    uint32_t tx;

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/o"));
    tx = client_start(dom0);
    assert_ok(ASK(dom0, XS_SET_PERMS, tx, "/o\0n2"));
    rig.domains[2].dying = true;
    sim_store_domain_changed(rig.host.store, &rig.domains[2]);
    rig.domains[1].next = NULL;
    assert_string_equal(ASK(dom0, XS_TRANSACTION_END, tx, "T"), "ENOMEM");
    ASK(dom0, XS_GET_PERMS, 0, "/o");
    assert_string_equal(dom0->body, "n0");
    client_free(dom0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_guests_nodes_are_limited),
        TEST(a_guests_nodes_are_small),
        TEST(a_guests_watches_are_limited),
        TEST(a_guests_transactions_are_limited),
        TEST(a_guests_transaction_looks_at_so_many_nodes),
        TEST(a_transaction_is_seen_at_its_end),
        TEST(an_aborted_transaction_leaves_nothing),
        TEST(a_bad_end_ends_nothing),
        TEST(a_write_to_what_was_read_is_a_conflict),
        TEST(of_two_transactions_the_later_loses),
        TEST(a_transaction_keeps_what_it_saw),
        TEST(a_removal_in_a_transaction_is_one),
        TEST(a_commit_looks_at_the_quota_of_nodes),
        TEST(a_transaction_with_a_failed_write_fails),
        TEST(a_removal_of_what_the_parent_lacks_fails),
        TEST(a_node_that_could_not_be_made_is_not_there),
        TEST(a_commit_needs_the_new_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
