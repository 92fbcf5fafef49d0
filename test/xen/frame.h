/* SPDX-License-Identifier: MIT */
/*
 * frame.h - the lab's messages on a guest's console.
 *
 * A guest has no other way out that leaves Xen's grant tables, its event
 * channels and xenstore as the tests want to find them: with the domain's own
 * console in them and nothing else. So commands, their output and their exit
 * status travel there, between lines of ordinary console text:
 *
 *     START type id(4, little endian) data... END
 *
 * Bytes with a meaning here, or to the kernel's console driver, are escaped.
 * Everything outside of a frame is text. The reader needs no memory of what
 * was before: START always begins a frame, so text in the middle of one costs
 * that frame only.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_START 0x01
#define FRAME_END 0x04
#define FRAME_ASK 0x05   /* alone: dom0 asks whether the guest is up */
#define FRAME_SYSRQ 0x0f /* the guest's console driver swallows it */
#define FRAME_ESCAPE 0x10

/* The most data that a guest puts in one frame, so that others get a turn. */
#define FRAME_DATA 4096
/* The longest frame that is believed; a command line can be long. */
#define FRAME_MAX 65536

/* From dom0 to the guest. */
#define FRAME_RUN 'r'  /* data: the arguments, each ended by 0 */
#define FRAME_TERM 't' /* nobody waits for this command any more */
/* From the guest to dom0, and from there to the client. */
#define FRAME_HERE 'h' /* the guest is up; data: ids of its commands */
#define FRAME_OUT 'o'
#define FRAME_ERR 'e'
#define FRAME_EXIT 'x' /* data: the exit status, one byte */
#define FRAME_TEXT 'k' /* a line for the console's log */
/* From dom0's side to the client alone. */
#define FRAME_SENT 's' /* the command is on its way */
#define FRAME_GONE 'g' /* the guest is gone */

struct frame {
    int inside; /* START seen, END not yet */
    int escaped;
    size_t used;
    unsigned char data[FRAME_MAX];
};

/* Bytes that a frame with len bytes of data takes at most. */
#define FRAME_BYTES(len) (2 * ((len) + 5) + 2)

/*
 * Writes a frame to out, which has room for FRAME_BYTES(len) bytes.
 * Returns the bytes used.
 */
size_t frame_encode(char *out, char type, uint32_t id, const void *data,
                    size_t len);

enum frame_event { FRAME_MORE, FRAME_PLAIN, FRAME_READY };

/*
 * Takes one byte. FRAME_PLAIN: it is text. FRAME_READY: frame_type(),
 * frame_id(), frame_data() and frame_len() are valid until the next call.
 */
enum frame_event frame_take(struct frame *frame, unsigned char byte);

static inline char frame_type(const struct frame *frame)
{
    return (char)frame->data[0];
}

static inline uint32_t frame_id(const struct frame *frame)
{
    return frame->data[1] | frame->data[2] << 8 | frame->data[3] << 16 |
           (uint32_t)frame->data[4] << 24;
}

static inline const char *frame_data(const struct frame *frame)
{
    return (const char *)frame->data + 5;
}

static inline size_t frame_len(const struct frame *frame)
{
    return frame->used - 5;
}

#endif
