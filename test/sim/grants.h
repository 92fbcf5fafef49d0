/* SPDX-License-Identifier: MIT */
/*
 * grants.h: pages that domains grant to others: Xen's grant tables, and
 * /dev/xen/gntalloc (drivers/xen/gntalloc.c).
 */
#ifndef SIM_GRANTS_H
#define SIM_GRANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "ports.h"

struct sim_machine;
struct sim_grants;   /* a domain's grant table, and its memory */
struct sim_gntalloc; /* an open /dev/xen/gntalloc */
struct sim_page;     /* a shared page */

/* What a machine's kernel shares, in whatever domain it has been. */
struct sim_shared {
    uint32_t limit;
    uint32_t pages; /* counted against it */
    const struct sim_machine *machine;
    bool dead; /* its kernel does nothing any more */
};

/* Is it destroyed, or not in a domain at all?  Then nothing is cleared. */
bool sim_shared_quiet(const struct sim_shared *shared);

/* ---- A domain ---------------------------------------------------------- */

/*
 * When the domain is dying and the last mapping of its pages has gone,
 * @unmapped(@arg) is called, which may free the grants.
 */
__attribute__((warn_unused_result)) int
sim_grants_new(struct sim_grants **ret_grants, uint32_t domid,
               void (*unmapped)(void *arg), void *arg, struct hcl_err *err);

/* The domain dies: from now on nothing of it can be mapped. */
void sim_grants_kill(struct sim_grants *grants);

/* Pages of it that are mapped through grants now. */
uint32_t sim_grants_mapped(const struct sim_grants *grants);

/*
 * None may be mapped.  Pages that a program of a saved machine still has stay
 * its memory, and are granted to nobody.
 */
void sim_grants_free(struct sim_grants *grants);

/*
 * The page that @grants lets @domid map through @ref, also to write if
 * @writable; NULL: it does not.
 */
struct sim_page *sim_grants_find(const struct sim_grants *grants, uint32_t ref,
                                 uint32_t domid, bool writable);

/* Lists the references in use; returns how many.  @out may be NULL. */
unsigned int sim_grants_audit(const struct sim_grants *grants, FILE *out);

/* ---- A page ------------------------------------------------------------ */

/*
 * A user is the allocation on an open device, or a mapping of it in the own
 * machine.  With the last one's end the notice fires and the page leaves
 * the kernel's count; it and its reference go when it is not mapped either.
 */
void sim_page_use(struct sim_page *page);
void sim_page_unuse(struct sim_page *page);

/* Another domain's mapping, through the grant. */
void sim_page_map(struct sim_page *page);
void sim_page_unmap(struct sim_page *page);

/* Where it lies: sim_memory_fd's descriptor, and the offset in bytes. */
int sim_page_place(const struct sim_page *page, bool writable,
                   uint64_t *ret_offset);
void sim_page_clear(struct sim_page *page, uint32_t byte);

/* ---- An open device ---------------------------------------------------- */

__attribute__((warn_unused_result)) int
sim_gntalloc_new(struct sim_gntalloc **ret_gntalloc, struct sim_shared *shared);
void sim_gntalloc_free(struct sim_gntalloc *gntalloc);

/* Pages of machine @key whose domain is gone; with @out, in one line. */
unsigned int sim_gntalloc_audit(const struct sim_gntalloc *gntalloc,
                                unsigned int key, FILE *out);

/* The ioctls, with their errors; @grants is the opener's domain now. */
__attribute__((warn_unused_result)) int
sim_gntalloc_alloc(struct sim_gntalloc *gntalloc, struct sim_grants *grants,
                   uint32_t domid, bool writable, uint32_t count,
                   uint64_t *ret_index);
__attribute__((warn_unused_result)) int
sim_gntalloc_dealloc(struct sim_gntalloc *gntalloc, uint64_t index,
                     uint32_t count);
__attribute__((warn_unused_result)) int
sim_gntalloc_notice(struct sim_gntalloc *gntalloc, struct sim_ports *ports,
                    uint64_t index, uint32_t flags, uint32_t number);

/*
 * Finds @count pages from @index on; NULL: not all exist.  Valid until the next
 * call that changes the device.
 */
struct sim_page **sim_gntalloc_find(const struct sim_gntalloc *gntalloc,
                                    uint64_t index, uint32_t count);
uint32_t sim_page_ref(const struct sim_page *page);

#endif /* SIM_GRANTS_H */
