/* SPDX-License-Identifier: MIT */
/*
 * test_backend_supervisor.h: the supervisor in a thread of its own, with the
 * xenstore of test_backend_store.h and this program as its worker; and what the
 * toolstack and a guest do.
 */
#ifndef TEST_BACKEND_SUPERVISOR_H
#define TEST_BACKEND_SUPERVISOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "supervisor.h"
#include "test_backend_store.h"

#define GUEST "3"
#define BACK "/local/domain/0/backend/hcl/" GUEST "/"
#define FRONT "/local/domain/" GUEST "/device/hcl/"
#define FIRST_REF 100

/* ---- The worker --------------------------------------------------------- */

/* What it does with a connection, by its devid. */
enum behaviour {
    SERVES = 0,
    CANNOT_MAP,
    FINDS_FAULT,
    CRASHES,
    SEES_DEATH,
    LOSES_DEVICE,
    HANGS,
    SLOW = 100,
    FINDS_IT_DEAD,
    HAS_TOO_LITTLE,
    ENDS_AT_ONCE,
    HANGS_AT_THE_END,
    LOSES_DEVICE_AND_HANGS,
    HANGS_TOO,
    LIES,
    SAYS_ITS_SHARE,
};

static void say(uint32_t type, uint32_t connection, uint32_t reason,
                const char *text)
{
    struct hcl_message message;

    memset(&message, 0, sizeof(message));
    message.type = type;
    switch (type) {
    case HCL_MESSAGE_READY:
        strcpy(message.ready.class_name, "echo");
        strcpy(message.ready.idempotent, "3,4,5");
        break;
    case HCL_MESSAGE_FAILED:
        message.failed.mistake = reason;
        strcpy(message.failed.text, text);
        break;
    case HCL_MESSAGE_DEVICE_FAILED:
        strcpy(message.device_failed.text, text);
        break;
    case HCL_MESSAGE_CONNECTED:
        message.connected.connection = connection;
        break;
    default: /* REFUSED and CLOSED are alike */
        message.closed.connection = connection;
        message.closed.reason = reason;
        strcpy(message.closed.text, text);
    }
    if (hcl_message_send(HCL_MESSAGE_FD, &message, NULL, NULL) < 0) {
        exit(1);
    }
}

static bool hang_at_the_end;

static void hang(void)
{
    for (;;) {
        pause();
    }
}

static void worker_connect(const struct hcl_message_connect *connect)
{
    uint32_t id = connect->connection;
    char text[HCL_ERR_TEXT];

    /* What is registered where, by its first reference. */
    if (connect->ro_offset != FIRST_REF << 12 ||
        connect->rw_offset !=
            (FIRST_REF + hcl_layout_ro_pages(&connect->layout)) << 12) {
        exit(1);
    }
    switch (connect->devid) {
    case CANNOT_MAP:
        say(HCL_MESSAGE_REFUSED, id, HCL_REFUSAL_MAP, "cannot map 8 pages");
        return;
    case CRASHES:
        abort();
    case SLOW:
        usleep(300000);
        say(HCL_MESSAGE_CONNECTED, id, 0, "");
        return;
    case FINDS_IT_DEAD:
        say(HCL_MESSAGE_REFUSED, id, HCL_REFUSAL_GONE, "it ended");
        return;
    case HAS_TOO_LITTLE:
        say(HCL_MESSAGE_REFUSED, id, HCL_REFUSAL_OTHER, "no memory");
        return;
    case HANGS:
    case HANGS_TOO:
        hang();
        return;
    case HANGS_AT_THE_END:
    case LOSES_DEVICE_AND_HANGS:
        hang_at_the_end = true;
        say(HCL_MESSAGE_CONNECTED, id, 0, "");
        break;
    default:
        say(HCL_MESSAGE_CONNECTED, id, 0, "");
    }
    switch (connect->devid) {
    case SAYS_ITS_SHARE:
        snprintf(text, sizeof(text), "weight %u, %u requests, %u KiB",
                 connect->share.weight, connect->share.max_requests_per_s,
                 connect->share.max_kib_per_s);
        say(HCL_MESSAGE_CLOSED, id, HCL_CLOSE_FAULT, text);
        break;
    case FINDS_FAULT:
        say(HCL_MESSAGE_CLOSED, id, HCL_CLOSE_FAULT, "tag in use: 7");
        break;
    case SEES_DEATH:
        usleep(200000);
        say(HCL_MESSAGE_CLOSED, id, HCL_CLOSE_PEER_GONE, "it ended");
        break;
    case LIES:
        /* The connection before this one is another worker's. */
        say(HCL_MESSAGE_CLOSED, id - 1, HCL_CLOSE_FAULT, "a lie");
        say(HCL_MESSAGE_CLOSED, id, HCL_CLOSE_FAULT, "the truth");
        break;
    case ENDS_AT_ONCE:
        say(HCL_MESSAGE_CLOSED, id, HCL_CLOSE_PEER_GONE, "it ended");
        break;
    case LOSES_DEVICE:
    case LOSES_DEVICE_AND_HANGS:
        say(HCL_MESSAGE_DEVICE_FAILED, 0, 0, "unplugged");
        break;
    default:
        break;
    }
}

static void worker_config(const char *text)
{
    struct hcl_spec spec;
    const char *path;

    if (hcl_spec_parse(&spec, text, NULL) < 0) {
        exit(1);
    }
    if (hcl_spec_get(&spec, "mistake")) {
        say(HCL_MESSAGE_FAILED, 0, 1, "mistake=: unknown key");
        exit(1);
    }
    path = hcl_spec_get(&spec, "gate");
    if (path) {
        /* A FIFO: until the test opens it, too. */
        close(open(path, O_RDONLY | O_CLOEXEC));
    }
    path = hcl_spec_get(&spec, "path");
    if (path && access(path, F_OK) < 0) {
        say(HCL_MESSAGE_FAILED, 0, 0, "cannot open it");
        exit(1);
    }
    if (hcl_spec_get(&spec, "nonsense")) {
        say(HCL_MESSAGE_CONNECTED, 1, 0, "");
    }
    say(HCL_MESSAGE_READY, 0, 0, "");
    if (hcl_spec_get(&spec, "dies")) {
        exit(1);
    }
}

static int worker(void)
{
    struct pollfd pollfd = {.fd = HCL_MESSAGE_FD, .events = POLLIN};
    struct hcl_message message;
    int fds[HCL_MESSAGE_FDS];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_IGN);
    while (poll(&pollfd, 1, -1) >= 0 &&
           hcl_message_receive(HCL_MESSAGE_FD, &message, fds, NULL) == 1) {
        switch (message.type) {
        case HCL_MESSAGE_CONFIG:
            worker_config(message.config.spec);
            break;
        case HCL_MESSAGE_CONNECT:
            close(fds[0]);
            close(fds[1]);
            worker_connect(&message.connect);
            break;
        case HCL_MESSAGE_DISCONNECT:
            if (hang_at_the_end) {
                hang();
            }
            say(HCL_MESSAGE_CLOSED, message.disconnect.connection,
                HCL_CLOSE_ASKED, "");
            break;
        default:
            if (hang_at_the_end) {
                hang();
            }
            return 0;
        }
    }
    return 1;
}

/* ---- The supervisor, in a thread ---------------------------------------- */

#define MAX_DEVICES 2

static const char *specs[MAX_DEVICES];
static struct hcl_device_config devices[MAX_DEVICES];
static struct hcl_settings settings;
static struct hcl_supervisor_setup setup = {
    .settings = &settings, .specs = specs, .devices = devices};
static pthread_t thread;
static bool running;
static int sockets_before;
static struct hcl_err result;
static char self[256];

static void *run(void *arg)
{
    (void)arg;
    memset(&result, 0, sizeof(result));
    if (hcl_supervisor_run(&setup, &result) == 0) {
        result.code = 0;
    }
    return NULL;
}

static void start(const char *first, const char *second)
{
    setup.worker = self;
    setup.num_devices = second ? 2 : 1;
    specs[0] = first;
    specs[1] = second;
    for (unsigned int i = 0; i < setup.num_devices; i++) {
        assert_int_equal(hcl_device_config_parse(&devices[i], specs[i], NULL),
                         0);
    }
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    running = true;
}

static void join(void)
{
    running = false;
    pthread_join(thread, NULL);
}

/* Descriptors that are sockets; each worker has one. */
static int count_sockets(void)
{
    struct stat status;
    int count = 0;

    for (int fd = 0; fd < 1024; fd++) {
        count += fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    }
    return count;
}

/* Nothing may be left behind, however a test ended. */
static void stop(void)
{
    int status;

    kill(getpid(), SIGTERM);
    join();
    assert_int_equal(fake_open_handles, 0);
    assert_int_equal(fake_mapped, 0);
    assert_int_equal(fake_alone, 0);
    assert_int_equal(count_sockets(), sockets_before);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

/* An empty host, and a supervisor that does not take long for anything. */
static int set_up_nothing(void **state)
{
    static const struct hcl_settings defaults = HCL_SETTINGS_DEFAULTS;

    (void)state;
    memset(&fake, 0, sizeof(fake));
    memset(fake_control, 0, sizeof(fake_control));
    sockets_before = count_sockets();
    fake_bad_ref = FAKE_NO_REF;
    fake_maps = 0;
    fake_mapped = 0;
    fake_fives = 0;
    fake_alone = 0;
    fake_restricted = -1;
    fake_deaf = false;
    fake_late = NULL;
    fake_control_reads = 0;
    setup.hotplug = NULL;
    settings = defaults;
    settings.retry_backoff_ms = 200;
    settings.stop_timeout_ms = 500;
    return 0;
}

__attribute__((unused)) static int set_up(void **state)
{
    set_up_nothing(state);
    start("name=dev0,class=echo,allow=guest*", NULL);
    return 0;
}

__attribute__((unused)) static int tear_down(void **state)
{
    (void)state;
    stop();
    assert_int_equal(result.code, 0);
    return 0;
}

/* After a test that stops it itself, unless it has failed. */
__attribute__((unused)) static int tear_down_rest(void **state)
{
    (void)state;
    fake_no_gntdev = false;
    if (running) {
        stop();
    }
    return 0;
}

/* ---- The toolstack and the guest ---------------------------------------- */

/* Waits until the node has the value; NULL: until it is missing. */
static void expect(const char *path, const char *value)
{
    char now[512] = "";

    for (int i = 0; i < 10000; i++) {
        bool there = fake_get(path, now, sizeof(now));

        if (value ? there && strcmp(now, value) == 0 : !there) {
            return;
        }
        usleep(1000);
    }
    fail_msg("%s is \"%s\", not \"%s\"", path, now, value ? value : "missing");
}

__attribute__((unused)) static void expect_part(const char *path,
                                                const char *part)
{
    char now[512] = "";

    for (int i = 0; i < 10000; i++) {
        if (fake_get(path, now, sizeof(now)) && strstr(now, part)) {
            return;
        }
        usleep(1000);
    }
    fail_msg("%s is \"%s\", without \"%s\"", path, now, part);
}

static void set(const char *dir, int devid, const char *node, const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), "%s%d/%s", dir, devid, node);
    fake_set(path, value);
}

static void get(const char *dir, int devid, const char *node, char *buf,
                size_t size)
{
    char path[128];

    snprintf(path, sizeof(path), "%s%d/%s", dir, devid, node);
    assert_true(fake_get(path, buf, size));
}

__attribute__((unused)) static void want(int devid, const char *node,
                                         const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), BACK "%d/%s", devid, node);
    expect(path, value);
}

__attribute__((unused)) static void want_part(int devid, const char *node,
                                              const char *part)
{
    char path[128];

    snprintf(path, sizeof(path), BACK "%d/%s", devid, node);
    expect_part(path, part);
}

static void attach_as(int devid, const char *device, const char *domain)
{
    pthread_mutex_lock(&fake_lock);
    set(FRONT, devid, "backend-id", "0");
    set(FRONT, devid, "state", "1");
    set(BACK, devid, "frontend-id", GUEST);
    set(BACK, devid, "frontend", "/local/domain/0/evil");
    set(BACK, devid, "device", device);
    set(BACK, devid, "domain", domain);
    set(BACK, devid, "online", "1");
    set(BACK, devid, "state", "1");
    pthread_mutex_unlock(&fake_lock);
}

static void attach(int devid)
{
    attach_as(devid, "dev0", "guest3");
}

static const struct hcl_layout layout = {1, 0, 2, 3};

/* As a frontend does, to 3; the references are FIRST_REF and those after it. */
static void publish(int devid, const char *incarnation)
{
    uint32_t refs[16];
    char generation[32];

    get(BACK, devid, "generation", generation, sizeof(generation));
    for (uint32_t i = 0; i < 16; i++) {
        refs[i] = FIRST_REF + i;
    }
    pthread_mutex_lock(&fake_lock);
    hcl_control_fill((struct hclif_control *)fake_control, NULL, &layout,
                     strtoull(generation, NULL, 16),
                     strtoull(incarnation, NULL, 16), NULL, refs,
                     refs + hcl_layout_ro_pages(&layout));
    set(FRONT, devid, "version", "1");
    set(FRONT, devid, "control-ref", "8");
    set(FRONT, devid, "event-channel-0", "14");
    set(FRONT, devid, "generation", generation);
    set(FRONT, devid, "incarnation", incarnation);
    set(FRONT, devid, "state", "3");
    pthread_mutex_unlock(&fake_lock);
}

#define LIFE "00000000000000aa"
#define OTHER_LIFE "00000000000000bb"
#define NO_LIFE "0000000000000000"

__attribute__((unused)) static void connect_guest(int devid)
{
    attach(devid);
    want(devid, "state", "2");
    publish(devid, LIFE);
    want(devid, "state", "4");
    set(FRONT, devid, "state", "4");
}

/* A FIFO that keeps a worker from being ready. */
struct gate {
    char path[64];
    char spec[256];
};

__attribute__((unused)) static void make_gate(struct gate *gate,
                                              const char *spec)
{
    snprintf(gate->path, sizeof(gate->path), "/tmp/test_backend_supervisor.%d",
             getpid());
    unlink(gate->path);
    assert_int_equal(mkfifo(gate->path, 0600), 0);
    snprintf(gate->spec, sizeof(gate->spec), "%s,gate=%s", spec, gate->path);
}

/* Waits until the worker is there. */
__attribute__((unused)) static void open_gate(const struct gate *gate)
{
    close(open(gate->path, O_WRONLY | O_CLOEXEC));
    unlink(gate->path);
}

/* The node has the value at this moment; NULL: it is missing. */
__attribute__((unused)) static void want_now(int devid, const char *node,
                                             const char *value)
{
    char path[128];
    char now[512] = "";
    bool there;

    snprintf(path, sizeof(path), BACK "%d/%s", devid, node);
    there = fake_get(path, now, sizeof(now));
    if (there != !!value || (value && strcmp(now, value) != 0)) {
        fail_msg("%s is \"%s\" now, not \"%s\"", path, there ? now : "missing",
                 value ? value : "missing");
    }
}

/* ---- Running ------------------------------------------------------------ */

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define BARE(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up_nothing, tear_down_rest)

/* For main: as a worker it ends here. */
__attribute__((unused)) static void prepare(int argc, char **argv)
{
    sigset_t signals;
    ssize_t length;

    if (argc == 2 && strncmp(argv[1], "-", 1) != 0) {
        exit(worker());
    }
    length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0) {
        exit(1);
    }
    self[length] = '\0';
    /* For the supervisor's thread alone, which reads them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    fake_init();
}

#endif /* TEST_BACKEND_SUPERVISOR_H */
