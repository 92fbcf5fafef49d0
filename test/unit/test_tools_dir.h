/* SPDX-License-Identifier: MIT */
/* test_tools_dir.h: the end of a test's own folder. */
#ifndef HCL_TEST_TOOLS_DIR_H
#define HCL_TEST_TOOLS_DIR_H

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/* Removes the folder @dir with the files in it; 0, or -1 if it is not empty. */
static inline int test_remove_dir(const char *dir)
{
    char path[400];
    struct dirent *entry;
    DIR *files = opendir(dir);

    if (!files) {
        return -1;
    }
    /* cppcheck-suppress readdirCalled ; a stream of one thread */
    while ((entry = readdir(files)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    closedir(files);
    return rmdir(dir);
}

#endif /* HCL_TEST_TOOLS_DIR_H */
