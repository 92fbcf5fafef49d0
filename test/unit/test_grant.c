/* SPDX-License-Identifier: MIT */
/*
 * grant.c over fakes: xengntshr_* stand before those of libxengnttab; of the
 * C library only open (for /dev/xen/gntdev) and ioctl are replaced.  The gntdev
 * is a memfd, so mmap, munmap and the memory behind them are real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xen/sys/gntdev.h>
#include <xengnttab.h>
#include <xentoollog.h>

#include "grant.h"

#define PAGE ((size_t)4096)
#define DEVICE_PAGES 64
#define MAX_REFS 16

/* ---- The fakes --------------------------------------------------------- */

struct xengntdev_handle {
    int fd;
};

static struct xengntdev_handle the_handle;

static struct {
    /* What the next calls answer. */
    int open_error;
    int share_error;   /* -1: fails and leaves errno at 0 */
    int unshare_error; /* an errno */
    int map_error;     /* of IOCTL_GNTDEV_MAP_GRANT_REF */
    int unmap_error;
    int notify_error;
    uint64_t index; /* of the next registration */
    bool bad_fd;    /* xengntshr_fd is no descriptor */
    /* What was asked. */
    int handles;
    xentoollog_logger *logger;
    uint32_t domid, count, ref_of_notify, offset, port;
    int writable;
    unsigned int registers, unregisters;
    struct ioctl_gntdev_grant_ref refs[MAX_REFS];
    struct ioctl_gntdev_unmap_grant_ref unmap;
    struct ioctl_gntdev_unmap_notify notify;
    int open_flags;
} fake;

static void *fail_with(int number)
{
    errno = number > 0 ? number : 0;
    return NULL;
}

/* @count zeroed pages: MAP_SHARED or MAP_PRIVATE. */
static void *new_pages(size_t count, int kind)
{
    void *pages;

    kind |= MAP_ANONYMOUS;
    /* cppcheck-suppress invalidFunctionArg ; -1 is right for anonymous ones */
    pages = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, kind, -1, 0);
    assert_true(pages != MAP_FAILED);
    return pages;
}

xengntshr_handle *xengntshr_open(xentoollog_logger *logger, unsigned int flags)
{
    assert_int_equal(flags, 0);
    if (fake.open_error) {
        return fail_with(fake.open_error);
    }
    /* As libxengnttab does: without close-on-exec. */
    the_handle.fd = fake.bad_fd ? -1 : memfd_create("gntalloc", 0);
    fake.logger = logger;
    fake.handles++;
    return &the_handle;
}

int xengntshr_close(xengntshr_handle *handle)
{
    assert_ptr_equal(handle, &the_handle);
    fake.handles--;
    if (handle->fd >= 0) {
        close(handle->fd);
    }
    return 0;
}

int xengntshr_fd(xengntshr_handle *handle)
{
    return handle->fd;
}

void *xengntshr_share_pages(xengntshr_handle *handle, uint32_t domid, int count,
                            uint32_t *refs, int writable)
{
    int i;

    assert_ptr_equal(handle, &the_handle);
    fake.domid = domid;
    fake.count = (uint32_t)count;
    fake.writable = writable;
    if (fake.share_error) {
        return fail_with(fake.share_error);
    }
    for (i = 0; i < count; i++) {
        refs[i] = 500 + (uint32_t)i;
    }
    return new_pages((size_t)count, MAP_SHARED);
}

void *xengntshr_share_page_notify(xengntshr_handle *handle, uint32_t domid,
                                  uint32_t *ref, int writable,
                                  uint32_t notify_offset,
                                  evtchn_port_t notify_port)
{
    void *page = xengntshr_share_pages(handle, domid, 1, ref, writable);

    fake.offset = notify_offset;
    fake.port = notify_port;
    return page;
}

int xengntshr_unshare(xengntshr_handle *handle, void *pages, uint32_t count)
{
    assert_ptr_equal(handle, &the_handle);
    fake.count = count;
    if (fake.unshare_error) {
        errno = fake.unshare_error;
        return -1;
    }
    return munmap(pages, count * PAGE);
}

/* Under other names: fcntl.h and ioctl.h may define these as they like. */
int fake_open(const char *path, int flags, ...) __asm__("open");
int fake_ioctl(int fd, unsigned long request, ...) __asm__("ioctl");

int fake_open(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    if (strcmp(path, "/dev/xen/gntdev") != 0) {
        va_start(args, flags);
        mode = va_arg(args, int);
        va_end(args);
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    }
    fake.open_flags = flags;
    if (fake.open_error) {
        errno = fake.open_error;
        return -1;
    }
    return memfd_create("gntdev", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
}

static int fake_register(struct ioctl_gntdev_map_grant_ref *map)
{
    uint32_t i;

    if (fake.map_error) {
        errno = fake.map_error;
        return -1;
    }
    assert_true(map->count <= MAX_REFS);
    fake.registers++;
    fake.count = map->count;
    for (i = 0; i < map->count; i++) {
        fake.refs[i] = map->refs[i];
    }
    map->index = fake.index;
    return 0;
}

static int fake_unregister(const struct ioctl_gntdev_unmap_grant_ref *unmap)
{
    if (fake.unmap_error) {
        errno = fake.unmap_error;
        return -1;
    }
    fake.unregisters++;
    fake.unmap = *unmap;
    return 0;
}

int fake_ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *arg;

    va_start(args, request);
    arg = va_arg(args, void *);
    va_end(args);
    assert_true(fd >= 0);
    switch (request) {
    case IOCTL_GNTDEV_MAP_GRANT_REF:
        return fake_register(arg);
    case IOCTL_GNTDEV_UNMAP_GRANT_REF:
        return fake_unregister(arg);
    case IOCTL_GNTDEV_SET_UNMAP_NOTIFY:
        memcpy(&fake.notify, arg, sizeof(fake.notify));
        errno = fake.notify_error;
        return fake.notify_error ? -1 : 0;
    default:
        return (int)syscall(SYS_ioctl, fd, request, arg);
    }
}

/* ---- What every test starts with and leaves behind --------------------- */

static struct hcl_share *share;
static struct hcl_gntdev gntdev;
static struct hcl_err err;
static int fds_before;

static int count_fds(void)
{
    int fd, count = 0;

    for (fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void clear(void)
{
    memset(&fake, 0, sizeof(fake));
    memset(&err, 0, sizeof(err));
    fds_before = count_fds();
}

static int share_setup(void **state)
{
    (void)state;
    clear();
    return hcl_share_open(&share, NULL);
}

static int share_teardown(void **state)
{
    (void)state;
    hcl_share_free(share);
    share = NULL;
    return fake.handles || count_fds() != fds_before ? -1 : 0;
}

/* A gntdev whose page number n is filled with n. */
static int gntdev_setup(void **state)
{
    uint8_t page[PAGE];
    int i;

    (void)state;
    clear();
    if (hcl_gntdev_open(&gntdev, NULL) < 0) {
        return -1;
    }
    for (i = 0; i < DEVICE_PAGES; i++) {
        memset(page, i, sizeof(page));
        if (write(gntdev.fd, page, sizeof(page)) != sizeof(page)) {
            return -1;
        }
    }
    return 0;
}

static int gntdev_teardown(void **state)
{
    (void)state;
    hcl_gntdev_close(&gntdev);
    return count_fds() != fds_before ? -1 : 0;
}

static void assert_says(const char *word)
{
    if (!strstr(err.text, word)) {
        fail_msg("\"%s\" is not in \"%s\"", word, err.text);
    }
}

/* Of the line of /proc/self/maps with @address: its four permissions. */
static void permissions_of(const void *address, char *ret_text)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long first, end;
    char line[512];

    assert_non_null(maps);
    ret_text[0] = '\0';
    while (fgets(line, sizeof(line), maps)) {
        char *dash, *blank;

        first = strtoul(line, &dash, 16);
        end = strtoul(dash + 1, &blank, 16);
        if (first <= (uintptr_t)address && (uintptr_t)address < end) {
            snprintf(ret_text, 5, "%.4s", blank + 1);
        }
    }
    fclose(maps);
}

/* ---- Sharing ----------------------------------------------------------- */

static void share_open_sets_close_on_exec(void **state)
{
    (void)state;
    assert_int_equal(fcntl(the_handle.fd, F_GETFD), FD_CLOEXEC);
}

static void share_open_keeps_the_library_silent(void **state)
{
    (void)state;
    assert_non_null(fake.logger);
}

static void share_open_that_fails_says_why_and_what_to_do(void **state)
{
    struct hcl_share *none = (struct hcl_share *)&fake;

    (void)state;
    fake.open_error = ENOENT;
    assert_int_equal(hcl_share_open(&none, &err), -ENOENT);
    assert_int_equal(err.code, -ENOENT);
    assert_says("/dev/xen/gntalloc");
    assert_says("xen-gntalloc");
    assert_says(strerror(ENOENT));
    assert_ptr_equal(none, &fake);
}

static void share_open_without_close_on_exec_leaves_nothing(void **state)
{
    struct hcl_share *none = NULL;
    int handles = fake.handles;

    (void)state;
    hcl_share_free(share);
    share = NULL;
    fake.bad_fd = true;
    assert_int_equal(hcl_share_open(&none, &err), -EBADF);
    assert_null(none);
    assert_int_equal(fake.handles, handles - 1);
}

static void share_free_closes_and_takes_null(void **state)
{
    (void)state;
    hcl_share_free(share);
    share = NULL;
    assert_int_equal(fake.handles, 0);
    hcl_share_free(NULL);
}

static void shared_pages_are_counted(void **state)
{
    uint32_t refs[3];
    void *three, *one;

    (void)state;
    assert_int_equal(hcl_share_count(share), 0);
    assert_int_equal(hcl_share_pages(share, 9, 3, true, refs, &three, &err), 0);
    assert_int_equal(hcl_share_count(share), 3);
    assert_int_equal(
        hcl_share_page_notify(share, 9, false, 0, refs, &one, &err), 0);
    assert_int_equal(hcl_share_count(share), 4);
    hcl_share_unmap(share, three, 3);
    assert_int_equal(hcl_share_count(share), 1);
    hcl_share_unmap(share, one, 1);
    assert_int_equal(hcl_share_count(share), 0);
    hcl_share_unmap(share, NULL, 1);
    assert_int_equal(hcl_share_operations(share), 4);
}

static void shared_pages_go_to_the_domain_as_asked(void **state)
{
    uint32_t refs[2] = {0};
    void *pages;

    (void)state;
    assert_int_equal(hcl_share_pages(share, 9, 2, false, refs, &pages, &err),
                     0);
    assert_int_equal(fake.domid, 9);
    assert_int_equal(fake.count, 2);
    assert_int_equal(fake.writable, 0);
    assert_int_equal(refs[0], 500);
    assert_int_equal(refs[1], 501);
    hcl_share_unmap(share, pages, 2);
    assert_int_equal(hcl_share_pages(share, 9, 2, true, refs, &pages, &err), 0);
    assert_int_equal(fake.writable, 1);
    hcl_share_unmap(share, pages, 2);
}

static void
page_with_notification_clears_a_byte_and_sends_no_event(void **state)
{
    uint32_t ref = 0;
    void *page;

    (void)state;
    assert_int_equal(
        hcl_share_page_notify(share, 4, true, 17, &ref, &page, &err), 0);
    assert_int_equal(ref, 500);
    assert_int_equal(fake.domid, 4);
    assert_int_equal(fake.writable, 1);
    assert_int_equal(fake.offset, 17);
    assert_int_equal(fake.port, UINT32_MAX);
    hcl_share_unmap(share, page, 1);
}

static void met_limit_of_shared_pages_is_named(void **state)
{
    void *pages = &fake;
    uint32_t refs[3];

    (void)state;
    fake.share_error = ENOSPC;
    assert_int_equal(hcl_share_pages(share, 9, 3, true, refs, &pages, &err),
                     -ENOSPC);
    assert_int_equal(err.code, -ENOSPC);
    assert_says("3 pages");
    assert_says("domain 9");
    assert_says("/sys/module/xen_gntalloc/parameters/limit");
    assert_ptr_equal(pages, &fake);
    assert_int_equal(hcl_share_count(share), 0);
}

static void met_limit_is_named_for_a_page_with_notification_too(void **state)
{
    void *page = &fake;
    uint32_t ref;

    (void)state;
    fake.share_error = ENOSPC;
    assert_int_equal(
        hcl_share_page_notify(share, 9, true, 0, &ref, &page, &err), -ENOSPC);
    assert_says("1 pages");
    assert_says("/sys/module/xen_gntalloc/parameters/limit");
    assert_ptr_equal(page, &fake);
    assert_int_equal(hcl_share_count(share), 0);
}

static void other_failure_to_share_says_the_systems_text(void **state)
{
    uint32_t refs[3];
    void *pages;

    (void)state;
    fake.share_error = EPERM;
    assert_int_equal(hcl_share_pages(share, 9, 3, true, refs, &pages, &err),
                     -EPERM);
    assert_says("cannot share 3 pages with domain 9");
    assert_says(strerror(EPERM));
    assert_null(strstr(err.text, "limit"));
}

static void failure_to_share_without_a_number_is_ENOMEM(void **state)
{
    uint32_t refs[3];
    void *pages;

    (void)state;
    fake.share_error = -1;
    assert_int_equal(hcl_share_pages(share, 9, 3, true, refs, &pages, &err),
                     -ENOMEM);
}

static void unmap_of_null_is_fine(void **state)
{
    (void)state;
    hcl_share_unmap(share, NULL, 3);
    assert_int_equal(hcl_share_count(share), 0);
}

static void pages_that_cannot_be_unshared_stay_counted(void **state)
{
    uint32_t refs[2];
    void *pages;

    (void)state;
    assert_int_equal(hcl_share_pages(share, 9, 2, true, refs, &pages, &err), 0);
    fake.unshare_error = EINVAL;
    hcl_share_unmap(share, pages, 2);
    assert_int_equal(hcl_share_count(share), 2);
    fake.unshare_error = 0;
    hcl_share_unmap(share, pages, 2);
    assert_int_equal(hcl_share_count(share), 0);
}

static void descriptor_of_a_share_is_the_librarys(void **state)
{
    (void)state;
    assert_int_equal(hcl_share_fd(share), the_handle.fd);
}

/* ---- Moving shared pages ----------------------------------------------- */

/* Two shared pages, full of 0x51, counted. */
static uint8_t *share_two(void)
{
    uint32_t refs[2];
    void *pages;

    assert_int_equal(hcl_share_pages(share, 9, 2, true, refs, &pages, &err), 0);
    memset(pages, 0x51, 2 * PAGE);
    return pages;
}

static void move_puts_shared_pages_over_others(void **state)
{
    uint8_t *at = new_pages(2, MAP_PRIVATE), *pages = share_two();
    char permissions[5];

    (void)state;
    assert_int_equal(hcl_share_move(share, pages, 2, at, &err), 0);
    assert_int_equal(at[0], 0x51);
    assert_int_equal(at[2 * PAGE - 1], 0x51);
    permissions_of(at, permissions);
    assert_string_equal(permissions, "rw-s");
    permissions_of(pages, permissions);
    assert_string_equal(permissions, "");
    hcl_share_unmap(share, at, 2);
}

static void moved_pages_stay_counted_until_they_are_unshared(void **state)
{
    uint8_t *at = new_pages(2, MAP_PRIVATE), *pages = share_two();

    (void)state;
    assert_int_equal(hcl_share_move(share, pages, 2, at, &err), 0);
    assert_int_equal(hcl_share_count(share), 2);
    hcl_share_unmap(share, at, 2);
    assert_int_equal(hcl_share_count(share), 0);
}

static void move_that_fails_leaves_both_and_says_why(void **state)
{
    uint8_t *at = new_pages(2, MAP_PRIVATE), *pages = share_two();

    (void)state;
    at[2] = 3;
    /* An address inside a page. */
    assert_int_equal(hcl_share_move(share, pages, 2, at + 1, &err), -EINVAL);
    assert_says("cannot move 2 shared pages");
    assert_says(strerror(EINVAL));
    assert_int_equal(pages[0], 0x51);
    assert_int_equal(at[2], 3);
    assert_int_equal(hcl_share_count(share), 2);
    hcl_share_unmap(share, pages, 2);
    munmap(at, 2 * PAGE);
}

static void replace_puts_private_pages_over_shared_ones(void **state)
{
    uint8_t *private = new_pages(2, MAP_PRIVATE), *pages = share_two();
    char permissions[5];

    (void)state;
    memset(private, 0x77, 2 * PAGE);
    assert_int_equal(hcl_share_replace(share, pages, 2, private, &err), 0);
    assert_int_equal(pages[0], 0x77);
    assert_int_equal(pages[2 * PAGE - 1], 0x77);
    permissions_of(pages, permissions);
    assert_string_equal(permissions, "rw-p");
    permissions_of(private, permissions);
    assert_string_equal(permissions, "");
    assert_int_equal(hcl_share_count(share), 0);
    munmap(pages, 2 * PAGE);
}

static void
replace_that_fails_leaves_the_pages_shared_and_says_why(void **state)
{
    uint8_t *private = new_pages(2, MAP_PRIVATE), *pages = share_two();

    (void)state;
    assert_int_equal(hcl_share_replace(share, pages, 2, private + 1, &err),
                     -EINVAL);
    assert_says("cannot replace 2 shared pages");
    assert_says(strerror(EINVAL));
    assert_int_equal(pages[0], 0x51);
    assert_int_equal(hcl_share_count(share), 2);
    hcl_share_unmap(share, pages, 2);
    munmap(private, 2 * PAGE);
}

/* ---- The gntdev -------------------------------------------------------- */

static const uint32_t refs_of_3[3] = {8, 800, 4000000000u};

static void gntdev_open_is_for_writing_and_closes_on_exec(void **state)
{
    (void)state;
    assert_int_equal(fake.open_flags, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(gntdev.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(gntdev.registered, 0);
    assert_int_equal(gntdev.mapped, 0);
}

static void gntdev_open_that_fails_says_why_and_what_to_do(void **state)
{
    struct hcl_gntdev none = {.fd = -1, .registered = 7};

    (void)state;
    fake.open_error = ENOENT;
    assert_int_equal(hcl_gntdev_open(&none, &err), -ENOENT);
    assert_says("/dev/xen/gntdev");
    assert_says("xen-gntdev");
    assert_says(strerror(ENOENT));
    assert_int_equal(none.fd, -1);
    assert_int_equal(none.registered, 7);
}

static void gntdev_close_takes_a_closed_one(void **state)
{
    (void)state;
    hcl_gntdev_close(&gntdev);
    assert_int_equal(gntdev.fd, -1);
    hcl_gntdev_close(&gntdev);
}

static void register_passes_each_reference_and_gives_the_offset(void **state)
{
    uint64_t offset = 0;
    int i;

    (void)state;
    fake.index = 0x123456000;
    assert_int_equal(
        hcl_gntdev_register(&gntdev, 5, refs_of_3, 3, &offset, &err), 0);
    assert_true(offset == 0x123456000);
    assert_int_equal(fake.count, 3);
    for (i = 0; i < 3; i++) {
        assert_int_equal(fake.refs[i].domid, 5);
        assert_int_equal(fake.refs[i].ref, refs_of_3[i]);
    }
}

static void registered_pages_are_counted(void **state)
{
    uint64_t offset;

    (void)state;
    assert_int_equal(
        hcl_gntdev_register(&gntdev, 5, refs_of_3, 3, &offset, &err), 0);
    assert_int_equal(
        hcl_gntdev_register(&gntdev, 5, refs_of_3, 1, &offset, &err), 0);
    assert_int_equal(gntdev.registered, 4);
    hcl_gntdev_unregister(&gntdev, 0, 3);
    assert_int_equal(gntdev.registered, 1);
    hcl_gntdev_unregister(&gntdev, 0, 1);
    assert_int_equal(gntdev.registered, 0);
}

static void register_that_fails_counts_nothing_and_says_why(void **state)
{
    uint64_t offset = 77;

    (void)state;
    fake.map_error = ENOMEM;
    assert_int_equal(
        hcl_gntdev_register(&gntdev, 5, refs_of_3, 3, &offset, &err), -ENOMEM);
    assert_says("3 grant references of domain 5");
    assert_says(strerror(ENOMEM));
    assert_int_equal(gntdev.registered, 0);
    assert_true(offset == 77);
}

static void unregister_names_the_registration(void **state)
{
    uint64_t offset;

    (void)state;
    assert_int_equal(
        hcl_gntdev_register(&gntdev, 5, refs_of_3, 3, &offset, &err), 0);
    hcl_gntdev_unregister(&gntdev, 0x9000, 3);
    assert_true(fake.unmap.index == 0x9000);
    assert_int_equal(fake.unmap.count, 3);
}

static void registration_that_cannot_be_ended_stays_counted(void **state)
{
    uint64_t offset;

    (void)state;
    assert_int_equal(
        hcl_gntdev_register(&gntdev, 5, refs_of_3, 3, &offset, &err), 0);
    fake.unmap_error = EBUSY;
    hcl_gntdev_unregister(&gntdev, offset, 3);
    assert_int_equal(gntdev.registered, 3);
}

static void map_shows_the_registrations_pages_and_counts_them(void **state)
{
    void *pages;

    (void)state;
    assert_int_equal(hcl_gntdev_map(&gntdev, 5 * PAGE, 3, true, &pages, &err),
                     0);
    assert_int_equal(gntdev.mapped, 3);
    assert_int_equal(*(uint8_t *)pages, 5);
    assert_int_equal(((uint8_t *)pages)[3 * PAGE - 1], 7);
    hcl_gntdev_unmap(&gntdev, pages, 3);
    assert_int_equal(gntdev.mapped, 0);
}

static void map_is_read_only_unless_asked(void **state)
{
    char permissions[5];
    void *pages;

    (void)state;
    assert_int_equal(hcl_gntdev_map(&gntdev, 0, 1, false, &pages, &err), 0);
    permissions_of(pages, permissions);
    assert_string_equal(permissions, "r--s");
    hcl_gntdev_unmap(&gntdev, pages, 1);
    assert_int_equal(hcl_gntdev_map(&gntdev, 0, 1, true, &pages, &err), 0);
    permissions_of(pages, permissions);
    assert_string_equal(permissions, "rw-s");
    hcl_gntdev_unmap(&gntdev, pages, 1);
}

static void map_that_fails_counts_nothing_and_says_why(void **state)
{
    void *pages = &fake;

    (void)state;
    /* As gntdev does for a revoked grant; here: an offset inside a page. */
    assert_int_equal(hcl_gntdev_map(&gntdev, 1, 3, true, &pages, &err),
                     -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_says("3 granted pages");
    assert_says(strerror(EINVAL));
    assert_ptr_equal(pages, &fake);
    assert_int_equal(gntdev.mapped, 0);
}

static void unmap_of_no_pages_is_fine(void **state)
{
    (void)state;
    hcl_gntdev_unmap(&gntdev, NULL, 3);
    assert_int_equal(gntdev.mapped, 0);
}

static void unmap_leaves_nothing_mapped(void **state)
{
    char permissions[5];
    void *pages;

    (void)state;
    assert_int_equal(hcl_gntdev_map(&gntdev, 0, 3, true, &pages, &err), 0);
    hcl_gntdev_unmap(&gntdev, pages, 3);
    permissions_of((char *)pages + 2 * PAGE, permissions);
    assert_string_equal(permissions, "");
}

static void pages_that_cannot_be_unmapped_stay_counted(void **state)
{
    void *pages;

    (void)state;
    assert_int_equal(hcl_gntdev_map(&gntdev, 0, 2, true, &pages, &err), 0);
    hcl_gntdev_unmap(&gntdev, (char *)pages + 1, 2);
    assert_int_equal(gntdev.mapped, 2);
    hcl_gntdev_unmap(&gntdev, pages, 2);
    assert_int_equal(gntdev.mapped, 0);
}

static void notify_clears_the_byte_and_signals_the_port(void **state)
{
    (void)state;
    assert_int_equal(hcl_gntdev_notify(&gntdev, 0x7000, 3, 21, &err), 0);
    assert_true(fake.notify.index == 0x7003);
    assert_int_equal(fake.notify.action, 0x1 | 0x2);
    assert_int_equal(fake.notify.event_channel_port, 21);
}

static void notify_that_fails_says_why(void **state)
{
    (void)state;
    fake.notify_error = ENOENT;
    assert_int_equal(hcl_gntdev_notify(&gntdev, 0x7000, 3, 21, &err), -ENOENT);
    assert_says("unmap notification");
    assert_says(strerror(ENOENT));
}

/* ---- Reading once ------------------------------------------------------ */

static void read_copies_the_pages_and_leaves_nothing(void **state)
{
    uint8_t buffer[3 * PAGE + 1];

    (void)state;
    memset(buffer, 0xee, sizeof(buffer));
    fake.index = 9 * PAGE;
    assert_int_equal(hcl_gntdev_read(&gntdev, 5, refs_of_3, 3, buffer, &err),
                     0);
    assert_int_equal(buffer[0], 9);
    assert_int_equal(buffer[PAGE], 10);
    assert_int_equal(buffer[3 * PAGE - 1], 11);
    assert_int_equal(buffer[3 * PAGE], 0xee);
    assert_int_equal(gntdev.registered, 0);
    assert_int_equal(gntdev.mapped, 0);
    assert_int_equal(fake.unregisters, 1);
    assert_true(fake.unmap.index == 9 * PAGE);
    assert_int_equal(fake.unmap.count, 3);
}

static void read_that_cannot_register_leaves_nothing(void **state)
{
    uint8_t buffer[3 * PAGE] = {0};

    (void)state;
    fake.map_error = EINVAL;
    assert_int_equal(hcl_gntdev_read(&gntdev, 5, refs_of_3, 3, buffer, &err),
                     -EINVAL);
    assert_says("domain 5");
    assert_int_equal(gntdev.registered, 0);
    assert_int_equal(fake.unregisters, 0);
}

static void read_that_cannot_map_takes_the_registration_back(void **state)
{
    uint8_t buffer[3 * PAGE] = {0};

    (void)state;
    fake.index = 1;
    assert_int_equal(hcl_gntdev_read(&gntdev, 5, refs_of_3, 3, buffer, &err),
                     -EINVAL);
    assert_says("cannot map");
    assert_int_equal(fake.registers, 1);
    assert_int_equal(fake.unregisters, 1);
    assert_int_equal(gntdev.registered, 0);
    assert_int_equal(gntdev.mapped, 0);
}

#define share_test(name)                                                       \
    cmocka_unit_test_setup_teardown(name, share_setup, share_teardown)
#define gntdev_test(name)                                                      \
    cmocka_unit_test_setup_teardown(name, gntdev_setup, gntdev_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        share_test(share_open_sets_close_on_exec),
        share_test(share_open_keeps_the_library_silent),
        share_test(share_open_that_fails_says_why_and_what_to_do),
        share_test(share_open_without_close_on_exec_leaves_nothing),
        share_test(share_free_closes_and_takes_null),
        share_test(shared_pages_are_counted),
        share_test(shared_pages_go_to_the_domain_as_asked),
        share_test(page_with_notification_clears_a_byte_and_sends_no_event),
        share_test(met_limit_of_shared_pages_is_named),
        share_test(met_limit_is_named_for_a_page_with_notification_too),
        share_test(other_failure_to_share_says_the_systems_text),
        share_test(failure_to_share_without_a_number_is_ENOMEM),
        share_test(unmap_of_null_is_fine),
        share_test(pages_that_cannot_be_unshared_stay_counted),
        share_test(descriptor_of_a_share_is_the_librarys),
        share_test(move_puts_shared_pages_over_others),
        share_test(moved_pages_stay_counted_until_they_are_unshared),
        share_test(move_that_fails_leaves_both_and_says_why),
        share_test(replace_puts_private_pages_over_shared_ones),
        share_test(replace_that_fails_leaves_the_pages_shared_and_says_why),
        gntdev_test(gntdev_open_is_for_writing_and_closes_on_exec),
        gntdev_test(gntdev_open_that_fails_says_why_and_what_to_do),
        gntdev_test(gntdev_close_takes_a_closed_one),
        gntdev_test(register_passes_each_reference_and_gives_the_offset),
        gntdev_test(registered_pages_are_counted),
        gntdev_test(register_that_fails_counts_nothing_and_says_why),
        gntdev_test(unregister_names_the_registration),
        gntdev_test(registration_that_cannot_be_ended_stays_counted),
        gntdev_test(map_shows_the_registrations_pages_and_counts_them),
        gntdev_test(map_is_read_only_unless_asked),
        gntdev_test(map_that_fails_counts_nothing_and_says_why),
        gntdev_test(unmap_of_no_pages_is_fine),
        gntdev_test(unmap_leaves_nothing_mapped),
        gntdev_test(pages_that_cannot_be_unmapped_stay_counted),
        gntdev_test(notify_clears_the_byte_and_signals_the_port),
        gntdev_test(notify_that_fails_says_why),
        gntdev_test(read_copies_the_pages_and_leaves_nothing),
        gntdev_test(read_that_cannot_register_leaves_nothing),
        gntdev_test(read_that_cannot_map_takes_the_registration_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
