/* SPDX-License-Identifier: MIT */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "barrier.h"

/* Places in fds. */
enum { MEMORY, IN, OUT };

static size_t ro_bytes(const struct hcl_layout *layout)
{
    return (size_t)hcl_layout_ro_pages(layout) * HCLIF_PAGE_BYTES;
}

static size_t rw_bytes(const struct hcl_layout *layout)
{
    return (size_t)hcl_layout_rw_pages(layout) * HCLIF_PAGE_BYTES;
}

static void none(struct hcl_local *local)
{
    memset(local, 0, sizeof(*local));
    for (int i = 0; i < HCL_LOCAL_FDS; i++) {
        local->fds[i] = -1;
    }
}

/* Maps both regions; @ro_prot is what may be done with the first. */
static int map(struct hcl_local *local, int ro_prot, struct hcl_err *err)
{
    const struct hcl_layout *layout = &local->layout;
    void *ro, *rw;

    ro = mmap(NULL, ro_bytes(layout), ro_prot, MAP_SHARED, local->fds[MEMORY],
              0);
    if (ro == MAP_FAILED) {
        return hcl_err_sys(err, -errno, "cannot map local memory");
    }
    local->ro = ro;
    rw = mmap(NULL, rw_bytes(layout), PROT_READ | PROT_WRITE, MAP_SHARED,
              local->fds[MEMORY], (off_t)ro_bytes(layout));
    if (rw == MAP_FAILED) {
        return hcl_err_sys(err, -errno, "cannot map local memory");
    }
    local->rw = rw;
    return 0;
}

static int make_memory(struct hcl_local *local, struct hcl_err *err)
{
    off_t bytes = (off_t)(ro_bytes(&local->layout) + rw_bytes(&local->layout));
    int fd = memfd_create("hcl-local", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    local->fds[MEMORY] = fd;
    if (fd < 0 || ftruncate(fd, bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        return hcl_err_sys(err, -errno, "cannot make local memory");
    }
    return 0;
}

int hcl_local_new(struct hcl_local *local, const struct hcl_layout *layout,
                  struct hcl_err *err)
{
    struct hclif_side *front;
    int ret;

    none(local);
    local->layout = *layout;
    local->fds[IN] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    local->fds[OUT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (local->fds[IN] < 0 || local->fds[OUT] < 0) {
        ret = hcl_err_sys(err, -errno, "cannot make local doorbells");
        goto out;
    }
    ret = make_memory(local, err);
    if (ret < 0) {
        goto out;
    }
    ret = map(local, PROT_READ | PROT_WRITE, err);
    if (ret < 0) {
        goto out;
    }
    front = local->ro;
    hcl_store_once(&front->alive, 1);
out:
    if (ret < 0) {
        hcl_local_close(local);
    }
    return ret;
}

void hcl_local_peer_fds(const struct hcl_local *local, int *ret_fds)
{
    ret_fds[MEMORY] = local->fds[MEMORY];
    ret_fds[IN] = local->fds[OUT];
    ret_fds[OUT] = local->fds[IN];
}

/* Nobody can take away what the layout says is there. */
static int check_memory(const struct hcl_local *local, struct hcl_err *err)
{
    size_t bytes = ro_bytes(&local->layout) + rw_bytes(&local->layout);
    int seals = fcntl(local->fds[MEMORY], F_GET_SEALS);
    struct stat stat;

    if (seals < 0 || !(seals & F_SEAL_SHRINK) ||
        fstat(local->fds[MEMORY], &stat) < 0 || stat.st_size < (off_t)bytes) {
        return hcl_err_set(err, -EINVAL,
                           "local memory is not a sealed memfd of %zu bytes",
                           bytes);
    }
    return 0;
}

int hcl_local_adopt(struct hcl_local *local, const struct hcl_layout *layout,
                    const int *fds, struct hcl_err *err)
{
    int ret;

    none(local);
    local->layout = *layout;
    memcpy(local->fds, fds, sizeof(local->fds));
    ret = check_memory(local, err);
    if (ret == 0) {
        ret = map(local, PROT_READ, err);
    }
    if (ret < 0) {
        hcl_local_close(local);
    }
    return ret;
}

void hcl_local_close(struct hcl_local *local)
{
    if (local->ro) {
        munmap(local->ro, ro_bytes(&local->layout));
    }
    if (local->rw) {
        munmap(local->rw, rw_bytes(&local->layout));
    }
    for (int i = 0; i < HCL_LOCAL_FDS; i++) {
        if (local->fds[i] >= 0) {
            close(local->fds[i]);
        }
    }
    none(local);
}

void hcl_local_ring(const struct hcl_local *local)
{
    const uint64_t one = 1;

    /* Full: it has been rung, and not been heard yet. */
    (void)!write(local->fds[OUT], &one, sizeof(one));
}

int hcl_local_fd(const struct hcl_local *local)
{
    return local->fds[IN];
}

void hcl_local_drain(const struct hcl_local *local)
{
    uint64_t count;

    (void)!read(local->fds[IN], &count, sizeof(count));
}
