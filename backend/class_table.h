/* SPDX-License-Identifier: MIT */
/* class_table.h: what the worker says about classes to a person. */
#ifndef HCL_CLASS_TABLE_H
#define HCL_CLASS_TABLE_H

#include <stddef.h>

/* Writes "echo, rng, ..." into @buf of @size bytes. */
void hcl_class_names(char *buf, size_t size);

#endif /* HCL_CLASS_TABLE_H */
