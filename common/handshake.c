/* SPDX-License-Identifier: MIT */
#include "handshake.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define NONE HCL_ACTION_NONE
#define ADVERTISE HCL_ACTION_ADVERTISE
#define CONNECT HCL_ACTION_CONNECT
#define DISCONNECT HCL_ACTION_DISCONNECT
#define FAULT HCL_ACTION_FAULT
#define PUBLISH HCL_ACTION_PUBLISH
#define RESTART HCL_ACTION_RESTART
#define REFUSED HCL_ACTION_REFUSED
#define RELEASE HCL_ACTION_RELEASE
#define GONE HCL_ACTION_GONE

/* An own state that the role never has. */
#define NEVER 0xff

/*
 * doc/protocol.md 2.4, in its order.  Columns: 0 gone, 1 Initialising,
 * 2 InitWait, 3 Initialised, 4 Connected, 5 Closing, 6 Closed, anything else.
 */
/* clang-format off */
static const uint8_t next[2][HCL_NUM_STATES][HCL_NUM_STATES] = {
    [HCL_BACKEND] = {
        [0] = {NEVER},
        [1] = {ADVERTISE, ADVERTISE, ADVERTISE, ADVERTISE,
               ADVERTISE, ADVERTISE, ADVERTISE, ADVERTISE},
        [2] = {NONE, NONE, NONE, CONNECT, NONE, NONE, NONE, FAULT},
        [3] = {NEVER},
        [4] = {FAULT, DISCONNECT, DISCONNECT, NONE,
               NONE, DISCONNECT, DISCONNECT, FAULT},
        [5] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE},
        [6] = {NONE, ADVERTISE, NONE, NONE, NONE, NONE, ADVERTISE, NONE},
        [7] = {NEVER},
    },
    [HCL_FRONTEND] = {
        [0] = {NEVER},
        [1] = {GONE, NONE, PUBLISH, NONE, NONE, NONE, REFUSED, FAULT},
        [2] = {NEVER},
        [3] = {GONE, RESTART, NONE, NONE, CONNECT, RESTART, REFUSED, FAULT},
        [4] = {GONE, RESTART, RESTART, RESTART, NONE, RESTART, REFUSED, FAULT},
        [5] = {RELEASE, RELEASE, RELEASE, RELEASE, NONE, NONE, RELEASE,
               RELEASE},
        [6] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE},
        [7] = {NEVER},
    },
};
/* clang-format on */

enum hcl_action hcl_handshake_next(enum hcl_role role, enum hcl_state own,
                                   enum hcl_state peer)
{
    assert(role == HCL_BACKEND || role == HCL_FRONTEND);
    assert(own < HCL_NUM_STATES && peer < HCL_NUM_STATES);
    assert(next[role][own][0] != NEVER);
    return next[role][own][peer];
}

enum hcl_state hcl_handshake_backend_state(const struct hcl_peer_view *view,
                                           bool published, uint64_t generation,
                                           uint64_t incarnation)
{
    bool answers =
        view->state == HCL_STATE_CONNECTED || view->state == HCL_STATE_CLOSED;

    if (view->state == HCL_STATE_GONE || view->state == HCL_STATE_ILLEGAL) {
        return view->state;
    }
    if (published &&
        (!view->has_generation || view->generation != generation)) {
        return HCL_STATE_INITIALISING;
    }
    if (answers && view->has_incarnation &&
        (!published || view->incarnation != incarnation)) {
        return HCL_STATE_INITIALISING;
    }
    return view->state;
}

enum hcl_state hcl_handshake_frontend_state(const struct hcl_peer_view *view,
                                            uint64_t generation, bool connected,
                                            uint64_t incarnation)
{
    bool speaks = view->state == HCL_STATE_INITIALISED ||
                  view->state == HCL_STATE_CONNECTED;

    if (!speaks) {
        return view->state;
    }
    if (view->has_generation && view->generation != generation) {
        return HCL_STATE_INITIALISING;
    }
    if (connected &&
        (!view->has_incarnation || view->incarnation != incarnation)) {
        return HCL_STATE_INITIALISING;
    }
    return view->state;
}

const char *hcl_state_name(enum hcl_state state)
{
    static const char *const names[HCL_NUM_STATES] = {
        "Gone",      "Initialising", "InitWait", "Initialised",
        "Connected", "Closing",      "Closed",   "Illegal",
    };

    return state < HCL_NUM_STATES ? names[state] : names[HCL_STATE_ILLEGAL];
}

uint64_t hcl_new_id64(void)
{
    uint64_t id = 0;
    ssize_t got;

    while (id == 0) {
        /*
         * Lives only have to differ: a guest that has just booted must not
         * wait here until its kernel has gathered entropy.
         */
        got = getrandom(&id, sizeof(id), GRND_INSECURE);
        if (got < 0 && errno == EINVAL) {
            got = getrandom(&id, sizeof(id), 0); /* before Linux 5.6 */
        }
        if (got != sizeof(id)) {
            /* Without Linux's random numbers no life can be told apart. */
            if (got < 0 && errno == EINTR) {
                continue;
            }
            abort();
        }
    }
    return id;
}
