/* SPDX-License-Identifier: MIT */
#include "vm.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm_wire.h"

#define STATUS_GONE 250

/* ---- In the host ------------------------------------------------------- */

struct sim_vm {
    pid_t pid; /* 0: dead */
    int fd;    /* to the init, owned */
};

/* Sends one letter and waits for it to come back: it is done. */
static int command(struct sim_vm *vm, char letter, struct hcl_err *err)
{
    char answer = 0;

    if (send(vm->fd, &letter, 1, MSG_NOSIGNAL) != 1 ||
        recv(vm->fd, &answer, 1, 0) != 1 || answer != letter) {
        return hcl_err_set(err, -EIO, "a guest's init does not answer");
    }
    return 0;
}

static void become_init(int fd, const char *dir, unsigned int key)
{
    char number[16], name[16];

    /* The host's other descriptors are close-on-exec. */
    if (dup2(fd, SIM_VM_FD) < 0) {
        _exit(126);
    }
    snprintf(number, sizeof(number), "%d", SIM_VM_FD);
    snprintf(name, sizeof(name), "%u", key);
    execl("/proc/self/exe", "hcl-sim", SIM_VM_VERB, number, dir, name, NULL);
    _exit(127);
}

int sim_vm_new(struct sim_vm **ret_vm, const char *dir, unsigned int key,
               struct hcl_err *err)
{
    struct sim_vm *vm = calloc(1, sizeof(*vm));
    int pair[2], ret;
    char ready;

    if (!vm) {
        return hcl_err_sys(err, -ENOMEM, "guest");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        ret = hcl_err_sys(err, -errno, "guest");
        free(vm);
        return ret;
    }
    vm->fd = pair[0];
    vm->pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD,
                             NULL, NULL, NULL, NULL);
    if (vm->pid == 0) {
        become_init(pair[1], dir, key);
    }
    ret = vm->pid < 0 ? -errno : 0;
    close(pair[1]);
    if (ret == 0 && recv(vm->fd, &ready, 1, 0) != 1) {
        ret = -EIO;
    }
    if (ret < 0) {
        hcl_err_sys(err, ret, "cannot start a guest");
        sim_vm_free(vm);
        return ret;
    }
    *ret_vm = vm;
    return 0;
}

void sim_vm_kill(struct sim_vm *vm)
{
    if (vm->pid > 0) {
        kill(vm->pid, SIGKILL);
        /* The kernel lets go of it when all below it are dead. */
        while (waitpid(vm->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        vm->pid = 0;
    }
}

void sim_vm_free(struct sim_vm *vm)
{
    if (!vm) {
        return;
    }
    sim_vm_kill(vm);
    close(vm->fd);
    free(vm);
}

int sim_vm_freeze(struct sim_vm *vm, struct hcl_err *err)
{
    return command(vm, 'f', err);
}

int sim_vm_thaw(struct sim_vm *vm, struct hcl_err *err)
{
    return command(vm, 't', err);
}

/* ---- A program that wants to be run ------------------------------------ */

/* Appends a string with its NUL. */
static int put(char *request, size_t *used, const char *text)
{
    size_t bytes = strlen(text) + 1;

    if (*used + bytes > SIM_VM_REQUEST) {
        return -E2BIG;
    }
    memcpy(request + *used, text, bytes);
    *used += bytes;
    return 0;
}

static int put_all(char *request, size_t *used, char *const *strings)
{
    int ret = 0;

    for (; *strings && ret == 0; strings++) {
        ret = put(request, used, *strings);
    }
    return ret;
}

static uint32_t count(char *const *strings)
{
    uint32_t n = 0;

    while (strings[n]) {
        n++;
    }
    return n;
}

/* Folder, arguments and environment, each string with its NUL. */
static int compose(char *request, size_t *ret_bytes, char *const *argv)
{
    struct sim_vm_request head = {count(argv), count(environ)};
    char *folder = getcwd(NULL, 0);
    size_t used = sizeof(head);
    int ret;

    memcpy(request, &head, sizeof(head));
    ret = put(request, &used, folder ? folder : "/");
    free(folder);
    if (ret == 0) {
        ret = put_all(request, &used, argv);
    }
    if (ret == 0) {
        ret = put_all(request, &used, environ);
    }
    *ret_bytes = used;
    return ret;
}

static int send_request(int fd, char *request, size_t bytes)
{
    union {
        char space[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {request, bytes};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    const int streams[3] = {0, 1, 2};

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(streams));
    memcpy(CMSG_DATA(header), streams, sizeof(streams));
    return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int sim_vm_exec(const char *dir, unsigned int key, char *const *argv,
                struct hcl_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *request = malloc(SIM_VM_REQUEST);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    size_t bytes = 0;
    uint32_t status;
    int ret = request && fd >= 0 ? compose(request, &bytes, argv) : -ENOMEM;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%u/exec", dir,
             key);
    if (ret == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        ret = -errno;
    }
    if (ret == 0) {
        ret = send_request(fd, request, bytes);
    }
    if (ret < 0) {
        hcl_err_sys(err, ret, "cannot run %s in the guest", argv[0]);
    } else if (recv(fd, &status, sizeof(status), 0) == sizeof(status)) {
        ret = WIFEXITED((int)status) ? WEXITSTATUS((int)status)
                                     : 128 + WTERMSIG((int)status);
    } else {
        ret = STATUS_GONE;
    }
    if (fd >= 0) {
        close(fd);
    }
    free(request);
    return ret;
}
