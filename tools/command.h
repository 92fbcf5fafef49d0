/* SPDX-License-Identifier: MIT */
/*
 * command.h: what the commands of hclctl have in common.  Only these print:
 * results on standard output, everything else on standard error.
 */
#ifndef HCL_COMMAND_H
#define HCL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "attachment.h"
#include "err.h"
#include "guest.h"
#include "item.h"
#include "store.h"
#include "watch.h"

enum hcl_command_exit {
    HCL_EXIT_OK = 0,
    HCL_EXIT_USAGE = 1,
    HCL_EXIT_FAILED = 2,
    HCL_EXIT_REFUSED = 3,
    HCL_EXIT_TIMEOUT = 4,
};

struct hcl_command {
    const char *name;
    const char *flags;     /* "[-x]", for the usage line */
    const char *arguments; /* after them */
    const char *text;      /* what hclctl help NAME says after it */
    const char *options;   /* the letters of its options, as in hcl_options */
    int min_arguments;
    int max_arguments; /* -1: any number */
    int (*run)(const struct hcl_command *command, int argc, char **argv);
};

extern const struct hcl_command hcl_command_attach;
extern const struct hcl_command hcl_command_detach;
extern const struct hcl_command hcl_command_list;
extern const struct hcl_command hcl_command_create;
extern const struct hcl_command hcl_command_save;
extern const struct hcl_command hcl_command_restore;
extern const struct hcl_command hcl_command_watch;

/* The letters of hcl_options.times, which have long names only. */
#define HCL_OPTIONS_TIMES "PERBF"

/* The options of all commands; each takes some of them. */
struct hcl_options {
    uint64_t timeout_us;          /* -t */
    const char *state_dir;        /* -s */
    const char *config_dir;       /* -C, or NULL */
    bool checkpoint;              /* -c */
    bool paused;                  /* -p */
    bool json;                    /* --json */
    bool debug;                   /* -d */
    struct hcl_watch_times times; /* --poll ... --fresh */
};

/*
 * Reads the options of @command; @options has the defaults.  Returns -1 and the
 * index of the first argument in *@ret_first, or the exit status after it
 * printed help or what was expected.
 */
int hcl_command_options(const struct hcl_command *command, int argc,
                        char **argv, struct hcl_options *options,
                        int *ret_first);

/* Prints the line of a command's usage after @prefix. */
void hcl_command_synopsis(FILE *out, const char *prefix,
                          const struct hcl_command *command);

/* Prints a command's help. */
void hcl_command_help(const struct hcl_command *command);

/* Says what was expected, and the usage line.  Returns HCL_EXIT_USAGE. */
int hcl_command_usage(const struct hcl_command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says what went wrong.  Returns the exit status that belongs to it. */
int hcl_command_failed(const struct hcl_err *err);

void hcl_command_warn(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* ---- Steps that several commands take ---------------------------------- */

/*
 * Makes the attachment and remembers it in @state_dir, of which a failure is
 * only a warning.  Errors as of hcl_attachment_make.
 */
__attribute__((warn_unused_result)) int
hcl_command_make(struct hcl_store *store, const struct hcl_guest *guest,
                 const struct hcl_item *item, const char *state_dir,
                 struct hcl_attachment *ret_at, struct hcl_err *err);

/*
 * Waits until a backend serves all of the attachments.
 *   -ECONNREFUSED  it refused one; the text says why
 *   -ETIMEDOUT     no backend took one up
 */
__attribute__((warn_unused_result)) int
hcl_command_wait_served(struct hcl_store *store,
                        const struct hcl_attachment *list, unsigned int count,
                        uint64_t timeout_us, struct hcl_err *err);

#endif /* HCL_COMMAND_H */
