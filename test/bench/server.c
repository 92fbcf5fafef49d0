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

const struct bench_transport *const bench_transports[BENCH_NUM_TRANSPORTS] = {
    [BENCH_HCL_RING] = &bench_hcl_ring,
    [BENCH_VCHAN_POLLED] = &bench_vchan_polled,
    [BENCH_VCHAN_BLOCKING] = &bench_vchan_blocking,
    [BENCH_EVENTFD] = &bench_eventfd,
    [BENCH_PIPE] = &bench_pipe,
    [BENCH_UNIX_STREAM] = &bench_unix_stream,
    [BENCH_UNIX_SEQPACKET] = &bench_unix_seqpacket,
};

/* Moves all processes of this name to the server's core; how many? */
static unsigned int pin_all(const char *name)
{
    DIR *processes = opendir("/proc");
    unsigned int count = 0;
    struct dirent *entry;
    char path[300], comm[32];
    FILE *file;

    while (processes && (entry = readdir(processes))) {
        snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
        file = atoi(entry->d_name) > 0 ? fopen(path, "re") : NULL;
        if (!file) {
            continue;
        }
        if (fgets(comm, sizeof(comm), file) &&
            strncmp(comm, name, strlen(name)) == 0) {
            bench_pin(atoi(entry->d_name), BENCH_SERVER_CORE);
            count++;
        }
        fclose(file);
    }
    if (processes) {
        closedir(processes);
    }
    return count;
}

static void on_client_ended(int number)
{
    int status = 0;

    (void)number;
    if (waitpid(-1, &status, WNOHANG) > 0) {
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
    pid_t pid;

    for (size_t i = 2; argv[i] && used + 1 < 32; i++) {
        command[used++] = argv[i];
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        bench_die("socketpair: %s", strerror(errno));
    }
    signal(SIGCHLD, on_client_ended);
    pid = fork();
    if (pid == 0) {
        dup2(pair[0], STDIN_FILENO);
        execvp(command[0], command);
        _exit(127);
    }
    if (pid < 0) {
        bench_die("fork: %s", strerror(errno));
    }
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
    if (pin_all("hcl-worker") + pin_all("bench-worker") == 0) {
        bench_die("no worker runs");
    }
    start_client(&bench, argv);
    bench_pin(0, BENCH_SERVER_CORE);
    bench_serve(&bench);
}
