/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hclif.h"
#include "record.h"

#define MAX_SECONDS 86400

/* ---- Speaking ---------------------------------------------------------- */

void hcl_command_synopsis(FILE *out, const char *prefix,
                          const struct hcl_command *command)
{
    fprintf(out, "%shclctl %s%s%s%s%s\n", prefix, command->name,
            *command->flags ? " " : "", command->flags,
            *command->arguments ? " " : "", command->arguments);
}

void hcl_command_help(const struct hcl_command *command)
{
    hcl_command_synopsis(stdout, "usage: ", command);
    printf("\n%s", command->text);
}

int hcl_command_usage(const struct hcl_command *command, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "hclctl %s: ", command->name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    hcl_command_synopsis(stderr, "usage: ", command);
    return HCL_EXIT_USAGE;
}

int hcl_command_failed(const struct hcl_err *err)
{
    fprintf(stderr, "hclctl: %s\n", err->text);
    switch (err->code) {
    case -ECONNREFUSED:
        return HCL_EXIT_REFUSED;
    case -ETIMEDOUT:
        return HCL_EXIT_TIMEOUT;
    default:
        return HCL_EXIT_FAILED;
    }
}

void hcl_command_warn(const char *fmt, ...)
{
    va_list args;

    fputs("hclctl: warning: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

/* ---- Options ----------------------------------------------------------- */

static const struct option option_names[] = {
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, 'j'},
    {"timeout", required_argument, NULL, 't'},
    {"state-dir", required_argument, NULL, 's'},
    {"config-dir", required_argument, NULL, 'C'},
    {"debug", no_argument, NULL, 'd'},
    {"poll", required_argument, NULL, 'P'},
    {"settle", required_argument, NULL, 'E'},
    {"reap", required_argument, NULL, 'R'},
    {"return", required_argument, NULL, 'B'},
    {"fresh", required_argument, NULL, 'F'},
    {NULL, 0, NULL, 0},
};

static const char *long_name(int letter)
{
    const struct option *option = option_names;

    while (option->val != letter) {
        option++;
    }
    return option->name;
}

/* Where the option's time goes; NULL: it is none. */
static uint64_t *time_option(int letter, struct hcl_options *options)
{
    switch (letter) {
    case 't':
        return &options->timeout_us;
    case 'P':
        return &options->times.poll_us;
    case 'E':
        return &options->times.settle_us;
    case 'R':
        return &options->times.reap_us;
    case 'B':
        return &options->times.return_us;
    case 'F':
        return &options->times.fresh_us;
    default:
        return NULL;
    }
}

static bool read_seconds(const char *text, double least, uint64_t *ret_us)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !(seconds >= least) || seconds > MAX_SECONDS) {
        return false;
    }
    *ret_us = (uint64_t)(seconds * 1e6);
    return true;
}

/* Between two looks there has to be some time. */
static double least_seconds(int letter)
{
    return letter == 'P' ? 0.001 : 0;
}

/* Takes one option; false: its value is no good. */
static bool take_option(int letter, struct hcl_options *options)
{
    uint64_t *time_us = time_option(letter, options);

    if (time_us) {
        return read_seconds(optarg, least_seconds(letter), time_us);
    }
    switch (letter) {
    case 's':
        options->state_dir = optarg;
        return *optarg != '\0';
    case 'C':
        options->config_dir = optarg;
        return *optarg != '\0';
    case 'c':
        options->checkpoint = true;
        return true;
    case 'p':
        options->paused = true;
        return true;
    case 'j':
        options->json = true;
        return true;
    case 'd':
        options->debug = true;
        return true;
    default:
        return false;
    }
}

/* Says what the option's value has to be. */
static int bad_value(const struct hcl_command *command, int letter,
                     struct hcl_options *options)
{
    if (time_option(letter, options)) {
        return hcl_command_usage(
            command, "--%s '%s': expected seconds, %g to %d", long_name(letter),
            optarg, least_seconds(letter), MAX_SECONDS);
    }
    return hcl_command_usage(command, "--%s '%s': expected a folder",
                             long_name(letter), optarg);
}

/* What is left after the options are the arguments. */
static int check_count(const struct hcl_command *command, int given,
                       int *ret_first)
{
    if (given < command->min_arguments ||
        (command->max_arguments >= 0 && given > command->max_arguments)) {
        return hcl_command_usage(command, "expected %s, got %d argument%s",
                                 *command->arguments ? command->arguments
                                                     : "no arguments",
                                 given, given == 1 ? "" : "s");
    }
    *ret_first = optind;
    return -1;
}

int hcl_command_options(const struct hcl_command *command, int argc,
                        char **argv, struct hcl_options *options,
                        int *ret_first)
{
    int letter;

    optind = 0;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, "hjt:s:C:cpd", option_names,
                                 NULL)) != -1) {
        if (letter == 'h') {
            hcl_command_help(command);
            return HCL_EXIT_OK;
        }
        if (letter == '?' || !strchr(command->options, letter)) {
            return hcl_command_usage(command,
                                     "no such option, or its value is missing: "
                                     "%s",
                                     argv[optind > 1 ? optind - 1 : 1]);
        }
        if (!take_option(letter, options)) {
            return bad_value(command, letter, options);
        }
    }
    return check_count(command, argc - optind, ret_first);
}

/* ---- Steps ------------------------------------------------------------- */

int hcl_command_make(struct hcl_store *store, const struct hcl_guest *guest,
                     const struct hcl_item *item, const char *state_dir,
                     struct hcl_attachment *ret_at, struct hcl_err *err)
{
    struct hcl_item made = *item;
    struct hcl_err record_err;
    int ret = hcl_attachment_make(store, guest, item, ret_at, err);

    if (ret < 0) {
        return ret;
    }
    made.devid = ret_at->devid;
    if (hcl_record_put(state_dir, guest, &made, &record_err) < 0) {
        hcl_command_warn("'%s' will be missing after a reboot of the guest: %s",
                         item->device, record_err.text);
    }
    return 0;
}

struct serving {
    struct hcl_store *store;
    const struct hcl_attachment *list;
    unsigned int count;
    unsigned int waiting; /* index of one that is not served yet */
};

/* State 6: a refusal of the attachment, or the end of one connection only? */
static int check_closed(struct hcl_store *store,
                        const struct hcl_attachment *at, struct hcl_err *err)
{
    char dir[HCL_STORE_PATH], text[HCL_STORE_VALUE + 1];

    hcl_attachment_backend_dir(at, dir);
    hcl_attachment_text(store, dir, HCLIF_NODE_INCARNATION, text, sizeof(text));
    if (text[0]) {
        return 1;
    }
    hcl_attachment_text(store, dir, HCLIF_NODE_ERROR, text, sizeof(text));
    return hcl_err_set(err, -ECONNREFUSED, "%s: refused by its backend: %s",
                       at->device, text[0] ? text : "it gave no reason");
}

/* 1: served, 0: not yet. */
static int is_served(struct hcl_store *store, const struct hcl_attachment *at,
                     struct hcl_err *err)
{
    enum hcl_state backend, frontend;
    int ret = hcl_attachment_states(store, at, &backend, &frontend, err);

    if (ret < 0) {
        return ret;
    }
    switch (backend) {
    case HCL_STATE_INIT_WAIT:
    case HCL_STATE_CONNECTED:
    case HCL_STATE_CLOSING:
        return 1;
    case HCL_STATE_CLOSED:
        return check_closed(store, at, err);
    case HCL_STATE_GONE:
        return hcl_err_set(err, -ENOENT, "%s: the attachment was removed",
                           at->device);
    default:
        return 0;
    }
}

static int all_served(void *arg, struct hcl_err *err)
{
    struct serving *serving = arg;
    unsigned int i;
    int ret;

    for (i = 0; i < serving->count; i++) {
        ret = is_served(serving->store, &serving->list[i], err);
        if (ret <= 0) {
            serving->waiting = i;
            return ret;
        }
    }
    return 1;
}

int hcl_command_wait_served(struct hcl_store *store,
                            const struct hcl_attachment *list,
                            unsigned int count, uint64_t timeout_us,
                            struct hcl_err *err)
{
    struct serving serving = {store, list, count, 0};
    int ret = hcl_attachment_wait(store, list, count, timeout_us, all_served,
                                  &serving, err);

    if (ret == -ETIMEDOUT) {
        const struct hcl_attachment *at = &list[serving.waiting];

        hcl_err_set(err, ret,
                    "%s: attached, but no backend in domain %u has taken it up "
                    "yet (does hcl-backend run there?)",
                    at->device, at->backend);
    }
    return ret;
}
