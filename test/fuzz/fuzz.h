/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h: takes a fuzzer's input apart.  What is missing at its end reads as
 * zeros, so that every input means something.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* Whether there is anything left. */
static inline bool fuzz_more(const struct fuzz_input *in)
{
    return in->left > 0;
}

/* Fills @bytes at @buf; returns how many came from the input. */
static inline size_t fuzz_take(struct fuzz_input *in, void *buf, size_t bytes)
{
    size_t got = bytes < in->left ? bytes : in->left;

    memset(buf, 0, bytes);
    if (got > 0) {
        memcpy(buf, in->at, got);
        in->at += got;
        in->left -= got;
    }
    return got;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
    uint8_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
    uint16_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
    uint32_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
    uint64_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

/* A number below @limit (1 to 256), of one octet. */
static inline uint32_t fuzz_below(struct fuzz_input *in, uint32_t limit)
{
    return fuzz_u8(in) % limit;
}

/* A length octet and so many octets into @buf, cut to @size - 1, with a NUL
 * behind them.  Returns their number. */
static inline size_t fuzz_text(struct fuzz_input *in, char *buf, size_t size)
{
    size_t bytes = fuzz_u8(in);

    bytes = bytes < size ? bytes : size - 1;
    bytes = fuzz_take(in, buf, bytes);
    buf[bytes] = '\0';
    return bytes;
}

/* As fuzz_text: printable characters, @other for all else. */
static inline void fuzz_name(struct fuzz_input *in, char *buf, size_t size,
                             char other)
{
    fuzz_text(in, buf, size);
    for (; *buf; buf++) {
        if (*buf < 0x21 || *buf > 0x7e) {
            *buf = other;
        }
    }
}

/* How many descriptors are open, of the low numbers that a target can get. */
static inline unsigned int fuzz_open_fds(void)
{
    unsigned int count = 0;

    for (int fd = 0; fd < 64; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

#endif /* FUZZ_H */
