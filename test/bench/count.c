/* SPDX-License-Identifier: MIT */
/*
 * A copy of a slot has a constant length, which the compiler copies in place;
 * what is left is calls for payloads.
 */
#include "count.h"

#include <stddef.h>

#include "grant.h"
#include "port.h"

struct bench_count bench_count;

void __real_hcl_ports_notify(struct hcl_ports *ports, uint32_t port);
void __wrap_hcl_ports_notify(struct hcl_ports *ports, uint32_t port);
int __real_hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset,
                          uint32_t count, bool writable, void **ret_pages,
                          struct hcl_err *err);
int __wrap_hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset,
                          uint32_t count, bool writable, void **ret_pages,
                          struct hcl_err *err);
void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);

void __wrap_hcl_ports_notify(struct hcl_ports *ports, uint32_t port)
{
    bench_count.notifications++;
    __real_hcl_ports_notify(ports, port);
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
    bench_count.copied += bytes;
    return __real_memcpy(to, from, bytes);
}

int __wrap_hcl_gntdev_map(struct hcl_gntdev *gntdev, uint64_t offset,
                          uint32_t count, bool writable, void **ret_pages,
                          struct hcl_err *err)
{
    bench_count.grants++;
    return __real_hcl_gntdev_map(gntdev, offset, count, writable, ret_pages,
                                 err);
}
