/* SPDX-License-Identifier: MIT */
/*
 * ring.pml: one ring and its event channel, as common/ring.c has them, on
 * processors with store buffers.  Change both together.
 *
 * spin tries every order in which the steps of all processes can happen, and
 * every choice, from the start to all states that can be reached.  It looks for
 *
 *   assertion violated   a slot was read that is not whole, or is another one
 *                        than is due; a slot was overwritten that was not read
 *   invalid end state    nobody can go on, and somebody is not where he may be
 *                        for ever (labels that begin with "end"): a wake-up was
 *                        lost
 *   acceptance cycle     for ever busy, and never done (LIVE)
 *
 * Its language, Promela, in short: `if` and `do` take any one of their options
 * (`::`) whose first statement can be executed, and wait if there is none.  A
 * condition is a statement that waits until it is true; `a -> b` is a, then b.
 * d_step { } is one step.  `inline` is a macro.
 *
 * What stands for what:
 *
 *   ring.c                 here
 *   hcl_producer_put       put: three stores in one step; they go to the own
 *                          buffer, which nobody sees
 *   hcl_producer_notify    notify: the fence, the load and the comparison in
 *                          one step, since a fence has no effect before the
 *                          next load; the event in another
 *   consumer_look          NEW, OLD; that neither is true is a fault, which a
 *                          correct peer never makes: asserted
 *   hcl_consumer_take      take: look, load, load; position++ with the last
 *   hcl_consumer_arm       arm: the store; then fence and look in one step
 *
 *   barrier.h, port.h      here
 *   hcl_store_release      STORE to an address that is RELEASED
 *   hcl_store_once         STORE to another
 *   hcl_load_acquire       LOAD, before the loads that need it
 *   hcl_fence              PRODUCER_FENCE, CONSUMER_FENCE
 *   hcl_ports_notify       NOTIFY
 *   hcl_ports_drain        READ, then UNMASK
 *
 *   their callers          here
 *   hcl_session_pump, hcl_connection_flush
 *                          produce: up to N puts, then notify, at any time and
 *                          whether the own consumer sleeps or not
 *   hcl_session_run and drive, hcl_connection_serve and run_once
 *                          consumer: looks as often as it likes, drained or
 *                          not, as a loop with adaptive polling does; takes
 *                          what is there; arms only when it found nothing, and
 *                          sleeps only then; woken it drains, then looks
 *   the opposite ring      answered: a word whose STORE gives one slot back, as
 *                          a completion does; pair.pml has both rings
 *
 * How much of it:
 *
 *   slots                  N, 2 or 4.  Each has two words and the sequence.
 *                          Both words say for which position they were written.
 *                          They are loaded in either order
 *   32-bit positions       modulo M, so they wrap after a few rounds.  An
 *                          event.position that is M old is crossed again, one
 *                          event too many; that must not be what hides a lost
 *                          wake-up, so --deep has a larger M
 *   both directions        this is either of them; binding may deliver an event
 *                          at the start, or not
 *   in flight              N; an answer comes at any time, asleep or awake
 *   order of answers       pair.pml; here they are only counted
 *   a side that dies       DEATH: the producer's process is killed at any
 *                          point, its kernel clears `alive` and sends an event
 *
 *   not modelled           loads that are late: one behind a later store of its
 *                          own side could only see what the peer writes in
 *                          answer to that store, which is a release store;
 *                          deadlines; peers that break the protocol; more than
 *                          one queue, each of which is like this one
 *
 * With one of these defines there is a mistake, which must be found:
 *
 *   NO_PRODUCER_FENCE, NO_CONSUMER_FENCE, NO_FENCES, NO_RELEASE, NO_ACQUIRE
 *   NO_SECOND_LOOK         looks, arms, sleeps
 *   EVENT_EARLY            event.position is loaded before the puts
 *   OFF_BY_ONE             new - e < new - old
 *   LAST_ONLY              e == new - 1
 *   DRAIN_LATE             hcl_ports_drain after the look
 *   NO_UNMASK              hcl_ports_drain only reads
 *   OVERCOMMIT             N + 1 in flight
 *   NO_COPY                answers before it has read all of the slot
 *   EVENT_BEFORE_ALIVE     the kernel, with DEATH
 */
#ifndef N
#define N 2
#endif
#ifndef M
#define M (4 * N)
#endif

#define PRODUCER 0
#define CONSUMER 1

/* Addresses: the slots of the producer's; two words of the consumer's. */
#define WORDS (3 * N)
#define FIRST(p) (3 * ((p) & (N - 1)))
#define SECOND(p) (FIRST(p) + 1)
#define SEQUENCE(p) (FIRST(p) + 2)
#define EVENT 0
#define ANSWERED 2

#ifdef NO_RELEASE
#define RELEASED(address) false
#else
#define RELEASED(address) ((address) % 3 == 2)
#endif
/* Never full, unless by a mistake. */
#define BUFFER (3 * N)
#include "memory.pml"

#if defined(NO_PRODUCER_FENCE) || defined(NO_FENCES)
#define PRODUCER_FENCE true
#else
#define PRODUCER_FENCE DRAINED(PRODUCER)
#endif
#if defined(NO_CONSUMER_FENCE) || defined(NO_FENCES)
#define CONSUMER_FENCE true
#else
#define CONSUMER_FENCE DRAINED(CONSUMER)
#endif
#ifdef OVERCOMMIT
#define MOST_IN_FLIGHT (N + 1)
#else
#define MOST_IN_FLIGHT N
#endif

#define PLUS(a, b) (((a) + (b)) & (M - 1))
#define MINUS(a, b) (((a) - (b)) & (M - 1))

byte position; /* of the producer: the next slot to write */
byte taken;    /* of the consumer: the next slot to read */
bool waits;    /* the producer, for all its slots to be taken */
bool alive = true;
bool dead, restarted;

/* ---- Producer ----------------------------------------------------------- */

inline put() {
    d_step {
        MINUS(position, answered) < MOST_IN_FLIGHT &&
            MINUS(position, published) < N && SPACE(PRODUCER, 3) ->
        /* No overrun: the slot's last message has been read. */
        assert(MINUS(position, taken) < N);
        STORE(PRODUCER, FIRST(position), position);
        STORE(PRODUCER, SECOND(position), position);
        STORE(PRODUCER, SEQUENCE(position), PLUS(position, 1));
        position = PLUS(position, 1)
    }
}

/* The consumer's answer is there. */
inline answer_comes() {
    d_step {
        answered != LOAD(PRODUCER, ANSWERED) ->
        answered = LOAD(PRODUCER, ANSWERED)
    }
}

#if defined(OFF_BY_ONE)
#define ASKED(new, old, event) (MINUS(new, event) < MINUS(new, old))
#elif defined(LAST_ONLY)
#define ASKED(new, old, event) (event == MINUS(new, 1))
#else
#define ASKED(new, old, event) \
    (MINUS(MINUS(new, event), 1) < MINUS(new, old))
#endif

inline notify() {
    d_step {
        position != published && PRODUCER_FENCE ->
#ifndef EVENT_EARLY
        event = LOAD(PRODUCER, EVENT);
#endif
        asked = ASKED(position, published, event);
        published = position;
        event = 0
    }
    if
    :: d_step { asked -> NOTIFY(PRODUCER); asked = false }
    :: !asked
    fi
}

inline produce() {
    do
    :: put()
    :: answer_comes()
    :: notify()
#ifdef EVENT_EARLY
    :: position == published -> event = LOAD(PRODUCER, EVENT)
#endif
    :: position == published -> break
    od;
    /* From now on it only waits. */
    waits = true;
    position == taken;
    waits = false
}

active proctype producer() {
    byte published, answered, event;
    bool asked;

#ifdef DEATH
    { produce() } unless { dead }
#else
    produce()
#endif
}

#ifdef DEATH
/* Kills the producer's process; see drivers/xen/gntdev.c. */
active proctype kernel() {
    dead = true;
    DRAINED(PRODUCER);
#ifdef EVENT_BEFORE_ALIVE
    NOTIFY(PRODUCER);
    alive = false;
#else
    alive = false;
    NOTIFY(PRODUCER);
#endif
    restarted
}
#endif

/* ---- Consumer ----------------------------------------------------------- */

#define FOUND LOAD(CONSUMER, SEQUENCE(taken))
#define NEW (FOUND == PLUS(taken, 1))
#define OLD (FOUND == MINUS(PLUS(taken, 1), N) || (FOUND == 0 && taken < N))

/* No slot that is not whole, none twice and none left out. */
inline moves_on() {
    assert(first == taken && second == taken);
    taken = PLUS(taken, 1);
    first = 0;
    second = 0
}

inline take() {
#if defined(NO_ACQUIRE)
    first = LOAD(CONSUMER, FIRST(taken));
    second = LOAD(CONSUMER, SECOND(taken));
    if
    :: d_step { NEW -> moves_on() }
    :: d_step { !NEW -> first = 0; second = 0 }
    fi
#elif defined(NO_COPY)
    NEW -> first = LOAD(CONSUMER, FIRST(taken));
    d_step {
        SPACE(CONSUMER, 1) ->
        answers = PLUS(answers, 1);
        STORE(CONSUMER, ANSWERED, answers)
    }
    d_step { second = LOAD(CONSUMER, SECOND(taken)); moves_on() }
#else
    NEW ->
    if
    :: first = LOAD(CONSUMER, FIRST(taken));
       d_step { second = LOAD(CONSUMER, SECOND(taken)); moves_on() }
    :: second = LOAD(CONSUMER, SECOND(taken));
       d_step { first = LOAD(CONSUMER, FIRST(taken)); moves_on() }
    fi
#endif
}

/* Only after a look that found nothing; the second look is the caller's. */
inline arm() {
    d_step {
        !NEW && SPACE(CONSUMER, 1) ->
        assert(OLD);
        STORE(CONSUMER, EVENT, taken)
    }
}

/* One of the slots that were taken is given back. */
inline answer() {
    d_step {
        answers != taken && SPACE(CONSUMER, 1) ->
        answers = PLUS(answers, 1);
        STORE(CONSUMER, ANSWERED, answers)
    }
}

active proctype consumer() {
    byte first, second, answers;

awake:
    if
    :: answer(); goto awake
    :: take(); goto awake
    :: !NEW -> goto awake
#ifndef DRAIN_LATE
    :: READ(CONSUMER); goto drain
#endif
    :: arm()
    fi;
#ifndef NO_SECOND_LOOK
    if
    :: CONSUMER_FENCE && NEW -> goto awake
    :: d_step { CONSUMER_FENCE && !NEW -> assert(OLD) }
    fi;
#endif
#ifdef DRAIN_LATE
    if
    :: READ(CONSUMER); UNMASK(CONSUMER)
    :: !readable[CONSUMER]
    fi;
#endif

end_asleep:
    if
    :: answer(); goto end_asleep
#ifdef DRAIN_LATE
    :: readable[CONSUMER] -> goto awake
#else
    :: READ(CONSUMER)
#endif
    fi;

drain:
#ifndef NO_UNMASK
    UNMASK(CONSUMER);
#endif
#ifdef DEATH
    /* hcl_connection_serve of the frontend */
    if
    :: alive
    :: !alive -> goto restart
    fi;
#endif
    goto awake;

#ifdef DEATH
restart:
    restarted = true
#endif
}

/* ------------------------------------------------------------------------- */

init {
    atomic {
        if
        :: pending[CONSUMER] = true
        :: true
        fi;
        run hardware(PRODUCER);
        run hardware(CONSUMER)
    }
}

#ifdef LIVE
/* What was produced is taken in the end, if nobody stands still for ever. */
ltl done { [] (waits -> <> !waits) }
#endif
