/* SPDX-License-Identifier: MIT */
#include "xl_command.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGS 1024

void hcl_xl_command_clear(struct hcl_xl_command *command)
{
    free(command->extra);
    command->extra = NULL;
    command->config = NULL;
    command->verb = HCL_XL_OTHER;
}

/* getopt starts anew and prints nothing. */
static void getopt_reset(void)
{
    optind = 0;
    opterr = 0;
}

/* Appends "@line\n"; false: no memory. */
static bool append_line(char **text, const char *line)
{
    size_t used = *text ? strlen(*text) : 0, len = strlen(line);
    char *grown = realloc(*text, used + len + 2);

    if (!grown) {
        return false;
    }
    snprintf(grown + used, len + 2, "%s\n", line);
    *text = grown;
    return true;
}

/* ---- xl create --------------------------------------------------------- */

/* Reads the options; true if xl with these makes a domain. */
static bool create_options(int argc, char **argv,
                           struct hcl_xl_command *command)
{
    static const struct option options[] = {
        {"defconfig", 1, NULL, 'f'},
        {"dryrun", 0, NULL, 'n'},
        {"ignore-global-affinity-masks", 0, NULL, 'i'},
        {"quiet", 0, NULL, 'q'},
        {"vncviewer", 0, NULL, 'V'},
        {"vncviewer-autopass", 0, NULL, 'A'},
        {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool makes = true;
    int option;

    getopt_reset();
    while ((option = getopt_long(argc, argv, "hAFVcdef:inpq", options, NULL)) !=
           -1) {
        if (option == 'f') {
            command->config = optarg;
        } else if (option == 'n' || option == 'h') {
            makes = false;
        }
        /* The others do not matter here, nor those of a newer xl. */
    }
    return makes;
}

static void read_create(int argc, char **argv, struct hcl_xl_command *command)
{
    bool makes;

    if (argc > 1 && argv[1][0] != '-' && !strchr(argv[1], '=')) {
        command->config = argv[1];
        argc--;
        argv++;
    }
    makes = create_options(argc, argv, command);
    for (; optind < argc; optind++) {
        if (strchr(argv[optind], '=')) {
            makes = append_line(&command->extra, argv[optind]) && makes;
        } else if (!command->config) {
            command->config = argv[optind];
        } else {
            makes = false;
        }
    }
    if (makes && command->config) {
        command->verb = HCL_XL_CREATE;
    }
}

/* ---- xl restore -------------------------------------------------------- */

static void read_restore(int argc, char **argv, struct hcl_xl_command *command)
{
    static const struct option options[] = {
        {"vncviewer", 0, NULL, 'V'},
        {"vncviewer-autopass", 0, NULL, 'A'},
        {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    getopt_reset();
    while ((option = getopt_long(argc, argv, "hFcpdeVA", options, NULL)) !=
           -1) {
        if (option == 'h') {
            return;
        }
    }
    if (argc - optind < 1 || argc - optind > 2) {
        return;
    }
    command->verb = HCL_XL_RESTORE;
    if (argc - optind == 2) {
        command->config = argv[optind];
    }
}

/* ---- xl ---------------------------------------------------------------- */

/* xl takes any prefix of a command's name that no other command begins with. */
static bool is_verb(const char *text, const char *verb, size_t shortest)
{
    size_t len = strlen(text);

    return len >= shortest && !strncmp(text, verb, len);
}

void hcl_xl_command_read(int argc, char **argv,
                         struct hcl_xl_command *ret_command)
{
    struct hcl_xl_command command = {HCL_XL_OTHER, NULL, NULL};
    int option;

    getopt_reset();
    while ((option = getopt(argc, argv, "+vftTN")) != -1) {
        if (option == 'N') {
            goto out; /* dry run */
        }
    }
    if (optind >= argc) {
        goto out;
    }
    argc -= optind;
    argv += optind;
    /* "cr" and "rest" are the shortest that are unique. */
    if (is_verb(argv[0], "create", 2)) {
        read_create(argc, argv, &command);
    } else if (is_verb(argv[0], "restore", 4)) {
        read_restore(argc, argv, &command);
    }
out:
    if (command.verb == HCL_XL_OTHER) {
        hcl_xl_command_clear(&command);
    }
    *ret_command = command;
}

void hcl_xl_command_parse(char *line, size_t bytes,
                          struct hcl_xl_command *ret_command)
{
    char *argv[MAX_ARGS + 1];
    size_t at = 0;
    int argc = 0;

    memset(ret_command, 0, sizeof(*ret_command));
    if (bytes == 0 || line[bytes - 1] != '\0') {
        return;
    }
    for (; at < bytes; at += strlen(line + at) + 1) {
        if (argc == MAX_ARGS) {
            return;
        }
        argv[argc++] = line + at;
    }
    argv[argc] = NULL;
    hcl_xl_command_read(argc, argv, ret_command);
}

char *hcl_xl_command_join(const char *data, size_t bytes, const char *extra,
                          size_t *ret_bytes)
{
    size_t extra_bytes = extra ? strlen(extra) : 0;
    char *text = malloc(bytes + extra_bytes + 3);

    if (!text) {
        return NULL;
    }
    memcpy(text, data, bytes);
    if (extra_bytes) {
        /* As xl does it: a last line without an end of line is ended first. */
        text[bytes++] = '\n';
        memcpy(text + bytes, extra, extra_bytes);
        bytes += extra_bytes;
        text[bytes++] = '\n';
    }
    text[bytes] = '\0';
    *ret_bytes = bytes;
    return text;
}
