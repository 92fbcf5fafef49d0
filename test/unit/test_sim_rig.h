/* SPDX-License-Identifier: MIT */
/*
 * test_sim_rig.h: the hypervisor of a simulated host in the test's own process,
 * and programs (test_sim_agent.h) in its machines.  One thread: the
 * host's loop runs while the test waits for a program.
 */
#ifndef TEST_SIM_RIG_H
#define TEST_SIM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "../sim/fault.h"
#include "hypervisor.h"
#include "test_sim_agent.h"

#define RIG_AGENTS 160
#define RIG_MACHINES 80

struct rig_machine {
    struct sim_machine machine;
    int fd; /* listens */
    struct hcl_source *source;
};

struct agent {
    pid_t pid;
    int fd;
    int passed; /* by the last call, or -1 */
    struct agent_message m;
};

static struct {
    struct sim_host host;
    struct rig_machine *machines[RIG_MACHINES];
    unsigned int num_machines;
    struct agent *agents[RIG_AGENTS];
    unsigned int num_agents;
    uint32_t next_domid;
    char log[4096];
    unsigned int calls[SIM_CALLS];
    unsigned int unmapped; /* calls of sim_domain_unmapped */
    int fault_error[SIM_CALLS];
    uint64_t delay_us[SIM_CALLS];
} rig;

/* ---- What other parts of the host provide ------------------------------ */

int sim_fault(struct sim_host *host, struct sim_machine *machine,
              enum sim_call call, uint64_t *ret_delay_us)
{
    (void)host;
    (void)machine;
    rig.calls[call]++;
    *ret_delay_us = rig.delay_us[call];
    return rig.fault_error[call];
}

struct sim_domain *sim_domain_find(struct sim_host *host, uint32_t domid)
{
    struct sim_domain *domain = host->domains;

    while (domain && domain->domid != domid) {
        domain = domain->next;
    }
    return domain;
}

void sim_machine_log(struct sim_host *host, struct sim_machine *machine,
                     const char *fmt, ...)
{
    size_t used = strlen(rig.log);
    char line[256];
    va_list args;

    (void)host;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    snprintf(rig.log + used, sizeof(rig.log) - used, "%u: %s\n", machine->key,
             line);
}

static void rig_free_domain(struct sim_domain *domain)
{
    struct sim_domain **at = &rig.host.domains;

    while (*at != domain) {
        at = &(*at)->next;
    }
    *at = domain->next;
    free(domain);
}

void sim_domain_unmapped(struct sim_host *host, struct sim_domain *domain)
{
    (void)host;
    rig.unmapped++;
    rig_free_domain(domain);
}

/* ---- The host ---------------------------------------------------------- */

static void rig_accept(void *arg, uint32_t events)
{
    struct rig_machine *machine = arg;
    int fd = accept4(machine->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    assert_true(fd >= 0);
    sim_hypervisor_connect(rig.host.hypervisor, fd, &machine->machine);
}

/* A domain for @machine, as after a create or a restore. */
static struct sim_domain *rig_enter(struct sim_machine *machine)
{
    struct sim_domain *domain = calloc(1, sizeof(*domain)), **at;
    struct hcl_err err;

    assert_non_null(domain);
    domain->domid = rig.next_domid++;
    domain->machine = machine;
    machine->domain = domain;
    for (at = &rig.host.domains; *at; at = &(*at)->next) {
    }
    *at = domain;
    assert_int_equal(
        sim_hypervisor_enter(rig.host.hypervisor, domain, machine, &err), 0);
    return domain;
}

/* A new machine in a new domain; the first one is dom0. */
static struct sim_machine *rig_boot(void)
{
    struct rig_machine *machine = calloc(1, sizeof(*machine));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sim_machine **at;
    struct hcl_err err;

    assert_non_null(machine);
    machine->machine.key = rig.num_machines;
    rig.machines[rig.num_machines++] = machine;
    for (at = &rig.host.machines; *at; at = &(*at)->next) {
    }
    *at = &machine->machine;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%u", rig.host.dir,
             machine->machine.key);
    assert_int_equal(mkdir(address.sun_path, 0700), 0);
    strcat(address.sun_path, "/hypervisor");
    machine->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(
        bind(machine->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(machine->fd, 16), 0);
    assert_int_equal(hcl_source_new(&machine->source, rig.host.loop,
                                    machine->fd, EPOLLIN, rig_accept, machine,
                                    &err),
                     0);
    rig_enter(&machine->machine);
    return &machine->machine;
}

__attribute__((unused)) static uint32_t
domid_of(const struct sim_machine *machine)
{
    return machine->domain->domid;
}

__attribute__((unused)) static int rig_setup(void **state)
{
    struct hcl_err err;

    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.host.limits.grants = 1024;
    rig.host.limits.ports = 1023;
    strcpy(rig.host.dir, "/tmp/test_sim.XXXXXX");
    assert_non_null(mkdtemp(rig.host.dir));
    assert_int_equal(hcl_loop_new(&rig.host.loop, &err), 0);
    assert_int_equal(sim_hypervisor_new(&rig.host.hypervisor, &rig.host, &err),
                     0);
    rig_boot();
    return 0;
}

/* ---- Programs ---------------------------------------------------------- */

/* Runs the host until @fd is readable. */
static void rig_wait(int fd)
{
    struct pollfd ready[2] = {
        {.fd = fd, .events = POLLIN},
        {.fd = hcl_loop_fd(rig.host.loop), .events = POLLIN},
    };

    do {
        assert_true(poll(ready, 2, -1) > 0);
        if (ready[1].revents) {
            hcl_loop_poll(rig.host.loop, 0);
        }
    } while (!ready[0].revents);
}

static void agent_wait(struct agent *agent)
{
    rig_wait(agent->fd);
    assert_int_equal(agent_receive(agent->fd, &agent->m, &agent->passed),
                     sizeof(agent->m));
}

static struct agent *agent_add(int fd)
{
    struct agent *agent = calloc(1, sizeof(*agent));

    assert_non_null(agent);
    assert_true(rig.num_agents < RIG_AGENTS);
    agent->fd = fd;
    rig.agents[rig.num_agents++] = agent;
    return agent;
}

/* The library beside the tests: ../sim/lib.  NULL: on no simulated host. */
static void agent_environment(const struct sim_machine *machine)
{
    char own[256], path[400], key[16];
    ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);

    own[len > 0 ? len : 0] = '\0';
    *strrchr(own, '/') = '\0';
    snprintf(path, sizeof(path), "%s/../sim/lib/libhclsim.so", own);
    setenv("LD_PRELOAD", path, 1);
    if (machine) {
        snprintf(key, sizeof(key), "%u", machine->key);
        setenv("HCL_SIM", rig.host.dir, 1);
        setenv("HCL_SIM_KEY", key, 1);
    }
}

/* A new program in @machine. */
static struct agent *agent_start(const struct sim_machine *machine)
{
    struct agent *agent;
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    agent = agent_add(ends[0]);
    agent->pid = fork();
    assert_true(agent->pid >= 0);
    if (agent->pid == 0) {
        agent_environment(machine);
        agent_exec(ends[1]);
    }
    close(ends[1]);
    agent_wait(agent);
    return agent;
}

static int64_t agent_call(struct agent *agent, int call, int pass,
                          const int64_t *args)
{
    agent->m.call = call;
    memcpy(agent->m.a, args, sizeof(agent->m.a));
    assert_int_equal(agent_send(agent->fd, &agent->m, pass), sizeof(agent->m));
    agent_wait(agent);
    return agent->m.ret;
}

/* tell(agent, A_..., arguments): what the call returned. */
#define tell(agent, ...)                                                       \
    agent_call(agent, tell_call(__VA_ARGS__, 0), -1,                           \
               (const int64_t[7]){__VA_ARGS__} + 1)
#define tell_call(call, ...) call

/* It must fail, with this errno. */
#define assert_refused(error_, agent_, ...)                                    \
    do {                                                                       \
        int64_t ret_ = tell(agent_, __VA_ARGS__);                              \
                                                                               \
        assert_true(ret_ == -1 || ret_ == 0);                                  \
        assert_int_equal((agent_)->m.error, error_);                           \
    } while (0)

static void agent_reap(struct agent *agent)
{
    int status;

    close(agent->fd);
    agent->fd = -1;
    if (agent->pid > 0) {
        assert_int_equal(waitpid(agent->pid, &status, 0), agent->pid);
        agent->pid = 0;
    }
}

/* Has it do what never ends; see rig_run_until. */
__attribute__((unused)) static void agent_send_off(struct agent *agent,
                                                   int64_t call)
{
    agent->m.call = call;
    memset(agent->m.a, 0, sizeof(agent->m.a));
    assert_true(agent_send(agent->fd, &agent->m, -1) > 0);
}

/* Runs the host until its programs have made @count calls of this kind. */
__attribute__((unused)) static void rig_run_until(enum sim_call call,
                                                  unsigned int count)
{
    while (rig.calls[call] < count) {
        hcl_loop_poll(rig.host.loop, -1);
    }
}

/* Kills it; when this returns it is dead. */
__attribute__((unused)) static void agent_kill(struct agent *agent)
{
    if (agent->pid > 0) {
        kill(agent->pid, SIGKILL);
    }
    agent_reap(agent);
}

/* A child of @agent, as fork makes it; the grandparent cannot wait for it. */
__attribute__((unused)) static struct agent *agent_fork(struct agent *agent)
{
    const int64_t none[6] = {0};
    struct agent *child;
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    child = agent_add(ends[0]);
    assert_true(agent_call(agent, A_FORK, ends[1], none) > 0);
    close(ends[1]);
    agent_wait(child);
    return child;
}

/* Ends a forked child: when this returns it has no descriptors any more. */
__attribute__((unused)) static void agent_end(struct agent *child)
{
    child->m.call = A_EXIT;
    memset(child->m.a, 0, sizeof(child->m.a));
    assert_true(agent_send(child->fd, &child->m, -1) > 0);
    rig_wait(child->fd);
    assert_int_equal(agent_receive(child->fd, &child->m, &child->passed), 0);
    close(child->fd);
    child->fd = -1;
}

/* Passes @fd of @from on to @to: its number there. */
__attribute__((unused)) static int64_t agent_pass(struct agent *from,
                                                  int64_t fd, struct agent *to)
{
    const int64_t none[6] = {0};
    int64_t got;

    tell(from, A_GIVE_FD, fd);
    assert_true(from->passed >= 0);
    got = agent_call(to, A_TAKE_FD, from->passed, none);
    close(from->passed);
    assert_true(got >= 0);
    return got;
}

/* ---- Ends -------------------------------------------------------------- */

/* Of a destroy, as domain.c makes it; the machine's agents are dead. */
__attribute__((unused)) static void rig_destroy(struct sim_domain *domain)
{
    if (domain->machine) {
        domain->machine->domain = NULL;
        domain->machine = NULL;
    }
    domain->dying = true;
    if (sim_hypervisor_destroy(rig.host.hypervisor, domain)) {
        rig_free_domain(domain);
    }
}

static unsigned int audit(void)
{
    return sim_hypervisor_audit(rig.host.hypervisor, NULL);
}

__attribute__((unused)) static void assert_audit(const char *expected)
{
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");

    sim_hypervisor_audit(rig.host.hypervisor, out);
    fclose(out);
    assert_string_equal(text, expected);
}

/* Each test leaves nothing, once its programs have ended. */
__attribute__((unused)) static int rig_teardown(void **state)
{
    char path[256];
    unsigned int i;

    (void)state;
    for (i = 0; i < rig.num_agents; i++) {
        if (rig.agents[i]->fd >= 0) {
            agent_reap(rig.agents[i]);
        }
        free(rig.agents[i]);
    }
    /* Forked children see their sockets' end: now or soon. */
    while (audit() > 0) {
        hcl_loop_poll(rig.host.loop, -1);
    }
    sim_hypervisor_free(rig.host.hypervisor);
    while (rig.host.domains) {
        rig_free_domain(rig.host.domains);
    }
    for (i = 0; i < rig.num_machines; i++) {
        hcl_source_free(rig.machines[i]->source);
        close(rig.machines[i]->fd);
        snprintf(path, sizeof(path), "%s/%u/hypervisor", rig.host.dir, i);
        unlink(path);
        *strrchr(path, '/') = '\0';
        rmdir(path);
        free(rig.machines[i]);
    }
    hcl_loop_free(rig.host.loop);
    return rmdir(rig.host.dir);
}

#endif /* TEST_SIM_RIG_H */
