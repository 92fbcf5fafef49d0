/* SPDX-License-Identifier: MIT */
#include "class_table.h"

#include <stdio.h>
#include <string.h>

#include "class.h"

/* One line for each class: its file defines hcl_class_<name>. */
#define CLASSES(X)                                                             \
    X(delay)                                                                   \
    X(echo)                                                                    \
    X(rng)                                                                     \
    X(serial)

#define DECLARE(name) extern const struct hcl_class hcl_class_##name;
#define LIST(name) &hcl_class_##name,

CLASSES(DECLARE)

/* clang-format off */
const struct hcl_class *const hcl_classes[] = {CLASSES(LIST) NULL};
/* clang-format on */

const struct hcl_class *hcl_class_find(const char *name)
{
    for (unsigned int i = 0; hcl_classes[i]; i++) {
        if (strcmp(hcl_classes[i]->name, name) == 0) {
            return hcl_classes[i];
        }
    }
    return NULL;
}

void hcl_class_names(char *buf, size_t size)
{
    size_t used = 0;

    buf[0] = '\0';
    for (unsigned int i = 0; hcl_classes[i] && used < size; i++) {
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "",
                                 hcl_classes[i]->name);
    }
}
