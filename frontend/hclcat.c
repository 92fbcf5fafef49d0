/* SPDX-License-Identifier: MIT */
/* hclcat: copies between a device and standard input and output. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hcl.h"

enum {
    EXIT_DONE = 0,
    EXIT_USAGE = 1,
    EXIT_NO_DEVICE = 2,
    EXIT_REFUSED = 3,
    EXIT_TIMED_OUT = 4,
    EXIT_DEVICE = 5,
    EXIT_IN_USE = 6,
};

static const char usage[] =
    "usage: hclcat [-n BYTES] [-t SECONDS] [-w] NAME\n"
    "       hclcat -l\n"
    "\n"
    "Reads from the device NAME and writes it to standard output.\n"
    "\n"
    "  -l  list the devices of this guest: name, class and the backend's\n"
    "      state, separated by tabs; \"-\" is a class that is not known\n"
    "  -w  first write standard input, to its end, to the device; then read\n"
    "      only if there is -n. A device of class echo answers what it gets\n"
    "  -n  read BYTES bytes; without it, until the device ends\n"
    "  -t  take SECONDS at most for everything; to end it, if the backend\n"
    "      does not answer, three times as long again, but 3 more at most;\n"
    "      without it, 10 to connect and no limit after that\n"
    "  -h  print this\n"
    "\n"
    "Exit status: 0 done, 1 usage, or standard input or output failed, 2 no\n"
    "such device, 3 refused, 4 timed out, 5 the device failed or was "
    "detached,\n"
    "6 in use, 128 and more a signal.\n";

static const char short_usage[] =
    "usage: hclcat [-n BYTES] [-t SECONDS] [-w] NAME | hclcat -l  "
    "(-h for help)\n";

#define CONNECT_MS 10000
#define MAX_GRACE_MS 1000
#define CHUNK_BYTES 32768
#define NO_LIMIT UINT64_MAX

struct cat {
    const char *name;
    bool list, write_input;
    bool has_bytes;
    uint64_t bytes;       /* left to read; NO_LIMIT without -n */
    uint64_t deadline_ms; /* monotonic; NO_LIMIT without -t */
    uint32_t grace_ms;    /* of struct hcl_open_options */
    struct hcl_device *device;
    struct hcl_handle *handle;
    uint8_t *in; /* owned: CHUNK_BYTES of standard input, and of answers */
    uint8_t *out;
    uint32_t in_bytes;  /* what one request can carry */
    uint32_t out_bytes; /* what one answer can carry */
    int wake_fd;        /* readable once a signal has come */
    int ended;          /* why the device is of no use any more, or 0 */
};

/* The write end of a pipe, so that a signal cannot come between test and poll.
 */
static int signal_fd = -1;
static volatile sig_atomic_t signal_number;

static void on_signal(int number)
{
    int saved_errno = errno;

    signal_number = number;
    (void)!write(signal_fd, "", 1);
    errno = saved_errno;
}

__attribute__((format(printf, 2, 3))) static void
complain(const struct cat *cat, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (cat->name) {
        fprintf(stderr, "hclcat: %s: %s\n", cat->name, text);
    } else {
        fprintf(stderr, "hclcat: %s\n", text);
    }
}

/* ---- Arguments --------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool parse_bytes(struct cat *cat, const char *text)
{
    char *end;

    errno = 0;
    cat->bytes = strtoull(text, &end, 10);
    cat->has_bytes = true;
    if (errno || *end || *text < '0' || *text > '9' || cat->bytes == NO_LIMIT) {
        complain(cat, "-n takes a number of bytes, not \"%s\"", text);
        return false;
    }
    return true;
}

static bool parse_seconds(struct cat *cat, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    uint64_t ms;

    if (end == text || *end || !(seconds > 0) || seconds > 1e9) {
        complain(cat, "-t takes a number of seconds above 0, not \"%s\"", text);
        return false;
    }
    ms = (uint64_t)(seconds * 1000 + 0.999); /* rounded up */
    cat->deadline_ms = now_ms() + ms;
    cat->grace_ms = ms < MAX_GRACE_MS ? (uint32_t)ms : MAX_GRACE_MS;
    return true;
}

/* False: say how it is used and end with *@ret_exit. */
static bool parse(struct cat *cat, int argc, char **argv, int *ret_exit)
{
    int option;

    *ret_exit = EXIT_USAGE;
    while ((option = getopt(argc, argv, "hln:t:w")) != -1) {
        switch (option) {
        case 'h':
            *ret_exit = EXIT_DONE;
            return false;
        case 'l':
            cat->list = true;
            break;
        case 'n':
            if (!parse_bytes(cat, optarg)) {
                return false;
            }
            break;
        case 't':
            if (!parse_seconds(cat, optarg)) {
                return false;
            }
            break;
        case 'w':
            cat->write_input = true;
            break;
        default:
            return false; /* getopt has said what is wrong */
        }
    }
    if (cat->list ? optind != argc || cat->has_bytes || cat->write_input
                  : optind != argc - 1) {
        complain(cat, cat->list ? "-l takes no name and no other option"
                                : "one device is needed, by name");
        return false;
    }
    cat->name = cat->list ? NULL : argv[optind];
    return true;
}

/* ---- Waiting ----------------------------------------------------------- */

/* What poll() takes: the time that is left. */
static int time_left_ms(const struct cat *cat)
{
    uint64_t now = now_ms();

    if (cat->deadline_ms == NO_LIMIT) {
        return -1;
    }
    if (now >= cat->deadline_ms) {
        return 0;
    }
    return cat->deadline_ms - now > 1000000000 ? 1000000000
                                               : (int)(cat->deadline_ms - now);
}

/* Places of descriptors in what wait_once polls. */
enum { WAKE, WANTED, OUT, DEVICE, NUM_FDS };

static int wait_once(const struct cat *cat, struct pollfd *fds)
{
    int ret;

    do {
        ret = poll(fds, NUM_FDS, time_left_ms(cat));
    } while (ret < 0 && errno == EINTR);
    if (ret < 0) {
        return -errno;
    }
    if (fds[WAKE].revents) {
        return -EINTR;
    }
    if (fds[OUT].revents & POLLERR) {
        return -EPIPE;
    }
    return ret == 0 ? -ETIMEDOUT : 0;
}

/*
 * Waits until @fd has one of @events (or an error); 0, or -EINTR after a
 * signal, -ETIMEDOUT, -EPIPE when nobody reads @out_fd (-1: no matter), -errno.
 * Meanwhile the device is served, so that a detach or save does not wait for
 * us; its end ends a wait for input, while output is still due.
 */
static int wait_for(struct cat *cat, int fd, short events, int out_fd)
{
    int ret, device_fd = hcl_device_fd(cat->device);
    struct pollfd fds[NUM_FDS] = {
        [WAKE] = {.fd = cat->wake_fd, .events = POLLIN},
        [WANTED] = {.fd = fd, .events = events},
        [OUT] = {.fd = out_fd}, /* POLLERR comes unasked */
        [DEVICE] = {.fd = device_fd, .events = POLLIN},
    };

    for (;;) {
        if (fd == device_fd || cat->ended) {
            fds[DEVICE].fd = -1;
        }
        if (cat->ended && events == POLLIN) {
            return cat->ended;
        }
        ret = wait_once(cat, fds);
        if (ret < 0) {
            return ret;
        }
        if (fds[DEVICE].fd >= 0 && fds[DEVICE].revents) {
            cat->ended = hcl_process(cat->device, NULL);
        }
        if (fds[WANTED].revents) {
            return 0;
        }
    }
}

static int wait_for_result(struct cat *cat, struct hcl_result *result)
{
    bool to_print = !cat->write_input || cat->has_bytes;
    int ret;

    for (;;) {
        ret = hcl_reap(cat->device, result, 1);
        if (ret != 0) {
            return ret < 0 ? ret : 0;
        }
        ret = wait_for(cat, hcl_device_fd(cat->device), POLLIN,
                       to_print ? STDOUT_FILENO : -1);
        if (ret < 0) {
            return ret;
        }
    }
}

/* Why the run ends; the exit status. */
static int end_by(const struct cat *cat, int ret)
{
    struct hcl_err err;

    if (ret == -EINTR) {
        return 128 + signal_number;
    }
    if (ret == -EPIPE) {
        return 128 + SIGPIPE; /* the reader has enough: no complaint */
    }
    if (ret == -ETIMEDOUT) {
        complain(cat, "timed out");
        return EXIT_TIMED_OUT;
    }
    if (hcl_process(cat->device, &err) < 0) {
        complain(cat, "%s", err.text);
    } else {
        complain(cat, "%s", strerror(-ret));
    }
    return EXIT_DEVICE;
}

/* ---- Standard output and input ----------------------------------------- */

/* All of it, at once; EXIT_DONE or the exit status. */
static int put_out(struct cat *cat, const uint8_t *data, size_t bytes)
{
    ssize_t done;
    int ret;

    while (bytes) {
        ret = wait_for(cat, STDOUT_FILENO, POLLOUT, -1);
        if (ret < 0) {
            return end_by(cat, ret);
        }
        /* After POLLOUT a pipe takes this many without blocking. */
        done = write(STDOUT_FILENO, data, bytes < 4096 ? bytes : 4096);
        if (done < 0 && errno == EPIPE) {
            return end_by(cat, -EPIPE);
        }
        if (done < 0 && errno != EINTR && errno != EAGAIN) {
            complain(cat, "standard output: %s", strerror(errno));
            return EXIT_USAGE;
        }
        if (done > 0) {
            data += done;
            bytes -= (size_t)done;
        }
    }
    return EXIT_DONE;
}

/* Fills *@ret_bytes, 0 at the end; EXIT_DONE or the exit status. */
static int get_in(struct cat *cat, uint32_t *ret_bytes)
{
    ssize_t got;
    int ret;

    do {
        ret = wait_for(cat, STDIN_FILENO, POLLIN, -1);
        if (ret < 0) {
            return end_by(cat, ret);
        }
        got = read(STDIN_FILENO, cat->in, cat->in_bytes);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got < 0) {
        complain(cat, "standard input: %s", strerror(errno));
        return EXIT_USAGE;
    }
    *ret_bytes = (uint32_t)got;
    return EXIT_DONE;
}

/* ---- The device -------------------------------------------------------- */

/*
 * One request; EXIT_DONE or the exit status.  The buffers are in the pools if
 * those exist, so that a request that is left behind at the end harms nothing.
 */
static int request(struct cat *cat, const struct hcl_io *io,
                   struct hcl_result *result)
{
    int ret = hcl_submit(cat->handle, io, NULL);

    if (ret == 0) {
        ret = wait_for_result(cat, result);
    }
    if (ret < 0) {
        return end_by(cat, ret);
    }
    if (result->flags & HCL_OVERRUN) {
        complain(cat, "the device has lost data here");
    }
    if (result->error == 0) {
        return EXIT_DONE;
    }
    if (result->status == HCL_ENDED) {
        return end_by(cat, result->error);
    }
    if (result->error == -EOPNOTSUPP) {
        complain(cat, "the device cannot %s",
                 io->opcode == HCL_READ ? "be read" : "be written");
    } else {
        complain(cat, "%s%s%s", strerror(-result->error),
                 result->text[0] ? ": " : "", result->text);
    }
    return EXIT_DEVICE;
}

static int read_device(struct cat *cat)
{
    struct hcl_io io = {.opcode = HCL_READ, .rx = cat->out};
    struct hcl_result result = {0};
    int status;

    while (cat->bytes) {
        io.rx_bytes =
            cat->bytes < cat->out_bytes ? (uint32_t)cat->bytes : cat->out_bytes;
        status = request(cat, &io, &result);
        if (status != EXIT_DONE) {
            return status;
        }
        if (!result.rx_bytes) {
            if (cat->has_bytes) {
                complain(cat, "the device ended %" PRIu64 " bytes too early",
                         cat->bytes);
                return EXIT_DEVICE;
            }
            return EXIT_DONE;
        }
        status = put_out(cat, cat->out, result.rx_bytes);
        if (status != EXIT_DONE) {
            return status;
        }
        if (cat->has_bytes) {
            cat->bytes -= result.rx_bytes;
        }
    }
    return EXIT_DONE;
}

static int write_device(struct cat *cat)
{
    struct hcl_io io = {.opcode = HCL_WRITE, .tx = cat->in};
    struct hcl_result result = {0};
    int status;

    for (;;) {
        status = get_in(cat, &io.tx_bytes);
        if (status != EXIT_DONE || !io.tx_bytes) {
            return status;
        }
        status = request(cat, &io, &result);
        if (status != EXIT_DONE) {
            return status;
        }
    }
}

/* Class echo has no memory: its answer is read where the payload is written. */
static int exchange_device(struct cat *cat)
{
    struct hcl_io io = {.opcode = HCL_EXCHANGE, .tx = cat->in, .rx = cat->out};
    struct hcl_result result = {0};
    int status;

    for (;;) {
        status = get_in(cat, &io.tx_bytes);
        if (status != EXIT_DONE) {
            return status;
        }
        if (!io.tx_bytes) {
            break;
        }
        io.rx_bytes =
            cat->bytes < io.tx_bytes ? (uint32_t)cat->bytes : io.tx_bytes;
        status = request(cat, &io, &result);
        if (status == EXIT_DONE) {
            status = put_out(cat, cat->out, result.rx_bytes);
        }
        if (status != EXIT_DONE) {
            return status;
        }
        cat->bytes -= result.rx_bytes;
    }
    if (cat->bytes) {
        complain(cat, "the answer is %" PRIu64 " bytes too short", cat->bytes);
        return EXIT_DEVICE;
    }
    return EXIT_DONE;
}

/* Places for what goes each way: in the pools, or small ones elsewhere. */
static bool make_buffers(struct cat *cat, const struct hcl_status *status)
{
    static uint8_t small[2][64];

    cat->in_bytes = status->tx_pool_bytes < CHUNK_BYTES ? status->tx_pool_bytes
                                                        : CHUNK_BYTES;
    cat->out_bytes = status->rx_pool_bytes < CHUNK_BYTES ? status->rx_pool_bytes
                                                         : CHUNK_BYTES;
    cat->in = small[0];
    cat->out = small[1];
    if (cat->in_bytes) {
        cat->in = hcl_buffer_alloc(cat->device, cat->in_bytes, HCL_TX);
    } else {
        cat->in_bytes = 28; /* fit into a slot of the ring */
    }
    if (cat->out_bytes) {
        cat->out = hcl_buffer_alloc(cat->device, cat->out_bytes, HCL_RX);
    } else {
        cat->out_bytes = 48;
    }
    return cat->in && cat->out;
}

static int copy(struct cat *cat)
{
    struct hcl_status status;
    int ret;

    hcl_status(cat->device, &status);
    if (!make_buffers(cat, &status)) {
        complain(cat, "no memory in the pools");
        return EXIT_DEVICE;
    }
    if (!cat->write_input) {
        return read_device(cat);
    }
    if (cat->has_bytes && strcmp(status.class_name, "echo") == 0) {
        return exchange_device(cat);
    }
    ret = write_device(cat);
    if (ret == EXIT_DONE && cat->has_bytes) {
        ret = read_device(cat);
    }
    return ret;
}

/* ---- Everything -------------------------------------------------------- */

static int list(const struct cat *cat)
{
    struct hcl_info *infos;
    struct hcl_err err;
    unsigned int count, i;

    if (hcl_list(&infos, &count, &err) < 0) {
        complain(cat, "%s", err.text);
        return EXIT_DEVICE;
    }
    for (i = 0; i < count; i++) {
        printf("%s\t%s\t%s\n", infos[i].name,
               infos[i].class_name[0] ? infos[i].class_name : "-",
               infos[i].state);
    }
    free(infos);
    if (fflush(stdout) != 0) {
        complain(cat, "standard output: %s", strerror(errno));
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

/* The exit status for an error of opening. */
static int not_open(const struct cat *cat, const struct hcl_err *err)
{
    if (err->code == -EINTR) {
        return 128 + signal_number;
    }
    complain(cat, "%s", err->text);
    switch (err->code) {
    case -ENOENT:
        return EXIT_NO_DEVICE;
    case -ECONNREFUSED:
        return EXIT_REFUSED;
    case -EACCES:
    case -EDQUOT:
        /* Of a handle it is the device that says so, else Linux. */
        return cat->device ? EXIT_REFUSED : EXIT_DEVICE;
    case -ETIMEDOUT:
        return EXIT_TIMED_OUT;
    case -EBUSY:
        return EXIT_IN_USE;
    default:
        return EXIT_DEVICE;
    }
}

static int catch_signals(struct cat *cat)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    int fds[2];
    size_t i;

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        complain(cat, "pipe: %s", strerror(errno));
        return EXIT_DEVICE;
    }
    cat->wake_fd = fds[0];
    signal_fd = fds[1];
    for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN; /* write says EPIPE */
    sigaction(SIGPIPE, &action, NULL);
    return EXIT_DONE;
}

static int run(struct cat *cat)
{
    struct hcl_open_options options = HCL_OPEN_DEFAULTS;
    struct hcl_err err;
    int timeout_ms = time_left_ms(cat);
    int status = catch_signals(cat);

    if (status != EXIT_DONE) {
        return status;
    }
    if (timeout_ms < 0) {
        timeout_ms = CONNECT_MS;
    }
    options.grace_ms = cat->grace_ms;
    if (hcl_open(cat->name, &options, timeout_ms, &cat->device, &err) < 0) {
        return not_open(cat, &err);
    }
    timeout_ms = time_left_ms(cat);
    if (timeout_ms < 0) {
        timeout_ms = CONNECT_MS;
    }
    if (hcl_handle_open(cat->device, timeout_ms, &cat->handle, &err) < 0) {
        status = not_open(cat, &err);
    } else {
        status = copy(cat);
    }
    hcl_close(cat->device);
    return status;
}

int main(int argc, char **argv)
{
    struct cat cat = {
        .bytes = NO_LIMIT,
        .deadline_ms = NO_LIMIT,
        .grace_ms = MAX_GRACE_MS,
    };
    int status;

    if (!parse(&cat, argc, argv, &status)) {
        fputs(status == EXIT_DONE ? usage : short_usage,
              status == EXIT_DONE ? stdout : stderr);
        return status;
    }
    return cat.list ? list(&cat) : run(&cat);
}
