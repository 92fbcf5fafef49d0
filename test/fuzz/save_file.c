/* SPDX-License-Identifier: MIT */
/* The head of a file that xl save wrote (tools/save_file.c over cJSON). */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "save_file.h"

static int file = -1; /* a memfd */
static char file_path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    file = memfd_create("saved", MFD_CLOEXEC);
    if (file < 0) {
        abort();
    }
    snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char uuid[HCL_GUEST_UUID];
    struct hcl_err err = {0};
    int ret;

    if (ftruncate(file, 0) < 0 ||
        pwrite(file, data, size, 0) != (ssize_t)size) {
        abort();
    }
    ret = hcl_save_file_uuid(size ? file_path : "/nowhere", uuid, &err);
    if (ret == 0) {
        assert(hcl_guest_uuid_ok(uuid));
    } else {
        assert(ret == (size ? -EINVAL : -ENOENT) && err.code == ret);
    }
    return 0;
}
