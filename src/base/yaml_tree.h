// SPDX-License-Identifier: Apache-2.0
/*
 * The inside of a parsed YAML file, shared by yaml.c (builds it) and yaml_get.c (reads it) only.
 */
#ifndef CHELA_BASE_YAML_TREE_H
#define CHELA_BASE_YAML_TREE_H
#include "base/yaml.h"

enum yaml_type {
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAP
};

/* A key that a reader asked a map for: what the hint for an unknown key is taken from. */
struct yaml_asked {
	struct yaml_asked *next;
	char key[];
};

struct yaml_node {
	const struct yaml *file;
	struct yaml_node *parent;
	char *key; /* in a map; NULL elsewhere */
	int line;  /* of the key, for map values */
	enum yaml_type type;
	bool quoted;	 /* scalar in quotes or a block: never a number, a boolean or null */
	bool known;	 /* some reader asked for it */
	bool taken;	 /* its value was read (scalars) */
	bool wanted_map; /* a reader asked it for keys although it is none */
	char *text;	 /* scalar */
	struct yaml_node **items;
	size_t len, cap;
	struct yaml_asked *asked;
};

struct yaml {
	char *name;
	struct yaml_node *root;
};

/* A plain scalar that stands for "nothing here": empty, ~ or null. */
bool yaml_is_null(const struct yaml_node *n);

#endif
