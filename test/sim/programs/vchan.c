/* SPDX-License-Identifier: MIT */
/*
 * vchan server DOMID PATH COUNT | vchan client DOMID PATH COUNT
 *
 * Debian's libxenvchan between two domains: the client sends COUNT numbers, the
 * server sends each back plus one, blocking both; then the client closes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxenvchan.h>

#define RING_BYTES 4096

static int serve(int domid, const char *path, unsigned int count)
{
    struct libxenvchan *vchan =
        libxenvchan_server_init(NULL, domid, path, RING_BYTES, RING_BYTES);
    unsigned int i, number;

    if (!vchan) {
        perror("libxenvchan_server_init");
        return 1;
    }
    vchan->blocking = 1;
    puts("ready");
    fflush(stdout);
    for (i = 0; i < count; i++) {
        if (libxenvchan_recv(vchan, &number, sizeof(number)) < 0) {
            perror("server: recv");
            libxenvchan_close(vchan);
            return 1;
        }
        number++;
        if (libxenvchan_send(vchan, &number, sizeof(number)) < 0) {
            perror("server: send");
            libxenvchan_close(vchan);
            return 1;
        }
    }
    /* The other side closes: that is seen, too. */
    while (libxenvchan_is_open(vchan) == 1) {
        libxenvchan_wait(vchan);
    }
    libxenvchan_close(vchan);
    printf("served %u\n", count);
    return 0;
}

static int use(int domid, const char *path, unsigned int count)
{
    struct libxenvchan *vchan = libxenvchan_client_init(NULL, domid, path);
    unsigned int i, number;

    if (!vchan) {
        perror("libxenvchan_client_init");
        return 1;
    }
    vchan->blocking = 1;
    for (i = 0; i < count; i++) {
        number = i;
        if (libxenvchan_send(vchan, &number, sizeof(number)) < 0 ||
            libxenvchan_recv(vchan, &number, sizeof(number)) < 0 ||
            number != i + 1) {
            fprintf(stderr, "client: wrong at %u\n", i);
            libxenvchan_close(vchan);
            return 1;
        }
    }
    libxenvchan_close(vchan);
    printf("exchanged %u\n", count);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "server")) {
        return serve(atoi(argv[2]), argv[3], (unsigned int)atoi(argv[4]));
    }
    if (argc == 5 && !strcmp(argv[1], "client")) {
        return use(atoi(argv[2]), argv[3], (unsigned int)atoi(argv[4]));
    }
    fprintf(stderr, "usage: vchan server|client DOMID PATH COUNT\n");
    return 2;
}
