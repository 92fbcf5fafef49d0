/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "hypervisor.h"
#include "store.h"

static unsigned int audit_domains(struct sim_host *host, FILE *out)
{
    const struct sim_domain *domain;
    unsigned int count = 0;

    for (domain = host->domains; domain; domain = domain->next) {
        if (domain->domid > 0) {
            fprintf(out, "domain %" PRIu32 ": %s\n", domain->domid,
                    domain->dying ? "dying: its pages are still mapped"
                                  : "exists");
            count++;
        }
    }
    return count;
}

static unsigned int audit_logs(struct sim_host *host, FILE *out)
{
    unsigned int count = 0;
    size_t at, len;

    for (at = 0; at < host->bugs_bytes; at += len + 1) {
        len = strcspn(host->bugs + at, "\n");
        fprintf(out, "kernel log: %.*s\n", (int)len, host->bugs + at);
        count++;
    }
    return count;
}

void sim_audit(struct sim_host *host, FILE *out)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *body = open_memstream(&text, &bytes);
    unsigned int count;

    if (!body) {
        fputs("ok 1\nno memory for the audit\n", out);
        return;
    }
    count = audit_domains(host, body);
    count += sim_hypervisor_audit(host->hypervisor, body);
    count += sim_store_audit(host->store, body);
    count += audit_logs(host, body);
    fclose(body);
    fprintf(out, "ok %u\n%s", count, text);
    free(text);
}

/* ---- Limits ------------------------------------------------------------ */

static const struct {
    const char *name;
    size_t offset;
    uint32_t value;
} limit_table[] = {
#define LIMIT(name, field, value)                                              \
    {                                                                          \
        name, offsetof(struct sim_limits, field), value                        \
    }
    LIMIT("grants", grants, 1024),
    LIMIT("ports", ports, 1023),
    LIMIT("nodes", nodes, 1000),
    LIMIT("node-bytes", node_bytes, 2048),
    LIMIT("watches", watches, 128),
    LIMIT("transactions", transactions, 10),
    LIMIT("path-bytes", path_bytes, 2048),
    LIMIT("permissions", permissions, 5),
};

#define LIMITS (sizeof(limit_table) / sizeof(limit_table[0]))

static uint32_t *limit_at(struct sim_limits *limits, size_t i)
{
    return (uint32_t *)(void *)((char *)limits + limit_table[i].offset);
}

void sim_limits_init(struct sim_limits *limits)
{
    size_t i;

    for (i = 0; i < LIMITS; i++) {
        *limit_at(limits, i) = limit_table[i].value;
    }
}

int sim_limits_set(struct sim_limits *limits, const char *text,
                   struct hcl_err *err)
{
    size_t len = strcspn(text, "="), i;
    char *end = NULL;
    unsigned long value = text[len] ? strtoul(text + len + 1, &end, 10) : 0;

    for (i = 0; i < LIMITS; i++) {
        if (strlen(limit_table[i].name) == len &&
            !strncmp(text, limit_table[i].name, len) && end &&
            end > text + len + 1 && !*end && value <= UINT32_MAX) {
            *limit_at(limits, i) = (uint32_t)value;
            return 0;
        }
    }
    return hcl_err_set(err, -EINVAL,
                       "quota \"%s\": expected NAME=N, NAME one "
                       "of %s",
                       text, sim_limits_names());
}

const char *sim_limits_names(void)
{
    return "grants ports nodes node-bytes watches transactions path-bytes "
           "permissions";
}
