/* SPDX-License-Identifier: MIT */
/*
 * xenstore as the backend sees it: the whole supervisor (backend/supervisor.c,
 * attachment*.c, offer.c, keeper.c, hotplug.c, watch_path.c, common/store.c and
 * handshake.c), with two guests that write any nodes at any moment, workers
 * that say anything, a toolstack, and failures of all that is around it.
 *
 * What must hold, besides that nothing crashes, hangs or is left: it writes
 * only its own nodes, only where its state is, and each state with what
 * doc/protocol.md 2.3 asks for; a worker hears of its own connections alone.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backend_workers.h"
#include "backend_xen.h"
#include "fake_loop.h"
#include "fake_xenstore.h"
#include "fuzz.h"
#include "supervisor.h"

#define BACKEND_DIR "/local/domain/0/backend/hcl"
#define INCARNATION UINT64_C(0x0c1ffcd1e59a8e57)

#define NUM_OWN 12 /* nodes that it writes */

static struct fuzz_input *input;
static unsigned int meanwhile_left; /* changes in the midst of transactions */
static bool told_to_end;

/* ---- What must hold ---------------------------------------------------- */

/* The others of the transaction have been committed before. */
static void check_state(const char *dir, const char *value)
{
    static const char *const advertised[] = {
        HCLIF_NODE_CLASS,          HCLIF_NODE_VERSIONS,
        HCLIF_NODE_GENERATION,     HCLIF_NODE_MAX_QUEUES,
        HCLIF_NODE_MAX_POOL_PAGES, HCLIF_NODE_MAX_HANDLES,
    };

    assert(value[0] && !value[1] && strchr("12456", value[0]));
    switch (value[0]) {
    case '2':
        for (size_t i = 0; i < sizeof(advertised) / sizeof(*advertised); i++) {
            assert(fake_xs_value_in(dir, advertised[i]));
        }
        assert(!fake_xs_value_in(dir, HCLIF_NODE_INCARNATION));
        break;
    case '4':
        assert(fake_xs_value_in(dir, HCLIF_NODE_INCARNATION));
        assert(!fake_xs_value_in(dir, HCLIF_NODE_ERROR));
        assert(!fake_xs_value_in(dir, HCLIF_NODE_DEPARTED));
        break;
    case '6':
        assert(fake_xs_value_in(dir, HCLIF_NODE_ERROR));
        break;
    default:
        break;
    }
}

static void commits(const char *path, const char *value)
{
    static const char *const own[NUM_OWN] = {
        HCLIF_NODE_STATE,          HCLIF_NODE_CLASS,
        HCLIF_NODE_VERSIONS,       HCLIF_NODE_GENERATION,
        HCLIF_NODE_MAX_QUEUES,     HCLIF_NODE_MAX_RING_PAGE_ORDER,
        HCLIF_NODE_MAX_POOL_PAGES, HCLIF_NODE_MAX_HANDLES,
        HCLIF_NODE_IDEMPOTENT,     HCLIF_NODE_INCARNATION,
        HCLIF_NODE_DEPARTED,       HCLIF_NODE_ERROR};
    const char *node = strrchr(path, '/') + 1;
    char dir[FAKE_XS_PATH];
    size_t i = 0;

    assert(strncmp(path, BACKEND_DIR "/", sizeof(BACKEND_DIR)) == 0);
    while (i < NUM_OWN && strcmp(own[i], node) != 0) {
        i++;
    }
    assert(i < NUM_OWN);
    memcpy(dir, path, (size_t)(node - path));
    dir[node - path - 1] = '\0';
    assert(
        fake_xs_value_in(dir, HCLIF_NODE_STATE)); /* else it makes a new one */
    for (const char *c = value; c && *c; c++) {
        assert(*c >= 0x20 && *c < 0x7f);
    }
    if (value && strcmp(node, HCLIF_NODE_STATE) == 0) {
        check_state(dir, value);
    }
}

/* ---- Guests and the toolstack ------------------------------------------ */

struct place {
    uint32_t domid, devid;
    char back[64], front[64];
};

static struct place take_place(uint32_t which)
{
    struct place place = {.domid = XEN_FIRST_DOMID + (which & 1),
                          .devid = which >> 1 & 1};

    snprintf(place.back, sizeof(place.back), BACKEND_DIR "/%u/%u", place.domid,
             place.devid);
    snprintf(place.front, sizeof(place.front), "/local/domain/%u/device/hcl/%u",
             place.domid, place.devid);
    return place;
}

/* A name that is known, or any. */
static const char *take_node(char *buf, size_t size)
{
    static const char *const nodes[] = {
        "state",           "generation",  "incarnation",
        "version",         "control-ref", "event-channel-0",
        "event-channel-1", "device",      "domain",
        "frontend-id",     "options",     "online",
        "pause",           "uuid",        "frontend",
        "error",           "departed",    "class",
        "max-queues",      "backend"};
    uint32_t which = fuzz_u8(input);

    if (which < sizeof(nodes) / sizeof(*nodes)) {
        return nodes[which];
    }
    fuzz_name(input, buf, which < 128 ? 4 : size, 'x');
    return buf[0] && !strchr(buf, '/') ? buf : "state";
}

static void write_node(const struct place *place, bool front)
{
    static const char *const values[] = {"0",
                                         "1",
                                         "2",
                                         "3",
                                         "4",
                                         "5",
                                         "6",
                                         "7",
                                         "10",
                                         "01",
                                         "",
                                         "dev0",
                                         "dev1",
                                         "guest3",
                                         "0c1ffcd1e59a8e57",
                                         "0C1FFCD1E59A8E57",
                                         "0000000000000000",
                                         "131072",
                                         "4294967295",
                                         "4294967296",
                                         "99999999999",
                                         "x=1,y=2",
                                         "="};
    char path[FAKE_XS_PATH], name[32], value[FAKE_XS_VALUE + 1];
    const char *node = take_node(name, sizeof(name));
    uint32_t which = fuzz_u8(input);
    size_t bytes;

    snprintf(path, sizeof(path), "%s/%s", front ? place->front : place->back,
             node);
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

/* Any path below backend/hcl, with any names. */
static void write_path(void)
{
    char path[FAKE_XS_PATH], name[48];

    fuzz_name(input, name, sizeof(name), '1');
    snprintf(path, sizeof(path), BACKEND_DIR "/%s", name);
    fake_xs_write(path, "", 0);
}

static void remove_node(const struct place *place, bool front)
{
    char path[FAKE_XS_PATH], name[32];
    uint32_t what = fuzz_u8(input) & 7;

    if (what == 0) {
        fake_xs_remove(front ? place->front : place->back);
    } else if (what == 1) {
        fake_xs_remove(BACKEND_DIR);
    } else {
        snprintf(path, sizeof(path), "%s/%s",
                 front ? place->front : place->back,
                 take_node(name, sizeof(name)));
        if (what == 2) {
            fake_xs_deny(path);
        } else {
            fake_xs_remove(path);
        }
    }
}

static void attach(const struct place *place)
{
    static const char *const devices[] = {"dev0", "dev1", "other", "dev0"};
    uint32_t what = fuzz_u8(input);
    char number[16];

    snprintf(number, sizeof(number), "%u", place->domid);
    fake_xs_write_in(place->front, "backend-id", "0");
    fake_xs_write_in(place->front, "state", "1");
    fake_xs_write_in(place->back, "frontend-id", number);
    fake_xs_write_in(place->back, "device", devices[what & 3]);
    fake_xs_write_in(place->back, "domain", what & 4 ? "evil" : "guest");
    fake_xs_write_in(place->back, "online", what & 8 ? "0" : "1");
    fake_xs_write_in(place->back, "options", what & 16 ? "key=value" : "");
    fake_xs_write_in(place->back, "state", "1");
}

static void change_pages(void)
{
    uint8_t *page = (uint8_t *)&xen.control;
    uint32_t what = fuzz_u8(input);

    if (what < 64) {
        page[what] = fuzz_u8(input);
    } else if (what < 128) {
        xen.bad_ref = XEN_FIRST_REF + (what & 63);
    } else {
        xen.control.refs[what & 15] = fuzz_u8(input);
    }
}

/* Memory of a layout in which the input has a word. */
static void fill_pages(const char *generation)
{
    uint32_t extra[HCLIF_MAX_EXTRA_PAGES], what = fuzz_u8(input);
    struct hcl_layout layout = {.num_queues = 1 + (what & 1),
                                .ring_page_order = what >> 1 & 3,
                                .tx_pages = 1 + (what >> 3 & 7),
                                .rx_pages = what & 0x40 ? 1024 : 1};
    static uint32_t refs[2048];

    for (uint32_t i = 0; i < 2048; i++) {
        refs[i] = XEN_FIRST_REF + i;
    }
    for (uint32_t i = 0; i < HCLIF_MAX_EXTRA_PAGES; i++) {
        extra[i] = XEN_EXTRA_REF + i;
    }
    hcl_control_fill(&xen.control, xen.extra, &layout,
                     strtoull(generation, NULL, 16), INCARNATION, extra, refs,
                     refs + hcl_layout_ro_pages(&layout));
    if (what & 0x80) {
        change_pages();
    }
}

/* As a good frontend does, but that one thing may be wrong. */
static void publish(const struct place *place)
{
    static const char *const nodes[] = {"incarnation",     "version",
                                        "control-ref",     "generation",
                                        "event-channel-0", "event-channel-1"};
    const char *generation = fake_xs_value_in(place->back, "generation");
    const char *values[] = {"0c1ffcd1e59a8e57", "1",  "8",
                            generation,         "14", "15"};
    uint32_t odd = fuzz_u8(input);

    values[3] = generation ? generation : "x";
    fill_pages(values[3]);
    for (uint32_t i = 0; i < 6; i++) {
        if (odd % 16 == i) {
            values[i] = i == 0 && odd & 0x80 ? "0000000000000000" : "9";
        } else if (odd % 16 == i + 6) {
            continue; /* missing */
        }
        fake_xs_write_in(place->front, nodes[i], values[i]);
    }
    fake_xs_write_in(place->front, "state", "3");
}

static void node_step(uint32_t what)
{
    struct place place = take_place(what >> 5);
    char state[] = "0";

    switch (what & 7) {
    case 0:
        attach(&place);
        break;
    case 1:
        publish(&place);
        break;
    case 2:
        state[0] = (char)('0' + fuzz_u8(input) % 10);
        fake_xs_write_in(place.front, "state", state);
        break;
    case 3:
        remove_node(&place, what & 8);
        break;
    case 4:
        change_pages();
        break;
    case 5:
        if (what & 8) {
            write_path();
            break;
        }
        __attribute__((fallthrough));
    default:
        write_node(&place, what & 8);
    }
}

static void meanwhile(void)
{
    if (meanwhile_left > 0 && fuzz_more(input)) {
        meanwhile_left--;
        node_step(fuzz_u8(input));
    }
}

/* ---- The world --------------------------------------------------------- */

static void world_step(uint32_t what)
{
    static const int codes[] = {EACCES, EINVAL, ENOSPC, E2BIG, EIO, ENOMEM};
    int code = codes[(what >> 4) % 6];

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
        xen.fail_open = -code;
        break;
    case 5:
        xen.fail_map = -code;
        break;
    case 6:
        xen.fail_spawn = -code;
        break;
    case 7:
        xen.unkillable = what & 16;
        break;
    case 8:
        fake_xs.broken = (what & 0xf0) == 0xf0;
        break;
    case 9:
        fake_signal(what >> 4 == 15 ? SIGTERM : SIGCHLD);
        break;
    case 10:
        fake_xs.absolute = what & 16;
        break;
    default:
        if (what & 16) {
            fake_skip_to_timer();
        } else {
            fake_now_us += (uint64_t)(what >> 5) * 300000;
        }
    }
}

/* Nothing else happens any more but that all is ended. */
static void end_step(void)
{
    if (!told_to_end) {
        told_to_end = true;
        fake_signal(SIGTERM);
        return;
    }
    for (unsigned int i = 0; i < PROCESSES; i++) {
        if (worker_listen(&processes[i], true)) {
            return;
        }
    }
    fake_skip_to_timer();
}

static void idle(void)
{
    uint32_t what;

    if (process_any_ended()) {
        fake_signal(SIGCHLD);
        return;
    }
    if (!fuzz_more(input)) {
        end_step();
        return;
    }
    what = fuzz_u8(input);
    switch (what & 3) {
    case 0:
        worker_step(input, what >> 2);
        break;
    case 1:
        world_step(fuzz_u8(input));
        break;
    default:
        node_step(fuzz_u8(input));
    }
}

static uint32_t ready(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    if (fd == FAKE_XS_FD) {
        return fake_xs.num_events > 0 || fake_xs.broken ? EPOLLIN : 0;
    }
    return poll(&pollfd, 1, 0) > 0 ? (uint32_t)pollfd.revents : 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* It says that it is ready, each time. */
    if (!freopen("/dev/null", "w", stdout)) {
        abort();
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const specs[] = {
        "name=dev0,class=echo,allow=guest*|any,max-pool-pages=2000",
        "name=dev1,class=rng"};
    struct hcl_device_config devices[2];
    struct hcl_settings settings = HCL_SETTINGS_DEFAULTS;
    struct hcl_supervisor_setup setup = {.worker = "worker",
                                         .specs = specs,
                                         .devices = devices,
                                         .settings = &settings};
    struct fuzz_input in = {data, size};
    uint32_t what = fuzz_u8(&in);
    struct hcl_err err = {0};
    int ret;

    input = &in;
    meanwhile_left = 0;
    told_to_end = false;
    workers_reset();
    xen_reset();
    fake_xs_reset(0);
    fake_xs_commits = commits;
    fake_xs_meanwhile = meanwhile;
    fake_ready = ready;
    fake_idle = idle;
    fake_now_us = 1000000;
    setup.num_devices = what & 1 ? 2 : 1;
    setup.hotplug = what & 2 ? "script" : NULL;
    for (unsigned int i = 0; i < setup.num_devices; i++) {
        ret = hcl_device_config_parse(&devices[i], specs[i], NULL);
        assert(ret == 0);
        devices[i].limits.max_queues = 2; /* as a later version may offer */
    }
    ret = hcl_supervisor_run(&setup, &err);
    assert(ret == 0 || (err.code == ret && err.text[0]));
    assert(!fake_xs.open && !fake_loop);
    xen_check_end();
    return 0;
}
