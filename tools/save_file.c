/* SPDX-License-Identifier: MIT */
#include "save_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define MAX_CONFIG_BYTES (1u << 20)

/*
 * What xl writes before the guest's memory (xl.h and xl_vmcontrol.c of Xen):
 * the header, then optional_bytes, of which the first four are the length of
 * the guest's configuration and then come so many bytes of JSON.
 */
struct header {
    char magic[32];
    uint32_t byte_order;
    uint32_t mandatory_flags;
    uint32_t optional_flags;
    uint32_t optional_bytes;
};

static const char magic[32] = "Xen saved domain, xl format\n \0 \r";

#define BYTE_ORDER_HERE UINT32_C(0x01020304)
#define FLAG_JSON UINT32_C(1)

static int no_uuid(const char *path, struct hcl_err *err)
{
    return hcl_err_set(err, -EINVAL,
                       "%s: expected a file that xl save wrote, with the uuid "
                       "of its guest; if xl restore takes it, use that and "
                       "hclctl attach",
                       path);
}

/* Finds the uuid in the JSON form of a guest's configuration. */
static bool uuid_in(const char *json, size_t bytes, char *ret_uuid)
{
    cJSON *config = cJSON_ParseWithLength(json, bytes);
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(config, "c_info");
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(info, "uuid"));
    bool found = false;
    size_t i;

    if (text && strlen(text) == HCL_GUEST_UUID - 1) {
        for (i = 0; i < HCL_GUEST_UUID; i++) {
            ret_uuid[i] = (char)tolower((unsigned char)text[i]);
        }
        found = hcl_guest_uuid_ok(ret_uuid);
    }
    cJSON_Delete(config);
    return found;
}

static int read_uuid(FILE *in, const char *path, char *ret_uuid,
                     struct hcl_err *err)
{
    struct header header;
    uint32_t bytes;
    char *json;
    int ret = 0;

    if (fread(&header, sizeof(header), 1, in) != 1 ||
        memcmp(header.magic, magic, sizeof(magic)) != 0 ||
        header.byte_order != BYTE_ORDER_HERE ||
        !(header.mandatory_flags & FLAG_JSON) || header.optional_bytes < 4 ||
        fread(&bytes, sizeof(bytes), 1, in) != 1 || bytes > MAX_CONFIG_BYTES ||
        bytes > header.optional_bytes - 4) {
        return no_uuid(path, err);
    }
    json = malloc(bytes + 1);
    if (!json) {
        return hcl_err_sys(err, -ENOMEM, "%s", path);
    }
    if (fread(json, 1, bytes, in) != bytes ||
        !uuid_in(json, strnlen(json, bytes), ret_uuid)) {
        ret = no_uuid(path, err);
    }
    free(json);
    return ret;
}

int hcl_save_file_uuid(const char *path, char *ret_uuid, struct hcl_err *err)
{
    FILE *in = fopen(path, "re");
    int ret;

    if (!in) {
        return hcl_err_sys(err, -errno, "cannot open %s", path);
    }
    ret = read_uuid(in, path, ret_uuid, err);
    fclose(in);
    return ret;
}
