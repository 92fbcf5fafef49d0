/* SPDX-License-Identifier: MIT */
/*
 * The simulated xenstored: nodes and permissions, as C xenstored 4.17 has them.
 */
#include "test_sim_store.h"

/* ---- Nodes ------------------------------------------------------------- */

static void a_value_is_read_as_it_was_written(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(WRITE(dom0, 0, "/a/b\0x\0y\xff"));
    assert_int_equal(memcmp(ASK(dom0, XS_READ, 0, "/a/b"), "x\0y\xff", 4), 0);
    assert_int_equal(dom0->header.len, 4);
    assert_ok(WRITE(dom0, 0, "/a/b\0"));
    ASK(dom0, XS_READ, 0, "/a/b");
    assert_int_equal(dom0->header.len, 0);
    /* The parent was made, without a value. */
    ASK(dom0, XS_READ, 0, "/a");
    assert_int_equal(dom0->header.len, 0);
    assert_int_equal(dom0->header.type, XS_READ);
    client_free(dom0);
}

static void names_are_listed_as_they_were_made(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/l/z"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/l/a"));
    assert_ok(WRITE(dom0, 0, "/l/m\0value"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/l/a"));
    ASK(dom0, XS_DIRECTORY, 0, "/l");
    assert_int_equal(dom0->header.len, 6);
    assert_memory_equal(dom0->body, "z\0a\0m", 6);
    assert_ok(ASK(dom0, XS_RM, 0, "/l/a"));
    ASK(dom0, XS_DIRECTORY, 0, "/l");
    assert_int_equal(dom0->header.len, 4);
    assert_memory_equal(dom0->body, "z\0m", 4);
    /* What xenstored begins with. */
    assert_string_equal(ASK(dom0, XS_DIRECTORY, 0, "/tool"), "xenstored");
    client_free(dom0);
}

static void a_removal_takes_all_below(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/r/a/b/c"));
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/r/a2"));
    assert_ok(ASK(dom0, XS_RM, 0, "/r/a"));
    assert_string_equal(ASK(dom0, XS_READ, 0, "/r/a/b/c"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/r/a/b"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/r/a"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_DIRECTORY, 0, "/r"), "a2");
    /* Gone already: fine, but only if the parent is there. */
    assert_ok(ASK(dom0, XS_RM, 0, "/r/a"));
    assert_string_equal(ASK(dom0, XS_RM, 0, "/r/a/b"), "ENOENT");
    assert_string_equal(ASK(dom0, XS_RM, 0, "/"), "EINVAL");
    client_free(dom0);
}

static void bad_paths_are_refused(void **state)
{
    static const char *const bad[] = {"",     "/a/", "//a", "/a//b", "/a b",
                                      "/a.b", "@x",  "a/",  "/\xe4", "/a:b"};
    struct client *dom0 = client_new(0);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_string_equal(
            client_ask(dom0, XS_READ, 0, bad[i], strlen(bad[i]) + 1), "EINVAL");
        assert_string_equal(
            client_ask(dom0, XS_WRITE, 0, bad[i], strlen(bad[i]) + 1),
            "EINVAL");
    }
    assert_ok(WRITE(dom0, 0, "/AZaz09-_@/x\0"));
    /* Not one string. */
    assert_string_equal(client_ask(dom0, XS_READ, 0, "/AZ", 3), "EINVAL");
    assert_string_equal(client_ask(dom0, XS_READ, 0, "/\0a", 4), "EINVAL");
    assert_string_equal(client_ask(dom0, XS_MKDIR, 0, "/x\0b", 5), "EINVAL");
    assert_string_equal(client_ask(dom0, XS_WRITE, 0, "/x", 2), "EINVAL");
    client_free(dom0);
}

static void a_path_is_limited_without_its_domain(void **state)
{
    struct client *dom0 = client_new(0);
    char path[128] = "/local/domain/7/";

    (void)state;
    rig.host.limits.path_bytes = 20;
    memset(path + 16, 'a', 20);
    assert_ok(client_ask(dom0, XS_MKDIR, 0, path, 37));
    path[36] = 'a';
    assert_string_equal(client_ask(dom0, XS_MKDIR, 0, path, 38), "EINVAL");
    assert_string_equal(ASK(dom0, XS_MKDIR, 0, "/aaaaaaaaaabbbbbbbbbb"),
                        "EINVAL");
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/aaaaaaaaaabbbbbbbbb"));
    client_free(dom0);
}

static void relative_paths_begin_at_home(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    assert_ok(WRITE(dom0, 0, "/local/domain/1/x\0there"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/local/domain/1/x\0n0\0r1"));
    assert_ok(WRITE(dom0, 0, "x\0here"));
    assert_string_equal(ASK(guest, XS_READ, 0, "x"), "there");
    assert_string_equal(ASK(dom0, XS_READ, 0, "x"), "here");
    assert_string_equal(ASK(dom0, XS_READ, 0, "/local/domain/0/x"), "here");
    assert_string_equal(ASK(guest, XS_GET_DOMAIN_PATH, 0, "7"),
                        "/local/domain/7");
    client_free(dom0);
    client_free(guest);
}

static void a_long_list_comes_in_parts(void **state)
{
    struct client *dom0 = client_new(0);
    char name[64], generation[32] = "", list[8192];
    size_t at = 0, i, bytes, head;
    bool last;

    (void)state;
    for (i = 0; i < 500; i++) {
        bytes = (size_t)snprintf(name, sizeof(name), "/parts/a-name-%03zu", i);
        assert_ok(client_ask(dom0, XS_MKDIR, 0, name, bytes + 1));
    }
    assert_string_equal(ASK(dom0, XS_DIRECTORY, 0, "/parts"), "E2BIG");
    do {
        bytes = (size_t)snprintf(name, sizeof(name), "/parts%c%zu", 0, at);
        client_ask(dom0, XS_DIRECTORY_PART, 0, name, bytes + 1);
        head = strlen(dom0->body) + 1;
        if (at > 0) {
            assert_string_equal(dom0->body, generation);
        }
        snprintf(generation, sizeof(generation), "%.31s", dom0->body);
        last = dom0->body[dom0->header.len - 2] == '\0';
        bytes = dom0->header.len - head - last;
        assert_true(at + bytes <= sizeof(list));
        memcpy(list + at, dom0->body + head, bytes);
        at += bytes;
    } while (!last);
    assert_int_equal(at, 500 * sizeof("a-name-000"));
    for (i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "a-name-%03zu", i);
        assert_string_equal(list + i * sizeof("a-name-000"), name);
    }
    client_free(dom0);
}

/* ---- Permissions ------------------------------------------------------- */

static void a_guest_sees_only_what_it_may(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    assert_ok(WRITE(dom0, 0, "/p/secret\0x"));
    assert_ok(WRITE(dom0, 0, "/p/shown\0x"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/p/shown\0n0\0r1"));
    assert_string_equal(ASK(guest, XS_READ, 0, "/p/shown"), "x");
    assert_string_equal(WRITE(guest, 0, "/p/shown\0y"), "EACCES");
    assert_string_equal(ASK(guest, XS_RM, 0, "/p/shown"), "EACCES");
    assert_string_equal(ASK(guest, XS_SET_PERMS, 0, "/p/shown\0r1"), "EACCES");
    assert_string_equal(ASK(guest, XS_READ, 0, "/p/secret"), "EACCES");
    assert_string_equal(ASK(guest, XS_DIRECTORY, 0, "/p"), "EACCES");
    assert_string_equal(ASK(guest, XS_GET_PERMS, 0, "/p"), "EACCES");
    /* Nor whether there is something. */
    assert_string_equal(ASK(guest, XS_READ, 0, "/p/none"), "EACCES");
    assert_string_equal(WRITE(guest, 0, "/p/none\0"), "EACCES");
    assert_string_equal(ASK(guest, XS_RM, 0, "/p/none"), "EACCES");
    /* The nearest ancestor decides. */
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/p\0r0"));
    assert_string_equal(ASK(guest, XS_READ, 0, "/p/none/at/all"), "ENOENT");
    assert_string_equal(WRITE(guest, 0, "/p/none\0"), "EACCES");
    assert_string_equal(ASK(guest, XS_READ, 0, "/p/secret"), "EACCES");
    client_free(dom0);
    client_free(guest);
}

static void permissions_are_shown_as_they_were_set(void **state)
{
    struct client *dom0 = client_new(0);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/q"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/q\0r1\0w2\0b0\0n2"));
    ASK(dom0, XS_GET_PERMS, 0, "/q");
    assert_int_equal(dom0->header.len, 12);
    assert_memory_equal(dom0->body, "r1\0w2\0b0\0n2", 12);
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "/q"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "/q\0x1"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "/q\0r"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "/q\0r1z"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "/q\0"), "EINVAL");
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "/none\0r1"), "ENOENT");
    /* An owner must exist; another entry without a domain has no effect. */
    assert_string_equal(ASK(dom0, XS_SET_PERMS, 0, "/q\0r77"), "ENOENT");
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/q\0n0\0r77\0r1"));
    client_free(dom0);
}

static void the_first_entry_of_a_domain_counts(void **state)
{
    struct client *dom0 = client_new(0), *one = client_new(1);
    struct client *two = client_new(2);

    (void)state;
    assert_ok(WRITE(dom0, 0, "/f\0x"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/f\0b0\0n1\0b1"));
    assert_string_equal(ASK(one, XS_READ, 0, "/f"), "EACCES");
    /* Who is not named has the owner's entry. */
    assert_string_equal(ASK(two, XS_READ, 0, "/f"), "x");
    assert_ok(WRITE(two, 0, "/f\0y"));
    /* The owner has all, whatever stands there. */
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/f\0n1\0w2"));
    assert_string_equal(ASK(one, XS_READ, 0, "/f"), "y");
    assert_string_equal(ASK(two, XS_READ, 0, "/f"), "EACCES");
    assert_ok(WRITE(two, 0, "/f\0z"));
    client_free(dom0);
    client_free(one);
    client_free(two);
}

static void a_child_has_its_parents_permissions(void **state)
{
    struct client *dom0 = client_new(0), *one = client_new(1);
    struct client *two = client_new(2);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/c"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/c\0n1\0b2"));
    assert_ok(ASK(two, XS_MKDIR, 0, "/c/two/deep"));
    ASK(dom0, XS_GET_PERMS, 0, "/c/two/deep");
    assert_memory_equal(dom0->body, "n2\0b2", 6);
    ASK(dom0, XS_GET_PERMS, 0, "/c/two");
    assert_memory_equal(dom0->body, "n2\0b2", 6);
    /* The owner of the parent is not the owner of this. */
    assert_string_equal(ASK(one, XS_READ, 0, "/c/two"), "EACCES");
    /* What dom0 makes is the parent's owner's. */
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/c/zero"));
    ASK(dom0, XS_GET_PERMS, 0, "/c/zero");
    assert_memory_equal(dom0->body, "n1\0b2", 6);
    /* Who may write the parent may remove all below. */
    assert_string_equal(ASK(one, XS_RM, 0, "/c/two"), "EACCES");
    assert_ok(ASK(one, XS_RM, 0, "/c"));
    client_free(dom0);
    client_free(one);
    client_free(two);
}

static void an_owner_cannot_give_a_node_away(void **state)
{
    struct client *dom0 = client_new(0), *guest = client_new(1);

    (void)state;
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/g"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/g\0n1"));
    assert_ok(ASK(guest, XS_SET_PERMS, 0, "/g\0r1\0b2"));
    assert_string_equal(ASK(guest, XS_SET_PERMS, 0, "/g\0r2"), "EPERM");
    assert_string_equal(
        ASK(guest, XS_SET_PERMS, 0, "/g\0n1\0r0\0r1\0r1\0r1\0r1"), "ENOSPC");
    assert_ok(ASK(guest, XS_SET_PERMS, 0, "/g\0n1\0r0\0r1\0r1\0r1"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/g\0n1\0r0\0r1\0r1\0r1\0r1"));
    client_free(dom0);
    client_free(guest);
}

static void a_domain_may_act_for_its_target(void **state)
{
    struct client *dom0 = client_new(0), *stub = client_new(2);

    (void)state;
    assert_ok(WRITE(dom0, 0, "/t\0x"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/t\0n0\0r1"));
    assert_string_equal(ASK(stub, XS_READ, 0, "/t"), "EACCES");
    assert_string_equal(ASK(stub, XS_SET_TARGET, 0, "2\0001"), "EACCES");
    assert_string_equal(ASK(dom0, XS_SET_TARGET, 0, "2\00077"), "ENOENT");
    assert_ok(ASK(dom0, XS_SET_TARGET, 0, "2\0001"));
    assert_string_equal(ASK(stub, XS_READ, 0, "/t"), "x");
    assert_string_equal(WRITE(stub, 0, "/t\0"), "EACCES");
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/t\0n1"));
    assert_ok(WRITE(stub, 0, "/t\0"));
    /* It ends with the target. */
    assert_ok(ASK(dom0, XS_RELEASE, 0, "1"));
    assert_ok(WRITE(dom0, 0, "/t\0x"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/t\0n0\0r1"));
    assert_string_equal(ASK(stub, XS_READ, 0, "/t"), "EACCES");
    client_free(dom0);
    client_free(stub);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_read_as_it_was_written),
        TEST(names_are_listed_as_they_were_made),
        TEST(a_removal_takes_all_below),
        TEST(bad_paths_are_refused),
        TEST(a_path_is_limited_without_its_domain),
        TEST(relative_paths_begin_at_home),
        TEST(a_long_list_comes_in_parts),
        TEST(a_guest_sees_only_what_it_may),
        TEST(permissions_are_shown_as_they_were_set),
        TEST(the_first_entry_of_a_domain_counts),
        TEST(a_child_has_its_parents_permissions),
        TEST(an_owner_cannot_give_a_node_away),
        TEST(a_domain_may_act_for_its_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
