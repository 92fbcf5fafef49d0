/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "rows.h"

#define DEFAULT_SECONDS 20

bool bench_options_read(struct bench_options *options, int argc, char **argv,
                        int first)
{
    options->rows = NULL;
    options->seconds = DEFAULT_SECONDS;
    for (int i = first; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--rows") == 0) {
            options->rows = argv[i + 1];
        } else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
            options->seconds = strtod(argv[i + 1], NULL);
        } else {
            return false;
        }
    }
    return argc >= first;
}

bool bench_options_want(const struct bench_options *options, const char *id)
{
    const char *at = options->rows;
    size_t length = strlen(id);

    if (!at) {
        return true;
    }
    while ((at = strstr(at, id))) {
        if ((at == options->rows || at[-1] == ',') &&
            (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
        at += length;
    }
    return false;
}
