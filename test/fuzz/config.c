/* SPDX-License-Identifier: MIT */
/*
 * hcl.conf (common/config.c over libxlutil, common/spec.c,
 * backend/device_config.c and device_list.c).  The first octet chooses what is
 * done with the rest, which is the file, or one item of `devices`.
 *
 * What must hold: a text that says what is wrong, for a person; what is
 * accepted is within its bounds; written again it is read as the same.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device_list.h"
#include "fuzz.h"
#include "settings.h"
#include "share.h"

#define PATH_BYTES 64
#define FILE_MAX_BYTES (1u << 20) /* as in common/config.c */

static int file = -1; /* a memfd */
static char file_path[PATH_BYTES];

static void check_err(int ret, const struct hcl_err *err)
{
    assert(ret < 0 && err->code == ret && err->text[0]);
    for (const char *c = err->text; *c; c++) {
        assert(*c >= 0x20 && *c < 0x7f);
    }
}

/* ---- One item ---------------------------------------------------------- */

static void check_spec(const struct hcl_spec *spec)
{
    static const char *const nothing[] = {NULL}, *const some[] = {"name", NULL};
    char text[HCL_SPEC_BYTES];
    struct hcl_spec again;
    struct hcl_err err;
    uint32_t value;
    int ret;

    assert(spec->count <= HCL_SPEC_MAX_KEYS);
    hcl_spec_format_without(spec, nothing, text, sizeof(text));
    assert(hcl_spec_parse(&again, text, NULL) == 0);
    assert(again.count == spec->count);
    for (unsigned int i = 0; i < spec->count; i++) {
        assert(strcmp(again.key[i], spec->key[i]) == 0);
        assert(strcmp(again.value[i], spec->value[i]) == 0);
        assert(hcl_spec_get(spec, spec->key[i]) == spec->value[i]);
        ret =
            hcl_spec_get_u32(spec, spec->key[i], 3, 1u << 31, 7, &value, &err);
        assert(ret == 0 ? value >= 3 && value <= 1u << 31 : ret == -EINVAL);
        if (ret < 0) {
            check_err(ret, &err);
        }
    }
    ret = hcl_spec_only(spec, some, nothing, &err);
    assert((ret == 0) == (spec->count == 0 ||
                          (spec->count == 1 && hcl_spec_get(spec, "name"))));
    /* A short buffer gets whole items, or fewer. */
    hcl_spec_format_without(spec, some, text, 24);
    assert(strlen(text) < 24 && hcl_spec_parse(&again, text, NULL) == 0);
    hcl_spec_format_without(spec, some, text, 0);
}

static void check_device(const struct hcl_device_config *config)
{
    struct hcl_share share = hcl_share_of(&config->spec, "guest1");

    assert(hcl_share_ok(&share));
    assert(hcl_spec_name_ok(config->name));
    assert(hcl_spec_name_ok(config->class_name));
    assert(config->limits.max_queues == 1);
    assert(config->limits.max_pool_pages <= 4096);
    assert(config->limits.max_ring_page_order <= HCLIF_MAX_RING_PAGE_ORDER);
    assert(config->limits.max_handles >= 1 &&
           config->limits.max_handles <= UINT16_MAX);
    assert(config->allow || hcl_device_config_allows(config, "any"));
    (void)hcl_device_config_allows(config, "guest1");
    (void)hcl_device_config_allows(config, "");
}

static void item(const char *text)
{
    struct hcl_device_config config;
    struct hcl_spec spec;
    struct hcl_err err;
    int ret = hcl_spec_parse(&spec, text, &err);

    if (ret < 0) {
        check_err(ret, &err);
    } else {
        check_spec(&spec);
    }
    (void)hcl_spec_name_ok(text);
    ret = hcl_device_config_parse(&config, text, &err);
    if (ret < 0) {
        check_err(ret, &err);
    } else {
        check_device(&config);
    }
}

/* ---- The file ---------------------------------------------------------- */

static void check_config(const struct hcl_config *config)
{
    struct hcl_device_config *devices;
    struct hcl_settings settings;
    struct hcl_err err;
    const char *value;
    unsigned int count;
    int ret = hcl_config_string(config, "hotplug", &value, &err);

    if (ret < 0) {
        check_err(ret, &err);
    }
    ret = hcl_settings_load(&settings, config, &err);
    if (ret < 0) {
        check_err(ret, &err);
    } else {
        assert(settings.retry_backoff_ms <= HCL_SETTINGS_MAX_MS);
    }
    ret = hcl_device_config_list(config, &devices, &count, &err);
    if (ret < 0) {
        check_err(ret, &err);
        return;
    }
    assert(count > 0);
    for (unsigned int i = 0; i < count; i++) {
        check_device(&devices[i]);
    }
    free(devices);
}

static void parse(const char *data, unsigned int bytes)
{
    struct hcl_config *config;
    struct hcl_err err;
    int ret = hcl_config_parse(&config, "hcl.conf", data, bytes, &err);

    if (ret < 0) {
        check_err(ret, &err);
        return;
    }
    check_config(config);
    hcl_config_free(config);
}

static void load(const char *path, bool is_file)
{
    struct hcl_config *config;
    struct hcl_err err;
    int ret = hcl_config_load(&config, path, &err);

    if (ret < 0) {
        check_err(ret, &err);
        return;
    }
    assert(is_file);
    check_config(config);
    hcl_config_free(config);
}

/* As a file; @bytes may be more than there is data for. */
static void load_file(const char *data, size_t given, size_t bytes)
{
    if (ftruncate(file, 0) < 0 || ftruncate(file, (off_t)bytes) < 0 ||
        pwrite(file, data, given, 0) != (ssize_t)given) {
        abort();
    }
    load(file_path, true);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    file = memfd_create("hcl.conf", MFD_CLOEXEC);
    if (file < 0) {
        abort();
    }
    snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint32_t what = fuzz_u8(&in);
    char *text = malloc(in.left + 1); /* exactly: no octet behind it */
    char *big;

    if (!text) {
        abort();
    }
    memcpy(text, in.at, in.left);
    text[in.left] = '\0';
    switch (what) {
    case 'p':
        parse(text, (unsigned int)in.left);
        break;
    case 'b': /* too much */
        big = calloc(1, FILE_MAX_BYTES + 1);
        parse(big, FILE_MAX_BYTES + 1);
        free(big);
        break;
    case 'f':
        load_file(text, in.left, in.left);
        break;
    case 'l': /* too long a file */
        load_file(text, in.left, FILE_MAX_BYTES + 1 + in.left);
        break;
    case 'd': /* no file */
        load(in.left ? "/dev/null" : "/nowhere", false);
        break;
    default:
        item(text);
    }
    free(text);
    return 0;
}
