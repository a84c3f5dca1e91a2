// SPDX-License-Identifier: Apache-2.0
/*
 * YAML files as a tree with line numbers (libyaml underneath), for config and policy. Strict: no
 * anchors or aliases, no tags, no duplicate keys, one document, size and depth capped. Readers take values by path and mark
 * them as used; `yaml_finish` refuses whatever nobody asked for, naming file, line, key and the nearest known key.
 */
#ifndef CHELA_BASE_YAML_H
#define CHELA_BASE_YAML_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

struct yaml;	  /* a parsed file */
struct yaml_node; /* borrowed from it */

struct yaml *yaml_load(const char *file, struct err *e) must_check;
/* `name` stands for the file in errors. */
struct yaml *yaml_parse(const char *text, size_t n, const char *name, struct err *e) must_check;
void yaml_tree_free(struct yaml *y);
/* Inline, since libyaml exports a function of this very name, which ours would replace. */
static inline void yaml_free(struct yaml *y)
{
	yaml_tree_free(y);
}
static inline void cleanup_yaml_p(struct yaml **y)
{
	yaml_free(*y);
}
#define _cleanup_yaml_ _cleanup_(cleanup_yaml_p)

struct yaml_node *yaml_root(struct yaml *y);
/* Path of map keys "sandbox.memory"; NULL when absent. Marks each step as known. */
struct yaml_node *yaml_at(struct yaml_node *n, const char *path);
size_t yaml_len(const struct yaml_node *n); /* items of a list or map */
struct yaml_node *yaml_item(struct yaml_node *n,
			    size_t i); /* list item or map value; marks it known */
const char *yaml_key(const struct yaml_node *n, size_t i); /* map key */
int yaml_line(const struct yaml_node *n);
/* Getters at a path under n: the default when absent; a wrong type or a value out of range is an error
 * with file:line: key: what was expected. Strings are borrowed from the tree. */
int yaml_str(struct yaml_node *n, const char *path, const char *def, const char **out,
	     struct err *e) must_check;
int yaml_i64(struct yaml_node *n, const char *path, int64_t def, int64_t min, int64_t max,
	     int64_t *out, struct err *e) must_check;
int yaml_double(struct yaml_node *n, const char *path, double def, double min, double max,
		double *out, struct err *e) must_check;
int yaml_bool(struct yaml_node *n, const char *path, bool def, bool *out, struct err *e) must_check;
/* Sizes such as 64K, 512M, 1G (bytes without a suffix) and durations such as 500ms, 30s, 5m, 2h, 7d. */
int yaml_size(struct yaml_node *n, const char *path, int64_t def, int64_t min, int64_t max,
	      int64_t *bytes, struct err *e) must_check;
int yaml_duration(struct yaml_node *n, const char *path, int64_t def_ms, int64_t min_ms,
		  int64_t max_ms, int64_t *ms, struct err *e) must_check;
/* One of a NULL-ended list of words; *out is the index. */
int yaml_word(struct yaml_node *n, const char *path, const char *const *words, int def, int *out,
	      struct err *e) must_check;
/* An error at this node for the caller's own checks: "file:line: key: <text>". Returns -1. */
int yaml_fail(const struct yaml_node *n, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Fails when any node of the file was never asked for. */
int yaml_finish(struct yaml *y, struct err *e) must_check;
/* The same for what lies under one node: for a reader of one section of a file. */
int yaml_finish_at(struct yaml_node *n, struct err *e) must_check;
/* Leaves a section to another reader: nothing under it counts as unknown here. */
void yaml_leave(struct yaml_node *n, const char *path);

/* A string without control characters, copied into dst. */
int yaml_text(struct yaml_node *root, const char *path, const char *def, char *dst, size_t cap,
	      struct err *e) must_check;
/* The same for a file's name: a relative one is relative to dir; "" = none. */
int yaml_path(struct yaml_node *root, const char *path, const char *def, const char *dir, char *dst,
	      size_t cap, struct err *e) must_check;

#endif
