/* SPDX-License-Identifier: MIT */
/*
 * memory.pml: two domains, the memory that each writes for the other, the store
 * buffers between, and Xen's event channels.  ring.pml says how to read this.
 *
 * Included by ring.pml and pair.pml, which define before:
 *
 *   WORDS              words that a side writes; an address is below it
 *   BUFFER             stores that can wait in a store buffer
 *   RELEASED(address)  whether stores to it are hcl_store_release
 *
 * Memory.  A processor's stores wait in its buffer and become visible one at a
 * time, at any time.  In which order is one of:
 *
 *   SC   each store is visible at once; no machine is like that
 *   TSO  first in, first out: x86
 *   PSO  stores to different addresses in any order, but a release store after
 *        all that were stored before it: Arm, and, on any machine, what the
 *        compiler may do.  Whatever TSO can do, PSO can do.
 *
 * A load is done at once.  A side never loads what it stores itself (each page
 * has one writer), so no load is served from the buffer.
 *
 * Event channels, by receiver.  hcl_ports_notify makes the port pending.  If it
 * is not masked Xen interrupts the receiver's kernel, which masks it and makes
 * the descriptor readable (Linux, drivers/xen/evtchn.c).  hcl_ports_drain reads
 * and then writes the descriptor, which unmasks; what became pending meanwhile
 * interrupts again.  Several notifications can so become one event.
 */
typedef words { byte at[WORDS] }
typedef buffer { byte n; byte at[BUFFER]; byte value[BUFFER] }

words memory[2];  /* by writer */
buffer stores[2]; /* by writer */
bool pending[2], masked[2], readable[2]; /* by receiver */

#ifdef SC
#define STORE(me, address, v) memory[me].at[address] = v
#else
#define STORE(me, address, v) \
    stores[me].at[stores[me].n] = address; \
    stores[me].value[stores[me].n] = v; \
    stores[me].n++
#endif
#define LOAD(me, address) memory[1 - (me)].at[address]

/* hcl_fence waits for DRAINED; a store waits for SPACE. */
#define DRAINED(me) (stores[me].n == 0)
#define SPACE(me, number) (stores[me].n + (number) <= BUFFER)

/* hcl_ports_notify of @me. */
#define NOTIFY(me) pending[1 - (me)] = true

/* hcl_ports_drain of @me, once its descriptor is readable: these two steps. */
#define READ(me) readable[me] -> readable[me] = false
#define UNMASK(me) masked[me] = false

/* Whether the store at place @i can overtake those before it. */
#define OTHER(me, i, j) ((j) >= (i) || stores[me].at[j] != stores[me].at[i])
#define CAN_OVERTAKE(me, i) (stores[me].n > i && \
    !RELEASED(stores[me].at[i]) && \
    OTHER(me, i, 0) && OTHER(me, i, 1) && OTHER(me, i, 2) && \
    OTHER(me, i, 3) && OTHER(me, i, 4) && OTHER(me, i, 5) && \
    OTHER(me, i, 6) && OTHER(me, i, 7) && OTHER(me, i, 8) && \
    OTHER(me, i, 9))

/* The store at place @i becomes visible; the places behind it close up. */
inline appear(me, i) {
    memory[me].at[stores[me].at[i]] = stores[me].value[i];
    j = i;
    do
    :: j + 1 < stores[me].n ->
       stores[me].at[j] = stores[me].at[j + 1];
       stores[me].value[j] = stores[me].value[j + 1];
       j++
    :: else -> break
    od;
    stores[me].n--;
    stores[me].at[stores[me].n] = 0;
    stores[me].value[stores[me].n] = 0;
    j = 0
}

/* What happens to @me without its program: stores come out, events in. */
proctype hardware(bit me) {
    byte j;

end_nothing_to_do:
    do
    :: d_step { pending[me] && !masked[me] ->
           pending[me] = false;
           masked[me] = true;
           readable[me] = true }
#ifndef SC
    :: d_step { stores[me].n > 0 -> appear(me, 0) }
#endif
#ifdef PSO
    /* The last place of a full buffer holds a release store. */
    :: d_step { CAN_OVERTAKE(me, 1) -> appear(me, 1) }
    :: d_step { CAN_OVERTAKE(me, 2) -> appear(me, 2) }
    :: d_step { CAN_OVERTAKE(me, 3) -> appear(me, 3) }
    :: d_step { CAN_OVERTAKE(me, 4) -> appear(me, 4) }
#if BUFFER > 6
    :: d_step { CAN_OVERTAKE(me, 5) -> appear(me, 5) }
    :: d_step { CAN_OVERTAKE(me, 6) -> appear(me, 6) }
    :: d_step { CAN_OVERTAKE(me, 7) -> appear(me, 7) }
    :: d_step { CAN_OVERTAKE(me, 8) -> appear(me, 8) }
    :: d_step { CAN_OVERTAKE(me, 9) -> appear(me, 9) }
    :: d_step { CAN_OVERTAKE(me, 10) -> appear(me, 10) }
#endif
#endif
    od
}
