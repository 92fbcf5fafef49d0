/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire.h"

struct sim_memory {
    int fd;
    int ro_fd;
    uint32_t keepers; /* the domain, and each frame */
    uint32_t num;     /* frames in the file */
    uint8_t *used;    /* one for each; owned */
};

int sim_memory_new(struct sim_memory **ret_memory, struct hcl_err *err)
{
    struct sim_memory *memory = calloc(1, sizeof(*memory));
    char path[32];
    int ret;

    if (!memory) {
        return hcl_err_sys(err, -ENOMEM, "a domain's memory");
    }
    memory->keepers = 1;
    memory->ro_fd = -1;
    memory->fd = memfd_create("hcl-sim-pages", MFD_CLOEXEC);
    if (memory->fd < 0) {
        ret = hcl_err_sys(err, -errno, "a domain's memory: memfd_create");
        goto out;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", memory->fd);
    memory->ro_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (memory->ro_fd < 0) {
        ret = hcl_err_sys(err, -errno, "a domain's memory: %s", path);
        goto out;
    }
    *ret_memory = memory;
    return 0;
out:
    sim_memory_drop(memory);
    return ret;
}

void sim_memory_drop(struct sim_memory *memory)
{
    if (!memory || --memory->keepers) {
        return;
    }
    if (memory->fd >= 0) {
        close(memory->fd);
    }
    if (memory->ro_fd >= 0) {
        close(memory->ro_fd);
    }
    free(memory->used);
    free(memory);
}

/* The first @count free frames in a row, maybe beyond the end. */
static uint32_t find(const struct sim_memory *memory, uint32_t count)
{
    uint32_t frame, free_frames = 0;

    for (frame = 0; frame < memory->num && free_frames < count; frame++) {
        free_frames = memory->used[frame] ? 0 : free_frames + 1;
    }
    return frame - free_frames;
}

static int grow(struct sim_memory *memory, uint32_t num)
{
    uint8_t *used;

    if (num <= memory->num) {
        return 0;
    }
    num = num > 2 * memory->num ? num : 2 * memory->num;
    used = realloc(memory->used, num);
    if (!used) {
        return -ENOMEM;
    }
    memset(used + memory->num, 0, num - memory->num);
    memory->used = used;
    if (ftruncate(memory->fd, (off_t)num * WIRE_PAGE_BYTES) < 0) {
        return -errno;
    }
    memory->num = num;
    return 0;
}

int sim_memory_take(struct sim_memory *memory, uint32_t count,
                    uint32_t *ret_frame)
{
    uint32_t frame = find(memory, count);
    int ret = grow(memory, frame + count);

    if (ret < 0) {
        return ret;
    }
    if (count) {
        memset(memory->used + frame, 1, count);
    }
    memory->keepers += count;
    *ret_frame = frame;
    return 0;
}

void sim_memory_give(struct sim_memory *memory, uint32_t frame)
{
    memory->used[frame] = 0;
    /* Zero for the next one, and no memory for now. */
    (void)fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)frame * WIRE_PAGE_BYTES, WIRE_PAGE_BYTES);
    sim_memory_drop(memory);
}

void sim_memory_clear(const struct sim_memory *memory, uint32_t frame,
                      uint32_t byte)
{
    (void)!pwrite(memory->fd, "", 1, (off_t)frame * WIRE_PAGE_BYTES + byte);
}

int sim_memory_fd(const struct sim_memory *memory, bool writable)
{
    return writable ? memory->fd : memory->ro_fd;
}
