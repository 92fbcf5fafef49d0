/* SPDX-License-Identifier: MIT */
/*
 * err.h: what went wrong in the environment, with a sentence for a person.
 *
 * Every function of HCL that can fail for a reason outside the program returns
 * 0 or a negative errno and, if it takes a struct hcl_err, fills it.  The text
 * says what was tried, on what, what failed and, where it helps, what to do.
 * It has no newline and, whatever a peer wrote, only printable ASCII.
 */
#ifndef HCL_ERR_H
#define HCL_ERR_H

#define HCL_ERR_TEXT 256

struct hcl_err {
    int code; /* negative errno; 0: nothing happened */
    char text[HCL_ERR_TEXT];
};

/*
 * Fills @err (may be NULL) with @code (negative errno) and the formatted text.
 * Returns @code.  Never blocks, any thread, logs nothing.
 */
int hcl_err_set(struct hcl_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As hcl_err_set, and appends ": " and the system's text for @code. */
int hcl_err_sys(struct hcl_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Puts "<formatted>: " before the text that stands in @err; returns its code.
 * With NULL there is nothing to do, and no code: -EINVAL.
 */
int hcl_err_prefix(struct hcl_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Replaces in @text (NUL-terminated) each byte that is not printable ASCII by
 * '?', so that what a guest wrote cannot forge log lines or drive a terminal.
 */
void hcl_text_clean(char *text);

/* The static analyser sees one file at a time: it shall know the sign. */
#ifdef __clang_analyzer__
#define hcl_err_set(...) ((void)hcl_err_set(__VA_ARGS__), -1)
#define hcl_err_sys(...) ((void)hcl_err_sys(__VA_ARGS__), -1)
#define hcl_err_prefix(...) ((void)hcl_err_prefix(__VA_ARGS__), -1)
#endif

#endif /* HCL_ERR_H */
