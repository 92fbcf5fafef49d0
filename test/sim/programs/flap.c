/* SPDX-License-Identifier: MIT */
/*
 * flap PATH COUNT: writes COUNT states to the xenstore node PATH, legal ones
 * and others in a fixed order that has every pair of them, as fast as xenstored
 * takes them.  Prints "ok COUNT".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

static const char *const values[] = {"1", "2", "3", "4",  "5",      "6",
                                     "0", "7", "",  "-1", "4 ",     "03",
                                     "x", "3", "1", "4",  "999999", "5"};

#define VALUES (sizeof(values) / sizeof(values[0]))

int main(int argc, char **argv)
{
    unsigned int count = argc == 3 ? (unsigned int)atoi(argv[2]) : 0, i;
    struct xs_handle *xs = xs_open(0);

    if (!count || !xs) {
        fprintf(stderr, "usage: flap PATH COUNT, in a domain\n");
        return 2;
    }
    for (i = 0; i < count; i++) {
        /* Its step changes from round to round. */
        const char *value = values[(i * (1 + i / VALUES)) % VALUES];

        if (!xs_write(xs, XBT_NULL, argv[1], value,
                      (unsigned int)strlen(value))) {
            perror("flap");
            return 1;
        }
    }
    xs_close(xs);
    printf("ok %u\n", count);
    return 0;
}
