/* SPDX-License-Identifier: MIT */
/*
 * hclctl.c: the toolstack's side of HCL: gives devices to guests and takes them
 * back, by hand or as a service.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct hcl_command *const commands[] = {
    &hcl_command_attach, &hcl_command_detach, &hcl_command_list,
    &hcl_command_create, &hcl_command_save,   &hcl_command_restore,
    &hcl_command_watch,
};

#define NUM_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct hcl_command *find(const char *name)
{
    size_t i;

    for (i = 0; i < NUM_COMMANDS; i++) {
        if (!strcmp(commands[i]->name, name)) {
            return commands[i];
        }
    }
    return NULL;
}

static void help(FILE *out)
{
    size_t i;

    fputs("usage: hclctl COMMAND ...\n\n", out);
    for (i = 0; i < NUM_COMMANDS; i++) {
        hcl_command_synopsis(out, "    ", commands[i]);
    }
    fputs("    hclctl help [COMMAND]\n\n"
          "Gives devices of this host to Xen guests and takes them back.  "
          "hclctl help COMMAND\nsays more, exit statuses too.\n",
          out);
}

static int help_about(int argc, char **argv)
{
    const struct hcl_command *command;

    if (argc < 3) {
        help(stdout);
        return HCL_EXIT_OK;
    }
    command = find(argv[2]);
    if (!command) {
        fprintf(stderr, "hclctl help: there is no command '%s'\n", argv[2]);
        help(stderr);
        return HCL_EXIT_USAGE;
    }
    hcl_command_help(command);
    return HCL_EXIT_OK;
}

int main(int argc, char **argv)
{
    const struct hcl_command *command;

    if (argc < 2) {
        fputs("hclctl: expected a command\n", stderr);
        help(stderr);
        return HCL_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "-h") ||
        !strcmp(argv[1], "--help")) {
        return help_about(argc, argv);
    }
    if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
        puts("hclctl " HCL_VERSION);
        return HCL_EXIT_OK;
    }
    command = find(argv[1]);
    if (!command) {
        fprintf(stderr, "hclctl: there is no command '%s'\n", argv[1]);
        help(stderr);
        return HCL_EXIT_USAGE;
    }
    return command->run(command, argc - 1, argv + 1);
}
