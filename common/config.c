/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxlutil.h>

#include "spec.h"

#define FILE_MAX_BYTES (1u << 20)

struct hcl_config {
    XLU_Config *parsed; /* owned */
    FILE *report;       /* owned: where libxlutil writes its messages */
    char *text;         /* owned: what it wrote */
    size_t text_bytes;
    char *name; /* owned */
};

/*
 * libxlutil's parser needs this one function of libxenlight, for values that
 * are booleans, which are never asked for here.  With it the parser can be
 * linked alone.
 */
void libxl_defbool_set(libxl_defbool *value, bool set)
{
    value->val = set ? 1 : -1;
}

/* ---- What libxlutil reports -------------------------------------------- */

static void report_clear(const struct hcl_config *config)
{
    fflush(config->report);
    if (config->text) {
        config->text[0] = '\0';
    }
    rewind(config->report);
}

/*
 * Makes an error of what libxlutil reported since report_clear.  Only its first
 * line: those after it follow from it.
 */
static int report_take(const struct hcl_config *config, int code,
                       struct hcl_err *err)
{
    size_t len = 0;

    fflush(config->report);
    if (config->text) {
        len = strcspn(config->text, "\n");
    }
    if (len == 0) {
        return hcl_err_sys(err, code, "%s", config->name);
    }
    return hcl_err_set(err, code, "%.*s", (int)len, config->text);
}

/* ---- Parsing ----------------------------------------------------------- */

void hcl_config_free(struct hcl_config *config)
{
    if (!config) {
        return;
    }
    if (config->parsed) {
        xlu_cfg_destroy(config->parsed);
    }
    if (config->report) {
        fclose(config->report);
    }
    free(config->text);
    free(config->name);
    free(config);
}

int hcl_config_parse(struct hcl_config **ret_config, const char *name,
                     const char *data, unsigned int bytes, struct hcl_err *err)
{
    struct hcl_config *config = calloc(1, sizeof(*config));
    int ret;

    if (!config) {
        return hcl_err_sys(err, -ENOMEM, "%s", name);
    }
    config->name = strdup(name);
    config->report = open_memstream(&config->text, &config->text_bytes);
    if (config->name && config->report) {
        config->parsed = xlu_cfg_init(config->report, name);
    }
    if (!config->parsed) {
        ret = hcl_err_sys(err, -ENOMEM, "%s", name);
        goto out;
    }
    if (bytes > FILE_MAX_BYTES) {
        ret = hcl_err_set(err, -EFBIG, "%s: has %u bytes, at most %u can be",
                          name, bytes, FILE_MAX_BYTES);
        goto out;
    }
    /* libxlutil ends the program when one stands in a string. */
    if (memchr(data, '\0', bytes)) {
        ret = hcl_err_set(err, -EINVAL, "%s: has a NUL byte, expected text",
                          name);
        goto out;
    }
    ret = xlu_cfg_readdata(config->parsed, data, (int)bytes);
    if (ret) {
        /* Of what it half read nothing may be asked, says libxlutil.h. */
        ret = report_take(config, ret > 0 ? -ret : -EINVAL, err);
    }
out:
    if (ret < 0) {
        hcl_config_free(config);
        return ret;
    }
    *ret_config = config;
    return 0;
}

/* Reads all of @fd into @data (FILE_MAX_BYTES + 1 bytes). */
static int read_all(int fd, const char *path, char *data,
                    unsigned int *ret_bytes, struct hcl_err *err)
{
    size_t used = 0;
    ssize_t got;

    do {
        got = read(fd, data + used, FILE_MAX_BYTES + 1 - used);
        if (got > 0) {
            used += (size_t)got;
        }
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0) {
        return hcl_err_sys(err, -errno, "cannot read %s", path);
    }
    if (used > FILE_MAX_BYTES) {
        return hcl_err_set(err, -EFBIG, "%s: has more than %u bytes", path,
                           FILE_MAX_BYTES);
    }
    *ret_bytes = (unsigned int)used;
    return 0;
}

/* Reads all of a regular file, at most FILE_MAX_BYTES. */
static int read_file(const char *path, char **ret_data, unsigned int *ret_bytes,
                     struct hcl_err *err)
{
    char *data = NULL;
    struct stat st;
    int ret;
    /* O_NONBLOCK: a FIFO must not hang us before it is seen to be one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return hcl_err_sys(err, -errno, "cannot open %s", path);
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        ret = hcl_err_set(err, -EINVAL, "%s: is not a regular file", path);
        goto out;
    }
    data = malloc(FILE_MAX_BYTES + 1);
    ret = data ? read_all(fd, path, data, ret_bytes, err)
               : hcl_err_sys(err, -ENOMEM, "%s", path);
out:
    close(fd);
    if (ret < 0) {
        free(data);
        return ret;
    }
    *ret_data = data;
    return 0;
}

int hcl_config_load(struct hcl_config **ret_config, const char *path,
                    struct hcl_err *err)
{
    unsigned int bytes = 0;
    char *data = NULL;
    int ret = read_file(path, &data, &bytes, err);

    if (ret < 0) {
        return ret;
    }
    ret = hcl_config_parse(ret_config, path, data, bytes, err);
    free(data);
    return ret;
}

/* ---- Values ------------------------------------------------------------ */

int hcl_config_string(const struct hcl_config *config, const char *key,
                      const char **ret_value, struct hcl_err *err)
{
    const char *value = NULL;
    int ret;

    report_clear(config);
    ret = xlu_cfg_get_string(config->parsed, key, &value, 0);
    if (ret && ret != ESRCH) {
        return report_take(config, -ret, err);
    }
    *ret_value = ret ? NULL : value;
    return 0;
}

int hcl_config_list(const struct hcl_config *config, const char *key,
                    const char ***ret_items, unsigned int *ret_count,
                    struct hcl_err *err)
{
    XLU_ConfigList *list;
    const char **items;
    int i, count = 0, ret;

    report_clear(config);
    ret = xlu_cfg_get_list(config->parsed, key, &list, &count, 0);
    if (ret && ret != ESRCH) {
        return report_take(config, -ret, err);
    }
    items = calloc((size_t)count + 1, sizeof(*items));
    if (!items) {
        return hcl_err_sys(err, -ENOMEM, "%s", config->name);
    }
    for (i = 0; i < count; i++) {
        items[i] = xlu_cfg_get_listitem(list, i);
        if (!items[i]) {
            free(items);
            return hcl_err_set(err, -EINVAL,
                               "%s: item %d of %s is a list, expected a string "
                               "in quotes",
                               config->name, i + 1, key);
        }
    }
    *ret_items = items;
    *ret_count = (unsigned int)count;
    return 0;
}

int hcl_config_u32(const struct hcl_config *config, const char *key,
                   uint32_t min, uint32_t max, uint32_t fallback,
                   uint32_t *ret_value, struct hcl_err *err)
{
    uint32_t value = fallback;
    const char *text;
    int ret = hcl_config_string(config, key, &text, err);

    if (ret < 0) {
        return ret;
    }
    if (text &&
        (!hcl_spec_number(text, &value) || value < min || value > max)) {
        return hcl_err_set(err, -EINVAL,
                           "%s: %s = %.80s: expected a number from %u to %u",
                           config->name, key, text, min, max);
    }
    *ret_value = value;
    return 0;
}
