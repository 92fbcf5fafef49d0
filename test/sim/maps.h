/* SPDX-License-Identifier: MIT */
/*
 * maps.h: what programs have mapped: own pages (gntalloc) and other domains'
 * (gntdev, drivers/xen/gntdev.c).
 */
#ifndef SIM_MAPS_H
#define SIM_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "grants.h"

struct sim_gntdev; /* an open /dev/xen/gntdev */
struct sim_map;    /* a mapping in one process */

/* The maps of one process, by their numbers. */
struct sim_maps {
    struct sim_map **maps; /* owned, with holes; number n is at n - 1 */
    uint32_t num;
};

/* What a mapping domain has mapped; its domain owns this. */
struct sim_mapper {
    uint32_t domid;
    struct sim_map *maps; /* owned by processes */
};

/* ---- An open gntdev ---------------------------------------------------- */

__attribute__((warn_unused_result)) int
sim_gntdev_new(struct sim_gntdev **ret_gntdev, struct sim_shared *shared);

/* What is mapped stays registered until it is unmapped. */
void sim_gntdev_free(struct sim_gntdev *gntdev);

/* Lists what is registered; returns how many.  @out may be NULL. */
unsigned int sim_gntdev_audit(const struct sim_gntdev *gntdev, uint32_t domid,
                              FILE *out);

/* The ioctls, with their errors.  @refs is copied. */
__attribute__((warn_unused_result)) int
sim_gntdev_register(struct sim_gntdev *gntdev, const struct wire_ref *refs,
                    uint32_t count, uint64_t *ret_index);
__attribute__((warn_unused_result)) int
sim_gntdev_unregister(struct sim_gntdev *gntdev, uint64_t index,
                      uint32_t count);
__attribute__((warn_unused_result)) int
sim_gntdev_notice(struct sim_gntdev *gntdev, struct sim_ports *ports,
                  uint64_t index, uint32_t flags, uint32_t number);

/* ---- Mappings ---------------------------------------------------------- */

/*
 * mmap of gntalloc, and of gntdev for @mapper: 0, *@ret_map and its number, or
 * the ioctls' negative errno.
 */
__attribute__((warn_unused_result)) int
sim_map_own(struct sim_maps *maps, struct sim_gntalloc *gntalloc,
            uint64_t index, uint32_t count, struct sim_map **ret_map);
__attribute__((warn_unused_result)) int
sim_map_foreign(struct sim_maps *maps, struct sim_gntdev *gntdev,
                struct sim_mapper *mapper, uint64_t index, uint32_t count,
                bool writable, struct sim_host *host, struct sim_map **ret_map);

/* A child process has @count pages of @map from @first on, an own one. */
__attribute__((warn_unused_result)) int
sim_map_inherit(struct sim_maps *maps, const struct sim_map *map,
                uint32_t first, uint32_t count, struct sim_map **ret_map);

/* NULL: there is none with this number. */
struct sim_map *sim_map_find(const struct sim_maps *maps, uint32_t number);
uint32_t sim_map_number(const struct sim_map *map);

/*
 * Fills @runs with what to map where, from page @first on, as far as it lies in
 * one descriptor, which is *@ret_fd.  Returns how many; 0: no more.
 */
uint32_t sim_map_runs(const struct sim_map *map, uint32_t first,
                      struct wire_run *runs, uint32_t num_runs, int *ret_fd);

/* The map is freed with its last page. */
void sim_map_remove(struct sim_map *map, uint32_t first, uint32_t count);

/* The process has ended. */
void sim_maps_clear(struct sim_maps *maps);

/* The mapping domain dies: its mappings go, without a notice. */
void sim_mapper_clear(struct sim_mapper *mapper);

/* Lists its mappings; returns how many.  @out may be NULL. */
unsigned int sim_mapper_audit(const struct sim_mapper *mapper, FILE *out);

#endif /* SIM_MAPS_H */
