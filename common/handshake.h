/* SPDX-License-Identifier: MIT */
/*
 * handshake.h: the xenbus states and the one table that both ends and all tests
 * use (doc/protocol.md 2).  Pure: no memory, no xenstore, no time.
 */
#ifndef HCL_HANDSHAKE_H
#define HCL_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

/* Xen's numbers (xen/io/xenbus.h), plus one for everything else. */
enum hcl_state {
    HCL_STATE_GONE = 0, /* XenbusStateUnknown: the node is missing */
    HCL_STATE_INITIALISING = 1,
    HCL_STATE_INIT_WAIT = 2,
    HCL_STATE_INITIALISED = 3,
    HCL_STATE_CONNECTED = 4,
    HCL_STATE_CLOSING = 5,
    HCL_STATE_CLOSED = 6,
    HCL_STATE_ILLEGAL = 7, /* any other text or number */
    HCL_NUM_STATES
};

enum hcl_role { HCL_BACKEND, HCL_FRONTEND };

/* What doc/protocol.md 2.4 says under these names. */
enum hcl_action {
    HCL_ACTION_NONE = 0,
    HCL_ACTION_ADVERTISE,  /* backend */
    HCL_ACTION_CONNECT,    /* both */
    HCL_ACTION_DISCONNECT, /* backend */
    HCL_ACTION_FAULT,      /* both */
    HCL_ACTION_PUBLISH,    /* frontend */
    HCL_ACTION_RESTART,    /* frontend */
    HCL_ACTION_REFUSED,    /* frontend */
    HCL_ACTION_RELEASE,    /* frontend */
    HCL_ACTION_GONE,       /* frontend */
};

/*
 * The table.  @own and @peer are effective states (below); an own state that
 * the role never has is a bug of the caller and asserts.
 */
enum hcl_action hcl_handshake_next(enum hcl_role role, enum hcl_state own,
                                   enum hcl_state peer);

/* What a side read of the other's directory; ids are 0 where missing. */
struct hcl_peer_view {
    enum hcl_state state;
    bool has_generation;
    bool has_incarnation;
    uint64_t generation;
    uint64_t incarnation;
};

/*
 * The frontend's view of a backend (2.2).  @published: we have published our
 * memory, answering @generation, as @incarnation.
 */
enum hcl_state hcl_handshake_backend_state(const struct hcl_peer_view *view,
                                           bool published, uint64_t generation,
                                           uint64_t incarnation);

/*
 * The backend's view of a frontend (2.2).  @connected: we are connected to
 * @incarnation.
 */
enum hcl_state hcl_handshake_frontend_state(const struct hcl_peer_view *view,
                                            uint64_t generation, bool connected,
                                            uint64_t incarnation);

/* "Initialising", ... ; for people.  Never NULL. */
const char *hcl_state_name(enum hcl_state state);

/*
 * A random number that is not 0: generation, incarnation.  To tell lives apart,
 * not a secret.  Never blocks (on Linux 5.6 and later).
 */
uint64_t hcl_new_id64(void);

#endif /* HCL_HANDSHAKE_H */
