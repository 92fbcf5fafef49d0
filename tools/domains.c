/* SPDX-License-Identifier: MIT */
#include "domains.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenctrl.h>

#define BATCH 64

struct hcl_domains {
    xc_interface *xc; /* owned */
};

int hcl_domains_open(struct hcl_domains **ret_domains, struct hcl_err *err)
{
    struct hcl_domains *domains = calloc(1, sizeof(*domains));
    int ret;

    if (!domains) {
        return hcl_err_sys(err, -ENOMEM, "domains");
    }
    domains->xc = xc_interface_open(NULL, NULL, 0);
    if (!domains->xc) {
        ret = hcl_err_sys(err, errno ? -errno : -EIO,
                          "cannot reach the hypervisor (is this dom0, and are "
                          "you root?)");
        free(domains);
        return ret;
    }
    *ret_domains = domains;
    return 0;
}

void hcl_domains_free(struct hcl_domains *domains)
{
    if (!domains) {
        return;
    }
    xc_interface_close(domains->xc);
    free(domains);
}

static void fill(struct hcl_domain *domain, const xc_domaininfo_t *info)
{
    const uint8_t *h = info->handle;

    domain->domid = info->domain;
    domain->dying = (info->flags & XEN_DOMINF_dying) != 0;
    domain->shutdown = HCL_SHUTDOWN_NONE;
    if (info->flags & XEN_DOMINF_shutdown) {
        domain->shutdown =
            (enum hcl_shutdown)((info->flags >> XEN_DOMINF_shutdownshift) &
                                XEN_DOMINF_shutdownmask);
    }
    snprintf(domain->uuid, sizeof(domain->uuid),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x"
             "%02x",
             h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10],
             h[11], h[12], h[13], h[14], h[15]);
}

int hcl_domains_list(struct hcl_domains *domains, struct hcl_domain **ret_list,
                     unsigned int *ret_count, struct hcl_err *err)
{
    xc_domaininfo_t infos[BATCH];
    struct hcl_domain *list = NULL, *grown;
    uint32_t first = 0;
    unsigned int count = 0;
    int i, got;

    do {
        got = xc_domain_getinfolist(domains->xc, first, BATCH, infos);
        if (got < 0) {
            free(list);
            return hcl_err_sys(err, -errno, "cannot list the domains");
        }
        grown = realloc(list, (count + (unsigned int)got + 1) * sizeof(*grown));
        if (!grown) {
            free(list);
            return hcl_err_sys(err, -ENOMEM, "list of domains");
        }
        list = grown;
        for (i = 0; i < got; i++) {
            fill(&list[count++], &infos[i]);
            first = list[count - 1].domid + 1;
        }
    } while (got == BATCH);
    *ret_list = list;
    *ret_count = count;
    return 0;
}
