/* SPDX-License-Identifier: MIT */
#include "domain.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenctrl.h>

#include "fault.h"
#include "hypervisor.h"
#include "store.h"
#include "vm.h"

#define RUNS (-1)
#define SUSPENDED 2

/* What the host keeps for a machine. */
struct life {
    struct sim_host *host;
    struct sim_machine *machine;
    struct sim_vm *vm; /* owned; NULL for dom0 */
    int hypervisor_fd; /* listening sockets, owned */
    int store_fd;
    struct hcl_source *hypervisor_source; /* owned */
    struct hcl_source *store_source;      /* owned */
    bool moved;                           /* restored, and not unpaused yet */
    char *log;                            /* owned */
    size_t log_bytes;
};

static struct life *life_of(const struct sim_machine *machine)
{
    return machine->life;
}

/* ---- Sockets of a machine ---------------------------------------------- */

static void socket_path(const struct sim_host *host, unsigned int key,
                        const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%u/%s", host->dir, key, name);
}

static int listen_at(const struct sim_host *host, unsigned int key,
                     const char *name, int type, int *ret_fd,
                     struct hcl_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int ret, fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    socket_path(host, key, name, address.sun_path, sizeof(address.sun_path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 128) < 0) {
        ret = hcl_err_sys(err, -errno, "cannot listen at %s", address.sun_path);
        if (fd >= 0) {
            close(fd);
        }
        return ret;
    }
    *ret_fd = fd;
    return 0;
}

static void on_hypervisor(void *arg, uint32_t events)
{
    struct life *life = arg;
    int fd = accept4(life->hypervisor_fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd >= 0) {
        sim_hypervisor_connect(life->host->hypervisor, fd, life->machine);
    }
}

static void on_store(void *arg, uint32_t events)
{
    struct life *life = arg;
    int fd = accept4(life->store_fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd >= 0) {
        sim_store_connect(life->host->store, fd, life->machine);
    }
}

static int open_sockets(struct life *life, struct hcl_err *err)
{
    struct sim_host *host = life->host;
    unsigned int key = life->machine->key;
    char dir[128];
    int ret;

    snprintf(dir, sizeof(dir), "%s/%u", host->dir, key);
    if (mkdir(dir, 0755) < 0) {
        return hcl_err_sys(err, -errno, "cannot make %s", dir);
    }
    ret = listen_at(host, key, "hypervisor", SOCK_SEQPACKET,
                    &life->hypervisor_fd, err);
    if (ret == 0) {
        ret = listen_at(host, key, "xenstored", SOCK_STREAM, &life->store_fd,
                        err);
    }
    if (ret == 0) {
        ret = hcl_source_new(&life->hypervisor_source, host->loop,
                             life->hypervisor_fd, EPOLLIN, on_hypervisor, life,
                             err);
    }
    if (ret == 0) {
        ret = hcl_source_new(&life->store_source, host->loop, life->store_fd,
                             EPOLLIN, on_store, life, err);
    }
    return ret;
}

static void close_sockets(struct life *life)
{
    static const char *const names[] = {"hypervisor", "xenstored", "exec", ""};
    char path[160];
    size_t i;

    hcl_source_free(life->hypervisor_source);
    hcl_source_free(life->store_source);
    if (life->hypervisor_fd >= 0) {
        close(life->hypervisor_fd);
    }
    if (life->store_fd >= 0) {
        close(life->store_fd);
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        socket_path(life->host, life->machine->key, names[i], path,
                    sizeof(path));
        remove(path);
    }
}

/* ---- Machines ---------------------------------------------------------- */

/* All of its processes have ended, or it is dom0's at the very end. */
static void machine_free(struct sim_host *host, struct sim_machine *machine)
{
    struct sim_machine **at = &host->machines;
    struct life *life = life_of(machine);

    while (*at && *at != machine) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = machine->next;
    }
    if (host->store) {
        sim_store_disconnect(host->store, machine);
    }
    if (host->hypervisor) {
        sim_hypervisor_forget(host->hypervisor, machine);
    }
    sim_fault_forget(machine);
    if (life) {
        close_sockets(life);
        sim_vm_free(life->vm);
        free(life->log);
        free(life);
    }
    free(machine);
}

static int machine_new(struct sim_host *host, struct sim_machine **ret_machine,
                       struct hcl_err *err)
{
    struct sim_machine *machine = calloc(1, sizeof(*machine)), **at;
    struct life *life = calloc(1, sizeof(*life));
    int ret;

    if (!machine || !life) {
        free(machine);
        free(life);
        return hcl_err_sys(err, -ENOMEM, "machine");
    }
    machine->key = host->next_key++;
    machine->life = life;
    life->host = host;
    life->machine = machine;
    life->hypervisor_fd = -1;
    life->store_fd = -1;
    for (at = &host->machines; *at; at = &(*at)->next) {
    }
    *at = machine;
    ret = open_sockets(life, err);
    if (ret == 0 && machine->key > 0) {
        ret = sim_vm_new(&life->vm, host->dir, machine->key, err);
    }
    if (ret < 0) {
        machine_free(host, machine);
        return ret;
    }
    *ret_machine = machine;
    return 0;
}

static void machine_kill(struct sim_machine *machine)
{
    if (life_of(machine)->vm) {
        sim_vm_kill(life_of(machine)->vm);
    }
}

/* Appends @line, which ends with a newline. */
static void append(char **text, size_t *bytes, const char *line)
{
    size_t len = strlen(line);
    char *grown = realloc(*text, *bytes + len + 1);

    if (grown) {
        memcpy(grown + *bytes, line, len + 1);
        *text = grown;
        *bytes += len;
    }
}

void sim_machine_log(struct sim_host *host, struct sim_machine *machine,
                     const char *fmt, ...)
{
    struct life *life = life_of(machine);
    char line[256], whole[320];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    snprintf(whole, sizeof(whole), "%s\n", line);
    append(&life->log, &life->log_bytes, whole);
    snprintf(whole, sizeof(whole), "machine %u: %s\n", machine->key, line);
    append(&host->bugs, &host->bugs_bytes, whole);
}

const char *sim_machine_dmesg(const struct sim_machine *machine)
{
    return life_of(machine)->log ? life_of(machine)->log : "";
}

/* ---- Domains ----------------------------------------------------------- */

struct sim_domain *sim_domain_find(struct sim_host *host, uint32_t domid)
{
    struct sim_domain *domain = host->domains;

    while (domain && domain->domid != domid) {
        domain = domain->next;
    }
    return domain;
}

/* A living guest, or NULL with the reason; dom0 is none. */
static struct sim_domain *find_guest(struct sim_host *host, uint32_t domid,
                                     struct hcl_err *err)
{
    struct sim_domain *domain = sim_domain_find(host, domid);

    if (!domain || domid == 0 || domain->dying) {
        hcl_err_set(err, -ENOENT, "there is no guest %" PRIu32, domid);
        return NULL;
    }
    return domain;
}

static void changed(struct sim_host *host)
{
    if (host->on_change) {
        host->on_change(host->on_change_arg);
    }
}

void sim_domain_on_change(struct sim_host *host, void (*fn)(void *arg),
                          void *arg)
{
    host->on_change = fn;
    host->on_change_arg = arg;
}

static void domain_free(struct sim_host *host, struct sim_domain *domain)
{
    struct sim_domain **at = &host->domains;

    while (*at && *at != domain) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = domain->next;
    }
    free(domain);
}

static int domain_new(struct sim_host *host, struct sim_machine *machine,
                      const char *uuid, struct sim_domain **ret_domain,
                      struct hcl_err *err)
{
    struct sim_domain *domain = calloc(1, sizeof(*domain)), **at;
    int ret;

    if (!domain) {
        return hcl_err_sys(err, -ENOMEM, "domain");
    }
    domain->domid = host->next_domid++;
    domain->shutdown = RUNS;
    snprintf(domain->uuid, sizeof(domain->uuid), "%s", uuid);
    domain->machine = machine;
    machine->domain = domain;
    for (at = &host->domains; *at; at = &(*at)->next) {
    }
    *at = domain;
    ret = sim_hypervisor_enter(host->hypervisor, domain, machine, err);
    if (ret < 0) {
        machine->domain = NULL;
        domain_free(host, domain);
        return ret;
    }
    *ret_domain = domain;
    return 0;
}

/* The hypervisor's part of a domain's end.  Its machine is dead or taken out.
 */
static void domain_end(struct sim_host *host, struct sim_domain *domain)
{
    domain->dying = true;
    sim_store_domain_changed(host->store, domain);
    if (sim_hypervisor_destroy(host->hypervisor, domain)) {
        domain_free(host, domain);
    }
    changed(host);
}

void sim_domain_unmapped(struct sim_host *host, struct sim_domain *domain)
{
    sim_store_domain_changed(host->store, domain);
    domain_free(host, domain);
    changed(host);
}

int sim_domain_create(struct sim_host *host, const char *uuid,
                      uint32_t *ret_domid, struct hcl_err *err)
{
    struct sim_machine *machine;
    struct sim_domain *domain;
    int ret = machine_new(host, &machine, err);

    if (ret < 0) {
        return ret;
    }
    ret = domain_new(host, machine, uuid, &domain, err);
    if (ret < 0) {
        machine_kill(machine);
        machine_free(host, machine);
        return ret;
    }
    domain->paused = true;
    *ret_domid = domain->domid;
    return 0;
}

int sim_domain_restore(struct sim_host *host, unsigned int key,
                       const char *uuid, uint32_t *ret_domid,
                       struct hcl_err *err)
{
    struct sim_machine *machine = host->machines;
    struct sim_domain *domain;
    int ret;

    while (machine && (machine->key != key || machine->domain)) {
        machine = machine->next;
    }
    if (!machine) {
        return hcl_err_set(err, -ENOENT,
                           "the saved guest is not there any more: the "
                           "simulated host keeps it in memory, and restores "
                           "it once");
    }
    ret = domain_new(host, machine, uuid, &domain, err);
    if (ret < 0) {
        return ret;
    }
    domain->paused = true;
    life_of(machine)->moved = true;
    *ret_domid = domain->domid;
    return 0;
}

int sim_domain_pause(struct sim_host *host, uint32_t domid, struct hcl_err *err)
{
    struct sim_domain *domain = find_guest(host, domid, err);
    int ret = 0;

    if (!domain) {
        return -ENOENT;
    }
    if (!domain->paused && domain->shutdown == RUNS) {
        ret = sim_vm_freeze(life_of(domain->machine)->vm, err);
    }
    if (ret == 0) {
        domain->paused = true;
    }
    return ret;
}

int sim_domain_unpause(struct sim_host *host, uint32_t domid,
                       struct hcl_err *err)
{
    struct sim_domain *domain = find_guest(host, domid, err);
    struct life *life;
    int ret = 0;

    if (!domain) {
        return -ENOENT;
    }
    if (!domain->paused) {
        return 0;
    }
    domain->paused = false;
    life = life_of(domain->machine);
    if (life->moved) {
        life->moved = false;
        sim_store_restored(host->store, domain->machine);
    }
    ret = sim_vm_thaw(life->vm, err);
    changed(host);
    return ret;
}

int sim_domain_shutdown(struct sim_host *host, uint32_t domid, int reason,
                        struct hcl_err *err)
{
    struct sim_domain *domain = find_guest(host, domid, err);
    int ret = 0;

    if (!domain) {
        return -ENOENT;
    }
    if (domain->shutdown != RUNS) {
        return hcl_err_set(err, -EINVAL, "guest %" PRIu32 " has shut down",
                           domid);
    }
    if (reason == SUSPENDED) {
        ret = sim_vm_freeze(life_of(domain->machine)->vm, err);
        if (ret < 0) {
            return ret;
        }
    } else {
        sim_vm_kill(life_of(domain->machine)->vm);
    }
    domain->shutdown = reason;
    sim_store_domain_changed(host->store, domain);
    changed(host);
    return 0;
}

int sim_domain_resume(struct sim_host *host, uint32_t domid,
                      struct hcl_err *err)
{
    struct sim_domain *domain = find_guest(host, domid, err);

    if (!domain) {
        return -ENOENT;
    }
    if (domain->shutdown != SUSPENDED) {
        return hcl_err_set(err, -EINVAL, "guest %" PRIu32 " is not suspended",
                           domid);
    }
    domain->shutdown = RUNS;
    if (domain->paused) {
        return 0;
    }
    return sim_vm_thaw(life_of(domain->machine)->vm, err);
}

int sim_domain_destroy(struct sim_host *host, uint32_t domid,
                       struct hcl_err *err)
{
    struct sim_domain *domain = find_guest(host, domid, err);
    struct sim_machine *machine;

    if (!domain) {
        return -ENOENT;
    }
    machine = domain->machine;
    machine_kill(machine);
    domain->machine = NULL;
    machine->domain = NULL;
    domain->dying = true;
    /* First Xen, so that the processes' ends say nothing to anybody. */
    domain_end(host, domain);
    machine_free(host, machine);
    return 0;
}

int sim_domain_save(struct sim_host *host, uint32_t domid,
                    unsigned int *ret_key, struct hcl_err *err)
{
    struct sim_domain *domain = find_guest(host, domid, err);

    if (!domain) {
        return -ENOENT;
    }
    if (domain->shutdown != SUSPENDED) {
        return hcl_err_set(err, -EINVAL, "guest %" PRIu32 " is not suspended",
                           domid);
    }
    *ret_key = domain->machine->key;
    domain->machine->domain = NULL;
    domain->machine = NULL;
    domain_end(host, domain);
    return 0;
}

uint32_t sim_domain_flags(const struct sim_domain *domain)
{
    uint32_t flags = domain->dying ? XEN_DOMINF_dying : 0;

    if (domain->paused) {
        flags |= XEN_DOMINF_paused;
    }
    if (domain->shutdown != RUNS) {
        flags |= XEN_DOMINF_shutdown |
                 ((uint32_t)domain->shutdown << XEN_DOMINF_shutdownshift);
    }
    return flags ? flags : XEN_DOMINF_blocked;
}

int sim_domain_start(struct sim_host *host, struct hcl_err *err)
{
    struct sim_machine *machine;
    struct sim_domain *domain;
    int ret = machine_new(host, &machine, err);

    if (ret == 0) {
        ret = domain_new(host, machine, "00000000-0000-0000-0000-000000000000",
                         &domain, err);
    }
    if (ret == 0) {
        domain->introduced = true;
    }
    return ret;
}

void sim_domain_stop(struct sim_host *host)
{
    struct sim_machine *machine;

    for (machine = host->machines; machine; machine = machine->next) {
        machine_kill(machine);
    }
}
