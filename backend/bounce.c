/* SPDX-License-Identifier: MIT */
#include "bounce.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/*
 * The words that have bits of a range of bytes: in the first and in the last
 * some of them, in those between all.  One word may be both.
 */
struct words {
    size_t first, last;
    uint64_t first_mask, last_mask;
};

static struct words words_of(size_t offset, size_t count)
{
    size_t end = offset + count - 1;
    struct words words = {
        .first = offset / WORD_BITS,
        .last = end / WORD_BITS,
        .first_mask = UINT64_MAX << (offset % WORD_BITS),
        .last_mask = UINT64_MAX >> (WORD_BITS - 1 - end % WORD_BITS),
    };

    if (words.first == words.last) {
        words.first_mask &= words.last_mask;
        words.last_mask = words.first_mask;
    }
    return words;
}

static bool range_used(const struct hcl_bounce *bounce,
                       const struct words *words)
{
    uint64_t used = (bounce->used[words->first] & words->first_mask) |
                    (bounce->used[words->last] & words->last_mask);

    for (size_t i = words->first + 1; i < words->last; i++) {
        used |= bounce->used[i];
    }
    return used != 0;
}

/* Of the words between the first and the last. */
static void set_between(struct hcl_bounce *bounce, const struct words *words,
                        int octet)
{
    if (words->last > words->first + 1) {
        memset(&bounce->used[words->first + 1], octet,
               (words->last - words->first - 1) * sizeof(*bounce->used));
    }
}

void *hcl_bounce_take(struct hcl_bounce *bounce, size_t offset, size_t count)
{
    assert(offset <= bounce->size && count <= bounce->size - offset);
    if (count > 0) {
        struct words words = words_of(offset, count);

        if (range_used(bounce, &words)) {
            return NULL;
        }
        bounce->used[words.first] |= words.first_mask;
        bounce->used[words.last] |= words.last_mask;
        set_between(bounce, &words, 0xff);
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
    struct words words;

    if (piece == bounce->warm) {
        assert(bounce->warm_used);
        bounce->warm_used = false;
    }
    assert(offset <= bounce->size && count <= bounce->size - offset);
    if (count == 0) {
        return;
    }
    words = words_of(offset, count);
    assert((bounce->used[words.first] & words.first_mask) == words.first_mask);
    assert((bounce->used[words.last] & words.last_mask) == words.last_mask);
    bounce->used[words.first] &= ~words.first_mask;
    bounce->used[words.last] &= ~words.last_mask;
    set_between(bounce, &words, 0);
}
