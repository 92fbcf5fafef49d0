/* SPDX-License-Identifier: MIT */
/*
 * hypervisor_internal.h: for hypervisor.c, requests.c and maps.c.
 *
 * Who owns what: Xen keeps a struct sim_xen for a domain, a machine's kernel a
 * struct sim_kernel; a process is its connection; a handle is an open device,
 * which belongs to the machine that opened it and lives as long as any process
 * has a copy of its descriptor.
 */
#ifndef SIM_HYPERVISOR_INTERNAL_H
#define SIM_HYPERVISOR_INTERNAL_H

#include "hypervisor.h"
#include "maps.h"

/* domain->hypervisor */
struct sim_xen {
    struct sim_host *host;
    struct sim_domain *domain;
    struct sim_grants *grants;
    struct sim_ports *ports; /* NULL: the domain is dying */
    struct sim_mapper mapper;
    bool awaited; /* sim_domain_unmapped will be called */
};

/* machine->hypervisor */
struct sim_kernel {
    uint32_t slot; /* in the table's machines */
    struct sim_shared shared;
};

/* A process that has connected. */
struct sim_process {
    struct sim_process *next;
    struct sim_hypervisor *hypervisor;
    struct sim_machine *machine;
    int fd;
    uint64_t number; /* never used again */
    struct hcl_source *source;
    struct sim_maps maps;
};

/* An open device. */
struct sim_handle {
    struct sim_handle *next;
    struct sim_hypervisor *hypervisor;
    struct sim_machine *machine;
    enum wire_device device;
    int fd;         /* our end of the pipe; keeps events from a SIGPIPE */
    uint64_t inode; /* of the pipe */
    int watch;      /* inotify's */
    struct sim_gntalloc *gntalloc; /* one of the three is not NULL */
    struct sim_gntdev *gntdev;
    struct sim_evtchn *evtchn;
    struct wire_ref *refs; /* of a registration that comes in parts; owned */
    uint32_t num_refs;
};

struct sim_hypervisor {
    struct sim_host *host;
    struct sim_table *table;
    struct sim_process *processes;
    uint64_t num_processes; /* so far */
    struct sim_handle *handles;
    int inotify_fd; /* descriptors of devices are closed */
    struct hcl_source *closes;
    int hangup_fd; /* an epoll that sees processes end, and nothing else */
};

/* A live domain's grants, or a dying one's; NULL: there is no such domain. */
struct sim_grants *sim_xen_grants(struct sim_host *host, uint32_t domid);

/* The same of its ports; NULL for a dying one. */
struct sim_ports *sim_xen_ports(struct sim_host *host, uint32_t domid);

/* ---- handles.c --------------------------------------------------------- */

/* *@ret_fd is the program's end, to be sent and closed.  Negative errno. */
__attribute__((warn_unused_result)) int
sim_handle_open(struct sim_hypervisor *hypervisor, struct sim_machine *machine,
                enum wire_device device, int flags,
                struct sim_handle **ret_handle, int *ret_fd);
void sim_handle_free(struct sim_handle *handle);
struct sim_handle *sim_handle_find(struct sim_hypervisor *hypervisor,
                                   uint64_t inode);

/* Takes note of descriptors that have been closed until now. */
void sim_handles_settle(struct sim_hypervisor *hypervisor);

/* ---- requests.c -------------------------------------------------------- */

/* What follows the head of a message. */
union sim_payload {
    struct wire_ref wanted[WIRE_MAX_REFS];
    uint32_t refs[WIRE_MAX_REFS];
    struct wire_run runs[WIRE_MAX_RUNS];
};

/*
 * Answers @request of @process.  @payload is the request's, then the answer's.
 * *@ret_fd is to be sent along, or -1.
 */
void sim_request_answer(struct sim_process *process,
                        const struct wire_request *request,
                        struct wire_answer *answer, union sim_payload *payload,
                        int *ret_fd);

/* A descriptor that a request made for the program; others stay ours. */
bool sim_request_made_fd(const struct wire_request *request);

#endif /* SIM_HYPERVISOR_INTERNAL_H */
