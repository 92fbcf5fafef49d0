/* SPDX-License-Identifier: MIT */
/*
 * handshake.pml: doc/protocol.md 2.1 to 2.4 and 2.6, between a backend and the
 * programs of one guest, while either side is killed, started, paused or closed
 * at any moment.  ring.pml says how to read this.
 *
 * The tables and the effective states are not modelled: what spin makes of
 * this file is linked with common/handshake.c and calls it.  What is modelled
 * is what its callers do, step by step.  A transaction with xenstore is a step,
 * and so is each map, unmap, grant and its end; anything can happen between:
 *
 *   process backend    backend/attachment.c, hcl_attachment_step and what it
 *                      calls; keeper.c, as far as it starts and reaps workers
 *   process worker     backend/worker.c: maps, unmaps, tells the supervisor
 *   process frontend   frontend/connection.c, look and what it calls; publish.c
 *   process world      the troubles: TROUBLES of them, or fewer
 *
 * Grant references and ports repeat: who maps gets what is granted at that
 * moment, not what he has read about.
 *
 * To be shown:
 *
 *   - requests are exchanged within one life only: both sides mean the same
 *     incarnation, and no second connection of a worker ever gets rings that
 *     have been used (asserted in process exchange)
 *   - no side finds a fault in the other: the frontend is never refused, and
 *     what the backend writes as fault is of a life that has ended
 *   - when the troubles end it goes on until both are connected if both want,
 *     and hold nothing otherwise (asserted in process judge); it does not go in
 *     circles (asserted in publish, and by spin as a cycle without progress)
 *   - when the toolstack of a paused guest sees 1 or 6, its programs hold
 *     nothing, unless one is just publishing, which then is a case of 2.7
 *     (asserted in process toolstack)
 *   - with NO_ALIVE, where nobody looks at `alive`: that is needed only for a
 *     program that dies and has no successor
 *
 * Time: after a restart the frontend waits, longer each time (set_backoff),
 * before it publishes again.  That is long enough for the backend to come to
 * rest, but for the first HASTE times in a run.  Without that wait the two can
 * chase each other for ever: each reacts to what the other one has just left.
 *
 * Not modelled: directories that are made and removed, refusals of the
 * attachment, deadlines, calls that fail, a move to another domain (2.7).
 *
 * A mistake is made by
 *
 *   NO_GENERATION, NO_INCARNATION  neither side compares the other's
 *   KEEPS_MEMORY                   the frontend's restart writes 1, then frees
 *   FOUR_FIRST                     the backend writes 4, then its incarnation
 *   NO_BACKOFF                     the frontend publishes again at once
 */
#ifndef TROUBLES
#define TROUBLES 2
#endif

#ifndef HASTE
#define HASTE 1
#endif
/* More publications than the troubles are good for: a circle. */
#define LIVES (2 * TROUBLES + HASTE + 4)

c_decl {
    \#include "handshake.h"
}

/* ---- xenstore ----------------------------------------------------------- */

/* 0: no such node.  States are those of handshake.h. */
byte b_state = 1, b_generation, b_incarnation;
byte f_state = 1, f_generation, f_incarnation;
bool paused;

/* Watches that have fired, on what the other side and the toolstack write. */
bool b_news = true, f_news;

/* ---- Backend ------------------------------------------------------------ */

#define LOOSE 0
#define CONNECTING 1
#define CONNECTED 2
#define CLOSING 3

byte link;            /* enum hcl_link */
byte b_own = 1;       /* attachment->own */
byte b_life;          /* keeper->generation */
byte b_peer;          /* attachment->incarnation */
bool b_written;       /* attachment->written */
bool b_pause;         /* attachment->pause */
bool b_ready;         /* the keeper's worker */
bool b_busy, b_killed; /* the supervisor */

/* Worker: what it has mapped, and what it tells. */
#define SAYS_CONNECTED 1
#define SAYS_REFUSED 2
#define SAYS_CLOSED 3

byte mapped;          /* whose memory: an incarnation */
byte number;          /* of its connection */
byte says;            /* what it has told the supervisor, not yet read */
bool dead;            /* the worker, not yet reaped */
byte old_mapped;      /* by the worker of a supervisor that was killed */
byte old_number;

/* ---- Frontend ----------------------------------------------------------- */

byte f_own = 1;
byte f_life;          /* connection->incarnation */
byte f_offer;         /* connection->offer.generation */
byte granted;         /* the incarnation whose memory is granted */
byte served_by;       /* the connection that this memory was used with */
bool f_late;          /* publishes after a wait */
byte f_haste = HASTE;
bool f_publishing;
bool f_killed, f_closes, f_begins;

/* ------------------------------------------------------------------------- */

byte generations, incarnations, connections, troubles;
byte b_action, f_action;

#define NONE 0
#define ADVERTISE 1
#define CONNECT 2
#define DISCONNECT 3
#define FAULT 4
#define PUBLISH 5
#define RESTART 6
#define REFUSED 7
#define RELEASE 8

c_code {
    _Static_assert(HCL_ACTION_NONE == 0 && HCL_ACTION_ADVERTISE == 1 &&
                   HCL_ACTION_CONNECT == 2 && HCL_ACTION_DISCONNECT == 3 &&
                   HCL_ACTION_FAULT == 4 && HCL_ACTION_PUBLISH == 5 &&
                   HCL_ACTION_RESTART == 6 && HCL_ACTION_REFUSED == 7 &&
                   HCL_ACTION_RELEASE == 8, "the defines above");

    static int backend_action(int own)
    {
        struct hcl_peer_view view = {
            .state = now.f_state,
            .has_generation = now.f_generation != 0,
            .has_incarnation = now.f_incarnation != 0,
            .generation = now.f_generation,
            .incarnation = now.f_incarnation,
        };

#ifdef NO_GENERATION
        view.generation = now.b_life;
#endif
#ifdef NO_INCARNATION
        view.incarnation = now.b_peer;
#endif
        return hcl_handshake_next(
            HCL_BACKEND, own,
            hcl_handshake_frontend_state(&view, now.b_life, now.link == 2,
                                         now.b_peer));
    }

    static int frontend_action(void)
    {
        struct hcl_peer_view view = {
            .state = now.b_state,
            .has_generation = now.b_generation != 0,
            .has_incarnation = now.b_incarnation != 0,
            .generation = now.b_generation,
            .incarnation = now.b_incarnation,
        };

#ifdef NO_GENERATION
        view.generation = now.f_offer;
#endif
#ifdef NO_INCARNATION
        view.has_incarnation = false;
#endif
        return hcl_handshake_next(
            HCL_FRONTEND, now.f_own,
            hcl_handshake_backend_state(&view, now.f_own != 1, now.f_offer,
                                        now.f_life));
    }
}

/* ---- Backend's supervisor ----------------------------------------------- */

/* hcl_attachment_write */
inline b_write(state) {
    b_state = state;
    b_own = state;
    b_written = true;
    f_news = true
}

/* write_fault: never of a life that is still there. */
inline write_fault() {
    d_step {
        assert(b_peer != granted);
        b_incarnation = b_peer;
        b_write(6)
    }
}

inline connect_frontend() {
    if
    :: d_step {
           /* hcl_offer_read */
           f_state == 3 && f_generation == b_life ->
           b_peer = f_incarnation
       }
       /* hcl_offer_load: the control page says whose it is */
       if
       :: granted == b_peer -> link = CONNECTING
       :: granted != b_peer -> write_fault()
       fi
    :: !(f_state == 3 && f_generation == b_life)
    fi
}

inline step_connected() {
    d_step {
        if
        :: !b_ready || b_pause || b_own != 4 -> b_action = DISCONNECT
        :: else -> c_code { now.b_action = backend_action(now.b_own); }
        fi;
        assert(b_action == NONE || b_action == DISCONNECT)
    }
    if
    :: d_step {
           b_action == DISCONNECT ->
           b_action = NONE;
           link = CLOSING;
           b_write(5)
       }
    :: b_action == NONE
    fi
}

/* hcl_attachment_admit says WAIT. */
inline step_wait() {
    d_step {
        c_code {
            now.b_action = now.b_own != 6 || now.b_pause ||
                           hcl_handshake_next(HCL_BACKEND, 6, now.f_state) ==
                           HCL_ACTION_ADVERTISE;
        };
        if
        :: b_action && b_own != 1 -> b_write(1)
        :: else
        fi;
        b_action = NONE
    }
}

inline step_serve() {
    d_step {
        c_code {
            now.b_action = backend_action(
                now.b_own == 4 || now.b_own == 5 ? 1 : now.b_own);
        };
        assert(b_action != FAULT)
    }
    if
    :: d_step {
           b_action == ADVERTISE ->
           b_generation = b_life;
           b_incarnation = 0;
           b_write(2)
       }
    :: b_action == CONNECT -> connect_frontend(); b_action = NONE
    :: b_action == NONE
    fi
}

inline take_connected() {
    d_step {
        says == SAYS_CONNECTED ->
        b_busy = true;
        says = 0;
        link = CONNECTED;
        if
        :: b_own == 2 && b_ready ->
#ifdef FOUR_FIRST
           b_write(4)
#else
           b_incarnation = b_peer;
           b_write(4)
#endif
        :: else
        fi
    }
#ifdef FOUR_FIRST
    b_incarnation = b_peer
#endif
}

inline take_refused() {
    d_step {
        says == SAYS_REFUSED ->
        b_busy = true;
        says = 0;
        link = LOOSE
    }
    if
    :: b_own == 2 -> write_fault()
    :: b_own != 2
    fi
}

inline supervise() {
    b_own = 1;
next:
    b_busy = false;
end_idle:
    if
    :: d_step { b_news -> b_busy = true; b_news = false; b_pause = paused }
    :: take_connected()
    :: take_refused()
    :: d_step {
           says == SAYS_CLOSED ->
           b_busy = true;
           says = 0;
           link = LOOSE
       }
    :: d_step {
           /* reaped */
           dead ->
           b_busy = true;
           dead = false; b_ready = false; says = 0; link = LOOSE
       }
    :: d_step {
           /* the keeper's next worker is ready */
           !b_ready ->
           b_busy = true;
           b_ready = true;
           generations++;
           b_life = generations
       }
    fi;

    /* hcl_attachment_step */
    if
    :: link == CONNECTING || link == CLOSING
    :: link == CONNECTED -> step_connected()
    :: link == LOOSE ->
       if
       :: d_step { !b_written -> b_write(1) }
       :: b_written
       fi;
       if
       :: !b_ready || b_pause -> step_wait()
       :: b_ready && !b_pause ->
          do
          :: step_serve();
             if
             :: b_action == NONE -> break
             :: b_action != NONE -> b_action = NONE
             fi
          od
       fi
    fi;
    goto next
}

active proctype backend() {
again:
    { supervise() } unless {
        d_step {
            b_killed ->
            b_killed = false;
            old_mapped = mapped; old_number = number;
            mapped = 0; number = 0; says = 0; dead = false;
            link = LOOSE; b_own = 1; b_peer = 0; b_life = 0;
            b_written = false; b_ready = false; b_pause = false;
            b_action = NONE;
            b_news = true
        }
    };
    goto again
}

active proctype worker() {
end_idle:
    do
    :: d_step {
           link == CONNECTING && says == 0 && b_ready && !dead ->
           if
           :: granted ->
              mapped = granted;
              connections++;
              number = connections;
              says = SAYS_CONNECTED
           :: else -> says = SAYS_REFUSED
           fi
       }
    :: d_step {
           link == CLOSING && says == 0 && b_ready && !dead ->
           mapped = 0; number = 0; says = SAYS_CLOSED
       }
#ifndef NO_ALIVE
    :: d_step {
           /* `alive` of the front page is 0 */
           link == CONNECTED && says == 0 && mapped && mapped != granted ->
           mapped = 0; number = 0; says = SAYS_CLOSED
       }
#endif
    :: d_step { old_mapped -> old_mapped = 0; old_number = 0 }
    od
}

/* ---- Frontend's program ------------------------------------------------- */

/* The backend has come to rest. */
#define SETTLED (link == LOOSE && !b_busy && !b_news && says == 0 && !dead)

inline f_write(state) {
    f_own = state;
    f_state = state;
    b_news = true
}

inline publish() {
    if
    :: d_step {
           /* hcl_attachment_offer */
           b_state == 2 ->
           f_offer = b_generation;
           f_publishing = true
       }
       d_step {
           incarnations++;
           assert(incarnations < LIVES);
           granted = incarnations;
           served_by = 0
       }
       d_step {
           /* hcl_attachment_publish */
           f_generation = f_offer;
           f_incarnation = granted;
           f_life = granted;
           f_publishing = false;
           f_write(3)
       }
    :: b_state != 2
    fi
}

inline program() {
    f_own = 1;
restart:
    f_late = f_late || f_own != 1;
#ifdef KEEPS_MEMORY
    d_step { f_offer = 0; f_life = 0; f_write(1) }
    granted = 0;
#else
    granted = 0;
    d_step { f_offer = 0; f_life = 0; f_write(1) }
#endif
look:
    atomic {
        c_code { now.f_action = frontend_action(); };
        /* The backend's fault, or ours: there is none. */
        assert(f_action != FAULT && f_action != REFUSED)
    }
    if
    :: f_action == PUBLISH && !f_late ->
       f_action = NONE;
       publish();
       goto look
    :: f_action == PUBLISH && f_late -> f_action = NONE
    :: f_action == CONNECT ->
       f_action = NONE;
       d_step { f_state = 4; b_news = true }
       f_own = 4;
       goto look
    :: f_action == RESTART -> f_action = NONE; goto restart
    :: f_action == RELEASE ->
       f_action = NONE;
       granted = 0;
       d_step { f_write(6) }
    :: f_action == NONE
    fi;
end_idle:
    if
    :: f_news -> f_news = false; goto look
#ifdef NO_BACKOFF
    :: f_late && f_own == 1 -> f_late = false; goto look
#else
    :: f_late && f_own == 1 && SETTLED -> f_late = false; goto look
    :: d_step {
           f_late && f_own == 1 && f_haste > 0 ->
           f_haste--;
           f_late = false
       }
       goto look
#endif
#ifndef NO_ALIVE
       /* `alive` of the back page is 0 */
    :: f_own == 4 && granted != mapped && granted != old_mapped ->
       goto restart
#endif
       /* hcl_connection_shut */
    :: d_step { f_closes && (f_own == 3 || f_own == 4) -> f_write(5) }
       goto look
    :: d_step { f_closes && f_own == 1 -> f_write(6) }
    :: f_own == 6
    fi
}

active proctype frontend() {
begin:
    { program() } unless {
        d_step {
            f_killed ->
            f_killed = false;
            granted = 0; f_own = 6;
            f_late = false; f_publishing = false; f_action = NONE
        }
    };
    d_step { f_closes = false; f_late = false }
end_nobody:
    f_begins -> f_begins = false;
    goto begin
}

/* ---- Everything else ---------------------------------------------------- */

/* Requests, as soon as both sides use the same memory. */
active proctype exchange() {
end_idle:
    do
    :: d_step {
           f_own == 4 && granted && mapped == granted && served_by != number ->
           assert(served_by == 0 && b_peer == granted);
           served_by = number
       }
    :: d_step {
           f_own == 4 && granted && old_mapped == granted &&
               served_by != old_number ->
           assert(served_by == 0);
           served_by = old_number
       }
    od
}

active proctype toolstack() {
end_idle:
    d_step {
        paused && b_state == 1 && (f_state == 1 || f_state == 6) && granted &&
            !f_publishing ->
        assert(!granted)
    }
}

active proctype world() {
end_idle:
    do
    :: d_step { f_own == 6 && !f_begins -> f_begins = true }
    :: troubles < TROUBLES ->
       if
       /* the supervisor; its worker goes on for a moment */
       :: d_step { !b_killed && !old_mapped -> b_killed = true; troubles++ }
       /* the worker */
       :: d_step {
              b_ready && !dead ->
              dead = true; mapped = 0; number = 0; troubles++
          }
       /* HCL_CLOSE_BROKEN */
       :: d_step {
              link == CONNECTED && says == 0 && mapped ->
              says = SAYS_CLOSED; mapped = 0; number = 0; troubles++
          }
       :: d_step { paused = !paused; b_news = true; troubles++ }
       :: d_step { f_own != 6 && !f_killed -> f_killed = true; troubles++ }
       :: d_step { f_own != 6 && !f_closes -> f_closes = true; troubles++ }
       fi
    :: break
    od
}

#define BOTH_CONNECTED (b_state == 4 && f_state == 4 && f_own == 4 && \
    link == CONNECTED && granted && mapped == granted && \
    b_peer == granted && b_incarnation == granted && \
    b_generation == b_life && f_generation == b_life)
#define ON_HOLD (b_state == 1 && f_state == 1 && !mapped && !granted)
#define NOBODY (!mapped && !granted && link == LOOSE)

/* When nobody has anything to do any more. */
active proctype judge() {
    timeout ->
    if
#ifdef NO_ALIVE
    :: f_own == 6
#else
    :: f_own == 6 -> assert(NOBODY)
#endif
    :: f_own != 6 && paused -> assert(ON_HOLD)
    :: f_own != 6 && !paused -> assert(BOTH_CONNECTED)
    fi
}
