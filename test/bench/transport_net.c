/* SPDX-License-Identifier: MIT */
/*
 * TCP and UDP over netfront, straight from the guest's interface to that of
 * dom0 at its other end.  Blocking sockets, TCP_NODELAY.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define PORT 7777

/* Nothing is lost on this way, unless something is wrong. */
#define LOST_SECONDS 10

static int listener = -1, tcp = -1, udp = -1;

static int new_socket(int type)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        bench_die("socket: %s", strerror(errno));
    }
    return fd;
}

static void tune(void)
{
    struct timeval limit = {.tv_sec = LOST_SECONDS};
    int on = 1;

    if (setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) {
        bench_die("TCP_NODELAY: %s", strerror(errno));
    }
    setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

void bench_net_listen(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    const struct sockaddr *address = (const struct sockaddr *)&own;

    listener = new_socket(SOCK_STREAM);
    udp = new_socket(SOCK_DGRAM);
    if (bind(listener, address, sizeof(own)) < 0 || listen(listener, 1) < 0 ||
        bind(udp, address, sizeof(own)) < 0) {
        bench_die("cannot listen at port %d: %s", PORT, strerror(errno));
    }
}

/* The UDP peer is whoever sends the first datagram, which means no more. */
void bench_net_accept(void)
{
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);
    char hello;

    tcp = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (tcp < 0 ||
        recvfrom(udp, &hello, 1, 0, (struct sockaddr *)&peer, &length) < 0 ||
        connect(udp, (struct sockaddr *)&peer, length) < 0) {
        bench_die("the client did not connect: %s", strerror(errno));
    }
    close(listener);
    tune();
}

void bench_net_connect(const char *address)
{
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons(PORT)};
    const struct sockaddr *to = (const struct sockaddr *)&server;

    inet_pton(AF_INET, address, &server.sin_addr);
    tcp = new_socket(SOCK_STREAM);
    udp = new_socket(SOCK_DGRAM);
    if (connect(tcp, to, sizeof(server)) < 0 ||
        connect(udp, to, sizeof(server)) < 0 || send(udp, "", 1, 0) < 0) {
        bench_die("cannot connect to %s: %s", address, strerror(errno));
    }
    tune();
}

static void begin_nothing(struct bench *bench)
{
    (void)bench;
}

static void tcp_send(struct bench *bench, const void *message, size_t bytes)
{
    (void)bench;
    bench_write_all(tcp, message, bytes);
}

static size_t tcp_receive(struct bench *bench, void *message, size_t bytes)
{
    (void)bench;
    return bench_read_lines(tcp, message, bytes);
}

const struct bench_transport bench_netfront_tcp = {
    .name = "netfront-tcp",
    .variants = 2,
    .begin = begin_nothing,
    .send = tcp_send,
    .receive = tcp_receive,
};

static void udp_send(struct bench *bench, const void *message, size_t bytes)
{
    (void)bench;
    bench_write_all(udp, message, bytes);
}

static size_t udp_receive(struct bench *bench, void *message, size_t bytes)
{
    (void)bench;
    return bench_read_lines(udp, message, bytes);
}

const struct bench_transport bench_netfront_udp = {
    .name = "netfront-udp",
    .begin = begin_nothing,
    .send = udp_send,
    .receive = udp_receive,
};
