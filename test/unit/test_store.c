/* SPDX-License-Identifier: MIT */
/*
 * store.c over a xenstore of the test's own: the xs_* functions here stand
 * before those of libxenstore.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "handshake.h"
#include "store.h"

#define DIR "/local/domain/1/device/hcl/0"

/* ---- The fake ---------------------------------------------------------- */

struct xs_handle {
    unsigned long flags;
};

static struct xs_handle the_handle;

static struct {
    /* What the next calls answer. */
    int error; /* an errno: every call but open and transactions fails */
    int open_error;
    int start_error;
    int end_error;
    unsigned int conflicts; /* so many commits end in EAGAIN */
    const char *value;
    unsigned int value_bytes;
    unsigned int num_names;
    const char *event_path; /* NULL: no event, and event_error */
    const char *event_token;
    int event_error;
    /* What was asked. */
    int handles; /* open now */
    xs_transaction_t transaction;
    xs_transaction_t open_transaction;
    unsigned int starts, commits, aborts;
    char path[512];
    char token[64];
    char written[2 * HCL_STORE_VALUE];
    unsigned int written_bytes;
    struct xs_permissions permissions[4];
    unsigned int num_permissions;
    const char *verb;
} fake;

/* Notes a call; true if it is to succeed. */
static bool called(const char *verb, xs_transaction_t transaction,
                   const char *path)
{
    fake.verb = verb;
    fake.transaction = transaction;
    snprintf(fake.path, sizeof(fake.path), "%s", path);
    errno = fake.error;
    return fake.error == 0;
}

struct xs_handle *xs_open(unsigned long flags)
{
    if (fake.open_error) {
        errno = fake.open_error;
        return NULL;
    }
    the_handle.flags = flags;
    fake.handles++;
    return &the_handle;
}

void xs_close(struct xs_handle *handle)
{
    assert_ptr_equal(handle, &the_handle);
    fake.handles--;
}

int xs_fileno(struct xs_handle *handle)
{
    assert_ptr_equal(handle, &the_handle);
    return 42;
}

void *xs_read(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, unsigned int *len)
{
    char *copy;

    assert_ptr_equal(handle, &the_handle);
    if (!called("read", transaction, path)) {
        return NULL;
    }
    copy = malloc(fake.value_bytes + 1);
    assert_non_null(copy);
    memcpy(copy, fake.value, fake.value_bytes);
    copy[fake.value_bytes] = '\0';
    *len = fake.value_bytes;
    return copy;
}

/* As libxenstore: one allocation, the strings behind the pointers. */
char **xs_directory(struct xs_handle *handle, xs_transaction_t transaction,
                    const char *path, unsigned int *num)
{
    unsigned int i;
    char **names;
    char *text;

    assert_ptr_equal(handle, &the_handle);
    if (!called("directory", transaction, path)) {
        return NULL;
    }
    names = malloc(fake.num_names * (sizeof(char *) + 2) + 1);
    assert_non_null(names);
    text = (char *)(names + fake.num_names);
    for (i = 0; i < fake.num_names; i++) {
        names[i] = text + 2 * (size_t)i;
        names[i][0] = (char)('a' + i);
        names[i][1] = '\0';
    }
    *num = fake.num_names;
    return names;
}

bool xs_write(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path, const void *data, unsigned int len)
{
    assert_ptr_equal(handle, &the_handle);
    if (!called("write", transaction, path)) {
        return false;
    }
    assert_true(len < sizeof(fake.written));
    memcpy(fake.written, data, len);
    fake.written[len] = '\0';
    fake.written_bytes = len;
    return true;
}

bool xs_mkdir(struct xs_handle *handle, xs_transaction_t transaction,
              const char *path)
{
    assert_ptr_equal(handle, &the_handle);
    return called("mkdir", transaction, path);
}

bool xs_rm(struct xs_handle *handle, xs_transaction_t transaction,
           const char *path)
{
    assert_ptr_equal(handle, &the_handle);
    return called("rm", transaction, path);
}

bool xs_set_permissions(struct xs_handle *handle, xs_transaction_t transaction,
                        const char *path, struct xs_permissions *perms,
                        unsigned int num_perms)
{
    assert_ptr_equal(handle, &the_handle);
    if (!called("permissions", transaction, path)) {
        return false;
    }
    assert_true(num_perms <= 4);
    memcpy(fake.permissions, perms, num_perms * sizeof(*perms));
    fake.num_permissions = num_perms;
    return true;
}

bool xs_watch(struct xs_handle *handle, const char *path, const char *token)
{
    assert_ptr_equal(handle, &the_handle);
    snprintf(fake.token, sizeof(fake.token), "%s", token);
    return called("watch", XBT_NULL, path);
}

bool xs_unwatch(struct xs_handle *handle, const char *path, const char *token)
{
    assert_ptr_equal(handle, &the_handle);
    snprintf(fake.token, sizeof(fake.token), "%s", token);
    return called("unwatch", XBT_NULL, path);
}

/* As libxenstore: one allocation; an error is in errno. */
char **xs_check_watch(struct xs_handle *handle)
{
    size_t path_bytes, token_bytes;
    char **event;

    assert_ptr_equal(handle, &the_handle);
    if (!fake.event_path) {
        errno = fake.event_error;
        return NULL;
    }
    path_bytes = strlen(fake.event_path) + 1;
    token_bytes = strlen(fake.event_token) + 1;
    event = malloc(2 * sizeof(*event) + path_bytes + token_bytes);
    assert_non_null(event);
    event[XS_WATCH_PATH] = (char *)(event + 2);
    event[XS_WATCH_TOKEN] = event[XS_WATCH_PATH] + path_bytes;
    memcpy(event[XS_WATCH_PATH], fake.event_path, path_bytes);
    memcpy(event[XS_WATCH_TOKEN], fake.event_token, token_bytes);
    fake.event_path = NULL; /* each comes once */
    return event;
}

xs_transaction_t xs_transaction_start(struct xs_handle *handle)
{
    assert_ptr_equal(handle, &the_handle);
    assert_int_equal(fake.open_transaction, XBT_NULL);
    if (fake.start_error) {
        errno = fake.start_error;
        return XBT_NULL;
    }
    fake.open_transaction = 100 + ++fake.starts;
    return fake.open_transaction;
}

bool xs_transaction_end(struct xs_handle *handle, xs_transaction_t transaction,
                        bool abort)
{
    assert_ptr_equal(handle, &the_handle);
    assert_int_equal(transaction, fake.open_transaction);
    fake.open_transaction = XBT_NULL;
    if (abort) {
        fake.aborts++;
        return true;
    }
    if (fake.conflicts > 0) {
        fake.conflicts--;
        errno = EAGAIN;
        return false;
    }
    if (fake.end_error) {
        errno = fake.end_error;
        return false;
    }
    fake.commits++;
    return true;
}

/* ---- What every test starts with and leaves behind --------------------- */

static struct hcl_store *store;
static struct hcl_err err;

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    memset(&err, 0, sizeof(err));
    fake.event_error = EAGAIN;
    return hcl_store_open(&store, NULL);
}

static int teardown(void **state)
{
    (void)state;
    hcl_store_free(store);
    return fake.handles;
}

/* A NUL may be inside; the one at the end is not part of the value. */
#define value_is(text)                                                         \
    do {                                                                       \
        fake.value = (text);                                                   \
        fake.value_bytes = sizeof(text) - 1;                                   \
    } while (0)

static void value_is_long(unsigned int bytes)
{
    static char text[8192];

    assert_true(bytes < sizeof(text));
    memset(text, 'x', sizeof(text));
    fake.value = text;
    fake.value_bytes = bytes;
}

static void assert_says(const char *word)
{
    if (!strstr(err.text, word)) {
        fail_msg("\"%s\" is not in \"%s\"", word, err.text);
    }
}

/* ---- Opening ----------------------------------------------------------- */

static void open_that_fails_says_why_and_what_to_do(void **state)
{
    struct hcl_store *none = (struct hcl_store *)&fake;

    (void)state;
    fake.open_error = ENOENT;
    assert_int_equal(hcl_store_open(&none, &err), -ENOENT);
    assert_int_equal(err.code, -ENOENT);
    assert_says("xenstored running");
    assert_says(strerror(ENOENT));
    assert_ptr_equal(none, &fake);
}

static void free_closes_the_handle_and_takes_null(void **state)
{
    struct hcl_store *second;

    (void)state;
    assert_int_equal(hcl_store_open(&second, NULL), 0);
    assert_int_equal(fake.handles, 2);
    hcl_store_free(second);
    assert_int_equal(fake.handles, 1);
    hcl_store_free(NULL);
}

static void descriptor_is_libxenstores(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_fd(store), 42);
}

/* ---- Reading ----------------------------------------------------------- */

static void read_gives_the_value_of_dir_and_node(void **state)
{
    char text[16];

    (void)state;
    value_is("rng0");
    assert_int_equal(
        hcl_store_read(store, DIR, "device", text, sizeof(text), &err), 0);
    assert_string_equal(text, "rng0");
    assert_string_equal(fake.path, DIR "/device");
    assert_int_equal(fake.transaction, XBT_NULL);
}

static void read_of_an_empty_node_reads_the_directory(void **state)
{
    char text[16];

    (void)state;
    value_is("x");
    assert_int_equal(
        hcl_store_read(store, "domid", "", text, sizeof(text), NULL), 0);
    assert_string_equal(fake.path, "domid");
}

static void read_gives_an_empty_value(void **state)
{
    char text[4] = "abc";

    (void)state;
    value_is("");
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     0);
    assert_string_equal(text, "");
}

static void read_fills_the_buffer_up_to_its_last_byte(void **state)
{
    char text[5];

    (void)state;
    value_is("1234");
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     0);
    assert_string_equal(text, "1234");
}

static void read_of_one_byte_too_many_is_EMSGSIZE(void **state)
{
    char text[5] = "keep";

    (void)state;
    value_is("12345");
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     -EMSGSIZE);
    assert_says(DIR "/x");
    assert_says("5 bytes");
    assert_says("at most 4");
    assert_string_equal(text, "keep");
}

static void read_of_a_huge_value_is_EMSGSIZE(void **state)
{
    char text[HCL_STORE_VALUE + 1];

    (void)state;
    value_is_long(HCL_STORE_VALUE);
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     0);
    assert_int_equal(strlen(text), HCL_STORE_VALUE);
    value_is_long(4096);
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     -EMSGSIZE);
}

static void read_of_a_nul_inside_is_EBADMSG(void **state)
{
    char text[16] = "keep";

    (void)state;
    value_is("rng0\0evil");
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     -EBADMSG);
    assert_says(DIR "/x");
    assert_says("NUL");
    assert_string_equal(text, "keep");
}

static void read_of_a_nul_at_the_end_is_EBADMSG(void **state)
{
    char text[16];

    (void)state;
    value_is("4\0");
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     -EBADMSG);
}

static void read_of_a_path_that_fits_in_no_buffer_asks_nobody(void **state)
{
    char dir[HCL_STORE_PATH], text[16];

    (void)state;
    memset(dir, 'd', sizeof(dir));
    dir[HCL_STORE_PATH - 2] = '\0';
    assert_int_equal(hcl_store_read(store, dir, "x", text, sizeof(text), &err),
                     -ENAMETOOLONG);
    assert_null(fake.verb);
    assert_says("too long");
}

static void longest_path_is_read(void **state)
{
    char dir[HCL_STORE_PATH], text[16];

    (void)state;
    value_is("1");
    memset(dir, 'd', sizeof(dir));
    dir[HCL_STORE_PATH - 3] = '\0';
    assert_int_equal(hcl_store_read(store, dir, "x", text, sizeof(text), &err),
                     0);
    assert_int_equal(strlen(fake.path), HCL_STORE_PATH - 1);
}

/* ---- Error texts ------------------------------------------------------- */

/* A read that fails with @number: its text. */
static void read_fails_with(int number)
{
    char text[16];

    fake.error = number;
    assert_int_equal(hcl_store_read(store, DIR, "x", text, sizeof(text), &err),
                     -number);
    assert_int_equal(err.code, -number);
    assert_says("cannot read " DIR "/x");
    assert_says(strerror(number));
}

static void missing_node_is_named(void **state)
{
    (void)state;
    read_fails_with(ENOENT);
    assert_null(strstr(err.text, "quota"));
}

static void missing_permission_names_the_path(void **state)
{
    (void)state;
    read_fails_with(EACCES);
    assert_null(strstr(err.text, "quota"));
}

static void failure_without_a_number_is_EIO(void **state)
{
    (void)state;
    fake.error = 0;
    fake.event_error = 0;
    assert_int_equal(hcl_store_next_event(store, fake.path, fake.token, &err),
                     -EIO);
}

/* A write that fails with @number: its text. */
static void write_fails_with(int number)
{
    fake.error = number;
    assert_int_equal(hcl_store_write(store, DIR, "x", &err, "1"), -number);
    assert_int_equal(err.code, -number);
    assert_says("cannot write " DIR "/x");
    assert_says(strerror(number));
}

static void met_quota_of_C_xenstored_is_named(void **state)
{
    (void)state;
    write_fails_with(ENOSPC);
    assert_says("quota of this domain is met");
    assert_null(strstr(err.text, "perhaps"));
}

static void too_large_for_C_xenstored_is_named_as_a_quota(void **state)
{
    (void)state;
    write_fails_with(E2BIG);
    assert_says("quota of this domain is met");
}

static void met_quota_of_oxenstored_is_named_as_possible(void **state)
{
    (void)state;
    write_fails_with(EINVAL);
    assert_says("perhaps a xenstore quota");
}

static void write_without_permission_names_the_path(void **state)
{
    (void)state;
    write_fails_with(EACCES);
    assert_null(strstr(err.text, "quota"));
}

static void caller_without_a_place_for_errors_gets_the_code(void **state)
{
    (void)state;
    fake.error = EACCES;
    assert_int_equal(hcl_store_write(store, DIR, "x", NULL, "1"), -EACCES);
    assert_int_equal(hcl_store_mkdir(store, DIR, NULL), -EACCES);
}

/* ---- Numbers ----------------------------------------------------------- */

#define assert_u32(text, min, max, expected)                                   \
    do {                                                                       \
        uint32_t value = 0;                                                    \
        value_is(text);                                                        \
        assert_int_equal(                                                      \
            hcl_store_read_u32(store, DIR, "x", (min), (max), &value, &err),   \
            0);                                                                \
        assert_int_equal(value, (expected));                                   \
    } while (0)

#define assert_no_u32(text, min, max, code)                                    \
    do {                                                                       \
        uint32_t value = 0xabcd;                                               \
        value_is(text);                                                        \
        assert_int_equal(                                                      \
            hcl_store_read_u32(store, DIR, "x", (min), (max), &value, &err),   \
            (code));                                                           \
        assert_int_equal(value, 0xabcd);                                       \
        assert_says(DIR "/x");                                                 \
    } while (0)

static void number_between_the_bounds_is_read(void **state)
{
    (void)state;
    assert_u32("17", 1, 100, 17);
}

static void bounds_belong_to_the_range(void **state)
{
    (void)state;
    assert_u32("5", 5, 9, 5);
    assert_u32("9", 5, 9, 9);
    assert_u32("0", 0, 0, 0);
    assert_u32("0", 0, UINT32_MAX, 0);
    assert_u32("4294967295", 0, UINT32_MAX, UINT32_MAX);
}

static void number_beyond_a_bound_is_EBADMSG(void **state)
{
    (void)state;
    assert_no_u32("4", 5, 9, -EBADMSG);
    assert_says("from 5 to 9");
    assert_no_u32("10", 5, 9, -EBADMSG);
    assert_no_u32("0", 1, 8, -EBADMSG);
    assert_says("\"0\"");
}

static void number_beyond_32_bits_does_not_wrap(void **state)
{
    (void)state;
    assert_no_u32("4294967296", 0, UINT32_MAX, -EBADMSG);
    assert_no_u32("4294967297", 0, UINT32_MAX, -EBADMSG);
    assert_no_u32("9999999999", 0, UINT32_MAX, -EBADMSG);
    assert_no_u32("18446744073709", 0, UINT32_MAX, -EBADMSG);
    assert_no_u32("999999999999999", 0, UINT32_MAX, -EBADMSG);
}

static void number_of_very_many_digits_is_a_fault(void **state)
{
    (void)state;
    assert_no_u32("18446744073709551617", 0, UINT32_MAX, -EMSGSIZE);
}

static void nothing_around_a_number_is_allowed(void **state)
{
    (void)state;
    assert_no_u32("", 0, 9, -EBADMSG);
    assert_no_u32(" 1", 0, 9, -EBADMSG);
    assert_no_u32("1 ", 0, 9, -EBADMSG);
    assert_no_u32("1\n", 0, 9, -EBADMSG);
    assert_no_u32("+1", 0, 9, -EBADMSG);
    assert_no_u32("-1", 0, UINT32_MAX, -EBADMSG);
    assert_no_u32("-0", 0, 9, -EBADMSG);
    assert_no_u32("1.0", 0, 9, -EBADMSG);
    assert_no_u32("1,2", 0, 9, -EBADMSG);
}

static void other_bases_are_not_allowed(void **state)
{
    (void)state;
    assert_no_u32("0x1", 0, 9, -EBADMSG);
    assert_no_u32("a", 0, 100, -EBADMSG);
    assert_no_u32("1e1", 0, 100, -EBADMSG);
}

static void leading_zeros_are_decimal(void **state)
{
    (void)state;
    assert_u32("010", 0, 100, 10);
    assert_u32("0000000007", 0, 9, 7);
    assert_no_u32("00000000007", 0, 9, -EBADMSG);
}

static void nul_in_a_number_is_a_fault(void **state)
{
    (void)state;
    assert_no_u32("1\0", 0, 9, -EBADMSG);
    assert_no_u32("1\0002", 0, 9, -EBADMSG);
}

static void unprintable_text_of_a_guest_is_quoted_without_harm(void **state)
{
    (void)state;
    assert_no_u32("\n\x1b[31m", 0, 9, -EBADMSG);
    assert_says("\"??[31m\"");
}

static void missing_number_is_ENOENT(void **state)
{
    uint32_t value = 5;

    (void)state;
    fake.error = ENOENT;
    assert_int_equal(hcl_store_read_u32(store, DIR, "x", 0, 9, &value, &err),
                     -ENOENT);
    assert_int_equal(value, 5);
}

static void own_domid_is_read_from_domid(void **state)
{
    uint32_t domid = 1;

    (void)state;
    value_is("32751");
    assert_int_equal(hcl_store_domid(store, &domid, &err), 0);
    assert_int_equal(domid, 0x7fef);
    assert_string_equal(fake.path, "domid");
    value_is("32752");
    assert_int_equal(hcl_store_domid(store, &domid, &err), -EBADMSG);
}

/* ---- Life numbers ------------------------------------------------------ */

#define assert_id(text, expected)                                              \
    do {                                                                       \
        uint64_t value = 1;                                                    \
        value_is(text);                                                        \
        assert_int_equal(hcl_store_read_id64(store, DIR, "x", &value, &err),   \
                         0);                                                   \
        assert_true(value == (expected));                                      \
    } while (0)

#define assert_no_id(text, code)                                               \
    do {                                                                       \
        uint64_t value = 0xabcd;                                               \
        value_is(text);                                                        \
        assert_int_equal(hcl_store_read_id64(store, DIR, "x", &value, &err),   \
                         (code));                                              \
        assert_true(value == 0xabcd);                                          \
        assert_says(DIR "/x");                                                 \
    } while (0)

static void id_has_16_hex_digits(void **state)
{
    (void)state;
    assert_id("91b0d2b5f4a98d11", 0x91b0d2b5f4a98d11u);
    assert_id("ffffffffffffffff", UINT64_MAX);
    assert_id("0c1ffcd1e59a8e57", 0x0c1ffcd1e59a8e57u);
}

static void id_may_have_capital_digits(void **state)
{
    (void)state;
    assert_id("91B0D2B5F4A98D11", 0x91b0d2b5f4a98d11u);
}

static void id_of_sixteen_zeros_is_wellformed(void **state)
{
    (void)state;
    assert_id("0000000000000000", 0);
}

static void id_of_another_length_is_a_fault(void **state)
{
    (void)state;
    assert_no_id("", -EBADMSG);
    assert_no_id("91b0d2b5f4a98d1", -EBADMSG);
    assert_no_id("91b0d2b5f4a98d110", -EBADMSG);
    assert_no_id("91b0d2b5f4a98d1191b0d2b5f4a98d11", -EMSGSIZE);
}

static void id_of_other_characters_is_a_fault(void **state)
{
    (void)state;
    assert_no_id("0x1b0d2b5f4a98d1", -EBADMSG);
    assert_no_id("91b0d2b5f4a98d1g", -EBADMSG);
    assert_no_id(" 1b0d2b5f4a98d11", -EBADMSG);
    assert_no_id("-1b0d2b5f4a98d11", -EBADMSG);
    assert_no_id("91b0d2b5f4a98d1\n", -EBADMSG);
    assert_no_id("91b0d2b5f4a98d1\0", -EBADMSG);
}

static void id_is_written_with_all_its_zeros(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_write_id64(store, DIR, "generation",
                                          0xc1ffcd1e59a8e57u, &err),
                     0);
    assert_string_equal(fake.path, DIR "/generation");
    assert_string_equal(fake.written, "0c1ffcd1e59a8e57");
    assert_int_equal(fake.written_bytes, 16);
}

/* ---- States ------------------------------------------------------------ */

#define assert_state(text, expected)                                           \
    do {                                                                       \
        unsigned int got = 99;                                                 \
        value_is(text);                                                        \
        assert_int_equal(hcl_store_read_state(store, DIR, &got, &err), 0);     \
        assert_int_equal(got, (expected));                                     \
    } while (0)

static void states_1_to_6_are_read(void **state)
{
    (void)state;
    assert_state("1", HCL_STATE_INITIALISING);
    assert_state("2", HCL_STATE_INIT_WAIT);
    assert_state("3", HCL_STATE_INITIALISED);
    assert_state("4", HCL_STATE_CONNECTED);
    assert_state("5", HCL_STATE_CLOSING);
    assert_state("6", HCL_STATE_CLOSED);
    assert_string_equal(fake.path, DIR "/state");
}

static void numbers_that_are_no_state_are_illegal(void **state)
{
    (void)state;
    assert_state("0", HCL_STATE_ILLEGAL);
    assert_state("7", HCL_STATE_ILLEGAL);
    assert_state("8", HCL_STATE_ILLEGAL);
    assert_state("41", HCL_STATE_ILLEGAL);
    assert_state("04", HCL_STATE_ILLEGAL);
    assert_state("-4", HCL_STATE_ILLEGAL);
}

static void garbage_is_an_illegal_state(void **state)
{
    (void)state;
    assert_state("", HCL_STATE_ILLEGAL);
    assert_state("x", HCL_STATE_ILLEGAL);
    assert_state("4 ", HCL_STATE_ILLEGAL);
    assert_state("4\0", HCL_STATE_ILLEGAL);
    assert_state("Connected", HCL_STATE_ILLEGAL);
}

static void long_garbage_is_an_illegal_state(void **state)
{
    unsigned int got = 99;

    (void)state;
    value_is_long(2000);
    assert_int_equal(hcl_store_read_state(store, DIR, &got, &err), 0);
    assert_int_equal(got, HCL_STATE_ILLEGAL);
}

static void missing_or_unreadable_state_is_gone(void **state)
{
    const int numbers[] = {ENOENT, EACCES, EPERM};
    unsigned int got;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        got = 99;
        fake.error = numbers[i];
        assert_int_equal(hcl_store_read_state(store, DIR, &got, &err), 0);
        assert_int_equal(got, HCL_STATE_GONE);
    }
}

static void state_of_a_lost_store_is_an_error(void **state)
{
    unsigned int got = 99;

    (void)state;
    fake.error = EPIPE;
    assert_int_equal(hcl_store_read_state(store, DIR, &got, &err), -EPIPE);
    assert_int_equal(got, 99);
}

/* ---- Lists ------------------------------------------------------------- */

static void list_gives_all_names(void **state)
{
    unsigned int count = 0;
    char **names;

    (void)state;
    fake.num_names = 3;
    assert_int_equal(hcl_store_list(store, DIR, 3, &names, &count, &err), 0);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[2], "c");
    assert_string_equal(fake.path, DIR);
    free(names);
}

static void list_of_an_empty_directory_has_no_names(void **state)
{
    unsigned int count = 9;
    char **names;

    (void)state;
    assert_int_equal(hcl_store_list(store, DIR, 3, &names, &count, &err), 0);
    assert_int_equal(count, 0);
    free(names);
}

static void list_of_too_many_names_is_E2BIG(void **state)
{
    char **names = (char **)&fake;
    unsigned int count = 9;

    (void)state;
    fake.num_names = 4;
    assert_int_equal(hcl_store_list(store, DIR, 3, &names, &count, &err),
                     -E2BIG);
    assert_says(DIR);
    assert_ptr_equal(names, &fake);
    assert_int_equal(count, 9);
}

static void list_of_a_missing_directory_is_ENOENT(void **state)
{
    unsigned int count;
    char **names;

    (void)state;
    fake.error = ENOENT;
    assert_int_equal(hcl_store_list(store, DIR, 3, &names, &count, &err),
                     -ENOENT);
    assert_says("cannot list " DIR);
}

static void node_with_any_value_exists(void **state)
{
    (void)state;
    value_is("a value that is longer than any buffer for a state");
    assert_int_equal(hcl_store_exists(store, DIR, &err), 1);
    assert_string_equal(fake.verb, "read");
    assert_string_equal(fake.path, DIR);
    value_is("");
    assert_int_equal(hcl_store_exists(store, DIR, &err), 1);
}

static void missing_node_does_not_exist(void **state)
{
    (void)state;
    fake.error = ENOENT;
    assert_int_equal(hcl_store_exists(store, DIR, &err), 0);
}

static void node_that_cannot_be_looked_at_is_an_error(void **state)
{
    (void)state;
    fake.error = EACCES;
    assert_int_equal(hcl_store_exists(store, DIR, &err), -EACCES);
    assert_says("cannot read " DIR);
}

/* ---- Writing ----------------------------------------------------------- */

static void write_formats_the_value(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_write(store, DIR, "x", &err, "%u,%s", 7u, "b"),
                     0);
    assert_string_equal(fake.path, DIR "/x");
    assert_string_equal(fake.written, "7,b");
    assert_int_equal(fake.written_bytes, 3);
}

static void write_of_an_empty_value_is_fine(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_write(store, DIR, "x", &err, "%s", ""), 0);
    assert_int_equal(fake.written_bytes, 0);
    assert_string_equal(fake.verb, "write");
}

static void write_of_the_longest_value_is_whole(void **state)
{
    char text[HCL_STORE_VALUE + 1];

    (void)state;
    memset(text, 'v', sizeof(text));
    text[HCL_STORE_VALUE] = '\0';
    assert_int_equal(hcl_store_write(store, DIR, "x", &err, "%s", text), 0);
    assert_int_equal(fake.written_bytes, HCL_STORE_VALUE);
    assert_string_equal(fake.written, text);
}

static void write_of_a_longer_value_is_EMSGSIZE_and_writes_nothing(void **state)
{
    char text[HCL_STORE_VALUE + 2];

    (void)state;
    memset(text, 'v', sizeof(text));
    text[HCL_STORE_VALUE + 1] = '\0';
    assert_int_equal(hcl_store_write(store, DIR, "x", &err, "%s", text),
                     -EMSGSIZE);
    assert_says(DIR "/x");
    assert_says("1025");
    assert_null(fake.verb);
}

static void write_of_a_path_that_is_too_long_writes_nothing(void **state)
{
    char node[HCL_STORE_PATH];

    (void)state;
    memset(node, 'n', sizeof(node));
    node[HCL_STORE_PATH - 1] = '\0';
    assert_int_equal(hcl_store_write(store, DIR, node, &err, "1"),
                     -ENAMETOOLONG);
    assert_null(fake.verb);
}

static void mkdir_makes_the_directory(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_mkdir(store, DIR, &err), 0);
    assert_string_equal(fake.verb, "mkdir");
    assert_string_equal(fake.path, DIR);
}

static void mkdir_that_fails_names_the_directory(void **state)
{
    (void)state;
    fake.error = ENOSPC;
    assert_int_equal(hcl_store_mkdir(store, DIR, &err), -ENOSPC);
    assert_says("cannot make " DIR);
    assert_says("quota");
}

static void remove_removes_the_node(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_remove(store, DIR, "error", &err), 0);
    assert_string_equal(fake.verb, "rm");
    assert_string_equal(fake.path, DIR "/error");
}

static void remove_of_what_is_not_there_is_fine(void **state)
{
    (void)state;
    fake.error = ENOENT;
    assert_int_equal(hcl_store_remove(store, DIR, "error", &err), 0);
    assert_int_equal(err.code, 0);
}

static void remove_that_fails_names_the_node(void **state)
{
    (void)state;
    fake.error = EACCES;
    assert_int_equal(hcl_store_remove(store, DIR, "error", &err), -EACCES);
    assert_says("cannot remove " DIR "/error");
}

static void permit_gives_the_node_to_owner_and_reader_only(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_permit(store, DIR, "", 5, 3, &err), 0);
    assert_string_equal(fake.path, DIR);
    assert_int_equal(fake.num_permissions, 2);
    /* The first entry: the owner, and what all others may. */
    assert_int_equal(fake.permissions[0].id, 5);
    assert_int_equal(fake.permissions[0].perms, XS_PERM_NONE);
    assert_int_equal(fake.permissions[1].id, 3);
    assert_int_equal(fake.permissions[1].perms, XS_PERM_READ);
}

static void permit_of_one_domain_for_itself_has_one_entry(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_permit(store, DIR, "x", 0, 0, &err), 0);
    assert_string_equal(fake.path, DIR "/x");
    assert_int_equal(fake.num_permissions, 1);
    assert_int_equal(fake.permissions[0].id, 0);
    assert_int_equal(fake.permissions[0].perms, XS_PERM_NONE);
}

static void permit_that_fails_names_the_node(void **state)
{
    (void)state;
    fake.error = EACCES;
    assert_int_equal(hcl_store_permit(store, DIR, "x", 5, 3, &err), -EACCES);
    assert_says("permissions of " DIR "/x");
}

/* ---- Transactions ------------------------------------------------------ */

struct job {
    unsigned int runs;
    xs_transaction_t transaction; /* that the last write belonged to */
    int ret;
};

static int run_job(struct hcl_store *in, void *arg, struct hcl_err *job_err)
{
    struct job *job = arg;

    job->runs++;
    assert_ptr_equal(in, store);
    assert_int_equal(hcl_store_write(in, DIR, "state", job_err, "3"), 0);
    job->transaction = fake.transaction;
    if (job->ret < 0) {
        return hcl_err_set(job_err, job->ret, "the job's own reason");
    }
    return 0;
}

/* Removes a node; the first time others are in the way. */
static int remove_in_conflict(struct hcl_store *in, void *arg,
                              struct hcl_err *job_err)
{
    struct job *job = arg;
    int ret;

    job->runs++;
    fake.error = job->runs == 1 ? job->ret : 0;
    ret = hcl_store_remove(in, DIR, "state", job_err);
    fake.error = 0;
    return ret;
}

static void removal_that_meets_others_is_a_conflict(void **state)
{
    static const int numbers[] = {EIO, EINVAL};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct job job = {.ret = numbers[i]};

        assert_int_equal(
            hcl_store_transact(store, remove_in_conflict, &job, &err), 0);
        assert_int_equal(job.runs, 2);
        assert_int_equal(fake.aborts, i + 1);
    }
    /* Outside a transaction it is what it says. */
    fake.error = EIO;
    assert_int_equal(hcl_store_remove(store, DIR, "state", &err), -EIO);
}

static void transaction_is_committed(void **state)
{
    struct job job = {0};

    (void)state;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), 0);
    assert_int_equal(job.runs, 1);
    assert_int_equal(fake.commits, 1);
    assert_int_equal(fake.aborts, 0);
}

static void all_calls_of_the_function_belong_to_the_transaction(void **state)
{
    struct job job = {0};

    (void)state;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), 0);
    assert_int_equal(job.transaction, 101);
    assert_int_equal(hcl_store_write(store, DIR, "x", &err, "1"), 0);
    assert_int_equal(fake.transaction, XBT_NULL);
}

static int read_and_remove(struct hcl_store *in, void *arg,
                           struct hcl_err *job_err)
{
    unsigned int count;
    char text[16];
    char **names;

    (void)arg;
    value_is("1");
    assert_int_equal(hcl_store_read(in, DIR, "x", text, 16, job_err), 0);
    assert_int_equal(fake.transaction, 101);
    assert_int_equal(hcl_store_remove(in, DIR, "x", job_err), 0);
    assert_int_equal(fake.transaction, 101);
    assert_int_equal(hcl_store_mkdir(in, DIR, job_err), 0);
    assert_int_equal(fake.transaction, 101);
    assert_int_equal(hcl_store_permit(in, DIR, "", 1, 2, job_err), 0);
    assert_int_equal(fake.transaction, 101);
    assert_int_equal(hcl_store_list(in, DIR, 1, &names, &count, job_err), 0);
    assert_int_equal(fake.transaction, 101);
    free(names);
    return 0;
}

static void every_kind_of_call_can_be_in_a_transaction(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_transact(store, read_and_remove, NULL, &err), 0);
}

static void conflict_runs_the_function_again(void **state)
{
    struct job job = {0};

    (void)state;
    fake.conflicts = 3;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), 0);
    assert_int_equal(job.runs, 4);
    assert_int_equal(job.transaction, 104);
    assert_int_equal(fake.commits, 1);
}

static void last_of_32_tries_may_succeed(void **state)
{
    struct job job = {0};

    (void)state;
    fake.conflicts = 31;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), 0);
    assert_int_equal(job.runs, 32);
}

static void conflicts_32_times_are_EAGAIN(void **state)
{
    struct job job = {0};

    (void)state;
    fake.conflicts = 1000;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), -EAGAIN);
    assert_int_equal(job.runs, 32);
    assert_int_equal(err.code, -EAGAIN);
    assert_says("32 times");
    /* Nothing is left of it. */
    assert_int_equal(hcl_store_write(store, DIR, "x", &err, "1"), 0);
    assert_int_equal(fake.transaction, XBT_NULL);
}

static void function_that_fails_aborts_the_transaction(void **state)
{
    struct job job = {.ret = -EBADMSG};

    (void)state;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), -EBADMSG);
    assert_int_equal(job.runs, 1);
    assert_int_equal(fake.aborts, 1);
    assert_int_equal(fake.commits, 0);
    assert_string_equal(err.text, "the job's own reason");
}

static void store_is_usable_after_an_aborted_transaction(void **state)
{
    struct job job = {.ret = -EBADMSG};

    (void)state;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), -EBADMSG);
    job.ret = 0;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), 0);
    assert_int_equal(fake.commits, 1);
}

static void transaction_that_cannot_start_says_so(void **state)
{
    struct job job = {0};

    (void)state;
    fake.start_error = ENOSPC;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), -ENOSPC);
    assert_int_equal(job.runs, 0);
    assert_says("cannot start a transaction: ");
    assert_says("quota");
}

static void transaction_that_cannot_end_says_so(void **state)
{
    struct job job = {0};

    (void)state;
    fake.end_error = EINVAL;
    assert_int_equal(hcl_store_transact(store, run_job, &job, &err), -EINVAL);
    assert_int_equal(job.runs, 1);
    assert_says("cannot end a transaction: ");
}

/* ---- Watches ----------------------------------------------------------- */

static void watches_are_counted(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_watches(store), 0);
    assert_int_equal(hcl_store_watch(store, DIR, "frontend", &err), 0);
    assert_string_equal(fake.path, DIR);
    assert_string_equal(fake.token, "frontend#1");
    assert_int_equal(hcl_store_watch(store, DIR, "b", &err), 0);
    assert_int_equal(hcl_store_watches(store), 2);
    hcl_store_unwatch(store, DIR, "frontend");
    assert_string_equal(fake.verb, "unwatch");
    assert_string_equal(fake.token, "frontend#1");
    assert_int_equal(hcl_store_watches(store), 1);
    hcl_store_unwatch(store, DIR, "b");
    assert_int_equal(hcl_store_watches(store), 0);
}

static void watch_that_fails_is_not_counted(void **state)
{
    (void)state;
    fake.error = E2BIG;
    assert_int_equal(hcl_store_watch(store, DIR, "t", &err), -E2BIG);
    assert_int_equal(hcl_store_watches(store), 0);
    assert_says("cannot watch " DIR);
    assert_says("quota");
}

static void unwatch_of_no_watch_changes_no_count(void **state)
{
    (void)state;
    assert_int_equal(hcl_store_watch(store, DIR, "t", &err), 0);
    fake.error = ENOENT;
    hcl_store_unwatch(store, DIR, "other");
    assert_int_equal(hcl_store_watches(store), 1);
}

static void event_gives_path_and_token(void **state)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];

    (void)state;
    assert_int_equal(hcl_store_watch(store, DIR, "frontend", &err), 0);
    fake.event_path = DIR "/state";
    fake.event_token = "frontend#1";
    assert_int_equal(hcl_store_next_event(store, path, token, &err), 1);
    assert_string_equal(path, DIR "/state");
    assert_string_equal(token, "frontend");
}

/* It was queued when the watch ended; another with the same token is there. */
static void event_of_an_ended_watch_is_dropped(void **state)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];

    (void)state;
    assert_int_equal(hcl_store_watch(store, DIR, "t", &err), 0);
    hcl_store_unwatch(store, DIR, "t");
    assert_int_equal(hcl_store_watch(store, DIR, "t", &err), 0);
    fake.event_path = DIR "/state";
    fake.event_token = "t#1";
    assert_int_equal(hcl_store_next_event(store, path, token, &err), 0);
    fake.event_path = DIR "/state";
    fake.event_token = "t#2";
    assert_int_equal(hcl_store_next_event(store, path, token, &err), 1);
    assert_string_equal(token, "t");
}

static void no_event_is_0_and_gives_nothing(void **state)
{
    char path[HCL_STORE_PATH] = "p", token[HCL_STORE_PATH] = "t";

    (void)state;
    assert_int_equal(hcl_store_next_event(store, path, token, &err), 0);
    assert_string_equal(path, "p");
    assert_string_equal(token, "t");
    assert_int_equal(err.code, 0);
}

static void lost_xenstored_is_an_error(void **state)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];

    (void)state;
    fake.event_error = EBADF;
    assert_int_equal(hcl_store_next_event(store, path, token, &err), -EBADF);
    assert_says("xenstored");
}

static void longest_path_of_an_event_is_given(void **state)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];
    char text[HCL_STORE_PATH];

    (void)state;
    memset(text, 'p', sizeof(text));
    text[HCL_STORE_PATH - 1] = '\0';
    assert_int_equal(hcl_store_watch(store, DIR, "t", &err), 0);
    fake.event_path = text;
    fake.event_token = "t#1";
    assert_int_equal(hcl_store_next_event(store, path, token, &err), 1);
    assert_string_equal(path, text);
}

static void longer_path_of_an_event_is_given_as_empty(void **state)
{
    char path[HCL_STORE_PATH], token[HCL_STORE_PATH];
    char text[HCL_STORE_PATH + 1];

    (void)state;
    memset(text, 'p', sizeof(text));
    text[HCL_STORE_PATH] = '\0';
    assert_int_equal(hcl_store_watch(store, DIR, "t", &err), 0);
    fake.event_path = text;
    fake.event_token = "t#1";
    assert_int_equal(hcl_store_next_event(store, path, token, &err), 1);
    assert_string_equal(path, "");
    assert_string_equal(token, "t");
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(open_that_fails_says_why_and_what_to_do),
        test(free_closes_the_handle_and_takes_null),
        test(descriptor_is_libxenstores),
        test(read_gives_the_value_of_dir_and_node),
        test(read_of_an_empty_node_reads_the_directory),
        test(read_gives_an_empty_value),
        test(read_fills_the_buffer_up_to_its_last_byte),
        test(read_of_one_byte_too_many_is_EMSGSIZE),
        test(read_of_a_huge_value_is_EMSGSIZE),
        test(read_of_a_nul_inside_is_EBADMSG),
        test(read_of_a_nul_at_the_end_is_EBADMSG),
        test(read_of_a_path_that_fits_in_no_buffer_asks_nobody),
        test(longest_path_is_read),
        test(missing_node_is_named),
        test(missing_permission_names_the_path),
        test(failure_without_a_number_is_EIO),
        test(met_quota_of_C_xenstored_is_named),
        test(too_large_for_C_xenstored_is_named_as_a_quota),
        test(met_quota_of_oxenstored_is_named_as_possible),
        test(write_without_permission_names_the_path),
        test(caller_without_a_place_for_errors_gets_the_code),
        test(number_between_the_bounds_is_read),
        test(bounds_belong_to_the_range),
        test(number_beyond_a_bound_is_EBADMSG),
        test(number_beyond_32_bits_does_not_wrap),
        test(number_of_very_many_digits_is_a_fault),
        test(nothing_around_a_number_is_allowed),
        test(other_bases_are_not_allowed),
        test(leading_zeros_are_decimal),
        test(nul_in_a_number_is_a_fault),
        test(unprintable_text_of_a_guest_is_quoted_without_harm),
        test(missing_number_is_ENOENT),
        test(own_domid_is_read_from_domid),
        test(id_has_16_hex_digits),
        test(id_may_have_capital_digits),
        test(id_of_sixteen_zeros_is_wellformed),
        test(id_of_another_length_is_a_fault),
        test(id_of_other_characters_is_a_fault),
        test(id_is_written_with_all_its_zeros),
        test(states_1_to_6_are_read),
        test(numbers_that_are_no_state_are_illegal),
        test(garbage_is_an_illegal_state),
        test(long_garbage_is_an_illegal_state),
        test(missing_or_unreadable_state_is_gone),
        test(state_of_a_lost_store_is_an_error),
        test(list_gives_all_names),
        test(list_of_an_empty_directory_has_no_names),
        test(list_of_too_many_names_is_E2BIG),
        test(list_of_a_missing_directory_is_ENOENT),
        test(node_with_any_value_exists),
        test(missing_node_does_not_exist),
        test(node_that_cannot_be_looked_at_is_an_error),
        test(write_formats_the_value),
        test(write_of_an_empty_value_is_fine),
        test(write_of_the_longest_value_is_whole),
        test(write_of_a_longer_value_is_EMSGSIZE_and_writes_nothing),
        test(write_of_a_path_that_is_too_long_writes_nothing),
        test(mkdir_makes_the_directory),
        test(mkdir_that_fails_names_the_directory),
        test(remove_removes_the_node),
        test(remove_of_what_is_not_there_is_fine),
        test(remove_that_fails_names_the_node),
        test(permit_gives_the_node_to_owner_and_reader_only),
        test(permit_of_one_domain_for_itself_has_one_entry),
        test(permit_that_fails_names_the_node),
        test(removal_that_meets_others_is_a_conflict),
        test(transaction_is_committed),
        test(all_calls_of_the_function_belong_to_the_transaction),
        test(every_kind_of_call_can_be_in_a_transaction),
        test(conflict_runs_the_function_again),
        test(last_of_32_tries_may_succeed),
        test(conflicts_32_times_are_EAGAIN),
        test(function_that_fails_aborts_the_transaction),
        test(store_is_usable_after_an_aborted_transaction),
        test(transaction_that_cannot_start_says_so),
        test(transaction_that_cannot_end_says_so),
        test(watches_are_counted),
        test(watch_that_fails_is_not_counted),
        test(unwatch_of_no_watch_changes_no_count),
        test(event_gives_path_and_token),
        test(event_of_an_ended_watch_is_dropped),
        test(no_event_is_0_and_gives_nothing),
        test(lost_xenstored_is_an_error),
        test(longest_path_of_an_event_is_given),
        test(longer_path_of_an_event_is_given_as_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
