/* SPDX-License-Identifier: MIT */
/* hcl-backend: serves the devices of hcl.conf to guests. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device_list.h"
#include "log.h"
#include "run_lock.h"
#include "settings.h"
#include "supervisor.h"

/* Where `make install` puts the script; hcl.conf's `hotplug` names another. */
#ifndef HCL_HOTPLUG
#define HCL_HOTPLUG "/usr/lib/hcl/hcl-hotplug"
#endif

struct options {
    const char *config;
    const char *run_dir;
    enum hcl_log_level level;
};

static const char usage[] =
    "usage: hcl-backend [-c FILE] [-d DIR] [-v]\n"
    "Serves the devices of hcl.conf to Xen guests, in the foreground.\n"
    "\n"
    "  -c, --config FILE   configuration: devices, times and rates (default\n"
    "                      /etc/hcl/hcl.conf)\n"
    "  -d, --run-dir DIR   runtime directory (default /run/hcl)\n"
    "  -v, --verbose       log more\n"
    "  -h, --help          print this\n"
    "\n"
    "Prints `ready' once it serves; ends on SIGTERM, when every guest has "
    "been\n"
    "disconnected.\n";

/* 1: go on; else the exit status, 0 or 2, is in *@ret_status. */
static int parse_options(int argc, char **argv, struct options *options,
                         int *ret_status)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"run-dir", required_argument, NULL, 'd'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:d:vh", names, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'd':
            options->run_dir = optarg;
            break;
        case 'v':
            options->level = HCL_LOG_DEBUG;
            break;
        case 'h':
            fputs(usage, stdout);
            *ret_status = EXIT_SUCCESS;
            return 0;
        default:
            fputs(usage, stderr);
            *ret_status = EXIT_FAILURE;
            return 0;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "hcl-backend: unexpected argument %s\n%s", argv[optind],
                usage);
        *ret_status = EXIT_FAILURE;
        return 0;
    }
    return 1;
}

/* hcl-worker stands beside this program; a test may name another. */
static int find_worker(char *buf, size_t size, struct hcl_err *err)
{
    const char *other = getenv("HCL_WORKER");
    char self[PATH_MAX];
    ssize_t length;
    char *slash;

    if (other) {
        snprintf(buf, size, "%s", other);
    } else {
        length = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (length < 0) {
            return hcl_err_sys(err, -errno, "cannot read /proc/self/exe");
        }
        self[length] = '\0';
        slash = strrchr(self, '/');
        if (slash) {
            *slash = '\0';
        }
        if (snprintf(buf, size, "%s/hcl-worker", self) >= (int)size) {
            return hcl_err_set(err, -ENAMETOOLONG, "%s: path too long", self);
        }
    }
    if (access(buf, X_OK) < 0) {
        return hcl_err_sys(err, -errno, "cannot run %s", buf);
    }
    return 0;
}

/* The script to run, or NULL: only one that hcl.conf names has to be there. */
static int find_hotplug(const struct hcl_config *config, const char **ret_path,
                        struct hcl_err *err)
{
    const char *path;
    int rc = hcl_config_string(config, "hotplug", &path, err);

    if (rc < 0) {
        return rc;
    }
    if (path && access(path, X_OK) < 0) {
        return hcl_err_sys(err, -errno, "hotplug = \"%s\": cannot run it",
                           path);
    }
    if (!path && access(HCL_HOTPLUG, X_OK) == 0) {
        path = HCL_HOTPLUG;
    }
    *ret_path = path;
    return 0;
}

/* What hcl.conf says; all owned.  Zeroed is empty. */
struct file {
    struct hcl_config *config;
    struct hcl_device_config *devices;
    const char **specs;
    unsigned int num_devices;
    struct hcl_settings settings;
    const char *hotplug; /* in config, or ours, or NULL */
};

static void file_clear(struct file *file)
{
    free(file->specs);
    free(file->devices);
    hcl_config_free(file->config);
}

static int file_load(struct file *file, const char *path, struct hcl_err *err)
{
    unsigned int count = 0;
    int rc = hcl_config_load(&file->config, path, err);

    if (rc < 0) {
        return rc;
    }
    rc = hcl_device_config_list(file->config, &file->devices,
                                &file->num_devices, err);
    if (rc < 0) {
        return hcl_err_prefix(err, "%s", path);
    }
    rc = hcl_config_list(file->config, "devices", &file->specs, &count, err);
    if (rc < 0) {
        return rc;
    }
    rc = hcl_settings_load(&file->settings, file->config, err);
    if (rc < 0) {
        return rc;
    }
    rc = find_hotplug(file->config, &file->hotplug, err);
    return rc < 0 ? hcl_err_prefix(err, "%s", path) : 0;
}

static int run(const struct options *options, struct hcl_err *err)
{
    struct hcl_supervisor_setup setup = {0};
    struct file file = {0};
    char worker[PATH_MAX];
    int lock = -1;
    int rc = file_load(&file, options->config, err);

    if (rc < 0) {
        goto out;
    }
    rc = find_worker(worker, sizeof(worker), err);
    if (rc < 0) {
        goto out;
    }
    rc = hcl_run_lock(options->run_dir, &lock, err);
    if (rc < 0) {
        goto out;
    }
    setup.worker = worker;
    setup.hotplug = file.hotplug;
    setup.settings = &file.settings;
    setup.specs = file.specs;
    setup.devices = file.devices;
    setup.num_devices = file.num_devices;
    rc = hcl_supervisor_run(&setup, err);
    if (rc == -EINVAL) {
        hcl_err_prefix(err, "%s", options->config);
    }
out:
    if (lock >= 0) {
        close(lock);
    }
    file_clear(&file);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options = {
        .config = "/etc/hcl/hcl.conf",
        .run_dir = "/run/hcl",
        .level = HCL_LOG_INFO,
    };
    struct hcl_err err = {0};
    int status;

    if (!parse_options(argc, argv, &options, &status)) {
        return status;
    }
    hcl_log_init("hcl-backend", options.level);
    signal(SIGPIPE, SIG_IGN);
    if (run(&options, &err) < 0) {
        hcl_log(HCL_LOG_ERROR, "%s", err.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
