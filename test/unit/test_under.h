/* SPDX-License-Identifier: MIT */
/*
 * test_under.h: what a test runs under (test/under), for what cannot be tested
 * there.
 */
#ifndef TEST_UNDER_H
#define TEST_UNDER_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Valgrind plays the processor and some of the kernel. */
__attribute__((unused)) static bool under_valgrind(void)
{
    const char *tool = getenv("HCL_TEST_UNDER");

    return tool && strcmp(tool, "valgrind") == 0;
}

#endif /* TEST_UNDER_H */
