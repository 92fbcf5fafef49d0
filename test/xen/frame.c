/* SPDX-License-Identifier: MIT */
/* frame.c - see frame.h */
#include "frame.h"

static int is_special(unsigned char byte)
{
    return byte == FRAME_START || byte == FRAME_END || byte == FRAME_ASK ||
           byte == FRAME_SYSRQ || byte == FRAME_ESCAPE;
}

static size_t put(char *out, unsigned char byte)
{
    if (is_special(byte)) {
        out[0] = FRAME_ESCAPE;
        out[1] = (char)(byte ^ 0x40);
        return 2;
    }
    out[0] = (char)byte;
    return 1;
}

size_t frame_encode(char *out, char type, uint32_t id, const void *data,
                    size_t len)
{
    const unsigned char *bytes = data;
    size_t used = 0;

    out[used++] = FRAME_START;
    used += put(out + used, (unsigned char)type);
    for (int shift = 0; shift < 32; shift += 8) {
        used += put(out + used, (unsigned char)(id >> shift));
    }
    for (size_t i = 0; i < len; i++) {
        used += put(out + used, bytes[i]);
    }
    out[used++] = FRAME_END;
    return used;
}

enum frame_event frame_take(struct frame *frame, unsigned char byte)
{
    if (byte == FRAME_START) {
        frame->inside = 1;
        frame->escaped = 0;
        frame->used = 0;
        return FRAME_MORE;
    }
    if (!frame->inside) {
        return FRAME_PLAIN;
    }
    if (byte == FRAME_END) {
        frame->inside = 0;
        return frame->used >= 5 ? FRAME_READY : FRAME_MORE;
    }
    if (byte == FRAME_ESCAPE) {
        frame->escaped = 1;
        return FRAME_MORE;
    }
    if (frame->used == sizeof(frame->data)) {
        frame->inside = 0;
        return FRAME_MORE;
    }
    frame->data[frame->used++] = frame->escaped ? byte ^ 0x40 : byte;
    frame->escaped = 0;
    return FRAME_MORE;
}
