/* SPDX-License-Identifier: MIT */
/*
 * bench.h: what the two ends of `make bench` share.
 *
 * The server (server.c, in dom0) and the client (client.c, in a guest) are two
 * programs on a simulated host.  The client decides what is measured: it posts
 * a struct bench_work on a page that both map, and both do their part of it.
 * So all transports are measured in the same two processes, within
 * milliseconds of each other.  HCL's other end is the worker, on the server's
 * core; the server sleeps meanwhile.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_MESSAGE_BYTES 65536 /* the longest message */
#define BENCH_TRIP_BYTES 64       /* a payload of a round trip */
#define BENCH_RING_SLOTS 64
#define BENCH_POOL_BYTES 4096

#define BENCH_CLIENT_CORE 0
#define BENCH_SERVER_CORE 1

enum bench_op {
    BENCH_LINE,   /* the cache-line round trip, until the client stops it */
    BENCH_TRIPS,  /* @count round trips */
    BENCH_STREAM, /* @count messages to the server */
    BENCH_QUIET,  /* the server sleeps until the next work */
    BENCH_ATTACH, /* on real Xen: the guest gets a device; see xen_server.c */
    BENCH_DETACH,
    BENCH_CONSOLE_TRIPS, /* trips of another guest, told as the sum */
};

enum bench_transport_id {
    BENCH_HCL, /* libhcl and a worker */
    BENCH_HCL_RING,
    BENCH_VCHAN_POLLED,
    BENCH_VCHAN_BLOCKING,
    BENCH_EVENTFD,
    BENCH_PIPE,
    BENCH_UNIX_STREAM,
    BENCH_UNIX_SEQPACKET,
    BENCH_NETFRONT_TCP,
    BENCH_NETFRONT_UDP,
    BENCH_CONSOLE,
    BENCH_MEMCPY,
    BENCH_NUM_TRANSPORTS,
};

/* What HCL does with a message of a stream. */
enum bench_way {
    BENCH_IN_PLACE, /* made in a pool buffer, read there */
    BENCH_COPIED,   /* from private memory, into private memory */
    BENCH_UNREAD,   /* a pool buffer that nobody looks at */
};

struct bench_count;

struct bench_work {
    uint32_t op;
    uint32_t transport;
    uint64_t count;
    uint32_t bytes;    /* of a message, a multiple of 64 */
    uint32_t variant;  /* meaning by transport */
    uint32_t way;      /* of HCL */
    uint32_t idle_us;  /* of the client before each trip */
    uint32_t job_us;   /* HCL's device takes so long; 0: none, echo0 */
    uint32_t depth;    /* of a stream to such a device */
    uint32_t unpolled; /* HCL: neither side looks before it sleeps */
};

/* A cache line, and the next one, which may be fetched along. */
struct bench_line {
    uint64_t word;
    uint8_t pad[120];
} __attribute__((aligned(128)));

/* Memory of BENCH_HCL_RING, as a connection has it. */
struct bench_rings {
    uint8_t requests[BENCH_RING_SLOTS * 64] __attribute__((aligned(4096)));
    uint8_t completions[BENCH_RING_SLOTS * 64];
    struct bench_line front_event, back_event;
    uint8_t tx_pool[BENCH_POOL_BYTES] __attribute__((aligned(4096)));
    uint8_t rx_pool[BENCH_POOL_BYTES];
};

/* Mapped by both. */
struct bench_page {
    struct bench_line line[2];
    struct bench_work work __attribute__((aligned(128)));
    uint32_t posted; /* counts works; the client's */
    uint32_t ready __attribute__((aligned(128))); /* the server's */
    uint32_t done;
    uint64_t sum;                                    /* of what it received */
    uint32_t sleeping __attribute__((aligned(128))); /* who may need a wake */
    uint32_t one_core;
    struct bench_line payload[2]; /* of BENCH_EVENTFD */
    struct bench_rings rings;
};

/* Descriptors that the server makes and the client gets. */
enum bench_fd {
    BENCH_FD_PAGE,
    BENCH_FD_EVENT_UP, /* up: from the client to the server */
    BENCH_FD_EVENT_DOWN,
    BENCH_FD_PIPE_UP_READ,
    BENCH_FD_PIPE_UP_WRITE,
    BENCH_FD_PIPE_DOWN_READ,
    BENCH_FD_PIPE_DOWN_WRITE,
    BENCH_FD_STREAM_CLIENT,
    BENCH_FD_STREAM_SERVER,
    BENCH_FD_SEQPACKET_CLIENT,
    BENCH_FD_SEQPACKET_SERVER,
    BENCH_NUM_FDS,
};

struct bench {
    bool server;
    struct bench_page *page;
    int fds[BENCH_NUM_FDS];
    struct bench_work work; /* the one at hand */
    uint32_t posted;
    bool quiet;          /* the server sleeps */
    uint64_t done_count; /* of messages, by a transport that rounds up */
    uint64_t part_ns;    /* what HCL and a peer each get of a sample */
    double guess_ns;     /* what a trip or message takes, before it is known */
    bool acknowledge;    /* a stream's end is told by its own transport */
    /* The server's, of an op that ends.c does not know. */
    void (*serve_other)(struct bench *bench);
};

/*
 * A way between the ends.  A transport whose other end is not the server has
 * trip and stream instead of send and receive.
 */
struct bench_transport {
    const char *name;
    uint32_t variants; /* 0: one */
    void (*begin)(struct bench *bench);
    void (*send)(struct bench *bench, const void *message, size_t bytes);
    /* At most @bytes, which are there at least once; returns how many came. */
    size_t (*receive)(struct bench *bench, void *message, size_t bytes);
    void (*trip)(struct bench *bench, uint64_t seed);
    /* Sends, sees that it has arrived, returns the nanoseconds of it. */
    uint64_t (*stream)(struct bench *bench);
    /* With neither of send and trip, stream makes the round trips. */
};

extern const struct bench_transport bench_hcl;
extern const struct bench_transport bench_hcl_ring;
extern const struct bench_transport bench_vchan_polled;
extern const struct bench_transport bench_vchan_blocking;
extern const struct bench_transport bench_eventfd;
extern const struct bench_transport bench_pipe;
extern const struct bench_transport bench_unix_stream;
extern const struct bench_transport bench_unix_seqpacket;
extern const struct bench_transport bench_netfront_tcp;
extern const struct bench_transport bench_netfront_udp;
extern const struct bench_transport bench_console;
extern const struct bench_transport bench_memcpy;

/* By enum bench_transport_id; each program has its own table. */
extern const struct bench_transport *const bench_transports[];

/* ---- base.c ------------------------------------------------------------ */

/* Prints and ends the program: a benchmark cannot go on without its parts. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *fmt,
                                                               ...);

void bench_pin(int pid, int core);

/* All of it; @bytes of at most that, but whole lines of 64 bytes. */
void bench_write_all(int fd, const void *message, size_t bytes);
size_t bench_read_lines(int fd, void *message, size_t bytes);

/* ---- link.c, or on real Xen link_xen.c --------------------------------- */

/* The server makes all descriptors; the client gets them over @socket. */
void bench_make_fds(struct bench *bench);
void bench_send_fds(const struct bench *bench, int socket);
void bench_receive_fds(struct bench *bench, int socket);

/* On real Xen: a vchan that nothing else uses, and a page that is private. */
void bench_link_listen(struct bench *bench, int domid);
void bench_link_connect(struct bench *bench, int domid);

/* Two words that are not a work, in the middle of one; see xen_server.c. */
void bench_link_tell(void);
void bench_link_hear(void);

/* The client's: posts a work and waits until the server is ready for it; waits
 * until the server is done, and has its sum on the page. */
void bench_link_post(struct bench *bench, const struct bench_work *work);
void bench_link_finish(struct bench *bench);

/* The server's: waits for a work; is ready for it; is done with it. */
void bench_link_next(struct bench *bench);
void bench_link_ready(struct bench *bench);
void bench_link_done(struct bench *bench);

/* ---- ends.c ------------------------------------------------------------ */

/* Serves works until the client has gone. */
__attribute__((noreturn)) void bench_serve(struct bench *bench);

/* Does @work; returns the nanoseconds of a trip or a message. */
double bench_do(struct bench *bench, const struct bench_work *work);

/* Takes the server off its core until the next work. */
void bench_quieten(struct bench *bench);

/* The cache-line round trip in nanoseconds. */
double bench_measure_line(struct bench *bench);

/* ---- transport_vchan.c, transport_hcl.c -------------------------------- */

/* The server's: before the client is there. */
void bench_vchan_listen(int domid);
void bench_vchan_connect(int domid);

/* Nanoseconds of sending an event that nobody waits for. */
double bench_notify_ns(int own_domid);

/* The client's. */
void bench_hcl_connect(void);
void bench_hcl_connect_unpolled(void);
void bench_hcl_disconnect(void);

/* Whether there is a device that takes so long; connects it. */
bool bench_hcl_has_delay(uint32_t job_us);

/* What libhcl and the worker of streams of this kind have done so far. */
struct bench_count bench_hcl_count(enum bench_way way);

/* ---- transport_net.c --------------------------------------------------- */

/* The server's: before the client is there, and once it is. */
void bench_net_listen(void);
void bench_net_accept(void);

/* The client's: to the server's address. */
void bench_net_connect(const char *address);

/* ---- transport_kernel.c ------------------------------------------------ */

/* Nanoseconds of a write to an eventfd on which nobody waits. */
double bench_eventfd_ns(struct bench *bench);

/* ---- Time and words ---------------------------------------------------- */

static inline void bench_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/*
 * A line at a time, in registers that each machine has, so that little of what
 * is measured is this.
 */
typedef uint64_t bench_pair
    __attribute__((vector_size(16), aligned(8), may_alias));

/* Writes words that follow from @seed, whole lines; returns their sum. */
static inline uint64_t bench_fill(void *to, size_t bytes, uint64_t seed)
{
    bench_pair *pairs = to;
    bench_pair a = {seed, seed + 1};
    uint64_t n = bytes / 8;

    for (; bytes >= 64; bytes -= 64, pairs += 4, a += 8) {
        pairs[0] = a;
        pairs[1] = a + 2;
        pairs[2] = a + 4;
        pairs[3] = a + 6;
    }
    return n * seed + n * (n - 1) / 2;
}

/* Reads every word of whole lines. */
static inline uint64_t bench_add(const void *from, size_t bytes)
{
    const bench_pair *pairs = from;
    bench_pair a = {0}, b = {0}, c = {0}, d = {0};

    for (; bytes >= 64; bytes -= 64, pairs += 4) {
        a += pairs[0];
        b += pairs[1];
        c += pairs[2];
        d += pairs[3];
    }
    a += b + c + d;
    return a[0] + a[1];
}

#endif /* BENCH_H */
