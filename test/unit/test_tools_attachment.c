/* SPDX-License-Identifier: MIT */
/*
 * What the toolstack makes of directories that other domains may have written,
 * over a xenstore of the test's own: the xs_* functions here stand before those
 * of libxenstore.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

/* Others have an attachment.h, too. */
#include "../../tools/attachment.h"
#include "stop.h"

#define MAX_NODES 256
#define GUEST "/local/domain/5"
#define OWN "/local/domain/0/backend/hcl/5/"  /* of dom0 */
#define EVIL "/local/domain/7/backend/hcl/5/" /* of another backend */
#define FRONT "/local/domain/5/device/hcl/"

/* ---- The xenstore ------------------------------------------------------ */

struct xs_handle {
    int unused;
};

static struct xs_handle the_handle;
static struct {
    char path[128], value[1100];
    bool used;
    struct xs_permissions permissions[2]; /* the first one's id is the owner */
} nodes[MAX_NODES];
static unsigned int watches, commits;
static unsigned int changes_alone; /* outside of a transaction */

static int find_node(const char *path)
{
    int i;

    for (i = 0; i < MAX_NODES; i++) {
        if (nodes[i].used && !strcmp(nodes[i].path, path)) {
            return i;
        }
    }
    return -1;
}

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return !strncmp(path, dir, len) && path[len] == '/';
}

/* Makes a node, and its parents, as xenstored does. */
static void set(const char *path, const char *value)
{
    char parent[128];
    char *slash;
    int i;

    snprintf(parent, sizeof(parent), "%.127s", path);
    slash = strrchr(parent, '/');
    if (slash != parent) {
        *slash = '\0';
        if (find_node(parent) < 0) {
            set(parent, "");
        }
    }
    i = find_node(path);
    if (i < 0) {
        for (i = 0; nodes[i].used; i++) {
            assert_true(i + 1 < MAX_NODES);
        }
        memset(nodes[i].permissions, 0, sizeof(nodes[i].permissions));
    }
    nodes[i].used = true;
    snprintf(nodes[i].path, sizeof(nodes[i].path), "%.127s", path);
    snprintf(nodes[i].value, sizeof(nodes[i].value), "%.1099s", value);
}

static const char *get(const char *path)
{
    int i = find_node(path);

    return i < 0 ? NULL : nodes[i].value;
}

static bool rm(const char *path)
{
    bool found = false;
    int i;

    for (i = 0; i < MAX_NODES; i++) {
        if (nodes[i].used &&
            (!strcmp(nodes[i].path, path) || is_below(nodes[i].path, path))) {
            nodes[i].used = false;
            found = true;
        }
    }
    errno = ENOENT;
    return found;
}

struct xs_handle *xs_open(unsigned long flags)
{
    (void)flags;
    return &the_handle;
}

void xs_close(struct xs_handle *handle)
{
    (void)handle;
}

int xs_fileno(struct xs_handle *handle)
{
    (void)handle;
    return -1;
}

void *xs_read(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, unsigned int *len)
{
    const char *value = get(path);

    (void)handle;
    (void)transaction;
    if (!value) {
        errno = ENOENT;
        return NULL;
    }
    *len = (unsigned int)strlen(value);
    return strdup(value);
}

char **xs_directory(struct xs_handle *handle, xs_transaction_t transaction,
                    const char *path, unsigned int *num)
{
    char **names;
    char *text;
    int i;

    (void)handle;
    (void)transaction;
    if (find_node(path) < 0) {
        errno = ENOENT;
        return NULL;
    }
    names = malloc(MAX_NODES * (sizeof(*names) + 128));
    assert_non_null(names);
    text = (char *)(names + MAX_NODES);
    *num = 0;
    for (i = 0; i < MAX_NODES; i++) {
        if (nodes[i].used && is_below(nodes[i].path, path) &&
            !strchr(nodes[i].path + strlen(path) + 1, '/')) {
            names[*num] = text;
            text = stpcpy(text, nodes[i].path + strlen(path) + 1) + 1;
            (*num)++;
        }
    }
    return names;
}

bool xs_write(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, const void *data, unsigned int len)
{
    char value[1100];

    (void)handle;
    changes_alone += transaction == XBT_NULL;
    snprintf(value, sizeof(value), "%.*s", (int)len, (const char *)data);
    set(path, value);
    return true;
}

bool xs_mkdir(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path)
{
    (void)handle;
    changes_alone += transaction == XBT_NULL;
    if (find_node(path) < 0) {
        set(path, "");
    }
    return true;
}

bool xs_rm(struct xs_handle *handle, xs_transaction_t transaction,
           const char *path)
{
    (void)handle;
    changes_alone += transaction == XBT_NULL;
    return rm(path);
}

bool xs_set_permissions(struct xs_handle *handle, xs_transaction_t transaction,
                        const char *path, struct xs_permissions *perms,
                        unsigned int num_perms)
{
    int i = find_node(path);

    (void)handle;
    changes_alone += transaction == XBT_NULL;
    assert_int_equal(num_perms, 2);
    if (i >= 0) {
        memcpy(nodes[i].permissions, perms, sizeof(nodes[i].permissions));
    }
    return i >= 0;
}

bool xs_watch(struct xs_handle *handle, const char *path, const char *token)
{
    (void)handle;
    (void)path;
    (void)token;
    watches++;
    return true;
}

bool xs_unwatch(struct xs_handle *handle, const char *path, const char *token)
{
    (void)handle;
    (void)path;
    (void)token;
    watches--;
    return true;
}

char **xs_check_watch(struct xs_handle *handle)
{
    (void)handle;
    errno = EAGAIN;
    return NULL;
}

xs_transaction_t xs_transaction_start(struct xs_handle *handle)
{
    (void)handle;
    return 1;
}

bool xs_transaction_end(struct xs_handle *handle, xs_transaction_t transaction,
                        bool abort)
{
    (void)handle;
    (void)transaction;
    commits += !abort;
    return true;
}

/* ---- What every test starts with --------------------------------------- */

static const struct hcl_guest guest = {5, "guest1", ""};
static struct hcl_store *store;
static struct hcl_err err;
static struct hcl_items items;
static unsigned int skipped;

static int setup(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof(nodes));
    memset(&err, 0, sizeof(err));
    skipped = 0;
    commits = 0;
    changes_alone = 0;
    set("/local/domain/0/name", "Domain-0");
    set("/local/domain/7/name", "evil");
    set(GUEST "/name", "guest1");
    set(GUEST "/device", "");
    return hcl_store_open(&store, NULL);
}

static int teardown(void **state)
{
    (void)state;
    hcl_items_clear(&items);
    hcl_store_free(store);
    return watches != 0;
}

static struct hcl_item item(const char *text)
{
    struct hcl_item parsed = {0};

    assert_int_equal(hcl_item_parse(&parsed, text, &err), 0);
    return parsed;
}

static struct hcl_attachment make(const char *text, int expected)
{
    struct hcl_attachment at = {0};
    struct hcl_item wanted = item(text);
    int ret = hcl_attachment_make(store, &guest, &wanted, &at, &err);

    if (ret != expected) {
        fail_msg("%s: %d, %s", text, ret, err.text);
    }
    return at;
}

static void known(const char *text)
{
    struct hcl_item wanted = item(text);

    assert_int_equal(hcl_items_put(&items, &wanted, &err), 0);
}

static void note(void *arg, const char *text)
{
    (void)arg;
    assert_non_null(text);
    skipped++;
}

static bool yes(void *arg, const struct hcl_item *gone)
{
    (void)arg;
    (void)gone;
    return true;
}

static void learn(bool drop)
{
    struct hcl_attachment_learn how = {store, 5, drop ? yes : NULL, note, NULL};

    assert_int_equal(hcl_attachment_learn(&how, &items, &err), 0);
}

static void assert_item(unsigned int i, const char *text)
{
    char buf[HCL_SPEC_BYTES];

    assert_true(i < items.count);
    hcl_item_format(&items.item[i], buf, sizeof(buf));
    assert_string_equal(buf, text);
}

/* ---- Making ------------------------------------------------------------ */

static void assert_permissions(const char *dir, unsigned int owner,
                               unsigned int reader)
{
    const struct xs_permissions *found = nodes[find_node(dir)].permissions;

    assert_int_equal(found[0].id, owner);
    assert_int_equal(found[0].perms, XS_PERM_NONE);
    assert_int_equal(found[1].id, reader);
    assert_int_equal(found[1].perms, reader ? XS_PERM_READ : XS_PERM_NONE);
}

/* doc/protocol.md 1: and their parents are the toolstack's. */
static void each_side_owns_its_directory_and_reads_the_others(void **state)
{
    (void)state;
    make("device=rng0,backend=evil", 0);
    assert_permissions(EVIL "0", 7, 5);
    assert_permissions(FRONT "0", 5, 7);
    assert_permissions("/local/domain/7/backend/hcl/5", 0, 0);
    assert_permissions("/local/domain/7/backend/hcl", 0, 0);
    assert_permissions("/local/domain/5/device/hcl", 0, 0);
}

/* Nobody may see half of it. */
static void an_attachment_appears_at_once(void **state)
{
    (void)state;
    make("device=rng0", 0);
    assert_int_equal(commits, 1);
    assert_int_equal(changes_alone, 0);
}

/* Its number is a guest's of another uuid now. */
static void what_a_guest_of_before_left_is_removed(void **state)
{
    static const char *const uuids[] = {"uuid-a", "uuid-c"};
    struct hcl_guest now = {5, "guest1", "uuid-b"};
    struct hcl_attachment at;
    struct hcl_item wanted = item("device=rng0");

    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        set(OWN "0/device", "rng0");
        set(OWN "0/uuid", uuids[i]);
        assert_int_equal(hcl_attachment_make(store, &now, &wanted, &at, &err),
                         0);
        assert_null(get(OWN "0"));
        assert_string_equal(get(OWN "1/uuid"), "uuid-b");
        rm(OWN "1");
        rm(FRONT "1");
    }
}

static void another_backends_word_alone_takes_no_name(void **state)
{
    struct hcl_attachment at;

    (void)state;
    set(EVIL "0/device", "rng0");
    at = make("device=rng0", 0);
    assert_int_equal(at.backend, 0);
    assert_string_equal(get(FRONT "0/backend"), OWN "0");
}

static void a_renamed_attachment_takes_no_name(void **state)
{
    (void)state;
    make("device=zz,backend=evil", 0);
    set(EVIL "0/device", "rng0");
    assert_int_equal(make("device=rng0", 0).devid, 1);
    assert_string_equal(get(FRONT "0/device"), "zz");
}

static void a_second_attachment_of_a_device_is_the_first(void **state)
{
    struct hcl_attachment at;

    (void)state;
    make("device=zz,backend=evil", 0);
    make("device=rng0", 0);
    at = make("device=rng0", -EEXIST);
    assert_int_equal(at.devid, 1);
    assert_int_equal(at.backend, 0);
    assert_int_equal(make("device=zz", -EEXIST).backend, 7);
    make("device=other,devid=1", -EBUSY);
}

static void directories_of_others_use_up_no_numbers(void **state)
{
    char path[128];
    unsigned int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), EVIL "%u", i);
        set(path, "");
    }
    assert_int_equal(make("device=rng0", 0).devid, 0);
    make("device=gps,devid=1", 0);
}

static void what_is_being_detached_says_so(void **state)
{
    (void)state;
    make("device=rng0", 0);
    set(OWN "0/online", "0");
    make("device=rng0", -EBUSY);
    assert_string_equal(err.text,
                        "'rng0' of domain 5 is being detached: repeat "
                        "hclctl detach");
}

static void a_domain_that_is_gone_gets_nothing(void **state)
{
    (void)state;
    rm(GUEST "/device");
    make("device=rng0", -ENOENT);
    assert_null(get(OWN "0"));
    make("device=rng0,backend=nosuch", -ENODEV);
}

/* ---- Odd values -------------------------------------------------------- */

static void values_of_directories_are_not_looked_at(void **state)
{
    struct hcl_attachment at;
    char value[1025];

    (void)state;
    memset(value, 'x', 1024);
    value[1024] = '\0';
    set(GUEST, value);
    set(GUEST "/device", value);
    set("/local/domain/7", value);
    at = make("device=zz,backend=evil", 0);
    set(EVIL "0", value);
    set(FRONT "0", "xxxxxxxxxxxxxxxx");
    assert_int_equal(hcl_attachment_set(store, &at, "online", "0", &err), 0);
    assert_string_equal(get(EVIL "0/online"), "0");
    assert_int_equal(hcl_attachment_remove(store, &at, &err), 0);
    assert_null(get(EVIL "0"));
    assert_null(get(FRONT "0"));
    assert_int_equal(hcl_attachment_set(store, &at, "online", "0", &err),
                     -ENOENT);
    assert_null(get(EVIL "0"));
}

static void odd_directories_are_listed_without_harm(void **state)
{
    struct hcl_attachment *list;
    unsigned int i, count;
    char value[1025];

    (void)state;
    memset(value, '\xff', 1024);
    value[1024] = '\0';
    set(EVIL "0", "xxxxxxxxxxxxxxxx");
    set(EVIL "1/device", value);
    set(EVIL "1/options", value);
    set(EVIL "2/device", "a,devid=0");
    set(FRONT "2/device", "a,devid=0");
    set(FRONT "2/backend-id", "7");
    set(EVIL "00", "");
    set(EVIL "x", "");
    set(EVIL "99999999999", "");
    set("/local/domain/7/backend/hcl/x/0", "");
    assert_int_equal(
        hcl_attachment_list(store, HCL_ATTACHMENT_ALL, &list, &count, &err), 0);
    assert_int_equal(count, 4);
    for (i = 0; i < count; i++) {
        assert_int_equal(list[i].frontend, 5);
    }
    free(list);
    known("device=rng0,devid=0");
    learn(false);
    assert_int_equal(items.count, 1);
    assert_int_equal(skipped, 4);
    assert_int_equal(hcl_attachment_reap(store, 5, &err), 6);
}

static void removing_leaves_another_backends_frontend(void **state)
{
    struct hcl_attachment evil = {.backend = 7, .frontend = 5, .devid = 0};

    (void)state;
    make("device=rng0", 0);
    set(EVIL "0/uuid", "bogus");
    assert_int_equal(hcl_attachment_remove(store, &evil, &err), 0);
    assert_null(get(EVIL "0"));
    assert_string_equal(get(FRONT "0/device"), "rng0");
}

/* ---- Learning ---------------------------------------------------------- */

static void what_was_attached_by_hand_is_learnt(void **state)
{
    (void)state;
    known("device=rng0,devid=0");
    make("device=rng0", 0);
    make("device=zz,backend=evil,x=1", 0);
    learn(true);
    assert_int_equal(items.count, 2);
    assert_item(1, "device=zz,backend=evil,devid=1,x=1");
    assert_int_equal(skipped, 0);
}

static void a_backend_cannot_take_a_known_device_over(void **state)
{
    (void)state;
    known("device=rng0,devid=0,x=1");
    known("device=zz,backend=evil,devid=1");
    make("device=rng0,x=1", 0);
    make("device=zz,backend=evil", 0);
    set(EVIL "1/device", "rng0");
    set(EVIL "1/options", "y=2");
    set(OWN "0/options", "y=2");
    learn(true);
    assert_int_equal(items.count, 2);
    assert_item(0, "device=rng0,backend=0,devid=0,x=1");
    assert_item(1, "device=zz,backend=evil,devid=1");
    assert_int_equal(skipped, 1);
    /* Not with the guest's help either. */
    set(FRONT "1/device", "rng0");
    learn(true);
    assert_item(0, "device=rng0,backend=0,devid=0,x=1");
    assert_item(1, "device=zz,backend=evil,devid=1");
    assert_int_equal(skipped, 2);
}

static void what_is_gone_or_leaving_is_dropped(void **state)
{
    (void)state;
    known("device=rng0,devid=0");
    known("device=gps,devid=1");
    known("device=echo0,devid=2");
    make("device=rng0,devid=0", 0);
    make("device=gps,devid=1", 0);
    set(OWN "1/online", "0");
    learn(false);
    assert_int_equal(items.count, 3);
    learn(true);
    assert_int_equal(items.count, 1);
    assert_item(0, "device=rng0,backend=0,devid=0");
}

/* ---- Waiting ----------------------------------------------------------- */

static enum hcl_state frontend_of(const struct hcl_attachment *at)
{
    enum hcl_state backend, frontend;

    assert_int_equal(
        hcl_attachment_holders(store, at, &backend, &frontend, &err), 0);
    return frontend;
}

static void a_departed_program_counts_as_closed(void **state)
{
    struct hcl_attachment at = make("device=rng0", 0);

    (void)state;
    set(FRONT "0/incarnation", "00000000000000ab");
    set(FRONT "0/state", "4");
    assert_int_equal(frontend_of(&at), HCL_STATE_CONNECTED);
    set(OWN "0/departed", "00000000000000AB");
    assert_int_equal(frontend_of(&at), HCL_STATE_CLOSED);
    set(FRONT "0/state", "1");
    assert_int_equal(frontend_of(&at), HCL_STATE_INITIALISING);
    set(FRONT "0/state", "3");
    set(FRONT "0/incarnation", "00000000000000ac");
    assert_int_equal(frontend_of(&at), HCL_STATE_INITIALISED);
    rm(FRONT "0/incarnation");
    set(OWN "0/departed", "");
    assert_int_equal(frontend_of(&at), HCL_STATE_INITIALISED);
}

static int never(void *arg, struct hcl_err *why)
{
    (void)arg;
    (void)why;
    return 0;
}

/* The last test: the signals stay held back. */
static void a_held_back_signal_ends_a_wait(void **state)
{
    struct hcl_attachment at = make("device=rng0", 0);

    (void)state;
    assert_false(hcl_stop_wanted());
    assert_null(hcl_stop_old_mask());
    assert_int_equal(hcl_stop_hold(&err), 0);
    assert_int_equal(
        hcl_attachment_wait(store, &at, 1, 1000, never, NULL, &err),
        -ETIMEDOUT);
    assert_int_equal(raise(SIGTERM), 0);
    assert_true(hcl_stop_wanted());
    assert_int_equal(
        hcl_attachment_wait(store, &at, 1, 60000000, never, NULL, &err),
        -EINTR);
    assert_true(hcl_stop_wanted());
    assert_int_equal(sigismember(hcl_stop_old_mask(), SIGTERM), 0);
    close(hcl_stop_fd()); /* a program keeps it to its end */
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(each_side_owns_its_directory_and_reads_the_others),
        test(an_attachment_appears_at_once),
        test(what_a_guest_of_before_left_is_removed),
        test(another_backends_word_alone_takes_no_name),
        test(a_renamed_attachment_takes_no_name),
        test(a_second_attachment_of_a_device_is_the_first),
        test(directories_of_others_use_up_no_numbers),
        test(what_is_being_detached_says_so),
        test(a_domain_that_is_gone_gets_nothing),
        test(values_of_directories_are_not_looked_at),
        test(odd_directories_are_listed_without_harm),
        test(removing_leaves_another_backends_frontend),
        test(what_was_attached_by_hand_is_learnt),
        test(a_backend_cannot_take_a_known_device_over),
        test(what_is_gone_or_leaving_is_dropped),
        test(a_departed_program_counts_as_closed),
        test(a_held_back_signal_ends_a_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
