/* SPDX-License-Identifier: MIT */
/*
 * churn DEVICE COUNT: opens an echo device, has something echoed, closes it,
 * COUNT times.  At the end this process holds no more than at its beginning:
 * descriptors, mappings and memory are counted.  Prints "ok COUNT".
 */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hcl.h"

/* Before the first count: what libraries keep for good. */
#define WARM_UP 20

/* What malloc's caches may have more at the end: less than a leak each time. */
#define CACHES_BYTES 16384

struct held {
    unsigned int descriptors;
    unsigned int mappings;
    size_t heap_bytes;
};

static unsigned int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned int count = 0;

    while (dir && readdir(dir)) {
        count++;
    }
    if (dir) {
        closedir(dir);
    }
    return count;
}

/* Shared mappings only: malloc's are no one's business. */
static unsigned int count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned int count = 0;

    while (maps && fgets(line, sizeof(line), maps)) {
        count += strstr(line, "s ") && strstr(line, "memfd:");
    }
    if (maps) {
        fclose(maps);
    }
    return count;
}

static void take_stock(struct held *held)
{
    held->descriptors = count_entries("/proc/self/fd");
    held->mappings = count_mappings();
    held->heap_bytes = mallinfo2().uordblks;
}

static int once(const char *name, unsigned int number, struct hcl_err *err)
{
    struct hcl_device *device;
    struct hcl_handle *handle;
    char sent[40], got[sizeof(sent)] = {0};
    ssize_t ret;

    ret = hcl_open(name, NULL, 20000, &device, err);
    if (ret < 0) {
        return (int)ret;
    }
    ret = hcl_handle_open(device, 5000, &handle, err);
    if (ret == 0) {
        memset(sent, 'a' + (int)(number % 26), sizeof(sent));
        ret = hcl_exchange(handle, sent, sizeof(sent), got, sizeof(got), 5000,
                           err);
    }
    if (ret >= 0 &&
        (ret != sizeof(sent) || memcmp(sent, got, sizeof(sent)) != 0)) {
        ret = hcl_err_set(err, -1, "another answer than what was sent");
    }
    hcl_close(device);
    return ret < 0 ? (int)ret : 0;
}

int main(int argc, char **argv)
{
    unsigned int count = argc == 3 ? (unsigned int)atoi(argv[2]) : 0, i;
    struct held before = {0}, after;
    struct hcl_err err;

    if (count < WARM_UP) {
        fprintf(stderr, "usage: churn DEVICE COUNT (at least %d)\n", WARM_UP);
        return 2;
    }
    for (i = 0; i < count; i++) {
        if (i == WARM_UP) {
            take_stock(&before);
        }
        if (once(argv[1], i, &err) < 0) {
            printf("failed at %u: %s\n", i, err.text);
            return 1;
        }
    }
    take_stock(&after);
    if (after.descriptors != before.descriptors ||
        after.mappings != before.mappings ||
        after.heap_bytes > before.heap_bytes + CACHES_BYTES) {
        printf("failed: descriptors %u, then %u; shared mappings %u, then %u; "
               "heap bytes %zu, then %zu\n",
               before.descriptors, after.descriptors, before.mappings,
               after.mappings, before.heap_bytes, after.heap_bytes);
        return 1;
    }
    printf("ok %u\n", count);
    return 0;
}
