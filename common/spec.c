/* SPDX-License-Identifier: MIT */
#include "spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define ALPHANUMERIC                                                           \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define NAME_MAX_CHARS 31

/* ---- Parsing ----------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts blanks off both ends of the text from @text to @end. */
static char *strip(char *text, char *end)
{
    while (text < end && is_blank(*text)) {
        text++;
    }
    while (end > text && is_blank(end[-1])) {
        end--;
    }
    *end = '\0';
    return text;
}

/* A value ends up in xenstore and in logs: no bytes that drive a terminal. */
static bool has_control(const char *value)
{
    for (; *value; value++) {
        if ((unsigned char)*value < 0x20 || *value == 0x7f) {
            return true;
        }
    }
    return false;
}

/* Takes "key=value" apart, in place, and adds it. */
static int add(struct hcl_spec *spec, char *part, struct hcl_err *err)
{
    char *equals = strchr(part, '=');
    char *key, *value;

    if (!equals) {
        return hcl_err_set(err, -EINVAL, "'%s': expected key=value",
                           strip(part, part + strlen(part)));
    }
    value = strip(equals + 1, equals + 1 + strlen(equals + 1));
    key = strip(part, equals);
    if (!*key || key[strspn(key, KEY_CHARS)]) {
        return hcl_err_set(err, -EINVAL,
                           "key '%s': expected lower-case letters, digits and "
                           "'-'",
                           key);
    }
    if (has_control(value)) {
        return hcl_err_set(err, -EINVAL,
                           "%s='%s': expected a value without control "
                           "characters",
                           key, value);
    }
    if (hcl_spec_get(spec, key)) {
        return hcl_err_set(err, -EINVAL,
                           "%s='%s': expected the key '%s' only once", key,
                           value, key);
    }
    if (spec->count == HCL_SPEC_MAX_KEYS) {
        return hcl_err_set(err, -EINVAL, "%s='%s': expected at most %d keys",
                           key, value, HCL_SPEC_MAX_KEYS);
    }
    spec->key[spec->count] = key;
    spec->value[spec->count] = value;
    spec->count++;
    return 0;
}

/* Fills @spec from its own text. */
static int parse_text(struct hcl_spec *spec, struct hcl_err *err)
{
    char *part = spec->text, *comma;
    int ret;

    if (!part[strspn(part, " \t")]) {
        return 0;
    }
    for (; part; part = comma) {
        comma = strchr(part, ',');
        if (comma) {
            *comma++ = '\0';
        }
        if (!part[strspn(part, " \t")]) {
            return hcl_err_set(err, -EINVAL,
                               "nothing between two commas, or after the "
                               "last one: expected key=value");
        }
        ret = add(spec, part, err);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

int hcl_spec_parse(struct hcl_spec *spec, const char *text, struct hcl_err *err)
{
    struct hcl_spec parsed;
    size_t bytes = strlen(text) + 1;
    unsigned int i;
    int ret;

    if (bytes > sizeof(parsed.text)) {
        return hcl_err_set(err, -EINVAL,
                           "'%.40s...': expected at most %zu characters", text,
                           sizeof(parsed.text) - 1);
    }
    parsed.count = 0;
    memcpy(parsed.text, text, bytes);
    ret = parse_text(&parsed, err);
    if (ret < 0) {
        return ret;
    }
    memcpy(spec->text, parsed.text, bytes);
    spec->count = parsed.count;
    for (i = 0; i < parsed.count; i++) {
        spec->key[i] = spec->text + (parsed.key[i] - parsed.text);
        spec->value[i] = spec->text + (parsed.value[i] - parsed.text);
    }
    return 0;
}

/* ---- Reading ----------------------------------------------------------- */

const char *hcl_spec_get(const struct hcl_spec *spec, const char *key)
{
    unsigned int i;

    for (i = 0; i < spec->count; i++) {
        if (!strcmp(spec->key[i], key)) {
            return spec->value[i];
        }
    }
    return NULL;
}

bool hcl_spec_number(const char *text, uint32_t *ret_value)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    uint64_t value = 0;
    unsigned int digit;

    if (!*digits) {
        return false;
    }
    for (; *digits; digits++) {
        if (*digits >= '0' && *digits <= '9') {
            digit = (unsigned int)(*digits - '0');
        } else if (hex && (*digits | 0x20) >= 'a' && (*digits | 0x20) <= 'f') {
            digit = (unsigned int)((*digits | 0x20) - 'a') + 10;
        } else {
            return false;
        }
        value = value * (hex ? 16 : 10) + digit;
        if (value > UINT32_MAX) {
            return false;
        }
    }
    *ret_value = (uint32_t)value;
    return true;
}

int hcl_spec_get_u32(const struct hcl_spec *spec, const char *key, uint32_t min,
                     uint32_t max, uint32_t fallback, uint32_t *ret_value,
                     struct hcl_err *err)
{
    const char *text = hcl_spec_get(spec, key);
    uint32_t value = fallback;

    if (text &&
        (!hcl_spec_number(text, &value) || value < min || value > max)) {
        return hcl_err_set(err, -EINVAL,
                           "%s='%s': expected a number from %u to %u", key,
                           text, min, max);
    }
    *ret_value = value;
    return 0;
}

static bool listed(const char *key, const char *const *list)
{
    for (; list && *list; list++) {
        if (!strcmp(key, *list)) {
            return true;
        }
    }
    return false;
}

/* Appends the names in @list, with commas between all names in @buf. */
static void append_names(char *buf, size_t size, const char *const *list)
{
    size_t used;

    for (; list && *list; list++) {
        used = strlen(buf);
        snprintf(buf + used, size - used, "%s%s", used ? ", " : "", *list);
    }
}

int hcl_spec_only(const struct hcl_spec *spec, const char *const *known,
                  const char *const *more, struct hcl_err *err)
{
    char names[HCL_ERR_TEXT] = "";
    unsigned int i;

    for (i = 0; i < spec->count; i++) {
        if (!listed(spec->key[i], known) && !listed(spec->key[i], more)) {
            append_names(names, sizeof(names), known);
            append_names(names, sizeof(names), more);
            return hcl_err_set(err, -EINVAL, "unknown key '%s': expected %s",
                               spec->key[i], names);
        }
    }
    return 0;
}

/* ---- Writing ----------------------------------------------------------- */

void hcl_spec_format_without(const struct hcl_spec *spec,
                             const char *const *drop, char *buf, size_t size)
{
    size_t used = 0, need;
    unsigned int i;

    if (size == 0) {
        return;
    }
    buf[0] = '\0';
    for (i = 0; i < spec->count; i++) {
        if (listed(spec->key[i], drop)) {
            continue;
        }
        /* Whole items only: half a value would be another value. */
        need = strlen(spec->key[i]) + strlen(spec->value[i]) + (used ? 2 : 1);
        if (used + need >= size) {
            return;
        }
        used += (size_t)snprintf(buf + used, size - used, "%s%s=%s",
                                 used ? "," : "", spec->key[i], spec->value[i]);
    }
}

bool hcl_spec_name_ok(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= NAME_MAX_CHARS && strspn(name, ALPHANUMERIC) &&
           strspn(name, ALPHANUMERIC "_.-") == len;
}
