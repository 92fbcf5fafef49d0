/* SPDX-License-Identifier: MIT */
/*
 * supervisor.h: the control plane: all attachments, all keepers, and the only
 * connection to xenstore.  One thread.
 */
#ifndef HCL_SUPERVISOR_H
#define HCL_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "attachment.h"
#include "device_config.h"
#include "grant.h"
#include "hotplug.h"
#include "keeper.h"
#include "loop.h"
#include "settings.h"
#include "store.h"

struct hcl_supervisor {
    const struct hcl_settings *settings; /* not owned */
    struct hcl_loop *loop;               /* owned */
    struct hcl_store *store;             /* owned */
    struct hcl_source *store_source;
    struct hcl_source *signals;
    struct hcl_gntdev reader;    /* for control pages */
    struct hcl_hotplug *hotplug; /* owned */
    struct hcl_keeper *keepers;  /* num_keepers; owned */
    unsigned int num_keepers;
    struct hcl_attachment *attachments; /* owned; any order */
    uint32_t last_connection;           /* number given out last */
    struct hcl_timer stop_timer;
    bool scanned; /* what was there before us has state 1, at least */
    bool settled; /* each worker has been ready, or has failed */
    bool said_ready;
    bool stopping;          /* SIGTERM, or a mistake */
    struct hcl_err failure; /* why it ends; code 0: as asked */
};

/* What the supervisor is started with; nothing is owned. */
struct hcl_supervisor_setup {
    const char *worker;  /* path of hcl-worker */
    const char *hotplug; /* path of the script, or NULL */
    const struct hcl_settings *settings;
    const char *const *specs;                /* items of `devices` */
    const struct hcl_device_config *devices; /* the same, parsed */
    unsigned int num_devices;
};

/*
 * Serves until SIGTERM or SIGINT, and closes every connection then.  Prints
 * "ready" on standard output once it serves.  0, or an error: no Xen, a mistake
 * in hcl.conf that only a worker could see (-EINVAL), xenstored gone.  Logs.
 */
__attribute__((warn_unused_result)) int
hcl_supervisor_run(const struct hcl_supervisor_setup *setup,
                   struct hcl_err *err);

/* For attachments: the keeper of that device, or NULL. */
struct hcl_keeper *hcl_supervisor_keeper(struct hcl_supervisor *supervisor,
                                         const char *device);

/* For attachments: "rng0, gps", or "nothing". */
void hcl_supervisor_device_names(const struct hcl_supervisor *supervisor,
                                 char *buf, size_t size);

/* For attachments: a number that no message of late can mean. */
uint32_t hcl_supervisor_new_connection(struct hcl_supervisor *supervisor);

#endif /* HCL_SUPERVISOR_H */
