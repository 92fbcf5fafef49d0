/* SPDX-License-Identifier: MIT */
/* The classes echo, rng and serial against doc/protocol.md 6. */
#include "test_backend_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void rig_open_class(struct rig *rig, const char *class, const char *spec)
{
    struct hcl_err err = {0};
    int rc = rig_open(rig, hcl_class_find(class), spec, &err);

    if (rc < 0) {
        fail_msg("%s: %s", spec, err.text);
    }
}

/* What opening with a mistake says. */
static int open_error(const char *class, const char *spec, struct hcl_err *err)
{
    struct rig rig;

    return rig_open(&rig, hcl_class_find(class), spec, err);
}

static struct hclif_request request_of(uint32_t tag, uint8_t opcode,
                                       uint32_t tx_bytes, uint32_t rx_bytes)
{
    struct hclif_request request = {.tag = tag,
                                    .opcode = opcode,
                                    .tx_bytes = tx_bytes,
                                    .rx_bytes = rx_bytes};

    return request;
}

/* ---- echo --------------------------------------------------------------- */

static void echo_answers_with_the_payload_cut_to_the_room(void **state)
{
    struct hclif_request request = request_of(1, HCLIF_OP_EXCHANGE, 8, 5);
    struct hclif_completion completion;
    struct rig_guest guest;
    struct rig rig;

    (void)state;
    rig_open_class(&rig, "echo", "name=e");
    rig_connect(&rig, &guest);
    rig_open_handle(&guest);
    memcpy(request.data, "12345678", 8);
    rig_send(&guest, request);
    completion = rig_expect(&guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 5);
    assert_memory_equal(completion.data, "12345", 5);
    memcpy(rig_tx_pool(&guest) + 9000, "from the pool", 13);
    request = request_of(2, HCLIF_OP_EXCHANGE, 13, 100);
    request.flags = HCLIF_TX_POOL | HCLIF_RX_POOL;
    request.tx_offset = 9000;
    request.rx_offset = 12000;
    rig_send(&guest, request);
    completion = rig_expect(&guest, 2, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 13);
    assert_memory_equal(rig_rx_pool(&guest) + 12000, "from the pool", 13);
    rig_disconnect(&guest);
    rig_close(&rig);
}

static void echo_reads_zeros_and_discards_writes(void **state)
{
    struct hclif_completion completion;
    struct rig_guest guest;
    struct rig rig;
    uint8_t zeros[48] = {0};

    (void)state;
    rig_open_class(&rig, "echo", "name=e");
    rig_connect(&rig, &guest);
    rig_open_handle(&guest);
    rig_send(&guest, request_of(1, HCLIF_OP_READ, 0, 48));
    completion = rig_expect(&guest, 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 48);
    assert_memory_equal(completion.data, zeros, 48);
    rig_send(&guest, request_of(2, HCLIF_OP_WRITE, 28, 0));
    completion = rig_expect(&guest, 2, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 0);
    rig_disconnect(&guest);
    rig_close(&rig);
}

/* ---- rng ---------------------------------------------------------------- */

/* A FIFO stands in for the generator; both ends stay open. */
struct generator {
    char path[64];
    int fd;
    struct rig rig;
    struct rig_guest guests[2];
};

static int generator_set_up(void **state)
{
    struct generator *g = calloc(1, sizeof(*g));
    char spec[128];

    snprintf(g->path, sizeof(g->path), "/tmp/test_backend_rng.%d", getpid());
    unlink(g->path);
    assert_int_equal(mkfifo(g->path, 0600), 0);
    g->fd = open(g->path, O_RDWR);
    assert_true(g->fd >= 0);
    snprintf(spec, sizeof(spec), "name=r,path=%s", g->path);
    rig_open_class(&g->rig, "rng", spec);
    for (uint32_t i = 0; i < 2; i++) {
        rig_connect(&g->rig, &g->guests[i]);
        rig_open_handle(&g->guests[i]);
    }
    *state = g;
    return 0;
}

static int generator_tear_down(void **state)
{
    struct generator *g = *state;

    rig_disconnect(&g->guests[0]);
    rig_disconnect(&g->guests[1]);
    rig_close(&g->rig);
    if (g->fd >= 0) {
        close(g->fd);
    }
    unlink(g->path);
    free(g);
    return 0;
}

static void feed(struct generator *g, const char *bytes)
{
    assert_int_equal(write(g->fd, bytes, strlen(bytes)), strlen(bytes));
}

static void rng_completes_short_with_what_is_there(void **state)
{
    struct generator *g = *state;
    struct hclif_completion completion;

    rig_send(&g->guests[0], request_of(1, HCLIF_OP_READ, 0, 48));
    assert_false(rig_take(&g->guests[0], &completion));
    feed(g, "abc");
    completion = rig_wait(&g->guests[0], 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 3);
    assert_memory_equal(completion.data, "abc", 3);
    rig_send(&g->guests[0], request_of(1, HCLIF_OP_READ, 0, 0));
    rig_expect(&g->guests[0], 1, HCLIF_STATUS_INVALID);
}

static void rng_gives_no_byte_twice(void **state)
{
    struct generator *g = *state;
    char seen[9] = {0};

    for (uint32_t i = 0; i < 8; i++) {
        rig_send(&g->guests[i % 2], request_of(i, HCLIF_OP_READ, 0, 1));
    }
    feed(g, "12345678");
    for (uint32_t i = 0; i < 8; i++) {
        struct hclif_completion completion =
            rig_wait(&g->guests[i % 2], i, HCLIF_STATUS_OK);

        assert_int_equal(completion.rx_bytes, 1);
        assert_in_range(completion.data[0], '1', '8');
        seen[completion.data[0] - '1']++;
    }
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void rng_serves_guests_in_turn(void **state)
{
    struct generator *g = *state;

    for (uint32_t i = 0; i < 20; i++) {
        rig_send(&g->guests[0], request_of(i, HCLIF_OP_READ, 0, 1));
    }
    rig_send(&g->guests[1], request_of(0, HCLIF_OP_READ, 0, 1));
    feed(g, "xy"); /* the second byte goes to the second guest */
    rig_wait(&g->guests[0], 0, HCLIF_STATUS_OK);
    rig_wait(&g->guests[1], 0, HCLIF_STATUS_OK);
    assert_int_equal(hcl_connection_in_flight(g->guests[0].connection), 19);
}

static void rng_takes_no_byte_for_a_cancelled_read(void **state)
{
    struct generator *g = *state;
    struct hclif_request cancel = request_of(5, HCLIF_OP_CANCEL, 0, 0);
    struct hclif_completion completion;

    rig_send(&g->guests[0], request_of(1, HCLIF_OP_READ, 0, 48));
    cancel.argument = 1;
    rig_send(&g->guests[0], cancel);
    rig_expect(&g->guests[0], 1, HCLIF_STATUS_CANCELLED);
    rig_expect(&g->guests[0], 5, HCLIF_STATUS_OK);
    feed(g, "zz");
    rig_send(&g->guests[1], request_of(2, HCLIF_OP_READ, 0, 48));
    completion = rig_wait(&g->guests[1], 2, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 2);
}

static void rng_that_stops_has_failed(void **state)
{
    struct generator *g = *state;
    struct hclif_completion completion;

    rig_send(&g->guests[0], request_of(1, HCLIF_OP_READ, 0, 48));
    close(g->fd);
    g->fd = -1;
    completion = rig_wait(&g->guests[0], 1, HCLIF_STATUS_IO);
    assert_true(completion.rx_bytes > 0);
    assert_int_equal(g->rig.failures, 1);
    rig_send(&g->guests[1], request_of(1, HCLIF_OP_READ, 0, 48));
    rig_expect(&g->guests[1], 1, HCLIF_STATUS_IO);
}

static void rng_that_stops_while_idle_has_failed(void **state)
{
    struct generator *g = *state;
    uint64_t end = hcl_now_us() + 5000000;

    close(g->fd);
    g->fd = -1;
    while (g->rig.failures == 0 && hcl_now_us() < end) {
        hcl_loop_poll(g->rig.loop, 100000);
    }
    assert_int_equal(g->rig.failures, 1);
    /* And nothing keeps the loop busy afterwards. */
    assert_int_equal(hcl_loop_poll(g->rig.loop, 20000), 0);
}

/* In the helper's parent; says so once it has the helper. */
static void open_and_wait(const char *path, int ready)
{
    char spec[128];
    struct rig rig;

    snprintf(spec, sizeof(spec), "path=%s", path);
    if (rig_open(&rig, hcl_class_find("rng"), spec, NULL) == 0 &&
        write(ready, "", 1) == 1) {
        pause();
    }
    _exit(1);
}

/* The device may keep it waiting for ever. */
static void rng_helper_ends_with_a_worker_that_is_killed(void **state)
{
    char path[] = "/tmp/test_backend_rng.XXXXXX";
    int ready[2], fifo;
    pid_t worker, helper = 0;
    char byte;

    (void)state;
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    fifo = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    /* Who has lost its parent is ours. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    worker = fork();
    if (worker == 0) {
        open_and_wait(path, ready[1]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(worker, SIGKILL);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    for (int i = 0; helper == 0 && i < 10000; i++) {
        usleep(1000);
        helper = waitpid(-1, NULL, WNOHANG);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(fifo);
    close(ready[0]);
    close(ready[1]);
    unlink(path);
    assert_true(helper > 0);
}

static void rng_answers_nothing_after_the_end_of_a_file(void **state)
{
    char path[] = "/tmp/test_backend_rng.XXXXXX";
    int fd = mkstemp(path);
    char spec[128];
    struct rig_guest guest;
    struct rig rig;
    char all[32];
    uint32_t used = 0;

    (void)state;
    assert_int_equal(write(fd, "finite", 6), 6);
    close(fd);
    snprintf(spec, sizeof(spec), "path=%s", path);
    rig_open_class(&rig, "rng", spec);
    rig_connect(&rig, &guest);
    rig_open_handle(&guest);
    for (;;) {
        struct hclif_completion completion;

        rig_send(&guest, request_of(1, HCLIF_OP_READ, 0, 4));
        completion = rig_wait(&guest, 1, HCLIF_STATUS_OK);
        if (completion.rx_bytes == 0) {
            break;
        }
        memcpy(all + used, completion.data, completion.rx_bytes);
        used += completion.rx_bytes;
    }
    assert_int_equal(used, 6);
    assert_memory_equal(all, "finite", 6);
    assert_int_equal(rig.failures, 0);
    assert_int_equal(hcl_loop_poll(rig.loop, 20000), 0);
    rig_disconnect(&guest);
    rig_close(&rig);
    unlink(path);
}

static void rng_says_what_it_cannot_open(void **state)
{
    struct hcl_err err = {0};

    (void)state;
    assert_int_equal(open_error("rng", "path=/dev/nope", &err), -ENOENT);
    assert_string_equal(err.text,
                        "cannot open /dev/nope: No such file or directory");
}

/* ---- serial ------------------------------------------------------------- */

/* A pty: the test has the line, the class the port. */
struct line {
    int master;
    char path[64];
    struct rig rig;
    struct rig_guest guests[2];
};

static int line_set_up(void **state)
{
    struct line *l = calloc(1, sizeof(*l));
    char spec[128];
    int slave;

    assert_int_equal(openpty(&l->master, &slave, l->path, NULL, NULL), 0);
    snprintf(spec, sizeof(spec), "path=%s,baud=19200,share=broadcast", l->path);
    rig_open_class(&l->rig, "serial", spec);
    close(slave);
    for (uint32_t i = 0; i < 2; i++) {
        rig_connect(&l->rig, &l->guests[i]);
        rig_open_handle(&l->guests[i]);
    }
    *state = l;
    return 0;
}

static int line_tear_down(void **state)
{
    struct line *l = *state;

    rig_disconnect(&l->guests[0]);
    rig_disconnect(&l->guests[1]);
    rig_close(&l->rig);
    if (l->master >= 0) {
        close(l->master);
    }
    free(l);
    return 0;
}

static void speak(struct line *l, const char *bytes, size_t count)
{
    assert_int_equal(write(l->master, bytes, count), count);
}

/* Reads what the port wrote, @count bytes of it. */
static void hear(struct line *l, char *bytes, size_t count)
{
    uint64_t end = hcl_now_us() + 5000000;
    size_t used = 0;

    fcntl(l->master, F_SETFL, O_NONBLOCK);
    while (used < count) {
        ssize_t got = read(l->master, bytes + used, count - used);

        assert_true(hcl_now_us() < end);
        if (got > 0) {
            used += (size_t)got;
        } else {
            hcl_loop_poll(l->rig.loop, 1000);
            hcl_device_flush(l->rig.device);
        }
    }
}

static void serial_port_is_raw_at_its_speed(void **state)
{
    struct line *l = *state;
    struct termios termios;

    assert_int_equal(tcgetattr(l->master, &termios), 0);
    assert_int_equal(cfgetospeed(&termios), B19200);
    assert_int_equal(termios.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_int_equal(termios.c_oflag & OPOST, 0);
}

static void serial_bytes_go_to_every_handle(void **state)
{
    struct line *l = *state;

    rig_send(&l->guests[0], request_of(1, HCLIF_OP_READ, 0, 48));
    speak(l, "$GPGGA\r\n", 8);
    for (int i = 0; i < 2; i++) {
        struct hclif_completion completion;

        if (i == 1) {
            rig_send(&l->guests[1], request_of(1, HCLIF_OP_READ, 0, 48));
        }
        completion = rig_wait(&l->guests[i], 1, HCLIF_STATUS_OK);
        assert_int_equal(completion.rx_bytes, 8);
        assert_memory_equal(completion.data, "$GPGGA\r\n", 8);
        assert_int_equal(completion.flags, 0);
    }
}

static void serial_handle_gets_only_what_came_since_it_opened(void **state)
{
    struct line *l = *state;
    struct hclif_request request = request_of(2, HCLIF_OP_OPEN, 0, 0);
    struct hclif_completion completion;

    rig_send(&l->guests[0], request_of(1, HCLIF_OP_READ, 0, 48));
    speak(l, "old", 3);
    rig_wait(&l->guests[0], 1, HCLIF_STATUS_OK);
    request.handle = 1;
    rig_send(&l->guests[0], request);
    rig_expect(&l->guests[0], 2, HCLIF_STATUS_OK);
    request = request_of(3, HCLIF_OP_READ, 0, 48);
    request.handle = 1;
    rig_send(&l->guests[0], request);
    speak(l, "new", 3);
    completion = rig_wait(&l->guests[0], 3, HCLIF_STATUS_OK);
    assert_memory_equal(completion.data, "new", 3);
}

static void serial_overflow_drops_the_oldest_and_says_so(void **state)
{
    struct line *l = *state;
    struct hclif_request request = request_of(1, HCLIF_OP_READ, 0, 16384);
    struct hclif_completion completion;
    char bytes[1000];
    uint64_t end = hcl_now_us() + 5000000;
    int chunk;

    /* Guest 0 reads along, so the test knows what has arrived. */
    for (chunk = 0; chunk < 17; chunk++) {
        uint32_t arrived = 0;

        memset(bytes, 'a' + chunk, sizeof(bytes));
        speak(l, bytes, sizeof(bytes));
        while (arrived < sizeof(bytes) && hcl_now_us() < end) {
            rig_send(&l->guests[0], request_of(2, HCLIF_OP_READ, 0, 48));
            arrived += rig_wait(&l->guests[0], 2, HCLIF_STATUS_OK).rx_bytes;
        }
        assert_int_equal(arrived, sizeof(bytes));
    }
    request.flags = HCLIF_RX_POOL;
    rig_send(&l->guests[1], request);
    completion = rig_expect(&l->guests[1], 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.rx_bytes, 16384);
    assert_int_equal(completion.flags, HCLIF_OVERRUN);
    assert_int_equal(rig_rx_pool(&l->guests[1])[0], 'a');
    assert_int_equal(rig_rx_pool(&l->guests[1])[383], 'a');
    assert_int_equal(rig_rx_pool(&l->guests[1])[384], 'b');
    assert_int_equal(rig_rx_pool(&l->guests[1])[16383], 'a' + 16);
    rig_send(&l->guests[1], request);
    speak(l, "!", 1);
    completion = rig_wait(&l->guests[1], 1, HCLIF_STATUS_OK);
    assert_int_equal(completion.flags, 0);
}

/* More than a pty takes at once, so that it goes out in parts. */
#define LONG_BYTES 200000

static void serial_writes_go_out_whole_and_in_turn(void **state)
{
    struct line *l = *state;
    struct hclif_request request = request_of(1, HCLIF_OP_WRITE, LONG_BYTES, 0);
    static char bytes[LONG_BYTES + 3];
    struct hclif_completion completion;

    request.flags = HCLIF_TX_POOL;
    memset(rig_tx_pool(&l->guests[0]), 'A', LONG_BYTES);
    rig_send(&l->guests[0], request);
    assert_false(rig_take(&l->guests[0], &completion));
    request = request_of(2, HCLIF_OP_WRITE, 1, 0);
    request.data[0] = 'B';
    rig_send(&l->guests[0], request);
    request.tag = 3;
    request.data[0] = 'C';
    rig_send(&l->guests[0], request);
    request.tag = 1;
    request.data[0] = 'x';
    rig_send(&l->guests[1], request);
    hear(l, bytes, LONG_BYTES + 3);
    for (int i = 0; i < LONG_BYTES; i++) {
        assert_int_equal(bytes[i], 'A');
    }
    /* Two jobs of guest 0 waited first, but it had had the line for long. */
    assert_memory_equal(bytes + LONG_BYTES, "xBC", 3);
    rig_wait(&l->guests[0], 1, HCLIF_STATUS_OK);
    rig_wait(&l->guests[0], 2, HCLIF_STATUS_OK);
    rig_wait(&l->guests[0], 3, HCLIF_STATUS_OK);
    rig_wait(&l->guests[1], 1, HCLIF_STATUS_OK);
}

static void serial_cancelled_write_frees_the_line(void **state)
{
    struct line *l = *state;
    struct hclif_request request = request_of(1, HCLIF_OP_WRITE, LONG_BYTES, 0);
    struct hclif_request cancel = request_of(2, HCLIF_OP_CANCEL, 0, 0);
    char byte = 0;

    request.flags = HCLIF_TX_POOL;
    rig_send(&l->guests[0], request);
    request = request_of(1, HCLIF_OP_WRITE, 1, 0);
    request.data[0] = 'x';
    rig_send(&l->guests[1], request);
    cancel.argument = 1;
    rig_send(&l->guests[0], cancel);
    rig_expect(&l->guests[0], 1, HCLIF_STATUS_CANCELLED);
    while (byte != 'x') {
        hear(l, &byte, 1);
    }
    rig_wait(&l->guests[1], 1, HCLIF_STATUS_OK);
}

static void serial_port_that_hangs_up_has_failed(void **state)
{
    struct line *l = *state;

    rig_send(&l->guests[0], request_of(1, HCLIF_OP_READ, 0, 48));
    close(l->master);
    l->master = -1;
    rig_wait(&l->guests[0], 1, HCLIF_STATUS_IO);
    assert_int_equal(l->rig.failures, 1);
    rig_send(&l->guests[1], request_of(1, HCLIF_OP_WRITE, 1, 0));
    rig_expect(&l->guests[1], 1, HCLIF_STATUS_GONE);
    assert_int_equal(hcl_loop_poll(l->rig.loop, 20000), 0);
}

static void serial_mistakes_name_key_value_and_choices(void **state)
{
    static const char *const specs[] = {
        "path=/dev/null,baud=12345",  "path=/dev/null,data=9",
        "path=/dev/null,parity=mark", "path=/dev/null,stop=3",
        "path=/dev/null,flow=maybe",  "path=/dev/null,share=lock",
    };
    struct hcl_err err = {0};

    (void)state;
    assert_int_equal(open_error("serial", "baud=9600", &err), -EINVAL);
    assert_non_null(strstr(err.text, "path="));
    for (unsigned int i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        assert_int_equal(open_error("serial", specs[i], &err), -EINVAL);
        assert_non_null(strstr(err.text, strchr(specs[i], ',') + 1));
        assert_non_null(strstr(err.text, "expected one of"));
    }
    /* No mistake of the file: the path may be a port tomorrow. */
    assert_int_equal(open_error("serial", "path=/dev/null", &err), -ENOTTY);
    assert_int_equal(open_error("serial", "path=/dev/nope", &err), -ENOENT);
}

#define RNG(name)                                                              \
    cmocka_unit_test_setup_teardown(name, generator_set_up, generator_tear_down)
#define SERIAL(name)                                                           \
    cmocka_unit_test_setup_teardown(name, line_set_up, line_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_answers_with_the_payload_cut_to_the_room),
        cmocka_unit_test(echo_reads_zeros_and_discards_writes),
        RNG(rng_completes_short_with_what_is_there),
        RNG(rng_gives_no_byte_twice),
        RNG(rng_serves_guests_in_turn),
        RNG(rng_takes_no_byte_for_a_cancelled_read),
        RNG(rng_that_stops_has_failed),
        RNG(rng_that_stops_while_idle_has_failed),
        cmocka_unit_test(rng_helper_ends_with_a_worker_that_is_killed),
        cmocka_unit_test(rng_answers_nothing_after_the_end_of_a_file),
        cmocka_unit_test(rng_says_what_it_cannot_open),
        SERIAL(serial_port_is_raw_at_its_speed),
        SERIAL(serial_bytes_go_to_every_handle),
        SERIAL(serial_handle_gets_only_what_came_since_it_opened),
        SERIAL(serial_overflow_drops_the_oldest_and_says_so),
        SERIAL(serial_writes_go_out_whole_and_in_turn),
        SERIAL(serial_cancelled_write_frees_the_line),
        SERIAL(serial_port_that_hangs_up_has_failed),
        cmocka_unit_test(serial_mistakes_name_key_value_and_choices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
