/* SPDX-License-Identifier: MIT */
/*
 * watch.h: the parts of hclctl watch.  watch.c has the events and the list of
 * domains; watch_guest.c what is done for one guest; watch_source.c finds
 * out which devices a guest is to have.
 *
 * One thread, one xenstore connection.  An event only means "look": each time
 * all of the hypervisor's list is looked at, which costs one hypercall.
 */
#ifndef HCL_WATCH_H
#define HCL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "domains.h"
#include "err.h"
#include "guest.h"
#include "item.h"
#include "loop.h"
#include "record.h"
#include "store.h"

/* How long it waits for what no event tells of; the options of hclctl watch. */
struct hcl_watch_times {
    /*
     * Between looks at a new domain; a dying one: twice, a saved one: ten
     * times that.
     */
    uint64_t poll_us;
    uint64_t settle_us; /* a new domain is looked at for so long */
    uint64_t reap_us;   /* for backends to let go of a dying guest's pages */
    uint64_t return_us; /* for a guest that has gone to be back from a reboot */
    uint64_t fresh_us;  /* an xl that made its guest so long ago still counts */
};

#define HCL_WATCH_TIMES                                                        \
    {                                                                          \
        .poll_us = 100000, .settle_us = 30000000, .reap_us = 5000000,          \
        .return_us = 120000000, .fresh_us = 60000000                           \
    }

enum hcl_watch_phase {
    HCL_WATCH_LOOKING, /* its name is not in xenstore yet */
    HCL_WATCH_WAITING, /* its devices are known; it is not introduced yet */
    HCL_WATCH_SETTLED, /* nothing more to do, but see missing and foreign */
};

/* One domain that the hypervisor lists. */
struct hcl_watch_guest {
    struct hcl_watch_guest *next;
    struct hcl_guest guest;
    enum hcl_watch_phase phase;
    struct hcl_items items; /* while it is waiting */
    bool replace;           /* items are all that it is to have */
    bool older;             /* than this program's start */
    bool listed;            /* in this round's list */
    bool dying;
    bool reaped; /* while it was dying */
    /* Owned: those of its record that could not be attached yet. */
    struct hcl_items missing;
    bool foreign; /* an item of its record has a backend that may restart */
    enum hcl_shutdown shutdown;
    uint64_t found_us;
    uint64_t dying_us; /* since when */
};

/* A guest that has gone, and may come back by a reboot. */
struct hcl_watch_departed {
    struct hcl_watch_departed *next;
    struct hcl_record record;
    uint64_t deadline_us;
};

struct hcl_watch {
    struct hcl_loop *loop;       /* owned */
    struct hcl_store *store;     /* owned */
    struct hcl_domains *domains; /* owned */
    struct hcl_source *events;   /* owned: xenstore's */
    struct hcl_source *signals;  /* owned */
    struct hcl_timer timer;      /* the next look without an event */
    struct hcl_watch_times times;
    const char *state_dir;
    const char *config_dir;              /* or NULL */
    struct hcl_watch_guest *guests;      /* owned */
    struct hcl_watch_departed *departed; /* owned */
    bool started;                        /* the first look is over */
    bool recheck; /* a domain got its name: it may be a missing backend */
    int failed;   /* what ended the loop, or 0 */
};

/* How long until the next look if no event comes; UINT64_MAX: for ever. */
uint64_t hcl_watch_step_us(const struct hcl_watch *watch, uint64_t now_us);

/* A backend still has pages of the dying @guest, and has had the time. */
bool hcl_watch_reap_due(const struct hcl_watch *watch,
                        const struct hcl_watch_guest *guest, uint64_t now_us);

/* ---- watch_guest.c ----------------------------------------------------- */

/* Does what can be done for it now; its phase says what is left. */
void hcl_watch_guest_settle(struct hcl_watch *watch,
                            struct hcl_watch_guest *guest);

/*
 * Another domain appeared: attaches what was missing, or may be after a restart
 * of its backend, and ends a pause that a killed hclctl save left.
 */
void hcl_watch_guest_recheck(struct hcl_watch *watch,
                             struct hcl_watch_guest *guest);

/* It shut down, for the reason @shutdown, or runs again (.._NONE). */
void hcl_watch_guest_shutdown(struct hcl_watch *watch,
                              struct hcl_watch_guest *guest,
                              enum hcl_shutdown shutdown);

/* Removes what the backends have of it. */
void hcl_watch_guest_reap(struct hcl_watch *watch, uint32_t domid);

/* It is not listed any more: reaps it, and keeps or forgets its record. */
void hcl_watch_guest_gone(struct hcl_watch *watch,
                          struct hcl_watch_guest *guest);

/* ---- watch_source.c ---------------------------------------------------- */

/*
 * Fills guest->items with the devices that it is to have, from its record or
 * from a configuration, and says in the log where they come from.
 */
void hcl_watch_source_find(struct hcl_watch *watch,
                           struct hcl_watch_guest *guest);

/* Takes over @record (emptied), for when its guest comes back. */
void hcl_watch_depart(struct hcl_watch *watch, struct hcl_record *record);

/* Forgets who did not come back in time. */
void hcl_watch_expire(struct hcl_watch *watch, uint64_t now_us);

/* Frees all of them; the files stay. */
void hcl_watch_forget(struct hcl_watch *watch);

/* Takes the record of @uuid out of the departed; false: it is not there. */
bool hcl_watch_return(struct hcl_watch *watch, const char *uuid,
                      struct hcl_record *ret_record);

#endif /* HCL_WATCH_H */
