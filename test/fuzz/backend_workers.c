/* SPDX-License-Identifier: MIT */
#include "backend_workers.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

#define CONNECTIONS 16

/* What a worker has heard. */
struct worker {
    pid_t pid;
    bool configured, ready;
    unsigned int num_connections;
    uint32_t connections[CONNECTIONS]; /* 0: closed */
};

static struct worker workers[PROCESSES];

void workers_reset(void)
{
    memset(workers, 0, sizeof(workers));
}

static void send_message(struct process *process, struct hcl_message *message)
{
    /* Which no worker may send; its own end is as good as any descriptor. */
    const int fds[HCL_MESSAGE_FDS] = {process->fd, process->fd};
    bool connects = message->type == HCL_MESSAGE_CONNECT;

    /* A supervisor that has closed its end, or does not read, is fine. */
    (void)!hcl_message_send(process->fd, message, connects ? fds : NULL, NULL);
}

static void say_closed(struct process *process, uint32_t connection,
                       uint32_t reason)
{
    struct hcl_message message;

    memset(&message, 0, sizeof(message));
    message.type = HCL_MESSAGE_CLOSED;
    message.closed.connection = connection;
    message.closed.reason = reason;
    strcpy(message.closed.text, "tag in use: 7");
    send_message(process, &message);
}

/* As a worker does that works. */
static void answer(struct process *process, struct worker *worker,
                   const struct hcl_message *heard)
{
    struct hcl_message message;

    memset(&message, 0, sizeof(message));
    switch (heard->type) {
    case HCL_MESSAGE_CONFIG:
        message.type = HCL_MESSAGE_READY;
        strcpy(message.ready.class_name, "echo");
        strcpy(message.ready.idempotent, "3,4,5");
        send_message(process, &message);
        worker->ready = true;
        break;
    case HCL_MESSAGE_CONNECT:
        message.type = HCL_MESSAGE_CONNECTED;
        message.connected.connection = heard->connect.connection;
        send_message(process, &message);
        break;
    case HCL_MESSAGE_DISCONNECT:
        say_closed(process, heard->disconnect.connection, HCL_CLOSE_ASKED);
        break;
    default:
        process_end(process, 0);
    }
}

static void check_heard(struct worker *worker, const struct hcl_message *heard,
                        const int *fds)
{
    uint32_t id;
    unsigned int i = 0;

    assert((heard->type == HCL_MESSAGE_CONFIG) == !worker->configured);
    worker->configured = true;
    switch (heard->type) {
    case HCL_MESSAGE_CONNECT:
        assert(fds[0] >= 0 && fds[1] >= 0);
        close(fds[0]);
        close(fds[1]);
        id = heard->connect.connection;
        assert(id != 0 && heard->connect.domid - XEN_FIRST_DOMID < XEN_DOMIDS);
        for (; i < worker->num_connections; i++) {
            assert(worker->connections[i] != id);
        }
        if (i < CONNECTIONS) {
            worker->connections[worker->num_connections++] = id;
        }
        break;
    case HCL_MESSAGE_DISCONNECT:
        id = heard->disconnect.connection;
        while (i < worker->num_connections && worker->connections[i] != id) {
            i++;
        }
        assert(i < worker->num_connections || i == CONNECTIONS);
        break;
    default:
        assert(heard->type == HCL_MESSAGE_CONFIG ||
               heard->type == HCL_MESSAGE_STOP);
    }
}

bool worker_listen(struct process *process, bool answers)
{
    struct worker *worker = &workers[process - processes];
    struct hcl_message message;
    int fds[HCL_MESSAGE_FDS];
    bool any = false;

    if (worker->pid != process->pid) {
        memset(worker, 0, sizeof(*worker));
        worker->pid = process->pid;
    }
    while (process->pid && process->fd >= 0 &&
           hcl_message_receive(process->fd, &message, fds, NULL) == 1) {
        any = true;
        check_heard(worker, &message, fds);
        if (answers) {
            answer(process, worker, &message);
        }
    }
    return any;
}

/* Mostly of a connection that there is, and with a reason that there is. */
static void say_anything(struct fuzz_input *input, struct process *process,
                         const struct worker *worker)
{
    struct hcl_message message;
    uint32_t what = fuzz_u8(input), id = fuzz_u8(input);

    if (worker->num_connections > 0 && id < 224) {
        id = worker->connections[id % worker->num_connections];
    }
    memset(&message, 0, sizeof(message));
    message.type = 1 + what % (HCL_MESSAGE_END - 1);
    fuzz_take(input, message.closed.text, what >> 5);
    message.closed.text[0] ^= 't';     /* mostly there is one */
    message.closed.reason = what >> 4; /* in the place of refused.refusal */
    message.connected.connection = id;
    switch (message.type) {
    case HCL_MESSAGE_CONNECT:
        memset(&message.connect, 0, sizeof(message.connect));
        message.connect.layout.num_queues = 1;
        message.connect.max_handles = 1;
        message.connect.share.weight = 100;
        break;
    case HCL_MESSAGE_STATS:
        message.stats.connection = id;
        message.stats.stats.completions = what >> 4;
        break;
    case HCL_MESSAGE_FAILED:
        message.failed.mistake = what >> 7;
        break;
    default:
        break;
    }
    send_message(process, &message);
}

void worker_step(struct fuzz_input *input, uint32_t what)
{
    struct process *process = &processes[(what >> 3) % 3];
    struct worker *worker = &workers[process - processes];

    if (!process->pid || process->ended) {
        return;
    }
    switch (what & 7) {
    case 0:
        process_end(process, (int)fuzz_u8(input) << 8);
        break;
    case 1:
        worker_listen(process, false);
        break;
    case 2:
    case 3:
        worker_listen(process, false);
        if (process->fd >= 0) {
            say_anything(input, process, worker);
        }
        break;
    default:
        worker_listen(process, true);
    }
}
