/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor.h"
#include "spec.h"
#include "store.h"

/* Faults that wait for their call in one machine. */
#define MAX_FAULTS 16

struct armed {
    enum sim_call call;
    uint32_t nth;   /* how many of these calls still come before it */
    uint32_t count; /* how many it hits then; 0: the entry is free */
    int error;      /* negative errno, or 0: only delayed */
    uint32_t delay_ms;
};

struct fault {
    uint64_t calls[SIM_CALLS];
    uint64_t hits;
    struct armed armed[MAX_FAULTS];
};

static const char *const call_names[SIM_CALLS] = {
    [SIM_CALL_GRANT] = "grant", [SIM_CALL_MAP] = "map",
    [SIM_CALL_ALLOC] = "alloc", [SIM_CALL_BIND] = "bind",
    [SIM_CALL_OPEN] = "open",   [SIM_CALL_STORE] = "store",
};

static const struct {
    const char *name;
    int code;
} errors[] = {
    {"EACCES", -EACCES}, {"EAGAIN", -EAGAIN}, {"EBUSY", -EBUSY},
    {"EINVAL", -EINVAL}, {"EIO", -EIO},       {"EMFILE", -EMFILE},
    {"ENODEV", -ENODEV}, {"ENOENT", -ENOENT}, {"ENOMEM", -ENOMEM},
    {"ENOSPC", -ENOSPC}, {"EPERM", -EPERM},   {"E2BIG", -E2BIG},
};

/* What a real host answers most likely. */
static int default_error(enum sim_call call)
{
    switch (call) {
    case SIM_CALL_MAP:
    case SIM_CALL_BIND:
        return -EINVAL;
    case SIM_CALL_OPEN:
        return -EMFILE;
    default:
        return -ENOSPC;
    }
}

static struct fault *fault_of(struct sim_machine *machine)
{
    if (!machine->fault) {
        machine->fault = calloc(1, sizeof(struct fault));
    }
    return machine->fault;
}

/* Lets one armed fault see a call; true if it is hit. */
static bool strikes(struct armed *armed)
{
    if (armed->nth > 0) {
        armed->nth--;
        return false;
    }
    if (armed->count != UINT32_MAX) {
        armed->count--;
    }
    return true;
}

int sim_fault(struct sim_host *host, struct sim_machine *machine,
              enum sim_call call, uint64_t *ret_delay_us)
{
    struct fault *fault = fault_of(machine);
    int i, error = 0;

    (void)host;
    *ret_delay_us = 0;
    if (!fault) {
        return -ENOMEM;
    }
    fault->calls[call]++;
    for (i = 0; i < MAX_FAULTS; i++) {
        struct armed *armed = &fault->armed[i];

        if (armed->count > 0 && armed->call == call && strikes(armed)) {
            fault->hits++;
            error = error ? error : armed->error;
            *ret_delay_us += armed->delay_ms * UINT64_C(1000);
        }
    }
    return error;
}

void sim_fault_forget(struct sim_machine *machine)
{
    free(machine->fault);
    machine->fault = NULL;
}

/* ---- The command ------------------------------------------------------- */

static int find_call(const char *name, enum sim_call *ret_call,
                     struct hcl_err *err)
{
    int i;

    for (i = 0; i < SIM_CALLS; i++) {
        if (!strcmp(name, call_names[i])) {
            *ret_call = (enum sim_call)i;
            return 0;
        }
    }
    return hcl_err_set(err, -EINVAL,
                       "fault: no such call: %s; there are grant, map, alloc, "
                       "bind, open, store",
                       name);
}

static int find_error(const char *name, int *ret_error, struct hcl_err *err)
{
    size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (!strcmp(name, errors[i].name)) {
            *ret_error = errors[i].code;
            return 0;
        }
    }
    return hcl_err_set(err, -EINVAL, "fault: unknown error: %s", name);
}

static int arm(struct fault *fault, const struct armed *what,
               struct hcl_err *err)
{
    int i;

    for (i = 0; i < MAX_FAULTS; i++) {
        if (fault->armed[i].count == 0) {
            fault->armed[i] = *what;
            return 0;
        }
    }
    return hcl_err_set(err, -ENOSPC, "fault: %d wait already", MAX_FAULTS);
}

static int command_call(struct fault *fault, const struct hcl_spec *spec,
                        struct hcl_err *err)
{
    struct armed armed = {0};
    const char *error = hcl_spec_get(spec, "error");
    const char *count = hcl_spec_get(spec, "count");
    int ret = find_call(hcl_spec_get(spec, "call"), &armed.call, err);

    if (ret == 0) {
        ret = hcl_spec_get_u32(spec, "nth", 1, UINT32_MAX, 1, &armed.nth, err);
    }
    if (ret == 0) {
        ret = hcl_spec_get_u32(spec, "delay-ms", 0, 3600000, 0, &armed.delay_ms,
                               err);
    }
    armed.count = UINT32_MAX;
    if (ret == 0 && (!count || strcmp(count, "all") != 0)) {
        ret = hcl_spec_get_u32(spec, "count", 1, UINT32_MAX - 1, 1,
                               &armed.count, err);
    }
    if (ret == 0 && error) {
        ret = find_error(error, &armed.error, err);
    } else if (!armed.delay_ms) {
        armed.error = default_error(armed.call);
    }
    if (ret < 0) {
        return ret;
    }
    armed.nth--;
    return arm(fault, &armed, err);
}

static void print_counts(const struct fault *fault, FILE *out)
{
    uint64_t waiting = 0;
    int i;

    for (i = 0; i < SIM_CALLS; i++) {
        fprintf(out, "%s %" PRIu64 "\n", call_names[i], fault->calls[i]);
    }
    for (i = 0; i < MAX_FAULTS; i++) {
        waiting += fault->armed[i].count > 0;
    }
    fprintf(out, "hits %" PRIu64 "\nwaiting %" PRIu64 "\n", fault->hits,
            waiting);
}

static int command_event(struct sim_host *host, struct sim_machine *machine,
                         const struct hcl_spec *spec, struct hcl_err *err)
{
    const char *count = hcl_spec_get(spec, "count");
    uint32_t number = UINT32_MAX;
    int ret = 0;

    if (strcmp(hcl_spec_get(spec, "event"), "drop") != 0) {
        return hcl_err_set(err, -EINVAL, "fault: event=drop is all there is");
    }
    if (!count || strcmp(count, "all") != 0) {
        ret =
            hcl_spec_get_u32(spec, "count", 0, UINT32_MAX - 1, 1, &number, err);
    }
    if (ret == 0) {
        sim_hypervisor_drop_events(host->hypervisor, machine, number);
    }
    return ret;
}

static int command_cut(struct sim_host *host, struct sim_machine *machine,
                       const char *value, struct hcl_err *err)
{
    if (strcmp(value, "1") != 0 && strcmp(value, "0") != 0) {
        return hcl_err_set(err, -EINVAL, "fault: expected cut=1 or cut=0");
    }
    machine->cut = value[0] == '1';
    sim_hypervisor_cut(host->hypervisor, machine);
    if (!machine->cut) {
        sim_store_mended(host->store, machine);
    }
    return 0;
}

static int apply(struct sim_host *host, struct sim_machine *machine,
                 const struct hcl_spec *spec, FILE *out, struct hcl_err *err)
{
    struct fault *fault = fault_of(machine);

    if (!fault) {
        return hcl_err_sys(err, -ENOMEM, "fault");
    }
    if (hcl_spec_get(spec, "call")) {
        return command_call(fault, spec, err);
    }
    if (hcl_spec_get(spec, "event")) {
        return command_event(host, machine, spec, err);
    }
    if (hcl_spec_get(spec, "cut")) {
        return command_cut(host, machine, hcl_spec_get(spec, "cut"), err);
    }
    if (hcl_spec_get(spec, "clear")) {
        memset(fault, 0, sizeof(*fault));
        return 0;
    }
    print_counts(fault, out);
    return 0;
}

int sim_fault_command(struct sim_host *host, const char *text, FILE *out,
                      struct hcl_err *err)
{
    static const char *const known[] = {"domain", "call",     "nth",   "count",
                                        "error",  "delay-ms", "event", "cut",
                                        "clear",  NULL};
    const struct sim_domain *domain;
    struct hcl_spec spec;
    uint32_t domid = 0;
    int ret = hcl_spec_parse(&spec, text, err);

    if (ret == 0) {
        ret = hcl_spec_only(&spec, known, NULL, err);
    }
    if (ret == 0) {
        ret = hcl_spec_get_u32(&spec, "domain", 0, 0x7fef, 0, &domid, err);
    }
    if (ret < 0) {
        return ret;
    }
    domain = sim_domain_find(host, domid);
    if (!domain || !domain->machine) {
        return hcl_err_set(err, -ENOENT, "there is no domain %" PRIu32, domid);
    }
    return apply(host, domain->machine, &spec, out, err);
}
