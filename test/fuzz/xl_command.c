/* SPDX-License-Identifier: MIT */
/*
 * A command line of xl as /proc has it, each argument ended by a NUL
 * (tools/xl_command.c), and the configuration that comes of it.
 */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "xl_command.h"

/* A pointer into the arguments, or NULL. */
static void check_within(const char *text, const char *line, size_t bytes)
{
    assert(!text || (text >= line && text < line + bytes));
}

static void check_join(const struct hcl_xl_command *command, const char *line,
                       size_t bytes)
{
    size_t extra = command->extra ? strlen(command->extra) : 0, got = 0;
    char *text = hcl_xl_command_join(line, bytes, command->extra, &got);

    assert(text && text[got] == '\0');
    assert(memcmp(text, line, bytes) == 0);
    assert(got == bytes + (extra ? extra + 2 : 0));
    free(text);
}

static void check(const struct hcl_xl_command *command, const char *line,
                  size_t bytes)
{
    check_within(command->config, line, bytes);
    switch (command->verb) {
    case HCL_XL_CREATE:
        assert(command->config);
        break;
    case HCL_XL_RESTORE:
        assert(!command->extra);
        break;
    default:
        assert(command->verb == HCL_XL_OTHER);
        assert(!command->config && !command->extra);
    }
    /* One assignment in each line. */
    if (command->extra) {
        assert(command->extra[strlen(command->extra) - 1] == '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hcl_xl_command command;
    char *line = malloc(size ? size : 1); /* exactly */

    if (!line) {
        abort();
    }
    if (size > 0) {
        memcpy(line, data, size);
    }
    hcl_xl_command_parse(line, size, &command);
    check(&command, line, size);
    check_join(&command, line, size);
    hcl_xl_command_clear(&command);
    free(line);
    return 0;
}
