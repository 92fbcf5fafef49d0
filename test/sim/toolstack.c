/* SPDX-License-Identifier: MIT */
#include "toolstack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include <cjson/cJSON.h>

#include "config.h"
#include "control.h"
#include "guests.h"
#include "xl_process.h"

/* What a file of xl begins with; tools/save_file.c reads it, too. */
struct save_header {
    char magic[32];
    uint32_t byte_order;
    uint32_t mandatory_flags; /* 1: what follows is JSON */
    uint32_t optional_flags;
    uint32_t optional_bytes;
};

static const char save_magic[32] = "Xen saved domain, xl format\n \0 \r";

#define SAVE_BYTE_ORDER UINT32_C(0x01020304)
#define SAVE_MAX_BYTES 65536u

/* ---- The configuration ------------------------------------------------- */

static int new_uuid(char *uuid, struct hcl_err *err)
{
    FILE *in = fopen("/proc/sys/kernel/random/uuid", "re");
    bool ok = in && fgets(uuid, SIM_UUID, in);

    if (in) {
        fclose(in);
    }
    return ok ? 0 : hcl_err_set(err, -EIO, "cannot make a uuid");
}

static int read_action(const struct hcl_config *config, const char *key,
                       enum sim_action fallback, enum sim_action *ret_action,
                       struct hcl_err *err)
{
    const char *value = NULL;
    int ret = hcl_config_string(config, key, &value, err);

    if (ret < 0) {
        return ret;
    }
    *ret_action = fallback;
    if (value && !strcmp(value, "destroy")) {
        *ret_action = SIM_ACTION_DESTROY;
    } else if (value && !strcmp(value, "restart")) {
        *ret_action = SIM_ACTION_RESTART;
    } else if (value && !strcmp(value, "preserve")) {
        *ret_action = SIM_ACTION_PRESERVE;
    } else if (value) {
        return hcl_err_set(err, -EINVAL,
                           "%s = \"%s\": expected destroy, restart or preserve",
                           key, value);
    }
    return 0;
}

static int read_names(struct sim_guest *guest, const struct hcl_config *config,
                      const char *path, struct hcl_err *err)
{
    const char *name = NULL, *uuid = NULL;
    int ret = hcl_config_string(config, "name", &name, err);

    if (ret == 0) {
        ret = hcl_config_string(config, "uuid", &uuid, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (!name || strlen(name) >= SIM_NAME) {
        return hcl_err_set(err, -EINVAL,
                           "%s: a guest needs a name, of less "
                           "than %d bytes",
                           path, SIM_NAME);
    }
    snprintf(guest->name, sizeof(guest->name), "%s", name);
    if (uuid) {
        snprintf(guest->uuid, sizeof(guest->uuid), "%s", uuid);
        return 0;
    }
    return new_uuid(guest->uuid, err);
}

int sim_toolstack_read(struct sim_guest *guest, const char *path,
                       const char *extra, struct hcl_err *err)
{
    struct hcl_config *config;
    int ret = hcl_xl_config_load(&config, path, extra, err);

    if (ret < 0) {
        return ret;
    }
    memset(guest, 0, sizeof(*guest));
    ret = read_names(guest, config, path, err);
    if (ret == 0) {
        ret = read_action(config, "on_poweroff", SIM_ACTION_DESTROY,
                          &guest->on_poweroff, err);
    }
    if (ret == 0) {
        ret = read_action(config, "on_reboot", SIM_ACTION_RESTART,
                          &guest->on_reboot, err);
    }
    if (ret == 0) {
        ret = read_action(config, "on_crash", SIM_ACTION_DESTROY,
                          &guest->on_crash, err);
    }
    hcl_config_free(config);
    return ret;
}

/* ---- Nodes ------------------------------------------------------------- */

/* Who owns a node: libxl's roperm, rwperm, noperm. */
enum owner { READS, OWNS, NOTHING };

/* One attempt at a guest's nodes. */
struct nodes {
    struct xs_handle *xs;
    xs_transaction_t transaction;
    uint32_t domid;
    bool failed;
};

static void put(struct nodes *nodes, const char *dir, const char *name,
                const char *value, enum owner owner)
{
    struct xs_permissions permissions[2] = {
        {.id = owner == OWNS ? nodes->domid : 0, .perms = XS_PERM_NONE},
        {.id = nodes->domid, .perms = XS_PERM_READ},
    };
    char path[128];

    snprintf(path, sizeof(path), "%s%s%s", dir, *name ? "/" : "", name);
    if (nodes->failed) {
        return;
    }
    if (!xs_write(nodes->xs, nodes->transaction, path, value,
                  (unsigned int)strlen(value)) ||
        !xs_set_permissions(nodes->xs, nodes->transaction, path, permissions,
                            owner == READS ? 2 : 1)) {
        nodes->failed = true;
    }
}

/* The domain's own, as libxl makes them for a guest without devices. */
static void put_all(struct nodes *nodes, const struct sim_guest *guest)
{
    static const struct {
        const char *name;
        enum owner owner;
    } folders[] = {
        {"cpu", READS},
        {"cpu/0", READS},
        {"memory", READS},
        {"device", READS},
        {"device/suspend", READS},
        {"device/suspend/event-channel", OWNS},
        {"control", READS},
        {"control/shutdown", OWNS},
        {"control/feature-poweroff", OWNS},
        {"control/feature-reboot", OWNS},
        {"control/feature-suspend", OWNS},
        {"data", OWNS},
        {"drivers", OWNS},
        {"feature", OWNS},
        {"attr", OWNS},
        {"error", OWNS},
    };
    char dom[32], vm[48], number[16];
    size_t i;

    snprintf(dom, sizeof(dom), "/local/domain/%" PRIu32, nodes->domid);
    snprintf(vm, sizeof(vm), "/vm/%s", guest->uuid);
    snprintf(number, sizeof(number), "%" PRIu32, nodes->domid);
    put(nodes, vm, "", "", READS);
    put(nodes, vm, "uuid", guest->uuid, READS);
    put(nodes, vm, "name", guest->name, READS);
    put(nodes, dom, "", "", READS);
    put(nodes, dom, "vm", vm, READS);
    put(nodes, dom, "name", guest->name, READS);
    put(nodes, dom, "domid", number, READS);
    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        put(nodes, dom, folders[i].name, "", folders[i].owner);
    }
    put(nodes, dom, "cpu/0/availability", "online", READS);
    put(nodes, dom, "memory/target", "131072", READS);
    snprintf(dom, sizeof(dom), "/libxl/%" PRIu32, nodes->domid);
    put(nodes, dom, "", "", NOTHING);
}

static int write_nodes(const struct sim_guest *guest, uint32_t domid,
                       struct hcl_err *err)
{
    struct nodes nodes = {.xs = xs_open(0), .domid = domid};
    bool done = false;

    if (!nodes.xs) {
        return hcl_err_sys(err, -errno, "cannot reach xenstore");
    }
    do {
        nodes.failed = false;
        nodes.transaction = xs_transaction_start(nodes.xs);
        if (nodes.transaction == XBT_NULL) {
            break;
        }
        put_all(&nodes, guest);
        done = xs_transaction_end(nodes.xs, nodes.transaction, nodes.failed);
    } while (!done && errno == EAGAIN);
    done = done && !nodes.failed && xs_introduce_domain(nodes.xs, domid, 0, 1);
    xs_close(nodes.xs);
    return done ? 0
                : hcl_err_set(err, -EIO,
                              "cannot make the nodes of guest %" PRIu32, domid);
}

static void remove_nodes(uint32_t domid)
{
    struct xs_handle *xs = xs_open(0);
    char dom[32], path[48], *vm;
    unsigned int len;

    if (!xs) {
        return;
    }
    snprintf(dom, sizeof(dom), "/local/domain/%" PRIu32, domid);
    snprintf(path, sizeof(path), "%s/vm", dom);
    vm = xs_read(xs, XBT_NULL, path, &len);
    if (vm) {
        (void)xs_rm(xs, XBT_NULL, vm);
    }
    (void)xs_rm(xs, XBT_NULL, dom);
    snprintf(path, sizeof(path), "/libxl/%" PRIu32, domid);
    (void)xs_rm(xs, XBT_NULL, path);
    free(vm);
    xs_close(xs);
}

void sim_toolstack_name(uint32_t domid, char *ret_name)
{
    struct xs_handle *xs = xs_open(0);
    char path[48], *name = NULL;
    unsigned int len;

    if (xs) {
        snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/name", domid);
        name = xs_read(xs, XBT_NULL, path, &len);
        xs_close(xs);
    }
    snprintf(ret_name, SIM_NAME, "%s", name ? name : "");
    free(name);
}

/* ---- Lives ------------------------------------------------------------- */

static int ask_domid(uint32_t *ret_domid, struct hcl_err *err,
                     const char *request)
{
    char *answer;
    int ret = sim_control_ask(&answer, err, "%s", request);

    if (ret == 0) {
        *ret_domid = (uint32_t)strtoul(answer, NULL, 10);
        free(answer);
    }
    return ret;
}

/* Makes the domain by @request, then its nodes. */
static int make(const struct sim_guest *guest, const char *request,
                uint32_t *ret_domid, struct hcl_err *err)
{
    uint32_t domid;
    int ret;

    if (sim_guests_domid(guest->name, &domid, NULL) == 0) {
        return hcl_err_set(err, -EEXIST, "guest \"%s\" exists already",
                           guest->name);
    }
    ret = ask_domid(&domid, err, request);
    if (ret < 0) {
        return ret;
    }
    ret = write_nodes(guest, domid, err);
    if (ret < 0) {
        remove_nodes(domid);
        (void)!sim_control_ask(NULL, NULL, "destroy %" PRIu32, domid);
        return ret;
    }
    *ret_domid = domid;
    return 0;
}

int sim_toolstack_create(const struct sim_guest *guest, uint32_t *ret_domid,
                         struct hcl_err *err)
{
    char request[64];

    snprintf(request, sizeof(request), "create %s", guest->uuid);
    return make(guest, request, ret_domid, err);
}

int sim_toolstack_destroy(uint32_t domid, struct hcl_err *err)
{
    char *answer;
    int ret;

    /* Nothing of a domain that is not there, or of dom0, is removed. */
    ret = domid ? sim_control_ask(&answer, err, "list") : -EINVAL;
    if (ret < 0) {
        return domid ? ret : hcl_err_set(err, ret, "dom0 cannot be destroyed");
    }
    free(answer);
    remove_nodes(domid);
    return sim_control_ask(NULL, err, "destroy %" PRIu32, domid);
}

/* ---- Saving ------------------------------------------------------------ */

static int write_file(const char *path, const char *json, struct hcl_err *err)
{
    uint32_t bytes = (uint32_t)strlen(json) + 1;
    struct save_header header = {
        .byte_order = SAVE_BYTE_ORDER,
        .mandatory_flags = 1,
        .optional_bytes = (uint32_t)sizeof(bytes) + bytes,
    };
    FILE *out = fopen(path, "we");
    bool ok;

    if (!out) {
        return hcl_err_sys(err, -errno, "cannot write %s", path);
    }
    memcpy(header.magic, save_magic, sizeof(header.magic));
    ok = fwrite(&header, sizeof(header), 1, out) == 1 &&
         fwrite(&bytes, sizeof(bytes), 1, out) == 1 &&
         fwrite(json, bytes, 1, out) == 1;
    if (fclose(out) != 0 || !ok) {
        return hcl_err_sys(err, errno ? -errno : -EIO, "cannot write %s", path);
    }
    return 0;
}

/* The next suspend is news again. */
static void resume_in_xenstore(uint32_t domid)
{
    struct xs_handle *xs = xs_open(0);

    if (xs) {
        (void)xs_resume_domain(xs, domid);
        xs_close(xs);
    }
}

static int write_save(const char *path, const struct sim_guest *guest,
                      unsigned int key, struct hcl_err *err)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *info = cJSON_AddObjectToObject(json, "c_info");
    char *text = NULL;
    int ret;

    if (cJSON_AddStringToObject(info, "name", guest->name) &&
        cJSON_AddStringToObject(info, "uuid", guest->uuid) &&
        cJSON_AddNumberToObject(json, "hcl_sim_key", key)) {
        text = cJSON_Print(json);
    }
    cJSON_Delete(json);
    ret = text ? write_file(path, text, err)
               : hcl_err_sys(err, -ENOMEM, "%s", path);
    free(text);
    return ret;
}

/* The uuid stands in the node vm: /vm/UUID. */
static void read_uuid(uint32_t domid, char *uuid)
{
    struct xs_handle *xs = xs_open(0);
    char path[48], *vm = NULL;
    unsigned int len;

    if (xs) {
        snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/vm", domid);
        vm = xs_read(xs, XBT_NULL, path, &len);
        xs_close(xs);
    }
    snprintf(uuid, SIM_UUID, "%s", vm && strlen(vm) > 4 ? vm + 4 : "");
    free(vm);
}

int sim_toolstack_save(uint32_t domid, const char *path, bool checkpoint,
                       struct hcl_err *err)
{
    struct sim_guest guest;
    uint32_t key = 0;
    char request[32];
    int ret;

    sim_toolstack_name(domid, guest.name);
    read_uuid(domid, guest.uuid);
    /* The file first: if it cannot be written nothing has happened. */
    ret = write_save(path, &guest, 0, err);
    if (ret == 0) {
        ret = sim_control_ask(NULL, err, "shutdown %" PRIu32 " 2", domid);
    }
    if (ret < 0) {
        return ret;
    }
    if (checkpoint) {
        ret = sim_control_ask(NULL, err, "resume %" PRIu32, domid);
        resume_in_xenstore(domid);
        return ret;
    }
    remove_nodes(domid);
    snprintf(request, sizeof(request), "save %" PRIu32, domid);
    ret = ask_domid(&key, err, request);
    if (ret == 0) {
        ret = write_save(path, &guest, key, err);
    }
    return ret;
}

static int parse_save(const char *path, const char *text, size_t bytes,
                      struct sim_guest *guest, unsigned int *ret_key,
                      struct hcl_err *err)
{
    cJSON *json = cJSON_ParseWithLength(text, bytes);
    const cJSON *info = cJSON_GetObjectItem(json, "c_info");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(info, "name"));
    const char *uuid = cJSON_GetStringValue(cJSON_GetObjectItem(info, "uuid"));
    const cJSON *key = cJSON_GetObjectItem(json, "hcl_sim_key");
    int ret = 0;

    if (name && uuid && cJSON_IsNumber(key)) {
        memset(guest, 0, sizeof(*guest));
        snprintf(guest->name, sizeof(guest->name), "%s", name);
        snprintf(guest->uuid, sizeof(guest->uuid), "%s", uuid);
        guest->on_reboot = SIM_ACTION_RESTART;
        *ret_key = (unsigned int)key->valueint;
    } else {
        ret = hcl_err_set(err, -EINVAL,
                          "%s: expected a file that xl save wrote on a "
                          "simulated host",
                          path);
    }
    cJSON_Delete(json);
    return ret;
}

static int read_save(const char *path, struct sim_guest *guest,
                     unsigned int *ret_key, struct hcl_err *err)
{
    struct save_header header;
    static char text[SAVE_MAX_BYTES];
    FILE *in = fopen(path, "re");
    uint32_t bytes = 0;
    bool ok;

    if (!in) {
        return hcl_err_sys(err, -errno, "cannot open %s", path);
    }
    ok = fread(&header, sizeof(header), 1, in) == 1 &&
         memcmp(header.magic, save_magic, sizeof(save_magic)) == 0 &&
         fread(&bytes, sizeof(bytes), 1, in) == 1 && bytes <= sizeof(text) &&
         fread(text, 1, bytes, in) == bytes;
    fclose(in);
    return parse_save(path, text, ok ? bytes : 0, guest, ret_key, err);
}

int sim_toolstack_restore(struct sim_guest *guest, const char *path,
                          uint32_t *ret_domid, struct hcl_err *err)
{
    char request[64];
    unsigned int key = 0;
    int ret = read_save(path, guest, &key, err);

    if (ret == 0) {
        snprintf(request, sizeof(request), "restore %u %s", key, guest->uuid);
        ret = make(guest, request, ret_domid, err);
    }
    return ret;
}
