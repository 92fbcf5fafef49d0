/* SPDX-License-Identifier: MIT */
/*
 * bench-server DOMID CLIENT [ARGUMENT...]: dom0's end of `make bench`.  Starts
 * the client CLIENT in the guest, serves what it asks for, ends with its
 * status.  The workers of the backend run on the server's core.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "pairs.h"

const struct bench_transport *const bench_transports[BENCH_NUM_TRANSPORTS] = {
    [BENCH_HCL_RING] = &bench_hcl_ring,
    [BENCH_VCHAN_POLLED] = &bench_vchan_polled,
    [BENCH_VCHAN_BLOCKING] = &bench_vchan_blocking,
    [BENCH_EVENTFD] = &bench_eventfd,
    [BENCH_PIPE] = &bench_pipe,
    [BENCH_UNIX_STREAM] = &bench_unix_stream,
    [BENCH_UNIX_SEQPACKET] = &bench_unix_seqpacket,
};

/* Is @pid the worker of a device that is measured with its end pinned? */
static bool is_worker(int pid)
{
    static const char *const devices[] = {"echo0", "sink", "drain", "delay"};
    char path[64], line[256] = "";
    const char *name;
    FILE *file;
    size_t bytes;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    file = fopen(path, "re");
    if (!file) {
        return false;
    }
    bytes = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    name = line + strlen(line) + 1;
    for (size_t i = 0; i < 4 && name < line + bytes; i++) {
        if (strstr(line, "-worker") &&
            strncmp(name, devices[i], strlen(devices[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Moves the workers to the server's core; how many? */
static unsigned int pin_workers(void)
{
    DIR *processes = opendir("/proc");
    unsigned int count = 0;
    struct dirent *entry;

    while (processes && (entry = readdir(processes))) {
        int pid = atoi(entry->d_name);

        if (pid > 0 && is_worker(pid)) {
            bench_pin(pid, BENCH_SERVER_CORE);
            count++;
        }
    }
    if (processes) {
        closedir(processes);
    }
    return count;
}

static pid_t client;

static void on_child_ended(int number)
{
    int status = 0;

    (void)number;
    if (waitpid(client, &status, WNOHANG) > 0) {
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
    }
}

/* The guest's program gets its descriptors over its standard input. */
static void start_client(const struct bench *bench, char **argv)
{
    char hcl_sim[] = "hcl-sim", exec[] = "exec";
    char *command[32] = {hcl_sim, exec, argv[1]};
    size_t used = 3;
    int pair[2];

    for (size_t i = 2; argv[i] && used + 1 < 32; i++) {
        command[used++] = argv[i];
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        bench_die("socketpair: %s", strerror(errno));
    }
    client = fork();
    if (client == 0) {
        dup2(pair[0], STDIN_FILENO);
        execvp(command[0], command);
        _exit(127);
    }
    if (client < 0) {
        bench_die("fork: %s", strerror(errno));
    }
    signal(SIGCHLD, on_child_ended);
    on_child_ended(SIGCHLD); /* it may have come before that */
    close(pair[0]);
    bench_send_fds(bench, pair[1]);
}

int main(int argc, char **argv)
{
    struct bench bench = {.server = true};

    if (argc < 3) {
        fprintf(stderr, "usage: bench-server DOMID CLIENT [ARGUMENT...]\n");
        return 2;
    }
    bench_make_fds(&bench);
    bench_vchan_listen(atoi(argv[1]));
    bench_pairs_listen(atoi(argv[1]));
    if (pin_workers() < 3) {
        bench_die("the workers do not run");
    }
    start_client(&bench, argv);
    bench_pin(0, BENCH_SERVER_CORE);
    bench_serve(&bench);
}
