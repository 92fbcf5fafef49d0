/* SPDX-License-Identifier: MIT */
/*
 * test_sim_store.h: a host with three domains that has nothing but a
 * xenstored, and clients that speak the wire protocol with it, in one thread.
 */
#ifndef TEST_SIM_STORE_H
#define TEST_SIM_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenstore.h>

/* common/ has a store.h, too. */
#include "../sim/fault.h"
#include "../sim/store.h"

#define DOMAINS 3
#define EVENTS 64

/* ---- The host ---------------------------------------------------------- */

static struct rig {
    struct sim_host host;
    struct sim_domain domains[DOMAINS];
    struct sim_machine machines[DOMAINS];
    /* What the next call of sim_fault says. */
    int fault;
    uint64_t delay_us;
    unsigned int calls;
} rig;

struct sim_domain *sim_domain_find(struct sim_host *host, uint32_t domid)
{
    struct sim_domain *domain = host->domains;

    while (domain && domain->domid != domid) {
        domain = domain->next;
    }
    return domain;
}

int sim_fault(struct sim_host *host, struct sim_machine *machine,
              enum sim_call call, uint64_t *ret_delay_us)
{
    int error = rig.fault;

    assert_ptr_equal(host, &rig.host);
    assert_non_null(machine);
    assert_int_equal(call, SIM_CALL_STORE);
    *ret_delay_us = rig.delay_us;
    rig.fault = 0;
    rig.delay_us = 0;
    rig.calls++;
    return error;
}

/* dom0 and two guests, all introduced. */
__attribute__((unused)) static int rig_open(void **state)
{
    unsigned int i;

    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.host.limits = (struct sim_limits){.nodes = 1000,
                                          .node_bytes = 2048,
                                          .watches = 128,
                                          .transactions = 10,
                                          .path_bytes = 2048,
                                          .permissions = 5};
    rig.host.domains = &rig.domains[0];
    rig.host.machines = &rig.machines[0];
    for (i = 0; i < DOMAINS; i++) {
        struct sim_domain *domain = &rig.domains[i];

        domain->domid = i;
        domain->introduced = true;
        domain->shutdown = -1;
        domain->machine = &rig.machines[i];
        snprintf(domain->uuid, sizeof(domain->uuid),
                 "00000000-0000-0000-0000-%012u", i);
        rig.machines[i].key = i;
        rig.machines[i].domain = domain;
        if (i + 1 < DOMAINS) {
            domain->next = domain + 1;
            rig.machines[i].next = &rig.machines[i + 1];
        }
    }
    assert_int_equal(hcl_loop_new(&rig.host.loop, NULL), 0);
    return sim_store_new(&rig.host.store, &rig.host, NULL);
}

__attribute__((unused)) static int rig_close(void **state)
{
    (void)state;
    sim_store_free(rig.host.store);
    hcl_loop_free(rig.host.loop);
    return 0;
}

__attribute__((unused)) static void rig_run(void)
{
    while (hcl_loop_poll(rig.host.loop, 0) > 0) {
    }
}

/* ---- Clients ----------------------------------------------------------- */

struct client {
    int fd;
    struct xsd_sockmsg header; /* of the last answer */
    char body[XENSTORE_PAYLOAD_MAX + 1];
    uint32_t requests;
    char events[EVENTS][256]; /* "path token", not looked at yet */
    unsigned int first, count;
};

__attribute__((unused)) static struct client *client_new(uint32_t key)
{
    struct client *client = calloc(1, sizeof(*client));
    int fds[2];

    assert_non_null(client);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    client->fd = fds[0];
    sim_store_connect(rig.host.store, fds[1], &rig.machines[key]);
    return client;
}

__attribute__((unused)) static void client_free(struct client *client)
{
    close(client->fd);
    free(client);
    rig_run();
}

static void client_send(struct client *client, uint32_t type, uint32_t tx,
                        const void *body, size_t bytes)
{
    char out[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = {.type = type,
                                 .tx_id = tx,
                                 .req_id = ++client->requests,
                                 .len = (uint32_t)bytes};

    memcpy(out, &header, sizeof(header));
    memcpy(out + sizeof(header), body, bytes);
    assert_int_equal(send(client->fd, out, sizeof(header) + bytes,
                          MSG_NOSIGNAL | MSG_DONTWAIT),
                     sizeof(header) + bytes);
}

/* Reads a message into header and body, with a NUL; false: there is none. */
static bool client_receive(struct client *client)
{
    ssize_t bytes =
        recv(client->fd, &client->header, sizeof(client->header), MSG_DONTWAIT);

    if (bytes <= 0) {
        assert_true(bytes == 0 || errno == EAGAIN);
        return false;
    }
    assert_int_equal(bytes, sizeof(client->header));
    assert_true(client->header.len <= XENSTORE_PAYLOAD_MAX);
    if (client->header.len > 0) {
        bytes = recv(client->fd, client->body, client->header.len,
                     MSG_DONTWAIT | MSG_WAITALL);
        assert_int_equal(bytes, client->header.len);
    }
    client->body[client->header.len] = '\0';
    return true;
}

/* Takes a message as it comes: an event is kept; true: it is an answer. */
static bool client_take(struct client *client)
{
    if (client->header.type != XS_WATCH_EVENT) {
        return true;
    }
    assert_true(client->count < EVENTS);
    snprintf(client->events[(client->first + client->count) % EVENTS],
             sizeof(client->events[0]), "%.120s %.120s", client->body,
             client->body + strlen(client->body) + 1);
    client->count++;
    return false;
}

/* The answer to a request: its body, an error's name in case of one. */
__attribute__((unused)) static const char *
client_ask(struct client *client, uint32_t type, uint32_t tx, const void *body,
           size_t bytes)
{
    client_send(client, type, tx, body, bytes);
    rig_run();
    do {
        assert_true(client_receive(client));
    } while (!client_take(client));
    assert_int_equal(client->header.req_id, client->requests);
    assert_int_equal(client->header.tx_id, tx);
    if (client->header.type != XS_ERROR) {
        assert_int_equal(client->header.type, type);
    }
    return client->body;
}

/* With strings, the last one's NUL included. */
#define ASK(client, type, tx, text)                                            \
    client_ask(client, type, tx, text, sizeof(text))
/* "path\0value" */
#define WRITE(client, tx, text)                                                \
    client_ask(client, XS_WRITE, tx, text, sizeof(text) - 1)

#define assert_ok(answer) assert_string_equal(answer, "OK")

/* The next event, or "". */
__attribute__((unused)) static const char *client_event(struct client *client)
{
    unsigned int at = client->first;

    rig_run();
    while (client_receive(client)) {
        assert_false(client_take(client));
    }
    if (client->count == 0) {
        return "";
    }
    client->count--;
    client->first = (at + 1) % EVENTS;
    return client->events[at];
}

/* /local/domain/1 is made, and guest 1 may do what it likes in it. */
__attribute__((unused)) static void give_home(struct client *dom0)
{
    assert_ok(ASK(dom0, XS_MKDIR, 0, "/local/domain/1"));
    assert_ok(ASK(dom0, XS_SET_PERMS, 0, "/local/domain/1\0n1"));
}

/* Begins a transaction; its number. */
__attribute__((unused)) static uint32_t client_start(struct client *client)
{
    uint32_t tx = (uint32_t)atoi(ASK(client, XS_TRANSACTION_START, 0, ""));

    assert_int_not_equal(tx, 0);
    return tx;
}

/* True if the server has closed the connection. */
__attribute__((unused)) static bool client_closed(struct client *client)
{
    char octet;

    rig_run();
    return recv(client->fd, &octet, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

#endif /* TEST_SIM_STORE_H */
