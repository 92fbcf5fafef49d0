/* SPDX-License-Identifier: MIT */
/*
 * The hcl line of a domU's configuration, what hclctl makes of it, and the
 * records of hclctl watch (tools/item.c and record.c).  The first octet
 * chooses: the rest is a file with an hcl line, the file of a record, or items,
 * one in each line, that are put on a list and taken from it.
 *
 * What must hold: names and numbers of a list differ; what is accepted is
 * written so that it is read as the same.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "record.h"

#define UUID "5ac1cd9e-3e5b-4f2c-a2a4-0d4b1a39f4b7"

static void check_item(const struct hcl_item *item)
{
    char text[HCL_SPEC_BYTES];
    struct hcl_item again;

    memset(&again, 0, sizeof(again));
    assert(hcl_spec_name_ok(item->device) && item->backend[0]);
    assert(item->devid <= HCL_ITEM_MAX_DEVID ||
           item->devid == HCL_ITEM_ANY_DEVID);
    hcl_item_format(item, text, sizeof(text));
    assert(strlen(text) + 1 < sizeof(text));
    assert(hcl_item_parse(&again, text, NULL) == 0);
    assert(strcmp(again.device, item->device) == 0);
    assert(strcmp(again.backend, item->backend) == 0);
    assert(strcmp(again.options, item->options) == 0);
    assert(again.devid == item->devid);
}

static void check_items(const struct hcl_items *items)
{
    assert(items->count <= HCL_ITEMS_MAX);
    for (unsigned int i = 0; i < items->count; i++) {
        const struct hcl_item *item = &items->item[i];

        check_item(item);
        assert(hcl_items_find(items, item->device) == item);
        for (unsigned int j = 0; j < i; j++) {
            assert(items->item[j].devid != item->devid ||
                   item->devid == HCL_ITEM_ANY_DEVID);
        }
    }
}

/* ---- A list ------------------------------------------------------------ */

/* What is done with the item is its first octet. */
static void change(struct hcl_items *items, const char *line)
{
    struct hcl_err err = {0};
    struct hcl_item item;
    int ret = line[0] ? hcl_item_parse(&item, line + 1, &err) : -EINVAL;

    if (ret < 0) {
        assert(ret == -EINVAL && (err.text[0] || !line[0]));
        return;
    }
    check_item(&item);
    switch (line[0]) {
    case '-':
        (void)hcl_items_drop(items, item.device);
        assert(!hcl_items_find(items, item.device));
        break;
    case '?':
        ret = hcl_items_learn(items, &item, &err);
        assert(ret == 0 || ret == 1 || ret == -EEXIST || ret == -E2BIG);
        break;
    case '#':
        hcl_items_number(items);
        break;
    default:
        ret = hcl_items_put(items, &item, &err);
        assert(ret == 0 || ret == -E2BIG);
    }
}

static void list(char *text)
{
    struct hcl_items items = {0};
    char *line, *next;

    for (line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        change(&items, line);
    }
    check_items(&items);
    hcl_items_number(&items);
    check_items(&items);
    for (unsigned int i = 0; i < items.count; i++) {
        assert(items.item[i].devid != HCL_ITEM_ANY_DEVID);
    }
    hcl_items_clear(&items);
}

/* More devices than a guest can have. */
static void many(void)
{
    struct hcl_items items = {0};
    struct hcl_item item = {.backend = "0", .devid = HCL_ITEM_ANY_DEVID};

    for (unsigned int i = 0; i <= HCL_ITEMS_MAX; i++) {
        snprintf(item.device, sizeof(item.device), "d%u", i);
        assert(hcl_items_put(&items, &item, NULL) ==
               (i < HCL_ITEMS_MAX ? 0 : -E2BIG));
    }
    hcl_items_clear(&items);
}

/* ---- Files ------------------------------------------------------------- */

static void complain(void *arg, const char *text)
{
    (*(int *)arg)++;
    assert(text[0]);
}

static void guest_config(const struct hcl_config *config)
{
    struct hcl_items items = {0};
    struct hcl_err err = {0};
    int complaints = 0;
    int ret = hcl_items_load(&items, config, complain, &complaints, &err);

    assert(ret < 0 ? err.text[0] : ret == complaints);
    check_items(&items);
    hcl_items_clear(&items);
}

static struct hcl_config *parse(const char *text, size_t bytes)
{
    struct hcl_config *config;
    struct hcl_err err = {0};
    int ret =
        hcl_config_parse(&config, "file", text, (unsigned int)bytes, &err);

    assert(ret == 0 || (ret < 0 && err.text[0]));
    return ret == 0 ? config : NULL;
}

/* A record is written as it is read. */
static void record_again(const struct hcl_record *record)
{
    char *text = hcl_record_format(record), *twice;
    struct hcl_record again = {0};
    struct hcl_config *config;

    if (!text) {
        abort();
    }
    config = parse(text, strlen(text));
    assert(config && hcl_record_parse(&again, UUID, config, NULL) == 0);
    assert(strcmp(again.guest.name, record->guest.name) == 0);
    twice = hcl_record_format(&again);
    assert(twice && strcmp(text, twice) == 0);
    hcl_record_clear(&again);
    hcl_config_free(config);
    free(twice);
    free(text);
}

static void record(const struct hcl_config *config)
{
    struct hcl_record record = {0};
    struct hcl_err err = {0};

    if (hcl_record_parse(&record, UUID, config, &err) < 0) {
        assert(err.text[0] && record.items.count == 0);
        return;
    }
    check_items(&record.items);
    record_again(&record);
    hcl_record_clear(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint32_t what = fuzz_u8(&in);
    struct hcl_config *config = NULL;
    char *text = malloc(in.left + 1);

    if (!text) {
        abort();
    }
    memcpy(text, in.at, in.left);
    text[in.left] = '\0';
    switch (what) {
    case 'c':
    case 'r':
        config = parse(text, in.left);
        if (config) {
            (what == 'c' ? guest_config : record)(config);
        }
        hcl_config_free(config);
        break;
    case 'm':
        many();
        break;
    default:
        list(text);
    }
    free(text);
    return 0;
}
