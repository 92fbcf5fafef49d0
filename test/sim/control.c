/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "audit.h"
#include "control_wire.h"
#include "domain.h"
#include "fault.h"
#include "store.h"

/* Xen's reason of a shutdown after which the guest goes on. */
#define SUSPENDED 2

/* One request.  Kept while it waits for a domain. */
struct request {
    struct request *next;
    struct sim_control *control;
    int fd;                    /* owned */
    struct hcl_source *source; /* owned */
    bool waits;
    uint32_t domid;   /* that it waits for */
    bool for_machine; /* until it runs; else: until it has ended */
};

struct sim_control {
    struct sim_host *host;
    int fd;                    /* owned */
    struct hcl_source *source; /* owned */
    struct request *requests;  /* owned */
};

static void request_free(struct request *request)
{
    struct request **at = &request->control->requests;

    while (*at != request) {
        at = &(*at)->next;
    }
    *at = request->next;
    hcl_source_free(request->source);
    close(request->fd);
    free(request);
}

/* ---- Answers ----------------------------------------------------------- */

/* In packets; a program that does not read is not waited for. */
static void send_all(int fd, const char *text, size_t bytes)
{
    size_t part;

    for (; bytes > 0; text += part, bytes -= part) {
        part = bytes < SIM_CONTROL_PACKET ? bytes : SIM_CONTROL_PACKET;
        if (send(fd, text, part, MSG_NOSIGNAL) < 0) {
            return;
        }
    }
}

static void answer_error(const struct request *request, int code,
                         const struct hcl_err *err)
{
    char text[HCL_ERR_TEXT + 32];
    int len = snprintf(text, sizeof(text), "error %d %s\n", -code, err->text);

    send_all(request->fd, text, (size_t)len);
}

/* ---- What can be asked for --------------------------------------------- */

static int do_list(struct sim_host *host, FILE *out)
{
    const struct sim_domain *domain;

    fputs("ok\n", out);
    for (domain = host->domains; domain; domain = domain->next) {
        fprintf(out, "%" PRIu32 " %s %" PRIx32 "\n", domain->domid,
                domain->uuid, sim_domain_flags(domain));
    }
    return 0;
}

static int do_log(struct sim_host *host, uint32_t domid, FILE *out,
                  struct hcl_err *err)
{
    const struct sim_domain *domain = sim_domain_find(host, domid);

    if (!domain || !domain->machine) {
        return hcl_err_set(err, -ENOENT, "there is no guest %" PRIu32, domid);
    }
    fprintf(out, "ok\n%s", sim_machine_dmesg(domain->machine));
    return 0;
}

static int do_quota(struct sim_host *host, const char *text,
                    struct hcl_err *err)
{
    return sim_limits_set(&host->limits, text, err);
}

static int do_create(struct sim_host *host, const char *uuid, FILE *out,
                     struct hcl_err *err)
{
    uint32_t domid;
    int ret = sim_domain_create(host, uuid, &domid, err);

    if (ret == 0) {
        fprintf(out, "ok %" PRIu32 "\n", domid);
    }
    return ret;
}

static int do_restore(struct sim_host *host, const char *words, FILE *out,
                      struct hcl_err *err)
{
    unsigned int key;
    uint32_t domid;
    char uuid[37];
    int ret;

    if (sscanf(words, "%u %36s", &key, uuid) != 2) {
        return hcl_err_set(err, -EINVAL, "restore KEY UUID");
    }
    ret = sim_domain_restore(host, key, uuid, &domid, err);
    if (ret == 0) {
        fprintf(out, "ok %" PRIu32 "\n", domid);
    }
    return ret;
}

static int do_save(struct sim_host *host, uint32_t domid, FILE *out,
                   struct hcl_err *err)
{
    unsigned int key;
    int ret = sim_domain_save(host, domid, &key, err);

    if (ret == 0) {
        fprintf(out, "ok %u\n", key);
    }
    return ret;
}

static int do_shutdown(struct sim_host *host, const char *words,
                       struct hcl_err *err)
{
    uint32_t domid;
    int reason;

    if (sscanf(words, "%" SCNu32 " %d", &domid, &reason) != 2 || reason < 0 ||
        reason > 254) {
        return hcl_err_set(err, -EINVAL, "shutdown DOMID REASON");
    }
    return sim_domain_shutdown(host, domid, reason, err);
}

/* Requests that only say whether they worked. */
static int do_simple(struct sim_host *host, const char *verb, uint32_t domid,
                     FILE *out, struct hcl_err *err)
{
    static const struct {
        const char *verb;
        int (*fn)(struct sim_host *host, uint32_t domid, struct hcl_err *err);
    } verbs[] = {
        {"pause", sim_domain_pause},
        {"unpause", sim_domain_unpause},
        {"resume", sim_domain_resume},
        {"destroy", sim_domain_destroy},
    };
    size_t i;
    int ret;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!strcmp(verb, verbs[i].verb)) {
            ret = verbs[i].fn(host, domid, err);
            if (ret == 0) {
                fputs("ok\n", out);
            }
            return ret;
        }
    }
    return hcl_err_set(err, -EINVAL, "no such request: %s", verb);
}

static int plain_ok(int ret, FILE *out)
{
    if (ret == 0) {
        fputs("ok\n", out);
    }
    return ret;
}

static int dispatch(struct sim_host *host, const char *verb, const char *words,
                    FILE *out, struct hcl_err *err)
{
    uint32_t domid = (uint32_t)strtoul(words, NULL, 10);

    if (!strcmp(verb, "list")) {
        return do_list(host, out);
    }
    if (!strcmp(verb, "create")) {
        return do_create(host, words, out, err);
    }
    if (!strcmp(verb, "restore")) {
        return do_restore(host, words, out, err);
    }
    if (!strcmp(verb, "save")) {
        return do_save(host, domid, out, err);
    }
    if (!strcmp(verb, "shutdown")) {
        return plain_ok(do_shutdown(host, words, err), out);
    }
    if (!strcmp(verb, "log")) {
        return do_log(host, domid, out, err);
    }
    if (!strcmp(verb, "fault")) {
        fputs("ok\n", out);
        return sim_fault_command(host, words, out, err);
    }
    if (!strcmp(verb, "quota")) {
        return plain_ok(do_quota(host, words, err), out);
    }
    if (!strcmp(verb, "baseline")) {
        sim_store_baseline(host->store);
        fputs("ok\n", out);
        return 0;
    }
    if (!strcmp(verb, "audit")) {
        sim_audit(host, out);
        return 0;
    }
    return do_simple(host, verb, domid, out, err);
}

/* ---- Waiting ----------------------------------------------------------- */

/* True if it has been answered. */
static bool answer_if_due(struct request *request)
{
    const struct sim_domain *domain =
        sim_domain_find(request->control->host, request->domid);
    bool gone = !domain || domain->dying;
    char text[32];

    if (request->for_machine) {
        if (!gone && (domain->paused || domain->shutdown >= 0)) {
            return false;
        }
        if (gone || !domain->machine) {
            snprintf(text, sizeof(text), "error %d gone\n", ENOENT);
        } else {
            snprintf(text, sizeof(text), "ok %u\n", domain->machine->key);
        }
    } else if (gone) {
        snprintf(text, sizeof(text), "ok gone\n");
    } else if (domain->shutdown >= 0 && domain->shutdown != SUSPENDED) {
        snprintf(text, sizeof(text), "ok %d\n", domain->shutdown);
    } else {
        return false;
    }
    send_all(request->fd, text, strlen(text));
    return true;
}

void sim_control_changed(struct sim_control *control)
{
    struct request *request, *next;

    for (request = control->requests; request; request = next) {
        next = request->next;
        if (request->waits && answer_if_due(request)) {
            request_free(request);
        }
    }
}

static void on_change(void *arg)
{
    sim_control_changed(arg);
}

static void wait_for(struct request *request, const char *verb,
                     const char *words)
{
    request->domid = (uint32_t)strtoul(words, NULL, 10);
    request->for_machine = !strcmp(verb, "machine");
    request->waits = true;
    if (answer_if_due(request)) {
        request_free(request);
    }
}

/* ---- The socket -------------------------------------------------------- */

static void answer(struct request *request, const char *verb, const char *words)
{
    struct hcl_err err = {0};
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    int ret = -ENOMEM;

    if (out) {
        ret = dispatch(request->control->host, verb, words, out, &err);
        fclose(out);
    }
    if (ret < 0) {
        answer_error(request, ret, &err);
    } else {
        send_all(request->fd, text, bytes);
    }
    free(text);
    request_free(request);
}

static void on_request(void *arg, uint32_t events)
{
    struct request *request = arg;
    char line[1024], *words;
    ssize_t got = recv(request->fd, line, sizeof(line) - 1, MSG_DONTWAIT);

    (void)events;
    if (got <= 0 || request->waits) {
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            request_free(request);
        }
        return;
    }
    line[got] = '\0';
    line[strcspn(line, "\n")] = '\0';
    words = line + strcspn(line, " ");
    if (*words) {
        *words++ = '\0';
    }
    if (!strcmp(line, "wait") || !strcmp(line, "machine")) {
        wait_for(request, line, words);
    } else {
        answer(request, line, words);
    }
}

static void on_connect(void *arg, uint32_t events)
{
    struct sim_control *control = arg;
    struct request *request;
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd < 0) {
        return;
    }
    request = calloc(1, sizeof(*request));
    if (!request) {
        close(fd);
        return;
    }
    request->control = control;
    request->fd = fd;
    request->next = control->requests;
    control->requests = request;
    if (hcl_source_new(&request->source, control->host->loop, fd, EPOLLIN,
                       on_request, request, NULL) < 0) {
        request_free(request);
    }
}

int sim_control_new(struct sim_control **ret_control, struct sim_host *host,
                    struct hcl_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sim_control *control = calloc(1, sizeof(*control));
    int ret;

    if (!control) {
        return hcl_err_sys(err, -ENOMEM, "control socket");
    }
    control->host = host;
    control->fd =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/control",
             host->dir);
    if (control->fd < 0 ||
        bind(control->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(control->fd, 128) < 0) {
        ret = hcl_err_sys(err, -errno, "cannot listen at %s", address.sun_path);
    } else {
        ret = hcl_source_new(&control->source, host->loop, control->fd, EPOLLIN,
                             on_connect, control, err);
    }
    if (ret < 0) {
        sim_control_free(control);
        return ret;
    }
    sim_domain_on_change(host, on_change, control);
    *ret_control = control;
    return 0;
}

void sim_control_free(struct sim_control *control)
{
    struct request *request, *next;

    if (!control) {
        return;
    }
    sim_domain_on_change(control->host, NULL, NULL);
    for (request = control->requests; request; request = next) {
        next = request->next;
        request_free(request);
    }
    hcl_source_free(control->source);
    if (control->fd >= 0) {
        close(control->fd);
    }
    free(control);
}
