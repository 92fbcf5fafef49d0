#!/bin/sh
# SPDX-License-Identifier: MIT
#
# common/hclif.h needs nothing but <stdint.h>: it compiles alone, in every
# dialect, with both compilers where there are both, and freestanding.
set -eu
cd "$(dirname "$0")/../.."

tried=0
for cc in gcc clang; do
    command -v "$cc" >/dev/null || continue
    for flags in -std=c99 -std=c11 "-m32 -ffreestanding"; do
        # shellcheck disable=SC2086 # a list of flags
        "$cc" $flags -pedantic -Wall -Wextra -Werror -fsyntax-only -x c \
            common/hclif.h
        tried=$((tried + 1))
    done
done
[ "$tried" -ge 3 ]
includes=$(grep -c '^#include' common/hclif.h)
[ "$includes" = 1 ]
grep -q '^#include <stdint.h>$' common/hclif.h
