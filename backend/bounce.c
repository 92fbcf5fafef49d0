/* SPDX-License-Identifier: MIT */
#include "bounce.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define WORD_BITS 64

static size_t warm_bytes(const struct hcl_bounce *bounce)
{
    return bounce->size < HCL_BOUNCE_WARM ? bounce->size : HCL_BOUNCE_WARM;
}

int hcl_bounce_init(struct hcl_bounce *bounce, size_t size, struct hcl_err *err)
{
    bounce->size = size;
    /* One more than needed, so that a pool of no pages has a pointer too. */
    bounce->bytes = calloc(size + 1, 1);
    bounce->used = calloc(size / WORD_BITS + 1, sizeof(*bounce->used));
    bounce->warm = calloc(warm_bytes(bounce) + 1, 1);
    bounce->warm_used = false;
    if (!bounce->bytes || !bounce->used || !bounce->warm) {
        hcl_bounce_clear(bounce);
        return hcl_err_set(err, -ENOMEM, "no memory for %zu bounce bytes",
                           size);
    }
    return 0;
}

void hcl_bounce_clear(struct hcl_bounce *bounce)
{
    free(bounce->bytes);
    free(bounce->used);
    free(bounce->warm);
    bounce->bytes = NULL;
    bounce->warm = NULL;
    bounce->used = NULL;
    bounce->size = 0;
}

/* The bits of word @index that stand for bytes of the range. */
static uint64_t word_mask(size_t index, size_t offset, size_t count)
{
    size_t first = index * WORD_BITS;
    size_t last = first + WORD_BITS - 1;
    uint64_t mask = UINT64_MAX;

    if (offset > first) {
        mask <<= offset - first;
    }
    if (offset + count - 1 < last) {
        mask &= UINT64_MAX >> (last - (offset + count - 1));
    }
    return mask;
}

static bool range_used(const struct hcl_bounce *bounce, size_t offset,
                       size_t count)
{
    size_t last = (offset + count - 1) / WORD_BITS;

    for (size_t i = offset / WORD_BITS; i <= last; i++) {
        if (bounce->used[i] & word_mask(i, offset, count)) {
            return true;
        }
    }
    return false;
}

void *hcl_bounce_take(struct hcl_bounce *bounce, size_t offset, size_t count)
{
    assert(offset <= bounce->size && count <= bounce->size - offset);
    if (count > 0) {
        size_t last = (offset + count - 1) / WORD_BITS;

        if (range_used(bounce, offset, count)) {
            return NULL;
        }
        for (size_t i = offset / WORD_BITS; i <= last; i++) {
            bounce->used[i] |= word_mask(i, offset, count);
        }
    }
    if (!bounce->warm_used && count <= warm_bytes(bounce)) {
        bounce->warm_used = true;
        return bounce->warm;
    }
    return bounce->bytes + offset;
}

void hcl_bounce_give(struct hcl_bounce *bounce, const void *piece,
                     size_t offset, size_t count)
{
    size_t last;

    if (piece == bounce->warm) {
        assert(bounce->warm_used);
        bounce->warm_used = false;
    }
    assert(offset <= bounce->size && count <= bounce->size - offset);
    if (count == 0) {
        return;
    }
    last = (offset + count - 1) / WORD_BITS;
    for (size_t i = offset / WORD_BITS; i <= last; i++) {
        uint64_t mask = word_mask(i, offset, count);

        assert((bounce->used[i] & mask) == mask);
        bounce->used[i] &= ~mask;
    }
}
