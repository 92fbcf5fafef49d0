/* SPDX-License-Identifier: MIT */
/*
 * serial: a serial port.  Keys in hcl.conf: path, baud (default 9600), data (5
 * to 8, default 8), parity (none, even, odd), stop (1, 2), flow (none, rtscts,
 * xonxoff), share (broadcast).
 *
 * Broadcast: every byte received goes to every open handle; what is written
 * goes out one job after the other, each whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "class.h"

/* Kept for a handle that does not read; the oldest bytes are lost first. */
#define BUFFER_BYTES 16384

struct serial_handle {
    struct serial_handle *next; /* of the device's open ones */
    struct serial_job *reads;   /* jobs that wait, oldest first */
    struct serial_job **last;   /* where the next one is linked */
    uint32_t first, count;      /* of the bytes in the buffer */
    bool overrun;               /* lost some since the last answer */
    uint8_t buffer[BUFFER_BYTES];
};

struct serial {
    int fd;
    struct hcl_source *source; /* NULL: failed */
    struct serial_handle *handles;
    struct hcl_job *writing; /* has the line, or NULL */
    uint32_t written;        /* bytes of it that are out */
    bool waits;              /* for EPOLLOUT */
    struct hcl_err failure;  /* code 0: none */
};

/* Of a READ. */
struct serial_job {
    struct serial_job *next;
    struct hcl_job *job;
};

/* ---- Receiving --------------------------------------------------------- */

static void buffer_put(struct serial_handle *handle, const uint8_t *bytes,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (handle->count == BUFFER_BYTES) {
            handle->first = (handle->first + 1) % BUFFER_BYTES;
            handle->count--;
            handle->overrun = true;
        }
        handle->buffer[(handle->first + handle->count) % BUFFER_BYTES] =
            bytes[i];
        handle->count++;
    }
}

static uint32_t buffer_take(struct serial_handle *handle, uint8_t *bytes,
                            uint32_t room)
{
    uint32_t count = handle->count < room ? handle->count : room;
    uint32_t flat = BUFFER_BYTES - handle->first;

    flat = flat < count ? flat : count;
    memcpy(bytes, handle->buffer + handle->first, flat);
    memcpy(bytes + flat, handle->buffer, count - flat);
    handle->first = (handle->first + count) % BUFFER_BYTES;
    handle->count -= count;
    return count;
}

static void add_read(struct serial_handle *handle, struct hcl_job *job)
{
    struct serial_job *read = job->state;

    read->job = job;
    *handle->last = read;
    handle->last = &read->next;
}

/* Takes out the one that @at points to. */
static struct hcl_job *take_read(struct serial_handle *handle,
                                 struct serial_job **at)
{
    struct serial_job *read = *at;

    *at = read->next;
    if (!read->next) {
        handle->last = at;
    }
    return read->job;
}

static struct serial_job **find_read(struct serial_handle *handle,
                                     const struct hcl_job *job)
{
    struct serial_job **at = &handle->reads;

    while (*at != job->state) {
        at = &(*at)->next;
    }
    return at;
}

/* Answers reads while there is something. */
static void serve_reads(struct serial_handle *handle)
{
    while (handle->count > 0 && handle->reads) {
        struct hcl_job *job = take_read(handle, &handle->reads);
        uint32_t bytes = buffer_take(handle, job->rx, job->rx_bytes);
        uint16_t flags = handle->overrun ? HCLIF_OVERRUN : 0;

        handle->overrun = false;
        hcl_job_complete(job, HCLIF_STATUS_OK, bytes, flags);
    }
}

/* ---- Failing ----------------------------------------------------------- */

static void serial_fail(struct hcl_device *device, int code)
{
    struct serial *serial = hcl_device_state(device);
    struct serial_handle *handle;
    struct hcl_job *job = serial->writing;

    hcl_err_sys(&serial->failure, code, "the serial port failed");
    hcl_source_free(serial->source);
    serial->source = NULL;
    serial->writing = NULL;
    if (job) {
        hcl_job_fail(job, HCLIF_STATUS_IO, serial->failure.text);
    }
    for (handle = serial->handles; handle; handle = handle->next) {
        while (handle->reads) {
            job = take_read(handle, &handle->reads);
            hcl_job_fail(job, HCLIF_STATUS_IO, serial->failure.text);
        }
    }
    hcl_device_failed(device, &serial->failure);
}

static void receive(struct hcl_device *device)
{
    struct serial *serial = hcl_device_state(device);
    uint8_t bytes[1024];
    ssize_t got = read(serial->fd, bytes, sizeof(bytes));

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        serial_fail(device, got < 0 ? -errno : -ENODEV);
        return;
    }
    for (struct serial_handle *handle = serial->handles; handle;
         handle = handle->next) {
        buffer_put(handle, bytes, (uint32_t)got);
        serve_reads(handle);
    }
}

/* ---- Sending ----------------------------------------------------------- */

static void wait_for_line(struct serial *serial, bool waits)
{
    if (serial->waits != waits) {
        serial->waits = waits;
        hcl_source_events(serial->source, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

/* Writes what the line takes of the job that has it. */
static void serve_write(struct hcl_device *device)
{
    struct serial *serial = hcl_device_state(device);
    struct hcl_job *job = serial->writing;

    for (;;) {
        ssize_t put =
            write(serial->fd, (const uint8_t *)job->tx + serial->written,
                  job->tx_bytes - serial->written);

        if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
            wait_for_line(serial, true);
            return;
        }
        if (put < 0) {
            serial_fail(device, -errno);
            return;
        }
        serial->written += (uint32_t)put;
        if (serial->written == job->tx_bytes) {
            serial->writing = NULL;
            hcl_job_complete(job, HCLIF_STATUS_OK, 0, 0);
            return;
        }
    }
}

static void serial_ready(void *arg, uint32_t events)
{
    struct hcl_device *device = arg;
    struct serial *serial = hcl_device_state(device);

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        receive(device);
    }
    if (serial->source && (events & EPOLLOUT)) {
        if (serial->writing) {
            serve_write(device);
        } else {
            wait_for_line(serial, false);
        }
    }
}

/* ---- Configuration ----------------------------------------------------- */

struct choice {
    const char *text;
    tcflag_t value;
};

static const struct choice bauds[] = {
    {"50", B50},
    {"75", B75},
    {"110", B110},
    {"134", B134},
    {"150", B150},
    {"200", B200},
    {"300", B300},
    {"600", B600},
    {"1200", B1200},
    {"1800", B1800},
    {"2400", B2400},
    {"4800", B4800},
    {"9600", B9600},
    {"19200", B19200},
    {"38400", B38400},
    {"57600", B57600},
    {"115200", B115200},
    {"230400", B230400},
    {"460800", B460800},
    {"500000", B500000},
    {"576000", B576000},
    {"921600", B921600},
    {"1000000", B1000000},
    {"1152000", B1152000},
    {"1500000", B1500000},
    {"2000000", B2000000},
    {"2500000", B2500000},
    {"3000000", B3000000},
    {"3500000", B3500000},
    {"4000000", B4000000},
    {NULL, 0},
};

static const struct choice sizes[] = {
    {"8", CS8}, {"7", CS7}, {"6", CS6}, {"5", CS5}, {NULL, 0},
};

static const struct choice parities[] = {
    {"none", 0},
    {"even", PARENB},
    {"odd", PARENB | PARODD},
    {NULL, 0},
};

static const struct choice stops[] = {{"1", 0}, {"2", CSTOPB}, {NULL, 0}};

enum { FLOW_NONE, FLOW_RTSCTS, FLOW_XONXOFF };

static const struct choice flows[] = {
    {"none", FLOW_NONE},
    {"rtscts", FLOW_RTSCTS},
    {"xonxoff", FLOW_XONXOFF},
    {NULL, 0},
};

static const struct choice shares[] = {{"broadcast", 0}, {NULL, 0}};

/* The value that @key chooses, by default @fallback; -EINVAL lists them all. */
static int choose(const struct hcl_spec *spec, const char *key,
                  const struct choice *choices, const char *fallback,
                  tcflag_t *ret_value, struct hcl_err *err)
{
    const char *text = hcl_spec_get(spec, key);
    char all[HCL_ERR_TEXT] = "";

    text = text ? text : fallback;
    for (unsigned int i = 0; choices[i].text; i++) {
        if (strcmp(choices[i].text, text) == 0) {
            *ret_value = choices[i].value;
            return 0;
        }
        strncat(all, i ? ", " : "", sizeof(all) - strlen(all) - 1);
        strncat(all, choices[i].text, sizeof(all) - strlen(all) - 1);
    }
    return hcl_err_set(err, -EINVAL, "%s=%.40s: expected one of %s", key, text,
                       all);
}

/* The line's time for 1024 bytes; they have a start bit, too. */
static uint64_t line_kib_ns(const struct hcl_spec *spec,
                            const struct termios *termios)
{
    const char *baud = hcl_spec_get(spec, "baud");
    uint64_t bits = 2; /* start and stop */

    bits += (termios->c_cflag & CSIZE) == CS8   ? 8
            : (termios->c_cflag & CSIZE) == CS7 ? 7
            : (termios->c_cflag & CSIZE) == CS6 ? 6
                                                : 5;
    bits += termios->c_cflag & CSTOPB ? 1 : 0;
    bits += termios->c_cflag & PARENB ? 1 : 0;
    return 1024 * bits * UINT64_C(1000000000) /
           strtoul(baud ? baud : "9600", NULL, 10);
}

static int read_settings(const struct hcl_spec *spec, struct termios *termios,
                         tcflag_t *ret_speed, struct hcl_err *err)
{
    tcflag_t size, parity, stop, flow, share;

    if (choose(spec, "baud", bauds, "9600", ret_speed, err) < 0 ||
        choose(spec, "data", sizes, "8", &size, err) < 0 ||
        choose(spec, "parity", parities, "none", &parity, err) < 0 ||
        choose(spec, "stop", stops, "1", &stop, err) < 0 ||
        choose(spec, "flow", flows, "none", &flow, err) < 0 ||
        choose(spec, "share", shares, "broadcast", &share, err) < 0) {
        return -EINVAL;
    }
    cfmakeraw(termios);
    termios->c_cflag = CREAD | CLOCAL | size | parity | stop;
    if (flow == FLOW_RTSCTS) {
        termios->c_cflag |= CRTSCTS;
    } else if (flow == FLOW_XONXOFF) {
        termios->c_iflag |= IXON | IXOFF;
        termios->c_cc[VSTART] = 0x11;
        termios->c_cc[VSTOP] = 0x13;
    }
    return 0;
}

/* Raw, as configured, ours alone, and without what came before. */
static int set_up(int fd, const char *path, struct termios *termios,
                  tcflag_t speed, struct hcl_err *err)
{
    if (cfsetispeed(termios, speed) < 0 || cfsetospeed(termios, speed) < 0 ||
        tcsetattr(fd, TCSANOW, termios) < 0) {
        return hcl_err_sys(err, errno == EINVAL ? -EIO : -errno,
                           "cannot set up %s (is it a serial port?)", path);
    }
    if (ioctl(fd, TIOCEXCL) < 0 || tcflush(fd, TCIOFLUSH) < 0) {
        return hcl_err_sys(err, -errno, "cannot take over %s", path);
    }
    return 0;
}

static int serial_open(struct hcl_device *device, const struct hcl_spec *spec,
                       struct hcl_err *err)
{
    struct serial *serial = hcl_device_state(device);
    const char *path = hcl_spec_get(spec, "path");
    struct termios termios = {0};
    tcflag_t speed;
    int rc;

    if (!path) {
        return hcl_err_set(err, -EINVAL, "path= is missing");
    }
    rc = read_settings(spec, &termios, &speed, err);
    if (rc < 0) {
        return rc;
    }
    serial->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (serial->fd < 0) {
        return hcl_err_sys(err, errno == EINVAL ? -EIO : -errno,
                           "cannot open %s", path);
    }
    hcl_device_service(device)->kib_ns = line_kib_ns(spec, &termios);
    rc = set_up(serial->fd, path, &termios, speed, err);
    if (rc == 0) {
        rc = hcl_source_new(&serial->source, hcl_device_loop(device),
                            serial->fd, EPOLLIN, serial_ready, device, err);
    }
    if (rc < 0) {
        close(serial->fd);
    }
    return rc;
}

static void serial_close(struct hcl_device *device)
{
    struct serial *serial = hcl_device_state(device);

    hcl_source_free(serial->source);
    /* Else close would wait half a minute for a line that takes nothing. */
    tcflush(serial->fd, TCIOFLUSH);
    close(serial->fd);
}

/* ---- Handles and jobs -------------------------------------------------- */

static uint16_t serial_handle_open(struct hcl_device *device,
                                   struct hcl_handle *handle)
{
    struct serial *serial = hcl_device_state(device);
    struct serial_handle *state = hcl_handle_state(handle);

    state->last = &state->reads;
    state->next = serial->handles;
    serial->handles = state;
    return HCLIF_STATUS_OK;
}

static void serial_handle_close(struct hcl_device *device,
                                struct hcl_handle *handle)
{
    struct serial *serial = hcl_device_state(device);
    struct serial_handle **link = &serial->handles;

    while (*link != hcl_handle_state(handle)) {
        link = &(*link)->next;
    }
    *link = (*link)->next;
}

static void serial_submit(struct hcl_device *device, struct hcl_job *job)
{
    struct serial *serial = hcl_device_state(device);
    struct serial_handle *handle = hcl_handle_state(job->handle);

    if (serial->failure.code) {
        hcl_job_fail(job, HCLIF_STATUS_GONE, serial->failure.text);
    } else if (job->opcode == HCLIF_OP_WRITE) {
        serial->writing = job;
        serial->written = 0;
        serve_write(device);
    } else if (job->rx_bytes == 0) {
        hcl_job_complete(job, HCLIF_STATUS_INVALID, 0, 0);
    } else {
        add_read(handle, job);
        serve_reads(handle);
    }
}

static void serial_cancel(struct hcl_device *device, struct hcl_job *job)
{
    struct serial *serial = hcl_device_state(device);
    struct serial_handle *handle = hcl_handle_state(job->handle);

    if (job == serial->writing) {
        serial->writing = NULL;
    } else {
        take_read(handle, find_read(handle, job));
    }
    hcl_job_complete(job, HCLIF_STATUS_CANCELLED, 0, 0);
}

static const char *const serial_keys[] = {
    "path", "baud", "data", "parity", "stop", "flow", "share", NULL,
};

const struct hcl_class hcl_class_serial = {
    .abi = HCL_CLASS_ABI,
    .flags = HCL_CLASS_MOVES_BYTES,
    .name = "serial",
    .opcodes = "3,4",
    .idempotent = "3",
    .device_bytes = sizeof(struct serial),
    .handle_bytes = sizeof(struct serial_handle),
    .job_bytes = sizeof(struct serial_job),
    .keys = serial_keys,
    /* The kernel buffers: when a write is done says nothing about the line. */
    .service = {.depth = 1, .opcodes = "4", .job_ns = 1000},
    .open = serial_open,
    .close = serial_close,
    .handle_open = serial_handle_open,
    .handle_close = serial_handle_close,
    .submit = serial_submit,
    .cancel = serial_cancel,
};
