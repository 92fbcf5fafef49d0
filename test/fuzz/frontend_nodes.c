/* SPDX-License-Identifier: MIT */
/*
 * xenstore as a frontend sees it, and all that may happen to a connection
 * (frontend/connection.c, publish.c, attachment.c, offer.c, list.c, memory.c,
 * and the session above them; common/store.c and handshake.c): a backend that
 * writes any nodes and any memory, a toolstack, restores, and failures of all
 * that is around it.
 *
 * What must hold, besides that nothing crashes, hangs or is left: it writes
 * only its own nodes, only where its state is; what it publishes is within
 * what was offered; with nothing shared it says 1 or 6; the event channels of
 * another life are neither rung nor closed; and it never waits for a backend
 * that has died.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "../../frontend/connection.h" /* not the backend's */
#include "fake_loop.h"
#include "fake_xenstore.h"
#include "frontend_xen.h"
#include "fuzz.h"

#define MAX_HANDLES 3
#define MAX_READS 32
#define NUM_OWN 6 /* nodes that it writes */

static struct fuzz_input *input;
static struct hcl_connection connection;
static struct hcl_session session;
static struct hcl_fork_guard guard;
static struct hcl_loop *loop;
static struct hcl_handle *handles[MAX_HANDLES];
static uint8_t answers[MAX_READS][64]; /* of the program's reads */
static uint32_t num_reads;
static struct hcl_consumer in; /* the backend's ends of the queue */
static struct hcl_producer out;
static unsigned int meanwhile_left; /* changes in the midst of transactions */
static char front_dir[64], back_dir[64];

/* ---- What must hold ---------------------------------------------------- */

static void check_published(void)
{
    static uint32_t refs[HCL_MAX_REFS];
    const char *generation = fake_xs_value_in(front_dir, "generation");
    const char *incarnation = fake_xs_value_in(front_dir, "incarnation");
    struct hcl_layout layout;
    struct hcl_err err = {0};
    int ret;

    assert(fake_xs_value_in(front_dir, "version") && generation && incarnation);
    assert(fake_xs_value_in(front_dir, "control-ref"));
    assert(fake_xs_value_in(front_dir, "event-channel-0"));
    ret = hcl_control_check(connection.memory.control, &connection.offer.limits,
                            1, strtoull(generation, NULL, 16),
                            strtoull(incarnation, NULL, 16), &layout, &err);
    assert(ret == 0);
    ret = hcl_control_refs(
        connection.memory.control,
        (const uint32_t(*)[HCLIF_EXTRA_REFS])connection.memory.extra,
        connection.memory.control_ref, &layout, refs, &err);
    assert(ret == 0);
}

static void commits(const char *path, const char *value)
{
    static const char *const own[NUM_OWN] = {"state",           "version",
                                             "control-ref",     "generation",
                                             "event-channel-0", "incarnation"};
    size_t i = 0, dir_bytes = strlen(front_dir);

    assert(value && value[0]); /* it removes nothing */
    assert(strncmp(path, front_dir, dir_bytes) == 0);
    while (i < NUM_OWN && strcmp(own[i], path + dir_bytes + 1) != 0) {
        i++;
    }
    assert(i < NUM_OWN);
    assert(fake_xs_value_in(front_dir, "state")); /* else it makes a new one */
    if (i > 0) {
        return;
    }
    assert(strlen(value) == 1 && strchr("13456", value[0]));
    if (value[0] == '3') {
        check_published();
    }
    if (value[0] == '1' || value[0] == '6') {
        assert(!xen.ports_open && xen.pages == 0);
    }
}

/* ---- Nodes ------------------------------------------------------------- */

/* By the toolstack, for the domain that this is now. */
static void attach(void)
{
    snprintf(front_dir, sizeof(front_dir), "/local/domain/%u/device/hcl/0",
             fake_xs.domid);
    snprintf(back_dir, sizeof(back_dir), "/local/domain/0/backend/hcl/%u/0",
             fake_xs.domid);
    fake_xs_write_in(back_dir, "device", "dev0");
    fake_xs_write_in(back_dir, "state", "1");
    fake_xs_write_in(front_dir, "backend", back_dir);
    fake_xs_write_in(front_dir, "backend-id", "0");
    fake_xs_write_in(front_dir, "device", "dev0");
    fake_xs_write_in(front_dir, "state", "1");
}

/* By a good backend, in one of its lives. */
static void advertise(void)
{
    uint32_t what = fuzz_u8(input);
    char generation[32], path[FAKE_XS_PATH];

    snprintf(generation, sizeof(generation), "91b0d2b5f4a9%04x", what >> 4);
    snprintf(path, sizeof(path), "%s/incarnation", back_dir);
    fake_xs_remove(path);
    fake_xs_write_in(back_dir, "class", "echo");
    fake_xs_write_in(back_dir, "versions", what & 1 ? "2,1" : "1");
    fake_xs_write_in(back_dir, "generation", generation);
    fake_xs_write_in(back_dir, "max-queues", "1");
    fake_xs_write_in(back_dir, "max-ring-page-order", what & 2 ? "0" : "2");
    fake_xs_write_in(back_dir, "max-pool-pages", what & 4 ? "1" : "64");
    fake_xs_write_in(back_dir, "max-handles", what & 8 ? "1" : "4");
    fake_xs_write_in(back_dir, "idempotent", "3,5");
    fake_xs_write_in(back_dir, "state", "2");
}

static void accept_frontend(void)
{
    const char *incarnation = fake_xs_value_in(front_dir, "incarnation");
    struct hcl_memory *memory = &connection.memory;

    fake_xs_write_in(back_dir, "incarnation", incarnation ? incarnation : "0");
    if (memory->back) {
        memory->back->alive = 1;
        hcl_consumer_init(&in, memory->requests,
                          hcl_layout_slots(&memory->layout),
                          &memory->back->event[0].position);
        hcl_producer_init(&out, memory->completions,
                          hcl_layout_slots(&memory->layout),
                          &memory->front->event[0].position);
    }
    fake_xs_write_in(back_dir, "state", "4");
}

/* A path that is known to one of the two. */
static void take_path(char *path, bool front)
{
    static const char *const nodes[] = {
        "state",      "generation", "incarnation", "versions",
        "max-queues", "class",      "idempotent",  "max-ring-page-order",
        "pause",      "error",      "max-handles", "max-pool-pages",
        "backend",    "backend-id", "device",      "version"};

    snprintf(path, FAKE_XS_PATH, "%s/%s", front ? front_dir : back_dir,
             nodes[fuzz_u8(input) % (sizeof(nodes) / sizeof(*nodes))]);
}

static void write_node(bool front)
{
    static const char *const values[] = {"0",
                                         "1",
                                         "2",
                                         "3",
                                         "4",
                                         "5",
                                         "6",
                                         "7",
                                         "65535",
                                         "65536",
                                         "",
                                         "dev0",
                                         "1,",
                                         "1,2",
                                         ",",
                                         "256",
                                         "3,4,5",
                                         "0c1ffcd1e59a8e57",
                                         "91B0D2B5F4A90000",
                                         "4294967295",
                                         "4294967296",
                                         "99999999999",
                                         "/local/domain/0/backend/hcl/1/0",
                                         "/local/domain/5/backend/hcl/1/0"};
    char path[FAKE_XS_PATH], value[FAKE_XS_VALUE + 1];
    uint32_t which = fuzz_u8(input);
    size_t bytes;

    take_path(path, front);
    if (which < sizeof(values) / sizeof(*values)) {
        fake_xs_write(path, values[which], strlen(values[which]));
    } else if (which < 200) {
        bytes = fuzz_text(input, value, sizeof(value));
        fake_xs_write(path, value, bytes);
    } else { /* too long, for most */
        bytes = (size_t)(which - 199) * 19;
        memset(value, 'v', bytes);
        fake_xs_write(path, value, bytes);
    }
}

/* Another attachment of the guest's, or what is none. */
static void write_path(void)
{
    char path[FAKE_XS_PATH], name[24];

    fuzz_name(input, name, sizeof(name), '7');
    snprintf(path, sizeof(path), "/local/domain/%u/device/hcl/%s",
             fake_xs.domid, name);
    fake_xs_write(path, "", 0);
    if (!strchr(name, '/') && strlen(name) < 11) {
        fake_xs_write_in(path, "device", "dev1");
        fake_xs_write_in(path, "backend", back_dir);
    }
}

static void remove_node(bool front)
{
    char path[FAKE_XS_PATH];
    uint32_t what = fuzz_u8(input) & 7;

    if (what == 0) {
        fake_xs_remove(front ? front_dir : back_dir);
        return;
    }
    take_path(path, front);
    if (what == 1) {
        fake_xs_deny(path);
    } else {
        fake_xs_remove(path);
    }
}

static void node_step(uint32_t what)
{
    char state[] = "0";

    switch (what & 7) {
    case 0:
        advertise();
        break;
    case 1:
        accept_frontend();
        break;
    case 2:
        state[0] = (char)('0' + (what >> 3) % 10);
        fake_xs_write_in(back_dir, "state", state);
        break;
    case 3:
        remove_node(what & 8);
        break;
    case 4:
        if (!(what & 8)) {
            attach();
        } else if (what & 16) {
            write_path();
        } else {
            fake_xs_remove(back_dir);
            fake_xs_remove(front_dir);
        }
        break;
    default:
        write_node(what & 8);
    }
}

static void meanwhile(void)
{
    if (meanwhile_left > 0 && fuzz_more(input)) {
        meanwhile_left--;
        node_step(fuzz_u8(input));
    }
}

/*
 * Save and restore, or a migration if the number stays: the directories of the
 * old life are gone, the toolstack makes new ones some time, all watches fire.
 */
static void restore(bool same_domid)
{
    char home[32];

    snprintf(home, sizeof(home), "/local/domain/%u", fake_xs.domid);
    fake_xs_remove(home);
    fake_xs_remove(back_dir);
    xen.lost = xen.ports_open;
    fake_xs.domid += !same_domid;
    snprintf(front_dir, sizeof(front_dir), "/local/domain/%u/device/hcl/0",
             fake_xs.domid);
    fake_xs_fire_all();
}

/* ---- Memory ------------------------------------------------------------ */

static void answer_next(uint16_t status)
{
    struct hclif_completion completion = {.status = status};
    struct hclif_request request;

    if (hcl_consumer_take(&in, &request) == HCL_TAKE_SLOT) {
        completion.tag = request.tag;
        completion.rx_bytes = status ? 48 : request.rx_bytes;
        hcl_producer_put(&out, &completion);
    }
    hcl_consumer_arm(&in);
}

/* Whatever the backend does to the pages that it may write. */
static void memory_step(void)
{
    struct hcl_memory *memory = &connection.memory;
    uint32_t what = fuzz_u8(input), value;

    /* It maps what was published last; the rest is not for here. */
    if (!memory->back || in.slots != memory->requests) {
        return;
    }
    switch (what & 7) {
    case 0:
        memory->back->alive = (uint8_t)(what >> 3 & 1);
        break;
    case 1:
        value = fuzz_u32(input);
        memcpy((uint8_t *)memory->completions + (size_t)(what >> 3) * 4, &value,
               sizeof(value));
        break;
    case 2:
        memory->back->event[0].position = fuzz_u32(input);
        break;
    case 3:
        answer_next(what >> 3);
        break;
    default:
        answer_next(0);
    }
    xen.event = true;
}

static void rung(void)
{
    if (fuzz_below(input, 2)) {
        memory_step();
    }
}

/* ---- The program ------------------------------------------------------- */

static void program_step(uint32_t what)
{
    struct hcl_handle **handle = &handles[(what >> 3) % MAX_HANDLES];
    struct hcl_result results[4];
    struct hcl_request *request;
    struct hcl_io io = {.opcode = what & 64 ? HCL_READ : HCL_WRITE};

    switch (what & 7) {
    case 0:
        if (!*handle) {
            (void)!hcl_session_open(&session, handle, NULL);
        }
        break;
    case 1:
        if (*handle) {
            hcl_session_close(*handle);
            *handle = NULL;
        }
        break;
    case 2:
        (void)hcl_session_reap(&session, results, 4);
        break;
    default:
        if (*handle && num_reads < MAX_READS) {
            io.rx = answers[num_reads++];
            io.rx_bytes = 1 + (what & 63);
            (void)!hcl_session_submit(*handle, &io, false, &request);
        }
    }
}

static void process(void)
{
    hcl_loop_poll(loop, 0);
    hcl_connection_process(&connection);
    /* An end has its reason; without one it can still be of use. */
    assert(connection.own != HCL_STATE_CLOSED || connection.end.text[0]);
}

/* On the connection to xenstore that there is, or, without one, as programs. */
static void list(struct hcl_store *store)
{
    struct hcl_info *infos = NULL;
    unsigned int count = 0;
    struct hcl_err err = {0};
    int ret = store ? hcl_attachment_list(store, &infos, &count, &err)
                    : hcl_list(&infos, &count, &err);

    assert(ret == 0 ? !count == !infos : err.text[0]);
    for (unsigned int i = 0; i < count; i++) {
        assert(i == 0 || infos[i - 1].devid < infos[i].devid);
    }
    free(infos);
}

/* ---- The world --------------------------------------------------------- */

static void world_step(uint32_t what)
{
    static const int codes[] = {EACCES, EINVAL, ENOSPC, E2BIG, EIO, ENOMEM};
    int code = codes[(what >> 4) % 6];
    struct hcl_err err;

    switch (what & 15) {
    case 0:
        fake_xs.fail_read = code;
        fake_xs.good_reads = fuzz_u8(input);
        break;
    case 1:
        fake_xs.fail_write = code;
        fake_xs.good_writes = fuzz_u8(input);
        break;
    case 2:
        fake_xs.quarrels = what >> 4 == 15 ? 40 : what >> 4;
        break;
    case 3:
        meanwhile_left = 1 + (what >> 4);
        break;
    case 4:
        xen.fail_share = -code;
        break;
    case 5:
        xen.fail_ports = -code;
        break;
    case 6:
        restore(what & 16);
        break;
    case 7:
        fake_xs.broken = (what & 0xf0) == 0xf0;
        break;
    case 8:
        if ((what & 0xf0) == 0xf0) {
            hcl_connection_shut(&connection);
        }
        break;
    case 9:
        list(connection.attachment.store);
        break;
    case 10:
        assert(hcl_connection_timed_out(&connection, &err) == -ETIMEDOUT);
        break;
    default:
        fake_now_us += (uint64_t)(what >> 4) * 20000;
    }
}

static void step(void)
{
    uint32_t what = fuzz_u8(input);

    switch (what & 7) {
    case 0:
        node_step(what >> 3);
        break;
    case 1:
        node_step(fuzz_u8(input));
        process();
        break;
    case 2:
        program_step(fuzz_u8(input));
        break;
    case 3:
        world_step(fuzz_u8(input));
        break;
    case 4:
        memory_step();
        break;
    case 5:
        hcl_connection_serve(&connection);
        break;
    default:
        process();
    }
}

static bool lives(void)
{
    return connection.own == HCL_STATE_CONNECTED &&
           connection.memory.back->alive;
}

/*
 * The backend's process dies, and nobody says a word: the frontend lets go,
 * woken by nothing but the event of that death and its own timers.
 */
static void desert(void)
{
    bool woken = true;

    fake_xs.fail_read = fake_xs.fail_write = 0;
    fake_xs.quarrels = 0;
    for (unsigned int rounds = 0; woken && rounds < 100; rounds++) {
        if (lives()) {
            connection.memory.back->alive = 0;
            xen.event = true;
        }
        process();
        woken = lives() || xen.event || fake_xs.num_events > 0 ||
                fake_skip_to_timer();
    }
    assert(connection.own != HCL_STATE_CONNECTED);
}

static uint32_t ready(int fd)
{
    if (fd == FAKE_XS_FD) {
        return fake_xs.num_events > 0 || fake_xs.broken ? EPOLLIN : 0;
    }
    assert(fd == XEN_PORTS_FD);
    return xen.event ? EPOLLIN : 0;
}

static void start_world(struct fuzz_input *from)
{
    input = from;
    meanwhile_left = num_reads = 0;
    memset(&connection, 0, sizeof(connection));
    memset(handles, 0, sizeof(handles));
    memset(&in, 0, sizeof(in));
    xen_reset();
    xen.rung = rung;
    fake_xs_reset(1);
    fake_xs_commits = commits;
    fake_xs_meanwhile = meanwhile;
    fake_ready = ready;
    fake_now_us = 1000000;
    attach();
    /* What is there before the program comes. */
    for (uint32_t count = fuzz_below(input, 4); count > 0; count--) {
        node_step(fuzz_u8(input));
    }
}

static void run(void)
{
    struct hcl_open_options options = {.ring_page_order = 0,
                                       .tx_pool_bytes = 5000,
                                       .rx_pool_bytes = 4096,
                                       .grace_ms = 1000,
                                       .backoff_ms = 50,
                                       .max_backoff_ms = 500};
    struct hcl_err err = {0};
    int ret = hcl_attachment_open(&connection.attachment, "dev0", &err);

    if (ret < 0) {
        assert(err.code == ret && err.text[0]);
        return;
    }
    options.ring_page_order = fuzz_below(input, 4);
    ret = hcl_connection_start(&connection, loop, &session, &guard, &options,
                               &err);
    while (ret == 0 && fuzz_more(input)) {
        step();
    }
    meanwhile_left = 0;
    if (ret == 0) {
        desert();
    }
    hcl_connection_stop(&connection);
    list(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input from = {data, size};

    start_world(&from);
    if (hcl_loop_new(&loop, NULL) < 0 ||
        hcl_session_init(&session, HCLIF_SLOTS_PER_PAGE << 3) < 0) {
        abort();
    }
    run();
    hcl_session_clear(&session);
    hcl_loop_free(loop);
    assert(!fake_xs.open && !xen.ports_open && xen.pages == 0);
    return 0;
}
