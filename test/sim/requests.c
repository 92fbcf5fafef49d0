/* SPDX-License-Identifier: MIT */
/* What programs' device libraries ask for. */
#include "hypervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xen/sys/gntalloc.h>

#include "fault.h"

struct call {
    struct sim_hypervisor *hypervisor;
    struct sim_process *process;
    const struct wire_request *request;
    struct wire_answer *answer;
    union sim_payload *payload;
    struct sim_handle *handle; /* NULL: the request is about none */
    struct sim_xen *xen;       /* where the handle's machine is now */
    int *fd;
};

/* Counts the call; a negative errno says that it must fail. */
static int fault(const struct call *call, enum sim_call what)
{
    uint64_t delay_us = 0;
    int ret = sim_fault(call->hypervisor->host, call->process->machine, what,
                        &delay_us);

    call->answer->delay_us =
        delay_us > UINT32_MAX ? UINT32_MAX : (uint32_t)delay_us;
    return ret;
}

/* ---- All devices ------------------------------------------------------- */

static int hello(struct call *call)
{
    struct stat st;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    fstat(ends[0], &st);
    close(ends[0]);
    close(ends[1]);
    call->answer->index = st.st_dev;
    call->answer->inode = call->process->number;
    *call->fd = sim_table_fd(call->hypervisor->table);
    return 0;
}

static void describe(const struct sim_handle *handle,
                     struct wire_answer *answer)
{
    answer->inode = handle->inode;
    answer->device = handle->device;
    answer->slot = handle->evtchn ? sim_evtchn_slot(handle->evtchn) : 0;
}

static int open_device(struct call *call)
{
    int ret = fault(call, SIM_CALL_OPEN);

    if (ret == 0) {
        ret =
            sim_handle_open(call->hypervisor, call->process->machine,
                            (enum wire_device)call->request->device,
                            (int)call->request->flags, &call->handle, call->fd);
    }
    if (ret == 0) {
        describe(call->handle, call->answer);
    }
    return ret;
}

static int kind(struct call *call)
{
    describe(call->handle, call->answer);
    return 0;
}

static int notice(struct call *call)
{
    const struct wire_request *request = call->request;

    if (call->handle->gntalloc) {
        return sim_gntalloc_notice(call->handle->gntalloc, call->xen->ports,
                                   request->index, request->flags,
                                   request->port);
    }
    if (call->handle->gntdev) {
        return sim_gntdev_notice(call->handle->gntdev, call->xen->ports,
                                 request->index, request->flags, request->port);
    }
    return -ENOTTY;
}

/* ---- gntalloc ---------------------------------------------------------- */

static int refs(struct call *call)
{
    const struct wire_request *request = call->request;
    struct sim_page **pages;
    uint32_t i, num;

    if (!call->handle->gntalloc) {
        return -ENOTTY;
    }
    pages = sim_gntalloc_find(call->handle->gntalloc, request->index,
                              request->count);
    if (!pages || request->first > request->count) {
        return -EINVAL;
    }
    num = request->count - request->first;
    num = num < WIRE_MAX_REFS ? num : WIRE_MAX_REFS;
    for (i = 0; i < num; i++) {
        call->payload->refs[i] = sim_page_ref(pages[request->first + i]);
    }
    call->answer->num = num;
    return 0;
}

static int alloc(struct call *call)
{
    const struct wire_request *request = call->request;
    int ret;

    if (!call->handle->gntalloc) {
        return -ENOTTY;
    }
    ret = fault(call, SIM_CALL_GRANT);
    if (ret < 0) {
        return ret;
    }
    return sim_gntalloc_alloc(call->handle->gntalloc, call->xen->grants,
                              request->domid,
                              request->flags & GNTALLOC_FLAG_WRITABLE,
                              request->count, &call->answer->index);
}

static int dealloc(struct call *call)
{
    if (!call->handle->gntalloc) {
        return -ENOTTY;
    }
    return sim_gntalloc_dealloc(call->handle->gntalloc, call->request->index,
                                call->request->count);
}

/* ---- gntdev ------------------------------------------------------------ */

static int register_refs(struct call *call)
{
    const struct wire_request *request = call->request;
    struct sim_handle *handle = call->handle;
    struct wire_ref *grown;
    uint32_t num = request->first + request->num_refs;

    if (!call->handle->gntdev) {
        return -ENOTTY;
    }
    if (request->first == 0) {
        handle->num_refs = 0;
    }
    if (request->first != handle->num_refs || num > request->count) {
        return -EINVAL;
    }
    grown = realloc(handle->refs, (num + 1) * sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    handle->refs = grown;
    memcpy(grown + handle->num_refs, call->payload->wanted,
           request->num_refs * sizeof(*grown));
    handle->num_refs = num;
    if (num < request->count) {
        return 0;
    }
    return sim_gntdev_register(call->handle->gntdev, grown, num,
                               &call->answer->index);
}

static int unregister(struct call *call)
{
    if (!call->handle->gntdev) {
        return -ENOTTY;
    }
    return sim_gntdev_unregister(call->handle->gntdev, call->request->index,
                                 call->request->count);
}

/* ---- Mappings ---------------------------------------------------------- */

static void runs(struct call *call, const struct sim_map *map, uint32_t first)
{
    call->answer->map = sim_map_number(map);
    call->answer->num =
        sim_map_runs(map, first, call->payload->runs, WIRE_MAX_RUNS, call->fd);
}

static int map_pages(struct call *call)
{
    const struct wire_request *request = call->request;
    struct sim_handle *handle = call->handle;
    struct sim_map *map;
    int ret;

    if (handle->gntalloc) {
        ret = sim_map_own(&call->process->maps, handle->gntalloc,
                          request->index, request->count, &map);
    } else if (handle->gntdev) {
        ret = fault(call, SIM_CALL_MAP);
        if (ret == 0) {
            ret = sim_map_foreign(&call->process->maps, handle->gntdev,
                                  &call->xen->mapper, request->index,
                                  request->count, request->flags & PROT_WRITE,
                                  call->hypervisor->host, &map);
        }
    } else {
        ret = -ENODEV;
    }
    if (ret == 0) {
        runs(call, map, 0);
    }
    return ret;
}

static int more_runs(struct call *call)
{
    struct sim_map *map =
        sim_map_find(&call->process->maps, call->request->map);

    if (!map) {
        return -EINVAL;
    }
    runs(call, map, call->request->first);
    return 0;
}

static int unmap(struct call *call)
{
    struct sim_map *map =
        sim_map_find(&call->process->maps, call->request->map);

    if (!map) {
        return -EINVAL;
    }
    sim_map_remove(map, call->request->first, call->request->count);
    return 0;
}

static int inherit(struct call *call)
{
    const struct wire_request *request = call->request;
    struct sim_process *parent = call->hypervisor->processes;
    struct sim_map *map;
    int ret;

    while (parent && parent->number != request->inode) {
        parent = parent->next;
    }
    map = parent ? sim_map_find(&parent->maps, request->map) : NULL;
    if (!map) {
        return -EINVAL;
    }
    ret = sim_map_inherit(&call->process->maps, map, request->first,
                          request->count, &map);
    if (ret == 0) {
        call->answer->map = sim_map_number(map);
    }
    return ret;
}

/* ---- evtchn ------------------------------------------------------------ */

static void tell_port(struct call *call, const struct sim_port *port)
{
    call->answer->port = sim_port_number(port);
    call->answer->slot = sim_port_slot(port);
    call->answer->generation = sim_port_generation(port);
}

static int port_alloc(struct call *call)
{
    struct sim_port *port;
    int ret = fault(call, SIM_CALL_ALLOC);

    if (ret == 0) {
        ret = sim_evtchn_alloc(call->handle->evtchn, call->xen->ports,
                               call->request->domid, &port);
    }
    if (ret == 0) {
        tell_port(call, port);
    }
    return ret;
}

static int port_bind(struct call *call)
{
    const struct wire_request *request = call->request;
    struct sim_ports *remote;
    struct sim_port *port;
    int ret = fault(call, SIM_CALL_BIND);

    if (ret < 0) {
        return ret;
    }
    remote = sim_xen_ports(call->hypervisor->host, request->domid);
    ret = sim_evtchn_bind(call->handle->evtchn, call->xen->ports, remote,
                          request->domid, request->port, &port);
    if (ret == 0) {
        tell_port(call, port);
    }
    return ret;
}

static int port_close(struct call *call)
{
    bool stale = false;
    int ret =
        sim_evtchn_close(call->handle->evtchn, call->request->port, &stale);

    if (stale) {
        sim_machine_log(call->hypervisor->host, call->handle->machine,
                        "BUG: evtchn: stale port %u closed "
                        "(drivers/xen/evtchn.c)",
                        call->request->port);
    }
    return ret;
}

static int port_find(struct call *call)
{
    struct sim_port *port =
        sim_evtchn_find(call->handle->evtchn, call->request->port);

    if (!port) {
        return -ENOTCONN;
    }
    tell_port(call, port);
    return 0;
}

static int peer(struct call *call)
{
    struct sim_port *port =
        sim_evtchn_find(call->handle->evtchn, call->request->port);

    *call->fd = port ? sim_port_peer_fd(port) : -1;
    return *call->fd < 0 ? -ENOTCONN : 0;
}

static int stray(struct call *call)
{
    sim_machine_log(call->hypervisor->host, call->handle->machine,
                    "stray event: sent on port %u, which was bound before the "
                    "restore",
                    call->request->port);
    return 0;
}

static int restrict_domid(struct call *call)
{
    return sim_evtchn_restrict(call->handle->evtchn, call->request->domid);
}

static int reset(struct call *call)
{
    sim_evtchn_reset(call->handle->evtchn);
    return 0;
}

/* ---- All --------------------------------------------------------------- */

static const struct {
    int (*fn)(struct call *call);
    enum { NO_HANDLE, ANY_HANDLE, EVTCHN_HANDLE } needs;
} ops[] = {
    [WIRE_HELLO] = {hello, NO_HANDLE},
    [WIRE_OPEN] = {open_device, NO_HANDLE},
    [WIRE_KIND] = {kind, ANY_HANDLE},
    [WIRE_ALLOC] = {alloc, ANY_HANDLE},
    [WIRE_REFS] = {refs, ANY_HANDLE},
    [WIRE_DEALLOC] = {dealloc, ANY_HANDLE},
    [WIRE_REGISTER] = {register_refs, ANY_HANDLE},
    [WIRE_UNREGISTER] = {unregister, ANY_HANDLE},
    [WIRE_NOTICE] = {notice, ANY_HANDLE},
    [WIRE_MAP] = {map_pages, ANY_HANDLE},
    [WIRE_RUNS] = {more_runs, NO_HANDLE},
    [WIRE_UNMAP] = {unmap, NO_HANDLE},
    [WIRE_INHERIT] = {inherit, NO_HANDLE},
    [WIRE_PORT_ALLOC] = {port_alloc, EVTCHN_HANDLE},
    [WIRE_PORT_BIND] = {port_bind, EVTCHN_HANDLE},
    [WIRE_PORT_CLOSE] = {port_close, EVTCHN_HANDLE},
    [WIRE_PORT_FIND] = {port_find, EVTCHN_HANDLE},
    [WIRE_PEER] = {peer, EVTCHN_HANDLE},
    [WIRE_STRAY] = {stray, EVTCHN_HANDLE},
    [WIRE_RESTRICT] = {restrict_domid, EVTCHN_HANDLE},
    [WIRE_RESET] = {reset, EVTCHN_HANDLE},
};

static int dispatch(struct call *call)
{
    uint32_t op = call->request->op;
    struct sim_machine *machine;

    if (op >= sizeof(ops) / sizeof(ops[0])) {
        return -ENOTTY;
    }
    if (ops[op].needs == NO_HANDLE) {
        return ops[op].fn(call);
    }
    call->handle = sim_handle_find(call->hypervisor, call->request->inode);
    if (!call->handle) {
        return -ENOENT;
    }
    if (ops[op].needs == EVTCHN_HANDLE && !call->handle->evtchn) {
        return -ENOTTY;
    }
    machine = call->handle->machine;
    call->xen = machine->domain ? machine->domain->hypervisor : NULL;
    /* Only another machine's process can get here, with a saved one's. */
    return call->xen && call->xen->ports ? ops[op].fn(call) : -ENODEV;
}

void sim_request_answer(struct sim_process *process,
                        const struct wire_request *request,
                        struct wire_answer *answer, union sim_payload *payload,
                        int *ret_fd)
{
    struct call call = {.hypervisor = process->hypervisor,
                        .process = process,
                        .request = request,
                        .answer = answer,
                        .payload = payload,
                        .fd = ret_fd};

    *ret_fd = -1;
    memset(answer, 0, sizeof(*answer));
    answer->error = dispatch(&call);
}

bool sim_request_made_fd(const struct wire_request *request)
{
    return request->op == WIRE_OPEN;
}
