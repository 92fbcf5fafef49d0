/* SPDX-License-Identifier: MIT */
/*
 * libnomem.so: no memory, once.  Preloaded into a program, it lets the Nth call
 * of malloc, calloc and realloc fail, N in the variable NOMEM; programs that it
 * starts are not concerned.  NOMEM_LOG names a file that is made when that has
 * happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own names of them, for those who stand before them. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

static long left; /* calls until the one that fails; 0: none does */

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("NOMEM");

    left = text ? strtol(text, NULL, 10) : 0;
    unsetenv("NOMEM");
}

static bool fails(void)
{
    const char *log;
    int fd;

    if (left == 0 || __atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) != 0) {
        return false;
    }
    log = getenv("NOMEM_LOG");
    fd = log ? open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        close(fd);
    }
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes)
{
    return fails() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __libc_realloc(old, bytes);
}
