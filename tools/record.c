/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define PATH_BYTES 512

/* ---- The text ---------------------------------------------------------- */

void hcl_record_clear(struct hcl_record *record)
{
    hcl_items_clear(&record->items);
    memset(record, 0, sizeof(*record));
}

/*
 * Writes @text as a string of xl's syntax, whatever bytes it has.  Not with
 * numeric escapes, which libxlutil does not read back.
 */
static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '\n') {
            fputs("\\n", out);
        } else {
            if (*text == '"' || *text == '\\') {
                fputc('\\', out);
            }
            fputc(*text, out);
        }
    }
    fputc('"', out);
}

char *hcl_record_format(const struct hcl_record *record)
{
    char item[HCL_SPEC_BYTES];
    char *text = NULL;
    size_t bytes;
    unsigned int i;
    FILE *out = open_memstream(&text, &bytes);

    if (!out) {
        return NULL;
    }
    fputs("# What this guest gets back after a reboot or restore.  Written by "
          "hclctl.\nname = ",
          out);
    put_string(out, record->guest.name);
    fprintf(out, "\ndomid = %u\nsaved = %u\nsaver = %u\nboot = ",
            record->guest.domid, record->saved, record->saver);
    put_string(out, record->boot);
    fprintf(out, "\nwritten = %llu\nhcl = [\n",
            (unsigned long long)record->written_ms);
    for (i = 0; i < record->items.count; i++) {
        hcl_item_format(&record->items.item[i], item, sizeof(item));
        fputs("    ", out);
        put_string(out, item);
        fputs(",\n", out);
    }
    fputs("]\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* The string @key, "" where missing, into @buf. */
static int get_text(const struct hcl_config *config, const char *key, char *buf,
                    size_t size, struct hcl_err *err)
{
    const char *value;
    int ret = hcl_config_string(config, key, &value, err);

    if (ret == 0) {
        snprintf(buf, size, "%s", value ? value : "");
    }
    return ret;
}

/* Keeps the first complaint about an item. */
static void keep_first(void *arg, const char *text)
{
    struct hcl_err *err = arg;

    if (err->code == 0) {
        hcl_err_set(err, -EINVAL, "%s", text);
    }
}

int hcl_record_parse(struct hcl_record *record, const char *uuid,
                     const struct hcl_config *config, struct hcl_err *err)
{
    struct hcl_err item_err = {0};
    char number[24];
    int ret;

    snprintf(record->guest.uuid, sizeof(record->guest.uuid), "%s", uuid);
    ret = get_text(config, "name", record->guest.name,
                   sizeof(record->guest.name), err);
    if (ret == 0) {
        ret = get_text(config, "boot", record->boot, sizeof(record->boot), err);
    }
    if (ret == 0) {
        ret = get_text(config, "domid", number, sizeof(number), err);
    }
    if (ret == 0) {
        record->guest.domid = (uint32_t)strtoul(number, NULL, 10);
        ret = get_text(config, "saved", number, sizeof(number), err);
    }
    if (ret == 0) {
        record->saved = !strcmp(number, "1");
        ret = get_text(config, "saver", number, sizeof(number), err);
    }
    if (ret == 0) {
        record->saver = (uint32_t)strtoul(number, NULL, 10);
        ret = get_text(config, "written", number, sizeof(number), err);
    }
    if (ret == 0) {
        record->written_ms = strtoull(number, NULL, 10);
        ret =
            hcl_items_load(&record->items, config, keep_first, &item_err, err);
    }
    if (ret > 0) {
        ret = hcl_err_set(err, -EINVAL, "%s", item_err.text);
    }
    if (ret < 0) {
        hcl_record_clear(record);
    }
    return ret;
}

/* ---- Files ------------------------------------------------------------- */

static void path_of(char *path, const char *dir, const char *uuid)
{
    snprintf(path, PATH_BYTES, "%s/%s", dir, uuid);
}

int hcl_record_load(struct hcl_record *record, const char *dir,
                    const char *uuid, struct hcl_err *err)
{
    struct hcl_config *config;
    char path[PATH_BYTES];
    int ret;

    if (!hcl_guest_uuid_ok(uuid)) {
        return hcl_err_set(err, -ENOENT, "the guest has no uuid in xenstore");
    }
    path_of(path, dir, uuid);
    ret = hcl_config_load(&config, path, err);
    if (ret < 0) {
        return ret;
    }
    ret = hcl_record_parse(record, uuid, config, err);
    hcl_config_free(config);
    if (ret < 0 && err) {
        hcl_err_prefix(err, "%s", path);
    }
    return ret;
}

static void read_boot_id(char *boot)
{
    FILE *in = fopen(BOOT_ID, "re");

    boot[0] = '\0';
    if (in) {
        if (!fgets(boot, HCL_RECORD_BOOT, in)) {
            boot[0] = '\0';
        }
        boot[strcspn(boot, "\n")] = '\0';
        fclose(in);
    }
}

uint64_t hcl_record_now_ms(void)
{
    struct timespec now;

    /* That of /proc/PID/stat: it never jumps. */
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool hcl_record_older(const struct hcl_record *record, uint64_t ms)
{
    char boot[HCL_RECORD_BOOT];

    read_boot_id(boot);
    return strcmp(boot, record->boot) != 0 || record->written_ms < ms;
}

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);
    ssize_t done;

    while (left) {
        done = write(fd, text, left);
        if (done < 0) {
            return -errno;
        }
        text += done;
        left -= (size_t)done;
    }
    /* A host that loses power must not find an empty record. */
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_file(const char *path, const char *text, struct hcl_err *err)
{
    char new_path[PATH_BYTES + 8];
    int fd, ret;

    snprintf(new_path, sizeof(new_path), "%s.new", path);
    fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
              0600);
    if (fd < 0) {
        return hcl_err_sys(err, -errno, "cannot write %s", new_path);
    }
    ret = write_all(fd, text);
    close(fd);
    if (ret == 0 && rename(new_path, path) < 0) {
        ret = -errno;
    }
    if (ret < 0) {
        hcl_err_sys(err, ret, "cannot write %s", path);
        unlink(new_path);
    }
    return ret;
}

static int make_dir(const char *dir, struct hcl_err *err)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        return hcl_err_sys(err, -errno, "cannot make the folder %s", dir);
    }
    return 0;
}

int hcl_record_store(struct hcl_record *record, const char *dir,
                     struct hcl_err *err)
{
    char path[PATH_BYTES];
    char *text;
    int ret;

    if (!hcl_guest_uuid_ok(record->guest.uuid)) {
        return hcl_err_set(err, -EINVAL,
                           "the guest has no uuid in xenstore, so its devices "
                           "cannot be remembered");
    }
    ret = make_dir(dir, err);
    if (ret < 0) {
        return ret;
    }
    read_boot_id(record->boot);
    record->written_ms = hcl_record_now_ms();
    text = hcl_record_format(record);
    if (!text) {
        return hcl_err_sys(err, -ENOMEM, "record of %s", record->guest.uuid);
    }
    path_of(path, dir, record->guest.uuid);
    ret = write_file(path, text, err);
    free(text);
    return ret;
}

void hcl_record_remove(const char *dir, const char *uuid)
{
    char path[PATH_BYTES];

    if (hcl_guest_uuid_ok(uuid)) {
        path_of(path, dir, uuid);
        unlink(path);
    }
}

void hcl_record_each(const char *dir, void (*fn)(void *arg, const char *uuid),
                     void *arg)
{
    DIR *files = opendir(dir);
    struct dirent *entry;

    if (!files) {
        return;
    }
    /* cppcheck-suppress readdirCalled ; a stream of one thread */
    while ((entry = readdir(files)) != NULL) {
        if (hcl_guest_uuid_ok(entry->d_name)) {
            fn(arg, entry->d_name);
        }
    }
    closedir(files);
}

/* ---- Changes ----------------------------------------------------------- */

/* Holds the lock until the descriptor is closed. */
static int lock(const char *dir, int *ret_fd, struct hcl_err *err)
{
    char path[PATH_BYTES];
    int fd, ret = make_dir(dir, err);

    if (ret < 0) {
        return ret;
    }
    path_of(path, dir, "lock");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return hcl_err_sys(err, -errno, "cannot open %s", path);
    }
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR) {
            ret = hcl_err_sys(err, -errno, "cannot lock %s", path);
            close(fd);
            return ret;
        }
    }
    *ret_fd = fd;
    return 0;
}

int hcl_record_update(const char *dir, const struct hcl_guest *guest,
                      bool (*fn)(struct hcl_record *record, void *arg),
                      void *arg, struct hcl_err *err)
{
    struct hcl_record record = {0};
    bool changed;
    int fd = -1, ret = lock(dir, &fd, err);

    if (ret < 0) {
        return ret;
    }
    /* One that cannot be read is made anew: nothing else can help it. */
    if (hcl_record_load(&record, dir, guest->uuid, NULL) < 0) {
        memset(&record, 0, sizeof(record));
    }
    if (record.guest.domid != guest->domid) {
        /* Another life: whoever paused the last one is done with it. */
        record.saver = 0;
    }
    changed = fn(&record, arg) || record.guest.domid != guest->domid;
    if (changed) {
        record.guest = *guest;
        hcl_items_number(&record.items);
        ret = hcl_record_store(&record, dir, err);
    }
    close(fd);
    hcl_record_clear(&record);
    return ret;
}

static bool put_item(struct hcl_record *record, void *arg)
{
    /* Out of memory or too many: what stands there is kept. */
    return hcl_items_put(&record->items, arg, NULL) == 0;
}

int hcl_record_put(const char *dir, const struct hcl_guest *guest,
                   const struct hcl_item *item, struct hcl_err *err)
{
    struct hcl_item copy = *item;

    return hcl_record_update(dir, guest, put_item, &copy, err);
}

static bool drop_item(struct hcl_record *record, void *arg)
{
    return hcl_items_drop(&record->items, arg);
}

int hcl_record_drop(const char *dir, const struct hcl_guest *guest,
                    const char *device, struct hcl_err *err)
{
    char copy[HCL_ITEM_DEVICE];

    snprintf(copy, sizeof(copy), "%s", device);
    return hcl_record_update(dir, guest, drop_item, copy, err);
}

static bool set_saved(struct hcl_record *record, void *arg)
{
    bool saved = *(bool *)arg;
    uint32_t saver = saved ? (uint32_t)getpid() : 0;
    bool changed = record->saved != saved || record->saver != saver;

    record->saved = saved;
    record->saver = saver;
    return changed;
}

int hcl_record_set_saved(const char *dir, const struct hcl_guest *guest,
                         bool saved, struct hcl_err *err)
{
    return hcl_record_update(dir, guest, set_saved, &saved, err);
}

/* What /proc calls a process; "" if there is none. */
static void read_comm(const char *pid, char *comm, size_t size)
{
    char path[64];
    FILE *in;

    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    in = fopen(path, "re");
    if (!in || !fgets(comm, (int)size, in)) {
        comm[0] = '\0';
    }
    if (in) {
        fclose(in);
    }
}

bool hcl_record_forsaken(const struct hcl_record *record)
{
    char pid[12], theirs[32], ours[32];

    if (record->saver == 0) {
        return false;
    }
    /* Another program may have the number by now. */
    snprintf(pid, sizeof(pid), "%u", record->saver);
    read_comm(pid, theirs, sizeof(theirs));
    read_comm("self", ours, sizeof(ours));
    return hcl_record_older(record, 0) || strcmp(theirs, ours) != 0;
}
