/* SPDX-License-Identifier: MIT */
/*
 * A copy of a slot has a constant length, which the compiler copies in place;
 * what is left is calls for payloads.
 */
#include "count.h"

#include <stddef.h>

#include "port.h"

struct bench_count bench_count;

void __real_hcl_ports_notify(struct hcl_ports *ports, uint32_t port);
void __wrap_hcl_ports_notify(struct hcl_ports *ports, uint32_t port);
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
