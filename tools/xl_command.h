/* SPDX-License-Identifier: MIT */
/*
 * xl_command.h: what a command line of xl says, read as xl itself reads it
 * (xl.c main, xl_vmcontrol.c main_create, xl_saverestore.c main_restore).
 * Pure, but for getopt's variables: one thread.
 */
#ifndef HCL_XL_COMMAND_H
#define HCL_XL_COMMAND_H

#include <stddef.h>

enum hcl_xl_verb {
    HCL_XL_OTHER = 0, /* makes no domain */
    HCL_XL_CREATE,
    HCL_XL_RESTORE,
};

struct hcl_xl_command {
    enum hcl_xl_verb verb;
    const char *config; /* points into the arguments, or NULL */
    char *extra;        /* owned: trailing key=value, one a line, or NULL */
};

/* Reads @argc arguments, argv[0] first; getopt changes their order. */
void hcl_xl_command_read(int argc, char **argv,
                         struct hcl_xl_command *ret_command);

/*
 * Reads /proc/PID/cmdline: @bytes of arguments, each ended by a NUL.  @line
 * must live as long as the command.
 */
void hcl_xl_command_parse(char *line, size_t bytes,
                          struct hcl_xl_command *ret_command);

void hcl_xl_command_clear(struct hcl_xl_command *command);

/*
 * What xl parses as the configuration: @data (@bytes of the file), and the
 * trailing assignments as lines after it.  The caller frees *@ret_text.  NULL:
 * no memory.
 */
char *hcl_xl_command_join(const char *data, size_t bytes, const char *extra,
                          size_t *ret_bytes);

#endif /* HCL_XL_COMMAND_H */
