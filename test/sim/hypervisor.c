/* SPDX-License-Identifier: MIT */
#include "hypervisor_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>

static void on_closes(void *arg, uint32_t events)
{
    (void)events;
    sim_handles_settle(arg);
}

/* Three descriptors for each program and device; soft limits are small. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int sim_hypervisor_new(struct sim_hypervisor **ret_hypervisor,
                       struct sim_host *host, struct hcl_err *err)
{
    struct sim_hypervisor *hypervisor = calloc(1, sizeof(*hypervisor));
    int ret;

    if (!hypervisor) {
        return hcl_err_sys(err, -ENOMEM, "hypervisor");
    }
    raise_limit();
    hypervisor->host = host;
    hypervisor->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    hypervisor->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
    if (hypervisor->inotify_fd < 0) {
        ret = hcl_err_sys(err, -errno,
                          "hypervisor: inotify (see "
                          "/proc/sys/fs/inotify/max_user_instances)");
        goto out;
    }
    if (hypervisor->hangup_fd < 0) {
        ret = hcl_err_sys(err, -errno, "hypervisor: epoll");
        goto out;
    }
    ret =
        hcl_source_new(&hypervisor->closes, host->loop, hypervisor->inotify_fd,
                       EPOLLIN, on_closes, hypervisor, err);
    if (ret < 0) {
        goto out;
    }
    ret = sim_table_new(&hypervisor->table, err);
    if (ret < 0) {
        goto out;
    }
    *ret_hypervisor = hypervisor;
    return 0;
out:
    sim_hypervisor_free(hypervisor);
    return ret;
}

/* ---- Processes --------------------------------------------------------- */

static void process_free(struct sim_process *process)
{
    struct sim_process **at = &process->hypervisor->processes;

    while (*at && *at != process) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = process->next;
    }
    hcl_source_free(process->source);
    close(process->fd);
    sim_maps_clear(&process->maps);
    free(process);
}

/*
 * Whatever has ended before now must not be seen as living by what comes next,
 * in whatever order epoll tells.  True if @process was among it.
 */
static bool settle(struct sim_hypervisor *hypervisor,
                   const struct sim_process *process)
{
    struct epoll_event ended[16];
    struct sim_process *gone;
    bool found = false;
    int num, i;

    do {
        num = epoll_wait(hypervisor->hangup_fd, ended, 16, 0);
        for (i = 0; i < num; i++) {
            gone = ended[i].data.ptr;
            assert(gone);
            found |= gone == process;
            process_free(gone);
        }
    } while (num == 16);
    sim_handles_settle(hypervisor);
    return found;
}

/* False: it has ended, or does not keep to the protocol. */
static bool send_answer(struct sim_process *process, struct iovec *iov, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    struct cmsghdr *cmsg;

    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        cmsg = CMSG_FIRSTHDR(&message);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    }
    return sendmsg(process->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* Is @got a whole request? */
static bool whole(const struct wire_request *request, ssize_t got)
{
    return got >= (ssize_t)sizeof(*request) &&
           request->num_refs <= WIRE_MAX_REFS &&
           (size_t)got ==
               sizeof(*request) + request->num_refs * sizeof(struct wire_ref);
}

static void on_request(void *arg, uint32_t events)
{
    static union sim_payload payload;
    struct sim_process *process = arg;
    struct wire_request request;
    struct wire_answer answer;
    struct iovec iov[2] = {{&request, sizeof(request)},
                           {&payload, sizeof(payload)}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t got;
    int fd;

    if (settle(process->hypervisor, process) || !(events & EPOLLIN)) {
        return;
    }
    got = recvmsg(process->fd, &message, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (!whole(&request, got)) {
        process_free(process);
        return;
    }
    sim_request_answer(process, &request, &answer, &payload, &fd);
    iov[0] = (struct iovec){&answer, sizeof(answer)};
    iov[1].iov_len =
        answer.num * (request.op == WIRE_REFS ? sizeof(payload.refs[0])
                                              : sizeof(payload.runs[0]));
    if (!send_answer(process, iov, fd)) {
        process_free(process);
    }
    if (fd >= 0 && sim_request_made_fd(&request)) {
        close(fd);
    }
}

/* A saved machine's requests wait until it goes on. */
static uint32_t events_of(const struct sim_machine *machine)
{
    return machine->domain ? EPOLLIN : 0;
}

void sim_hypervisor_connect(struct sim_hypervisor *hypervisor, int fd,
                            struct sim_machine *machine)
{
    struct sim_process *process = calloc(1, sizeof(*process));
    struct epoll_event hangup = {.data.ptr = process};

    if (!process ||
        hcl_source_new(&process->source, hypervisor->host->loop, fd,
                       events_of(machine), on_request, process, NULL) < 0 ||
        epoll_ctl(hypervisor->hangup_fd, EPOLL_CTL_ADD, fd, &hangup) < 0) {
        if (process) {
            hcl_source_free(process->source);
        }
        free(process);
        close(fd);
        return;
    }
    process->hypervisor = hypervisor;
    process->machine = machine;
    process->fd = fd;
    process->number = ++hypervisor->num_processes;
    process->next = hypervisor->processes;
    hypervisor->processes = process;
}

/* ---- Domains and machines ---------------------------------------------- */

static struct sim_xen *xen_of(struct sim_host *host, uint32_t domid)
{
    struct sim_domain *domain = sim_domain_find(host, domid);

    return domain ? domain->hypervisor : NULL;
}

struct sim_grants *sim_xen_grants(struct sim_host *host, uint32_t domid)
{
    struct sim_xen *xen = xen_of(host, domid);

    return xen ? xen->grants : NULL;
}

struct sim_ports *sim_xen_ports(struct sim_host *host, uint32_t domid)
{
    struct sim_xen *xen = xen_of(host, domid);

    return xen ? xen->ports : NULL;
}

static void xen_free(struct sim_xen *xen)
{
    xen->domain->hypervisor = NULL;
    sim_ports_free(xen->ports);
    sim_grants_free(xen->grants);
    free(xen);
}

/* The last page of a dying domain has been unmapped. */
static void on_unmapped(void *arg)
{
    struct sim_xen *xen = arg;
    struct sim_domain *domain = xen->domain;
    struct sim_host *host = xen->host;

    if (xen->awaited) {
        xen_free(xen);
        sim_domain_unmapped(host, domain);
    }
}

static int xen_new(struct sim_hypervisor *hypervisor, struct sim_domain *domain,
                   struct hcl_err *err)
{
    struct sim_host *host = hypervisor->host;
    struct sim_xen *xen = calloc(1, sizeof(*xen));
    uint32_t limit = domain->domid ? host->limits.ports : UINT32_MAX;
    int ret;

    if (!xen) {
        return hcl_err_sys(err, -ENOMEM, "domain %u", domain->domid);
    }
    xen->host = host;
    xen->domain = domain;
    xen->mapper.domid = domain->domid;
    ret = sim_grants_new(&xen->grants, domain->domid, on_unmapped, xen, err);
    if (ret == 0) {
        ret = sim_ports_new(&xen->ports, hypervisor->table, domain->domid,
                            limit, err);
    }
    if (ret < 0) {
        sim_grants_free(xen->grants);
        free(xen);
        return ret;
    }
    domain->hypervisor = xen;
    return 0;
}

static int kernel_new(struct sim_hypervisor *hypervisor,
                      const struct sim_domain *domain,
                      struct sim_machine *machine, struct hcl_err *err)
{
    struct sim_kernel *kernel = calloc(1, sizeof(*kernel));
    int ret;

    if (!kernel) {
        return hcl_err_sys(err, -ENOMEM, "a machine's kernel");
    }
    ret = sim_table_add_machine(hypervisor->table, &kernel->slot);
    if (ret < 0) {
        free(kernel);
        return hcl_err_set(err, ret, "more than %u machines at once",
                           WIRE_MACHINES);
    }
    kernel->shared.limit = domain->domid ? hypervisor->host->limits.grants : 0;
    kernel->shared.machine = machine;
    machine->hypervisor = kernel;
    return 0;
}

int sim_hypervisor_enter(struct sim_hypervisor *hypervisor,
                         struct sim_domain *domain, struct sim_machine *machine,
                         struct hcl_err *err)
{
    struct sim_process *process;
    struct sim_handle *handle;
    int ret = xen_new(hypervisor, domain, err);

    if (ret < 0) {
        return ret;
    }
    if (!machine->hypervisor) {
        ret = kernel_new(hypervisor, domain, machine, err);
        if (ret < 0) {
            xen_free(domain->hypervisor);
            return ret;
        }
    }
    settle(hypervisor, NULL);
    for (handle = hypervisor->handles; handle; handle = handle->next) {
        if (handle->machine == machine && handle->evtchn) {
            sim_evtchn_stale(handle->evtchn);
        }
    }
    sim_hypervisor_cut(hypervisor, machine);
    for (process = hypervisor->processes; process; process = process->next) {
        if (process->machine == machine) {
            hcl_source_events(process->source, EPOLLIN);
        }
    }
    return 0;
}

bool sim_hypervisor_destroy(struct sim_hypervisor *hypervisor,
                            struct sim_domain *domain)
{
    struct sim_machine *machine = domain->machine;
    struct sim_xen *xen = domain->hypervisor;
    struct sim_process *process;
    struct sim_kernel *kernel;

    if (machine) {
        kernel = machine->hypervisor;
        kernel->shared.dead = true;
    }
    settle(hypervisor, NULL);
    for (process = hypervisor->processes; process; process = process->next) {
        if (!process->machine->domain || process->machine == machine) {
            hcl_source_events(process->source, 0);
        }
    }
    sim_ports_free(xen->ports);
    xen->ports = NULL;
    sim_mapper_clear(&xen->mapper);
    sim_grants_kill(xen->grants);
    xen->awaited = sim_grants_mapped(xen->grants) > 0;
    if (xen->awaited) {
        return false;
    }
    xen_free(xen);
    return true;
}

void sim_hypervisor_forget(struct sim_hypervisor *hypervisor,
                           struct sim_machine *machine)
{
    struct sim_kernel *kernel = machine->hypervisor;
    struct sim_process *process, *next_process;
    struct sim_handle *handle, *next_handle;

    if (!kernel) {
        return;
    }
    settle(hypervisor, NULL);
    for (process = hypervisor->processes; process; process = next_process) {
        next_process = process->next;
        if (process->machine == machine) {
            process_free(process);
        }
    }
    for (handle = hypervisor->handles; handle; handle = next_handle) {
        next_handle = handle->next;
        if (handle->machine == machine) {
            sim_handle_free(handle);
        }
    }
    sim_table_remove_machine(hypervisor->table, kernel->slot);
    free(kernel);
    machine->hypervisor = NULL;
}

void sim_hypervisor_free(struct sim_hypervisor *hypervisor)
{
    struct sim_machine *machine;
    struct sim_domain *domain;
    struct sim_xen *xen;

    if (!hypervisor) {
        return;
    }
    for (machine = hypervisor->host->machines; machine;
         machine = machine->next) {
        struct sim_kernel *kernel = machine->hypervisor;

        if (kernel) {
            kernel->shared.dead = true;
            sim_hypervisor_forget(hypervisor, machine);
        }
    }
    for (domain = hypervisor->host->domains; domain; domain = domain->next) {
        xen = domain->hypervisor;
        if (xen) {
            sim_mapper_clear(&xen->mapper);
            xen_free(xen);
        }
    }
    hcl_source_free(hypervisor->closes);
    if (hypervisor->inotify_fd >= 0) {
        close(hypervisor->inotify_fd);
    }
    if (hypervisor->hangup_fd >= 0) {
        close(hypervisor->hangup_fd);
    }
    sim_table_free(hypervisor->table);
    free(hypervisor);
}

/* ---- Faults and the audit ---------------------------------------------- */

void sim_hypervisor_drop_events(struct sim_hypervisor *hypervisor,
                                struct sim_machine *machine, uint32_t count)
{
    struct sim_kernel *kernel = machine->hypervisor;

    __atomic_store_n(&sim_table_machine(hypervisor->table, kernel->slot)->drop,
                     count, __ATOMIC_SEQ_CST);
}

void sim_hypervisor_cut(struct sim_hypervisor *hypervisor,
                        struct sim_machine *machine)
{
    struct sim_kernel *kernel = machine->hypervisor;

    __atomic_store_n(&sim_table_machine(hypervisor->table, kernel->slot)->cut,
                     machine->cut, __ATOMIC_SEQ_CST);
}

static unsigned int audit_handle(const struct sim_handle *handle, FILE *out)
{
    const struct sim_machine *machine = handle->machine;

    if (handle->gntdev) {
        return machine->domain ? sim_gntdev_audit(handle->gntdev,
                                                  machine->domain->domid, out)
                               : 0;
    }
    return handle->gntalloc
               ? sim_gntalloc_audit(handle->gntalloc, machine->key, out)
               : sim_evtchn_audit(handle->evtchn, machine->key, out);
}

unsigned int sim_hypervisor_audit(struct sim_hypervisor *hypervisor, FILE *out)
{
    const struct sim_domain *domain;
    const struct sim_handle *handle;
    const struct sim_xen *xen;
    unsigned int found = 0;

    settle(hypervisor, NULL);
    for (domain = hypervisor->host->domains; domain; domain = domain->next) {
        xen = domain->hypervisor;
        if (!xen) {
            continue;
        }
        found += sim_grants_audit(xen->grants, out);
        found += sim_mapper_audit(&xen->mapper, out);
        found += xen->ports ? sim_ports_audit(xen->ports, out) : 0;
    }
    for (handle = hypervisor->handles; handle; handle = handle->next) {
        found += audit_handle(handle, out);
    }
    return found;
}
