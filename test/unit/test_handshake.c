/* SPDX-License-Identifier: MIT */
/*
 * handshake.c against doc/protocol.md 2: both tables cell by cell, the
 * effective states, and two model sides that walk at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handshake.h"

/* ---- The tables of 2.4 ------------------------------------------------- */

/* As the document writes them; columns 0 to 6 and "other" of the other side. */
struct row {
    enum hcl_state own;
    const char *cell[8];
};

static const struct row backend_rows[] = {
    {1,
     {"advertise", "advertise", "advertise", "advertise", "advertise",
      "advertise", "advertise", "advertise"}},
    {2, {"-", "-", "-", "connect", "-", "-", "-", "fault"}},
    {4,
     {"fault", "disconnect", "disconnect", "-", "-", "disconnect", "disconnect",
      "fault"}},
    {5, {"-", "-", "-", "-", "-", "-", "-", "-"}},
    {6, {"-", "advertise", "-", "-", "-", "-", "advertise", "-"}},
};

static const struct row frontend_rows[] = {
    {1, {"gone", "-", "publish", "-", "-", "-", "refused", "fault"}},
    {3,
     {"gone", "restart", "-", "-", "connect", "restart", "refused", "fault"}},
    {4,
     {"gone", "restart", "restart", "restart", "-", "restart", "refused",
      "fault"}},
    {5,
     {"release", "release", "release", "release", "-", "-", "release",
      "release"}},
    {6, {"-", "-", "-", "-", "-", "-", "-", "-"}},
};

static const char *action_name(enum hcl_action action)
{
    switch (action) {
    case HCL_ACTION_NONE:
        return "-";
    case HCL_ACTION_ADVERTISE:
        return "advertise";
    case HCL_ACTION_CONNECT:
        return "connect";
    case HCL_ACTION_DISCONNECT:
        return "disconnect";
    case HCL_ACTION_FAULT:
        return "fault";
    case HCL_ACTION_PUBLISH:
        return "publish";
    case HCL_ACTION_RESTART:
        return "restart";
    case HCL_ACTION_REFUSED:
        return "refused";
    case HCL_ACTION_RELEASE:
        return "release";
    case HCL_ACTION_GONE:
        return "gone";
    }
    return "no action at all";
}

static void assert_row(enum hcl_role role, const struct row *row)
{
    enum hcl_state peer;

    for (peer = 0; peer < HCL_NUM_STATES; peer++) {
        assert_string_equal(
            action_name(hcl_handshake_next(role, row->own, peer)),
            row->cell[peer]);
    }
}

static void backend_in_1_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_BACKEND, &backend_rows[0]);
}

static void backend_in_2_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_BACKEND, &backend_rows[1]);
}

static void backend_in_4_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_BACKEND, &backend_rows[2]);
}

static void backend_in_5_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_BACKEND, &backend_rows[3]);
}

static void backend_in_6_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_BACKEND, &backend_rows[4]);
}

static void frontend_in_1_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_FRONTEND, &frontend_rows[0]);
}

static void frontend_in_3_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_FRONTEND, &frontend_rows[1]);
}

static void frontend_in_4_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_FRONTEND, &frontend_rows[2]);
}

static void frontend_in_5_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_FRONTEND, &frontend_rows[3]);
}

static void frontend_in_6_does_as_the_table_says(void **state)
{
    (void)state;
    assert_row(HCL_FRONTEND, &frontend_rows[4]);
}

/* True if the call ends in an assertion; in a child, which it kills. */
static int asserts(enum hcl_role role, enum hcl_state own, enum hcl_state peer)
{
    const struct rlimit no_core = {0, 0};
    int status;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO);
        hcl_handshake_next(role, own, peer);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void own_state_that_a_backend_never_has_asserts(void **state)
{
    (void)state;
    assert_true(asserts(HCL_BACKEND, 0, 1));
    assert_true(asserts(HCL_BACKEND, 3, 1));
    assert_true(asserts(HCL_BACKEND, 7, 1));
    assert_true(asserts(HCL_BACKEND, 8, 1));
}

static void own_state_that_a_frontend_never_has_asserts(void **state)
{
    (void)state;
    assert_true(asserts(HCL_FRONTEND, 0, 1));
    assert_true(asserts(HCL_FRONTEND, 2, 1));
    assert_true(asserts(HCL_FRONTEND, 7, 1));
    assert_true(asserts(HCL_FRONTEND, 8, 1));
}

/* ---- Effective states: a backend as the frontend sees it (2.2) --------- */

#define GENERATION 0x91b0d2b5f4a98d11u
#define INCARNATION 0x0c1ffcd1e59a8e57u
#define OTHER 0x1234u

/* A directory with both numbers right. */
static struct hcl_peer_view view_in(enum hcl_state state)
{
    struct hcl_peer_view view = {
        .state = state,
        .has_generation = true,
        .generation = GENERATION,
        .has_incarnation = true,
        .incarnation = INCARNATION,
    };

    return view;
}

static struct hcl_peer_view without_incarnation(struct hcl_peer_view view)
{
    view.has_incarnation = false;
    view.incarnation = 0;
    return view;
}

static enum hcl_state see_backend(struct hcl_peer_view view, bool published)
{
    return hcl_handshake_backend_state(&view, published, GENERATION,
                                       INCARNATION);
}

static void backend_of_the_present_lives_is_seen_as_it_is(void **state)
{
    enum hcl_state peer;

    (void)state;
    for (peer = 0; peer < HCL_NUM_STATES; peer++) {
        assert_int_equal(see_backend(view_in(peer), true), peer);
    }
}

static void published_frontend_sees_a_backend_of_another_life_as_1(void **state)
{
    struct hcl_peer_view view;
    enum hcl_state peer;

    (void)state;
    for (peer = 1; peer <= 6; peer++) {
        view = view_in(peer);
        view.generation = OTHER;
        assert_int_equal(see_backend(view, true), 1);
    }
}

static void
published_frontend_sees_a_backend_without_generation_as_1(void **state)
{
    struct hcl_peer_view view;
    enum hcl_state peer;

    (void)state;
    for (peer = 1; peer <= 6; peer++) {
        view = view_in(peer);
        view.has_generation = false;
        view.generation = 0;
        assert_int_equal(see_backend(view, true), 1);
    }
}

static void unpublished_frontend_minds_no_generation(void **state)
{
    struct hcl_peer_view view;
    enum hcl_state peer;

    (void)state;
    for (peer = 0; peer < HCL_NUM_STATES; peer++) {
        view = without_incarnation(view_in(peer));
        view.generation = OTHER;
        assert_int_equal(see_backend(view, false), peer);
        view.has_generation = false;
        assert_int_equal(see_backend(view, false), peer);
    }
}

static void backend_that_is_gone_or_illegal_stays_so_in_any_life(void **state)
{
    struct hcl_peer_view view;

    (void)state;
    view = view_in(HCL_STATE_GONE);
    view.generation = view.incarnation = OTHER;
    assert_int_equal(see_backend(view, true), HCL_STATE_GONE);
    assert_int_equal(see_backend(view, false), HCL_STATE_GONE);
    view.state = HCL_STATE_ILLEGAL;
    assert_int_equal(see_backend(view, true), HCL_STATE_ILLEGAL);
    assert_int_equal(see_backend(view, false), HCL_STATE_ILLEGAL);
}

static void
backend_in_4_or_6_for_another_frontend_life_counts_as_1(void **state)
{
    struct hcl_peer_view view;

    (void)state;
    view = view_in(4);
    view.incarnation = OTHER;
    assert_int_equal(see_backend(view, true), 1);
    view.state = 6;
    assert_int_equal(see_backend(view, true), 1);
}

static void incarnation_counts_only_in_4_and_6(void **state)
{
    const enum hcl_state others[] = {1, 2, 3, 5};
    struct hcl_peer_view view;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        view = view_in(others[i]);
        view.incarnation = OTHER;
        assert_int_equal(see_backend(view, true), others[i]);
    }
}

static void
frontend_without_incarnation_sees_4_and_6_for_anyone_as_1(void **state)
{
    (void)state;
    assert_int_equal(see_backend(view_in(4), false), 1);
    assert_int_equal(see_backend(view_in(6), false), 1);
}

static void sixteen_zeros_speak_about_no_frontend(void **state)
{
    struct hcl_peer_view view = view_in(6);

    (void)state;
    view.incarnation = 0;
    assert_int_equal(see_backend(view, true), 1);
    assert_int_equal(see_backend(view, false), 1);
    /* Even if the caller has 0 where it has no incarnation. */
    assert_int_equal(hcl_handshake_backend_state(&view, false, 0, 0), 1);
}

static void refusal_of_the_attachment_is_for_everyone(void **state)
{
    struct hcl_peer_view view = without_incarnation(view_in(6));

    (void)state;
    assert_int_equal(see_backend(view, true), 6);
    assert_int_equal(see_backend(view, false), 6);
}

/* ---- Effective states: a frontend as the backend sees it --------------- */

static enum hcl_state see_frontend(struct hcl_peer_view view, bool connected)
{
    return hcl_handshake_frontend_state(&view, GENERATION, connected,
                                        INCARNATION);
}

static void frontend_of_the_present_lives_is_seen_as_it_is(void **state)
{
    enum hcl_state peer;

    (void)state;
    for (peer = 0; peer < HCL_NUM_STATES; peer++) {
        assert_int_equal(see_frontend(view_in(peer), true), peer);
        assert_int_equal(see_frontend(view_in(peer), false), peer);
    }
}

static void
frontend_in_3_or_4_for_another_backend_life_counts_as_1(void **state)
{
    struct hcl_peer_view view = view_in(3);

    (void)state;
    view.generation = OTHER;
    assert_int_equal(see_frontend(view, false), 1);
    assert_int_equal(see_frontend(view, true), 1);
    view.state = 4;
    assert_int_equal(see_frontend(view, false), 1);
    assert_int_equal(see_frontend(view, true), 1);
}

/* So that `connect` finds what is missing and makes it a fault. */
static void frontend_without_a_wellformed_generation_stays_3(void **state)
{
    struct hcl_peer_view view = view_in(3);

    (void)state;
    view.has_generation = false;
    view.generation = 0;
    assert_int_equal(see_frontend(view, false), 3);
}

static void connected_backend_sees_another_incarnation_as_1(void **state)
{
    struct hcl_peer_view view = view_in(3);

    (void)state;
    view.incarnation = OTHER;
    assert_int_equal(see_frontend(view, true), 1);
    view.state = 4;
    assert_int_equal(see_frontend(view, true), 1);
}

static void connected_backend_sees_no_incarnation_as_1(void **state)
{
    (void)state;
    assert_int_equal(see_frontend(without_incarnation(view_in(3)), true), 1);
    assert_int_equal(see_frontend(without_incarnation(view_in(4)), true), 1);
}

static void unconnected_backend_minds_no_incarnation(void **state)
{
    struct hcl_peer_view view = view_in(3);

    (void)state;
    view.incarnation = OTHER;
    assert_int_equal(see_frontend(view, false), 3);
    assert_int_equal(see_frontend(without_incarnation(view), false), 3);
}

static void numbers_count_only_in_3_and_4_of_a_frontend(void **state)
{
    const enum hcl_state others[] = {0, 1, 2, 5, 6, 7};
    struct hcl_peer_view view;
    size_t i;

    (void)state;
    for (i = 0; i < 6; i++) {
        view = view_in(others[i]);
        view.generation = view.incarnation = OTHER;
        assert_int_equal(see_frontend(view, true), others[i]);
        assert_int_equal(see_frontend(view, false), others[i]);
    }
}

/* ---- Names and numbers ------------------------------------------------- */

static void each_state_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(hcl_state_name(1), "Initialising");
    assert_string_equal(hcl_state_name(2), "InitWait");
    assert_string_equal(hcl_state_name(3), "Initialised");
    assert_string_equal(hcl_state_name(4), "Connected");
    assert_string_equal(hcl_state_name(5), "Closing");
    assert_string_equal(hcl_state_name(6), "Closed");
    assert_string_equal(hcl_state_name(HCL_STATE_GONE), "Gone");
    assert_string_equal(hcl_state_name(HCL_STATE_ILLEGAL), "Illegal");
}

static void number_that_is_no_state_has_a_name_too(void **state)
{
    (void)state;
    assert_string_equal(hcl_state_name(8), "Illegal");
    assert_string_equal(hcl_state_name((enum hcl_state) - 1), "Illegal");
}

static void new_ids_are_not_zero_and_all_different(void **state)
{
    uint64_t ids[64];
    int i, k;

    (void)state;
    for (i = 0; i < 64; i++) {
        ids[i] = hcl_new_id64();
        assert_true(ids[i] != 0);
        for (k = 0; k < i; k++) {
            assert_true(ids[i] != ids[k]);
        }
    }
}

static void new_ids_use_all_64_bits(void **state)
{
    uint64_t any = 0, all = UINT64_MAX, id;
    int i;

    (void)state;
    for (i = 0; i < 256; i++) {
        id = hcl_new_id64();
        any |= id;
        all &= id;
    }
    assert_true(any == UINT64_MAX);
    assert_true(all == 0);
}

/* ---- A pair of sides --------------------------------------------------- */

/*
 * The two directories, and on each side what its process knows.  A step of a
 * side is either a look (it copies the other's directory) or an act upon what
 * it looked at last, so that it often acts on what is stale.  A watch makes a
 * side look again after each write of the other: looks are never lost for ever.
 */
struct pair {
    uint64_t random;
    uint64_t next_id; /* numbers of lives, never repeated */

    struct hcl_peer_view backend_dir; /* what the backend wrote */
    struct hcl_peer_view frontend_dir;

    enum hcl_state backend;       /* its process's own state */
    enum hcl_state closing_to;    /* where state 5 leads: 2 or 6 */
    uint64_t generation;          /* of its life */
    uint64_t connected_to;        /* incarnation; while it has mapped memory */
    bool mapped;                  /* it holds the frontend's memory */
    struct hcl_peer_view be_seen; /* its last look at frontend_dir */

    enum hcl_state frontend;
    uint64_t answered;            /* the generation that it answered */
    uint64_t incarnation;         /* of its last publication */
    bool published;               /* its memory is granted */
    struct hcl_peer_view fe_seen; /* its last look at backend_dir */
};

static uint32_t pick(struct pair *pair, uint32_t below)
{
    pair->random = pair->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(pair->random >> 33) % below;
}

/* 2.3: on its way to 2, all nodes, and no incarnation. */
static void backend_advertises(struct pair *pair)
{
    pair->backend_dir = (struct hcl_peer_view){
        .state = HCL_STATE_INIT_WAIT,
        .has_generation = true,
        .generation = pair->generation,
    };
    pair->backend = HCL_STATE_INIT_WAIT;
}

static void backend_closes(struct pair *pair, enum hcl_state then)
{
    pair->closing_to = then;
    pair->backend = pair->backend_dir.state = HCL_STATE_CLOSING;
}

static void backend_refuses_connection(struct pair *pair)
{
    /* The frontend whose fault it was: as it looked when that was seen. */
    pair->backend_dir.has_incarnation = true;
    pair->backend_dir.incarnation =
        pair->be_seen.has_incarnation ? pair->be_seen.incarnation : 0;
    pair->backend = pair->backend_dir.state = HCL_STATE_CLOSED;
}

static void backend_connects(struct pair *pair)
{
    if (!pair->be_seen.has_generation || !pair->be_seen.has_incarnation) {
        backend_refuses_connection(pair);
        return;
    }
    pair->mapped = true;
    pair->connected_to = pair->be_seen.incarnation;
    pair->backend_dir.has_incarnation = true;
    pair->backend_dir.incarnation = pair->connected_to;
    pair->backend = pair->backend_dir.state = HCL_STATE_CONNECTED;
}

/* One act of the backend; true if it did something. */
static bool backend_acts(struct pair *pair)
{
    enum hcl_state peer;

    if (pair->backend == HCL_STATE_CLOSING) {
        pair->mapped = false;
        if (pair->closing_to == HCL_STATE_CLOSED) {
            backend_refuses_connection(pair);
        } else {
            backend_advertises(pair);
        }
        return true;
    }
    peer = hcl_handshake_frontend_state(&pair->be_seen, pair->generation,
                                        pair->mapped, pair->connected_to);
    switch (hcl_handshake_next(HCL_BACKEND, pair->backend, peer)) {
    case HCL_ACTION_NONE:
        return false;
    case HCL_ACTION_ADVERTISE:
        backend_advertises(pair);
        return true;
    case HCL_ACTION_CONNECT:
        backend_connects(pair);
        return true;
    case HCL_ACTION_DISCONNECT:
        backend_closes(pair, HCL_STATE_INIT_WAIT);
        return true;
    case HCL_ACTION_FAULT:
        if (pair->mapped) {
            backend_closes(pair, HCL_STATE_CLOSED);
        } else {
            backend_refuses_connection(pair);
        }
        return true;
    default:
        fail_msg("an action that is no backend's");
        return false;
    }
}

static void frontend_goes(struct pair *pair, enum hcl_state to)
{
    pair->published = to == HCL_STATE_CONNECTED;
    pair->frontend = pair->frontend_dir.state = to;
}

/* Answers the generation of its last look, in one transaction. */
static void frontend_publishes(struct pair *pair)
{
    if (!pair->fe_seen.has_generation) {
        frontend_goes(pair, HCL_STATE_CLOSED);
        return;
    }
    pair->answered = pair->fe_seen.generation;
    pair->incarnation = pair->next_id++;
    pair->published = true;
    pair->frontend_dir = (struct hcl_peer_view){
        .state = HCL_STATE_INITIALISED,
        .has_generation = true,
        .generation = pair->answered,
        .has_incarnation = true,
        .incarnation = pair->incarnation,
    };
    pair->frontend = HCL_STATE_INITIALISED;
}

/* One act of the frontend, whose user wants a connection; true if it acted. */
static bool frontend_acts(struct pair *pair)
{
    enum hcl_state peer;

    if (pair->frontend == HCL_STATE_CLOSED) {
        /* Its user tries again: writes 1, even if 1 stands there already. */
        frontend_goes(pair, HCL_STATE_INITIALISING);
        return true;
    }
    peer = hcl_handshake_backend_state(&pair->fe_seen, pair->published,
                                       pair->answered, pair->incarnation);
    switch (hcl_handshake_next(HCL_FRONTEND, pair->frontend, peer)) {
    case HCL_ACTION_NONE:
        return false;
    case HCL_ACTION_PUBLISH:
        frontend_publishes(pair);
        return true;
    case HCL_ACTION_CONNECT:
        frontend_goes(pair, HCL_STATE_CONNECTED);
        return true;
    case HCL_ACTION_RESTART:
        frontend_goes(pair, HCL_STATE_INITIALISING);
        return true;
    case HCL_ACTION_RELEASE:
    case HCL_ACTION_REFUSED:
    case HCL_ACTION_FAULT:
        frontend_goes(pair, HCL_STATE_CLOSED);
        return true;
    case HCL_ACTION_GONE:
        /* The model never removes a directory; a new life finds it there. */
        pair->published = false;
        pair->frontend = HCL_STATE_CLOSED;
        return true;
    default:
        fail_msg("an action that is no frontend's");
        return false;
    }
}

/* A new process: nothing of the old one is left but its directory. */
static void backend_is_born(struct pair *pair)
{
    pair->backend = HCL_STATE_INITIALISING;
    pair->generation = pair->next_id++;
    pair->mapped = false;
    pair->connected_to = 0;
    pair->be_seen = pair->frontend_dir;
}

static void frontend_is_born(struct pair *pair)
{
    pair->answered = pair->incarnation = 0;
    frontend_goes(pair, HCL_STATE_INITIALISING);
    pair->fe_seen = pair->backend_dir;
}

/* One random step of the pair, without deaths. */
static void step(struct pair *pair)
{
    switch (pick(pair, 4)) {
    case 0:
        pair->be_seen = pair->frontend_dir;
        break;
    case 1:
        pair->fe_seen = pair->backend_dir;
        break;
    case 2:
        backend_acts(pair);
        break;
    default:
        frontend_acts(pair);
        break;
    }
}

/* What may go wrong in between: a death, or a frontend that closes. */
static void mishap(struct pair *pair)
{
    switch (pick(pair, 3)) {
    case 0:
        backend_is_born(pair);
        break;
    case 1:
        frontend_is_born(pair);
        break;
    default:
        if (pair->frontend == HCL_STATE_INITIALISED ||
            pair->frontend == HCL_STATE_CONNECTED) {
            pair->frontend = pair->frontend_dir.state = HCL_STATE_CLOSING;
        }
        break;
    }
}

static bool is_connected(const struct pair *pair)
{
    return pair->backend == HCL_STATE_CONNECTED &&
           pair->frontend == HCL_STATE_CONNECTED && pair->mapped &&
           pair->published && pair->connected_to == pair->incarnation &&
           pair->answered == pair->generation;
}

#define ENOUGH_STEPS 400

/* Random steps without mishaps lead to a connection, and it lasts. */
static void assert_settles(struct pair *pair)
{
    unsigned int steps;

    for (steps = 0; !is_connected(pair); steps++) {
        if (steps == ENOUGH_STEPS) {
            fail_msg("backend %s, frontend %s after %u steps",
                     hcl_state_name(pair->backend),
                     hcl_state_name(pair->frontend), steps);
        }
        step(pair);
    }
    pair->be_seen = pair->frontend_dir;
    pair->fe_seen = pair->backend_dir;
    assert_false(backend_acts(pair));
    assert_false(frontend_acts(pair));
}

/* A life number of the present, of the past, or none. */
static void scatter(struct pair *pair, struct hcl_peer_view *dir)
{
    dir->has_generation = pick(pair, 4) != 0;
    dir->generation = 0;
    if (dir->has_generation) {
        dir->generation = pick(pair, 2) ? pair->generation : OTHER;
    }
    dir->has_incarnation = pick(pair, 4) != 0;
    dir->incarnation = 0;
    if (dir->has_incarnation) {
        dir->incarnation = pick(pair, 2) ? pair->incarnation : OTHER;
    }
}

/* A live process in @state, and its directory as it wrote it. */
static void backend_lives(struct pair *pair, enum hcl_state state)
{
    pair->backend = pair->backend_dir.state = state;
    pair->mapped = state == HCL_STATE_CONNECTED || state == HCL_STATE_CLOSING;
    pair->connected_to = pick(pair, 2) ? pair->incarnation : OTHER;
    pair->closing_to = pick(pair, 2) ? HCL_STATE_INIT_WAIT : HCL_STATE_CLOSED;
    if (state != HCL_STATE_INITIALISING) {
        pair->backend_dir.has_generation = true;
        pair->backend_dir.generation = pair->generation;
    }
    if (pair->mapped) {
        pair->backend_dir.has_incarnation = true;
        pair->backend_dir.incarnation = pair->connected_to;
    } else if (state == HCL_STATE_CLOSED) {
        /* A refusal of the attachment would be meant to last. */
        pair->backend_dir.has_incarnation = true;
    }
}

static void frontend_lives(struct pair *pair, enum hcl_state state)
{
    pair->frontend = pair->frontend_dir.state = state;
    pair->published =
        state >= HCL_STATE_INITIALISED && state <= HCL_STATE_CLOSING;
    pair->answered = pick(pair, 2) ? pair->generation : OTHER;
    if (pair->published) {
        pair->frontend_dir.has_generation = true;
        pair->frontend_dir.generation = pair->answered;
        pair->frontend_dir.has_incarnation = true;
        pair->frontend_dir.incarnation = pair->incarnation;
    }
}

/*
 * Own states @backend and @frontend, with numbers of any lives where a state
 * says nothing about them.
 */
static void pair_init(struct pair *pair, uint64_t seed, enum hcl_state backend,
                      enum hcl_state frontend)
{
    memset(pair, 0, sizeof(*pair));
    pair->random = seed;
    pair->generation = 0x1000;
    pair->incarnation = 0x2000;
    pair->next_id = 0x3000;
    scatter(pair, &pair->backend_dir);
    scatter(pair, &pair->frontend_dir);
    backend_lives(pair, backend);
    frontend_lives(pair, frontend);
    pair->be_seen = pair->frontend_dir;
    pair->fe_seen = pair->backend_dir;
}

static const enum hcl_state backend_own[] = {1, 2, 4, 5, 6};
static const enum hcl_state frontend_own[] = {1, 3, 4, 5, 6};

static void every_pair_of_states_leads_to_a_connection(void **state)
{
    struct pair pair;
    uint64_t seed;
    int b, f;

    (void)state;
    for (b = 0; b < 5; b++) {
        for (f = 0; f < 5; f++) {
            for (seed = 1; seed <= 400; seed++) {
                pair_init(&pair, seed, backend_own[b], frontend_own[f]);
                assert_settles(&pair);
            }
        }
    }
}

/* Whatever dead processes left in the directories, illegal states too. */
static void new_lives_connect_over_any_remains(void **state)
{
    enum hcl_state b, f;
    struct pair pair;
    uint64_t seed;

    (void)state;
    for (b = 0; b < HCL_NUM_STATES; b++) {
        for (f = 0; f < HCL_NUM_STATES; f++) {
            for (seed = 1; seed <= 100; seed++) {
                pair_init(&pair, seed, HCL_STATE_INITIALISING,
                          HCL_STATE_INITIALISING);
                pair.backend_dir.state = b;
                pair.frontend_dir.state = f;
                frontend_is_born(&pair);
                backend_is_born(&pair);
                assert_settles(&pair);
            }
        }
    }
}

static void pair_connects_after_any_deaths_and_closes(void **state)
{
    struct pair pair;
    unsigned int i, round;
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 300; seed++) {
        pair_init(&pair, seed, HCL_STATE_INITIALISING, HCL_STATE_INITIALISING);
        for (round = 0; round < 10; round++) {
            for (i = 0; i < 60; i++) {
                if (pick(&pair, 8)) {
                    step(&pair);
                } else {
                    mishap(&pair);
                }
            }
            assert_settles(&pair);
        }
    }
}

/* A refused attachment ends: the frontend learns it and no one moves on. */
static void refusal_of_the_attachment_ends_the_walk(void **state)
{
    enum hcl_state seen;
    struct pair pair;

    (void)state;
    pair_init(&pair, 1, HCL_STATE_CLOSED, HCL_STATE_INITIALISING);
    pair.backend_dir.has_incarnation = false;
    seen = hcl_handshake_backend_state(&pair.backend_dir, false, 0, 0);
    assert_int_equal(
        hcl_handshake_next(HCL_FRONTEND, HCL_STATE_INITIALISING, seen),
        HCL_ACTION_REFUSED);
    assert_int_equal(hcl_handshake_next(HCL_FRONTEND, HCL_STATE_CLOSED, seen),
                     HCL_ACTION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backend_in_1_does_as_the_table_says),
        cmocka_unit_test(backend_in_2_does_as_the_table_says),
        cmocka_unit_test(backend_in_4_does_as_the_table_says),
        cmocka_unit_test(backend_in_5_does_as_the_table_says),
        cmocka_unit_test(backend_in_6_does_as_the_table_says),
        cmocka_unit_test(frontend_in_1_does_as_the_table_says),
        cmocka_unit_test(frontend_in_3_does_as_the_table_says),
        cmocka_unit_test(frontend_in_4_does_as_the_table_says),
        cmocka_unit_test(frontend_in_5_does_as_the_table_says),
        cmocka_unit_test(frontend_in_6_does_as_the_table_says),
        cmocka_unit_test(own_state_that_a_backend_never_has_asserts),
        cmocka_unit_test(own_state_that_a_frontend_never_has_asserts),
        cmocka_unit_test(backend_of_the_present_lives_is_seen_as_it_is),
        cmocka_unit_test(
            published_frontend_sees_a_backend_of_another_life_as_1),
        cmocka_unit_test(
            published_frontend_sees_a_backend_without_generation_as_1),
        cmocka_unit_test(unpublished_frontend_minds_no_generation),
        cmocka_unit_test(backend_that_is_gone_or_illegal_stays_so_in_any_life),
        cmocka_unit_test(
            backend_in_4_or_6_for_another_frontend_life_counts_as_1),
        cmocka_unit_test(incarnation_counts_only_in_4_and_6),
        cmocka_unit_test(
            frontend_without_incarnation_sees_4_and_6_for_anyone_as_1),
        cmocka_unit_test(sixteen_zeros_speak_about_no_frontend),
        cmocka_unit_test(refusal_of_the_attachment_is_for_everyone),
        cmocka_unit_test(frontend_of_the_present_lives_is_seen_as_it_is),
        cmocka_unit_test(
            frontend_in_3_or_4_for_another_backend_life_counts_as_1),
        cmocka_unit_test(frontend_without_a_wellformed_generation_stays_3),
        cmocka_unit_test(connected_backend_sees_another_incarnation_as_1),
        cmocka_unit_test(connected_backend_sees_no_incarnation_as_1),
        cmocka_unit_test(unconnected_backend_minds_no_incarnation),
        cmocka_unit_test(numbers_count_only_in_3_and_4_of_a_frontend),
        cmocka_unit_test(each_state_has_its_name),
        cmocka_unit_test(number_that_is_no_state_has_a_name_too),
        cmocka_unit_test(new_ids_are_not_zero_and_all_different),
        cmocka_unit_test(new_ids_use_all_64_bits),
        cmocka_unit_test(every_pair_of_states_leads_to_a_connection),
        cmocka_unit_test(new_lives_connect_over_any_remains),
        cmocka_unit_test(pair_connects_after_any_deaths_and_closes),
        cmocka_unit_test(refusal_of_the_attachment_ends_the_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
