#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test/under finds what is wrong with a process whose end and output nobody
# sees, and finds nothing where nothing is wrong.
set -eu
cd "$(dirname "$0")/../.."

for tool in clang valgrind; do
    if ! command -v "$tool" >/dev/null; then
        echo "$tool is missing (test/setup sanitize)"
        exit 77
    fi
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/faults.c" <<'END'
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int shared;

static void *race(void *arg)
{
    shared++;
    return arg;
}

int main(int argc, char **argv)
{
    char *volatile bytes = malloc(8);
    volatile int large = INT_MAX;
    pthread_t thread;
    int status = 0;

    switch (argc == 2 ? argv[1][0] : 'n') {
    case 'l':
        bytes = NULL;
        break;
    case 'o':
        bytes[8] = 1;
        break;
    case 'u':
        large++;
        break;
    case 'i':
        if (bytes[4]) {
            status = 1;
        }
        break;
    case 'd':
        status = open("/dev/null", O_RDONLY) < 0;
        break;
    case 'r':
        pthread_create(&thread, NULL, race, NULL);
        shared++;
        pthread_join(thread, NULL);
        break;
    case 'f': /* what a child has of its parent is no leak */
        if (fork() == 0) {
            bytes = NULL;
            _exit(0);
        }
        wait(NULL);
        break;
    default:
        break;
    }
    free(bytes);
    return status;
}
END

# expect STATUS TOOL FAULT
expect() {
    status=0
    # shellcheck disable=SC2016 # expanded by that sh
    test/under "$2" sh -c '"$0" "$1" >/dev/null 2>&1 </dev/null; exit 3' \
        "$dir/$2" "$3" >"$dir/output" || status=$?
    if [ "$status" != "$1" ]; then
        echo "$2, fault $3: status $status instead of $1"
        cat "$dir/output"
        exit 1
    fi
    if [ "$1" = 99 ] && ! grep -q "faults.c:" "$dir/output"; then
        echo "$2, fault $3: the report does not name the line"
        cat "$dir/output"
        exit 1
    fi
}

clang -g -fsanitize=address,undefined -fno-sanitize-recover=all \
    -o "$dir/asan" "$dir/faults.c"
clang -g -fsanitize=thread -o "$dir/tsan" "$dir/faults.c"
# Valgrind cannot read what clang says of lines.
cc -g -o "$dir/valgrind" "$dir/faults.c"

for tool in asan tsan valgrind; do
    expect 3 "$tool" n
    expect 3 "$tool" f
done
for fault in l o u; do
    expect 99 asan "$fault"
done
expect 99 tsan r
for fault in l o i d; do
    expect 99 valgrind "$fault"
done
