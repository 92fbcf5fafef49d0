/* SPDX-License-Identifier: MIT */
/* What the sanitizers do in all targets, if the environment says no more. */

/* Less memory that waits before it is used again: several times as fast. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=16";
}

/*
 * libxlutil's parser forgets memory at each syntax error (Xen 4.17,
 * libxlu_cfg_y.y has no %destructor).
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:xlu_\n";
}
