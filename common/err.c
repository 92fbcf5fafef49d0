/* SPDX-License-Identifier: MIT */
#include "err.h"

#undef hcl_err_set
#undef hcl_err_sys
#undef hcl_err_prefix

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void hcl_text_clean(char *text)
{
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            *text = '?';
        }
    }
}

int hcl_err_set(struct hcl_err *err, int code, const char *fmt, ...)
{
    va_list args;

    if (err) {
        va_start(args, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
        hcl_text_clean(err->text);
        err->code = code;
    }
    return code;
}

int hcl_err_sys(struct hcl_err *err, int code, const char *fmt, ...)
{
    char text[HCL_ERR_TEXT];
    va_list args;

    if (err) {
        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        hcl_err_set(err, code, "%s: %s", text, strerror(-code));
    }
    return code;
}

int hcl_err_prefix(struct hcl_err *err, const char *fmt, ...)
{
    char prefix[HCL_ERR_TEXT], text[HCL_ERR_TEXT];
    va_list args;

    if (!err) {
        return -EINVAL; /* nobody asked; the caller has the code already */
    }
    va_start(args, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);
    memcpy(text, err->text, sizeof(text));
    return hcl_err_set(err, err->code, "%s: %s", prefix, text);
}
