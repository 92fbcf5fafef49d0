/* SPDX-License-Identifier: MIT */
/*
 * hclif.h: the wire protocol between an HCL frontend and an HCL backend.
 *
 * doc/protocol.md is the normative text; this header gives it names.  It needs
 * nothing but <stdint.h>, compiles alone as C99 and C11, hosted or not, and
 * every structure has the same layout on every ABI (test/unit/test_hclif.c).
 *
 * All fields are little-endian.  "Guest" is the frontend's domain.
 */
#ifndef HCLIF_H
#define HCLIF_H

#include <stdint.h>

/* ---- Version and limits ------------------------------------------------ */

/* The one version that exists; `versions` and `version` in xenstore. */
#define HCLIF_VERSION 1

#define HCLIF_PAGE_BYTES 4096
#define HCLIF_SLOT_BYTES 64

/* Slots in one ring of one page (ring page order 0). */
#define HCLIF_SLOTS_PER_PAGE (HCLIF_PAGE_BYTES / HCLIF_SLOT_BYTES)

/* Bounds of the wire format; a backend advertises lower limits of its own. */
#define HCLIF_MAX_QUEUES 8
#define HCLIF_MAX_RING_PAGE_ORDER 6
#define HCLIF_MAX_EXTRA_PAGES 4

/* ---- xenstore ---------------------------------------------------------- */

/* The device kind: backend/hcl/<domid>/<devid>, device/hcl/<devid>. */
#define HCLIF_KIND "hcl"

/* Nodes of the backend directory: written by the toolstack ... */
#define HCLIF_NODE_FRONTEND "frontend"       /* path of the other directory */
#define HCLIF_NODE_FRONTEND_ID "frontend-id" /* decimal domid */
#define HCLIF_NODE_DEVICE "device"           /* name; in both directories */
#define HCLIF_NODE_DOMAIN "domain"           /* the guest's name */
#define HCLIF_NODE_UUID "uuid"               /* the guest's uuid */
#define HCLIF_NODE_OPTIONS "options"         /* key=value,... or "" */
#define HCLIF_NODE_ONLINE "online"           /* "1"; "0" asks for a detach */
#define HCLIF_NODE_PAUSE "pause"             /* "1" asks for a release */
/* ... and by the backend. */
#define HCLIF_NODE_STATE "state" /* decimal, in both directories */
#define HCLIF_NODE_CLASS "class"
#define HCLIF_NODE_VERSIONS "versions"     /* comma-separated decimals */
#define HCLIF_NODE_GENERATION "generation" /* 16 hex digits; both */
#define HCLIF_NODE_MAX_QUEUES "max-queues"
#define HCLIF_NODE_MAX_RING_PAGE_ORDER "max-ring-page-order"
#define HCLIF_NODE_MAX_POOL_PAGES "max-pool-pages"
#define HCLIF_NODE_MAX_HANDLES "max-handles"
#define HCLIF_NODE_IDEMPOTENT "idempotent"   /* comma-separated opcodes */
#define HCLIF_NODE_INCARNATION "incarnation" /* 16 hex digits; both */
#define HCLIF_NODE_DEPARTED "departed"       /* 16 hex digits */
#define HCLIF_NODE_ERROR "error"             /* a sentence for a person */

/* Nodes of the frontend directory: written by the toolstack ... */
#define HCLIF_NODE_BACKEND "backend"       /* path of the other directory */
#define HCLIF_NODE_BACKEND_ID "backend-id" /* decimal domid */
/* ... and by the frontend, besides state, generation and incarnation. */
#define HCLIF_NODE_VERSION "version"
#define HCLIF_NODE_CONTROL_REF "control-ref"        /* decimal grant ref */
#define HCLIF_NODE_EVENT_CHANNEL "event-channel-%u" /* one for each queue */

/* ---- Control page ------------------------------------------------------ */

#define HCLIF_CONTROL_MAGIC 0x314c4348u /* "HCL1" */
#define HCLIF_CONTROL_REFS 1008         /* refs in the control page */
#define HCLIF_EXTRA_REFS 1024           /* refs in each extra page */

/*
 * Written by the guest before it publishes its grant reference, never after.
 * Granted read-only.  The reference list goes on in the extra pages:
 *
 *   read-only for the backend:  front page, request rings of queue 0, 1, ...,
 *                               tx pool
 *   writable by the backend:    back page, completion rings of queue 0, 1, ...,
 *                               rx pool
 */
struct hclif_control {
    uint32_t magic;
    uint32_t version;
    uint64_t generation;     /* of the backend that is answered */
    uint64_t incarnation;    /* of the frontend that answers */
    uint32_t features;       /* bits; none is defined: 0 */
    uint16_t num_queues;     /* 1 to max-queues */
    uint8_t ring_page_order; /* each ring has 1 << order pages */
    uint8_t num_extra;       /* extra pages in use */
    uint32_t tx_pages;       /* pool pages that the backend may read */
    uint32_t rx_pages;       /* pool pages that the backend may write */
    uint32_t extra_refs[HCLIF_MAX_EXTRA_PAGES];
    uint8_t reserved[8]; /* 0 */
    uint32_t refs[HCLIF_CONTROL_REFS];
};

/* ---- Front and back page ----------------------------------------------- */

/* One cache line for each queue: the position that the writer waits for. */
struct hclif_event {
    uint32_t position;
    uint8_t reserved[60];
};

/* The front page is written by the guest, the back page by the backend. */
struct hclif_side {
    uint8_t alive; /* 1; 0 when the process that served it is gone */
    uint8_t reserved[63];
    struct hclif_event event[HCLIF_MAX_QUEUES];
};

/* ---- Slots ------------------------------------------------------------- */

#define HCLIF_REQUEST_DATA 28
#define HCLIF_COMPLETION_DATA 48

/* hclif_request.flags */
#define HCLIF_TX_POOL 0x01 /* the payload is in the tx pool, not in data[] */
#define HCLIF_RX_POOL 0x02 /* the answer goes to the rx pool, not to data[] */

/* One request: frontend to backend. */
struct hclif_request {
    uint32_t tag;       /* below the ring's slots; unique while in flight */
    uint16_t handle;    /* below max-handles, chosen by the frontend */
    uint8_t opcode;     /* HCLIF_OP_* */
    uint8_t flags;      /* HCLIF_TX_POOL, HCLIF_RX_POOL */
    uint64_t argument;  /* meaning by opcode and class; 0 where unused */
    uint32_t tx_bytes;  /* payload for the device */
    uint32_t tx_offset; /* bytes from the start of the tx pool, or 0 */
    uint32_t rx_bytes;  /* room for the answer */
    uint32_t rx_offset; /* bytes from the start of the rx pool, or 0 */
    uint8_t data[HCLIF_REQUEST_DATA];
    uint32_t sequence; /* position + 1, written last */
};

/* hclif_completion.flags */
#define HCLIF_OVERRUN 0x0001 /* the device lost data before this answer */

/* One completion: backend to frontend. */
struct hclif_completion {
    uint32_t tag;
    uint16_t status; /* HCLIF_STATUS_* */
    uint16_t flags;
    uint32_t rx_bytes; /* of the answer; status not 0: of a text in data[] */
    uint8_t data[HCLIF_COMPLETION_DATA];
    uint32_t sequence; /* position + 1, written last */
};

/* ---- Opcodes ----------------------------------------------------------- */

#define HCLIF_OP_OPEN 1     /* make the handle */
#define HCLIF_OP_CLOSE 2    /* end the handle and all its requests */
#define HCLIF_OP_READ 3     /* rx */
#define HCLIF_OP_WRITE 4    /* tx */
#define HCLIF_OP_EXCHANGE 5 /* tx, then rx: one transaction */
#define HCLIF_OP_CANCEL 6   /* argument: the tag to end early */
#define HCLIF_OP_CLASS 128  /* 128 to 255 belong to the device's class */

/* ---- Status of a completion -------------------------------------------- */

#define HCLIF_STATUS_OK 0
#define HCLIF_STATUS_INVALID 1     /* the class cannot make sense of it */
#define HCLIF_STATUS_UNSUPPORTED 2 /* no such opcode in this class */
#define HCLIF_STATUS_BAD_HANDLE 3  /* not open, or already open */
#define HCLIF_STATUS_BUSY 4        /* in use by another handle or guest */
#define HCLIF_STATUS_DENIED 5      /* not allowed for this guest */
#define HCLIF_STATUS_LIMIT 6       /* a budget of this guest is used up */
#define HCLIF_STATUS_IO 7          /* the hardware failed */
#define HCLIF_STATUS_GONE 8        /* the hardware is not there */
#define HCLIF_STATUS_CANCELLED 9   /* by CANCEL or CLOSE */
#define HCLIF_STATUS_TIMEOUT 10    /* the hardware did not answer in time */

#endif /* HCLIF_H */
