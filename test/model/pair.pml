/* SPDX-License-Identifier: MIT */
/*
 * pair.pml: a queue: the ring of requests, the ring of completions and the
 * event channel, with both ends asleep or awake.  ring.pml says how to read
 * this, and shows for one ring what is taken for granted here: a slot is seen
 * whole or not at all, so that one word stands for it.
 *
 * To be shown: every request that is sent is answered, once, as long as the
 * backend's class completes its jobs, in any order; neither ring is overrun,
 * though neither has an index.  The frontend sends whenever it likes, awake or
 * asleep (hcl_submit between two polls of hcl_device_fd), and at any time it
 * may send no more and wait for what is in flight (hcl_call).  It is "waiting"
 * for ever if a wake-up got lost on either ring.
 *
 * Both ends are one process: what a side may send are the tags that it has.
 * The frontend begins with all N (queue.c: free_tags); the backend gets each
 * with its request (connection_internal.h: entries) and sends it back with the
 * completion.
 *
 * A mistake is made by
 *
 *   ANSWERS_TWICE   the backend keeps a tag that it has sent back
 *   NO_KICK         the frontend never calls hcl_queue_kick
 *   NO_FLUSH        the backend never calls hcl_connection_flush
 */
#define N 2
#ifndef M
#define M (2 * N)
#endif

#define FRONTEND 0
#define BACKEND 1
#define ALL_TAGS ((1 << N) - 1)

/* Addresses: the slots, then event.position. */
#define WORDS (N + 1)
#define SLOT(p) ((p) & (N - 1))
#define EVENT N
#define RELEASED(address) ((address) != EVENT)
#define BUFFER N
#include "memory.pml"

#define PLUS(a, b) (((a) + (b)) & (M - 1))
#define MINUS(a, b) (((a) - (b)) & (M - 1))

/* By side: its place in the ring that it writes, and in the other; its tags. */
byte position[2], published[2], taken[2], tags[2];

#if defined(NO_KICK)
#define NEVER_NOTIFIES(me) (me == FRONTEND)
#elif defined(NO_FLUSH)
#define NEVER_NOTIFIES(me) (me == BACKEND)
#else
#define NEVER_NOTIFIES(me) false
#endif
#define QUIET(me) (NEVER_NOTIFIES(me) || position[me] == published[me])
#ifdef ANSWERS_TWICE
#define KEEPS(me) (me == BACKEND)
#else
#define KEEPS(me) false
#endif

/* ---- ring.c ------------------------------------------------------------- */

/* A slot's word: the sequence and a tag. */
#define FOUND LOAD(me, SLOT(taken[me]))
#define NEW (FOUND / N == PLUS(taken[me], 1))
#define OLD (FOUND / N == MINUS(PLUS(taken[me], 1), N) || \
    (FOUND / N == 0 && taken[me] < N))

inline put(tag) {
    d_step {
        (tags[me] & (1 << tag)) && MINUS(position[me], published[me]) < N &&
            SPACE(me, 1) ->
        /* No overrun. */
        assert(MINUS(position[me], taken[1 - me]) < N);
        STORE(me, SLOT(position[me]), PLUS(position[me], 1) * N + tag);
        position[me] = PLUS(position[me], 1);
        if
        :: KEEPS(me)
        :: else -> tags[me] = tags[me] & ~(1 << tag)
        fi
    }
}

inline notify() {
    d_step {
        !QUIET(me) && DRAINED(me) ->
        asked = MINUS(MINUS(position[me], LOAD(me, EVENT)), 1) <
                MINUS(position[me], published[me]);
        published[me] = position[me]
    }
    if
    :: d_step { asked -> NOTIFY(me); asked = false }
    :: !asked
    fi
}

inline take() {
    d_step {
        NEW ->
        tag = FOUND % N;
        /* A tag that is not in flight: hcl_queue_take, check_request. */
        assert(!(tags[me] & (1 << tag)));
        tags[me] = tags[me] | (1 << tag);
        /*
         * Nobody looks at the old tag again; without it there are fewer
         * states.
         */
        memory[1 - me].at[SLOT(taken[me])] = FOUND - tag;
        taken[me] = PLUS(taken[me], 1);
        tag = 0
    }
}

/* ---- A side ------------------------------------------------------------- */

proctype side(bit me) {
    byte tag;
    bool asked;

awake:
    if
    :: put(0); goto awake
    :: put(1); goto awake
    :: notify(); goto awake
    :: take(); goto awake
    :: !NEW -> goto awake
    :: d_step { READ(me) } goto drain
    :: d_step {
           !NEW && QUIET(me) && SPACE(me, 1) ->
           assert(OLD);
           STORE(me, EVENT, taken[me])
       }
    fi;
    if
    :: DRAINED(me) && NEW -> goto awake
    :: d_step { DRAINED(me) && !NEW -> assert(OLD) }
    fi;

    /* A frontend never stays here: it can send, or wait. */
end_asleep:
    if
    :: put(0); goto end_asleep
    :: put(1); goto end_asleep
    :: notify(); goto end_asleep
    :: d_step { QUIET(me) && READ(me) } goto drain
    :: me == FRONTEND && QUIET(me) && tags[me] != ALL_TAGS
    fi;

    /* hcl_call */
    d_step { READ(me) }

drain:
    UNMASK(me);
    goto awake
}

init {
    atomic {
        tags[FRONTEND] = ALL_TAGS;
        /* Binding the port. */
        pending[BACKEND] = true;
        run side(FRONTEND);
        run side(BACKEND);
        run hardware(FRONTEND);
        run hardware(BACKEND)
    }
}
