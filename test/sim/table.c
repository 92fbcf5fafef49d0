/* SPDX-License-Identifier: MIT */
#include "ports_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int sim_table_new(struct sim_table **ret_table, struct hcl_err *err)
{
    struct sim_table *table = calloc(1, sizeof(*table));
    int ret;

    if (!table) {
        return hcl_err_sys(err, -ENOMEM, "the table of event channels");
    }
    table->wire = MAP_FAILED;
    table->fd = memfd_create("hcl-sim-events", MFD_CLOEXEC);
    if (table->fd < 0 || ftruncate(table->fd, sizeof(*table->wire)) < 0) {
        ret = hcl_err_sys(err, -errno, "the table of event channels: memfd");
        goto out;
    }
    table->wire = mmap(NULL, sizeof(*table->wire), PROT_READ | PROT_WRITE,
                       MAP_SHARED, table->fd, 0);
    if (table->wire == MAP_FAILED) {
        ret = hcl_err_sys(err, -errno, "the table of event channels: mmap");
        goto out;
    }
    /* A slot that nobody has: orphans point to it; and 0 says "no peer". */
    table->evtchns.used[0] = 1;
    table->ports.used[0] = 1;
    *ret_table = table;
    return 0;
out:
    sim_table_free(table);
    return ret;
}

void sim_table_free(struct sim_table *table)
{
    if (!table) {
        return;
    }
    if (table->wire != MAP_FAILED) {
        munmap(table->wire, sizeof(*table->wire));
    }
    if (table->fd >= 0) {
        close(table->fd);
    }
    free(table);
}

int sim_table_fd(const struct sim_table *table)
{
    return table->fd;
}

int sim_slot_take(uint8_t *used, uint32_t num, uint32_t *next,
                  uint32_t *ret_slot)
{
    uint32_t i, slot;

    for (i = 0; i < num; i++) {
        slot = (*next + i) % num;
        if (!used[slot]) {
            used[slot] = 1;
            *next = slot + 1;
            *ret_slot = slot;
            return 0;
        }
    }
    return -ENOSPC;
}

int sim_table_add_machine(struct sim_table *table, uint32_t *ret_slot)
{
    return sim_slot_take(table->machines.used, WIRE_MACHINES,
                         &table->machines.next, ret_slot);
}

void sim_table_remove_machine(struct sim_table *table, uint32_t slot)
{
    table->wire->machines[slot] = (struct wire_machine){0};
    table->machines.used[slot] = 0;
}

struct wire_machine *sim_table_machine(struct sim_table *table, uint32_t slot)
{
    return &table->wire->machines[slot];
}
