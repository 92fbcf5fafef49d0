/* SPDX-License-Identifier: MIT */
#include "guests.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "control.h"

static bool has_name(struct xs_handle *xs, uint32_t domid, const char *name)
{
    char path[48], *value;
    unsigned int len;
    bool same;

    snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/name", domid);
    value = xs_read(xs, XBT_NULL, path, &len);
    same = value && !strcmp(value, name);
    free(value);
    return same;
}

static int find_name(const char *name, uint32_t *ret_domid, struct hcl_err *err)
{
    struct xs_handle *xs = xs_open(0);
    char *list = NULL, *line;
    uint32_t domid;
    int ret;

    if (!xs) {
        return hcl_err_sys(err, -errno, "cannot reach xenstore");
    }
    ret = sim_control_ask(&list, err, "list");
    if (ret == 0) {
        ret = hcl_err_set(err, -ENOENT, "there is no guest %s", name);
        for (line = list; line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
            domid = (uint32_t)strtoul(line, NULL, 10);
            if (has_name(xs, domid, name)) {
                *ret_domid = domid;
                ret = 0;
            }
        }
    }
    free(list);
    xs_close(xs);
    return ret;
}

int sim_guests_domid(const char *name, uint32_t *ret_domid, struct hcl_err *err)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    if (isdigit((unsigned char)name[0]) && !*end && number < 0x7ff0) {
        *ret_domid = (uint32_t)number;
        return 0;
    }
    return find_name(name, ret_domid, err);
}
