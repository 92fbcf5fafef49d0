/* SPDX-License-Identifier: MIT */
/*
 * The calls of libxenctrl that hclctl makes to list domains (tools/domains.c);
 * the host's control socket answers.  All others are left to the library.
 */
#include "device.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <xenctrl.h>

/* More than any test has domains for. */
#define LIST_BYTES 65536

static bool simulated(void)
{
    return getenv("HCL_SIM") != NULL;
}

xc_interface *xc_interface_open(xentoollog_logger *logger,
                                xentoollog_logger *dombuild_logger,
                                unsigned int flags)
{
    static char handle;
    xc_interface *(*real)(xentoollog_logger *, xentoollog_logger *,
                          unsigned int);
    void *found;

    if (simulated()) {
        return (xc_interface *)&handle;
    }
    found = dlsym(RTLD_NEXT, "xc_interface_open");
    if (!found) {
        errno = ENOSYS;
        return NULL;
    }
    memcpy(&real, &found, sizeof(found));
    return real(logger, dombuild_logger, flags);
}

int xc_interface_close(xc_interface *xch)
{
    int (*real)(xc_interface *);
    void *found = simulated() ? NULL : dlsym(RTLD_NEXT, "xc_interface_close");

    if (!found) {
        return 0;
    }
    memcpy(&real, &found, sizeof(found));
    return real(xch);
}

/* The host's answer to "list": all packets until it closes.  -1: errno. */
static int ask(char *text, size_t size)
{
    static const char question[] = "list\n";
    size_t bytes = 0;
    ssize_t got;
    int fd = device_connect("../control", SOCK_SEQPACKET), ret = -1;

    if (fd < 0) {
        errno = -fd;
        return -1;
    }
    if (send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0) {
        goto out;
    }
    while ((got = recv(fd, text + bytes, size - 1 - bytes, 0)) > 0) {
        bytes += (size_t)got;
    }
    if (got == 0) {
        text[bytes] = '\0';
        ret = strncmp(text, "ok", 2) == 0 ? 0 : -1;
        errno = EIO;
    }
out:
    syscall(SYS_close, fd);
    return ret;
}

/* "DOMID UUID FLAGS"; false: another line. */
static bool parse(const char *line, xc_domaininfo_t *info)
{
    uint8_t *h = info->handle;
    uint32_t domid, flags;
    int i, at = 0;

    memset(info, 0, sizeof(*info));
    if (sscanf(line, "%" SCNu32 " %n", &domid, &at) != 1) {
        return false;
    }
    for (line += at, i = 0; i < 16; i++) {
        line += *line == '-';
        if (sscanf(line, "%2" SCNx8, &h[i]) != 1) {
            return false;
        }
        line += 2;
    }
    if (sscanf(line, " %" SCNx32, &flags) != 1) {
        return false;
    }
    info->domain = (domid_t)domid;
    info->flags = flags;
    return true;
}

int xc_domain_getinfolist(xc_interface *xch, uint32_t first_domain,
                          unsigned int max_domains, xc_domaininfo_t *info)
{
    int (*real)(xc_interface *, uint32_t, unsigned int, xc_domaininfo_t *);
    char text[LIST_BYTES], *line, *rest = text;
    unsigned int count = 0;
    void *found;

    if (!simulated()) {
        found = dlsym(RTLD_NEXT, "xc_domain_getinfolist");
        if (!found) {
            errno = ENOSYS;
            return -1;
        }
        memcpy(&real, &found, sizeof(found));
        return real(xch, first_domain, max_domains, info);
    }
    if (ask(text, sizeof(text)) < 0) {
        return -1;
    }
    while (count < max_domains && (line = strsep(&rest, "\n"))) {
        if (parse(line, &info[count]) && info[count].domain >= first_domain) {
            count++;
        }
    }
    return (int)count;
}
