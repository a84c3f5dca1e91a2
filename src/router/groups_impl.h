// SPDX-License-Identifier: Apache-2.0
/* Shared by groups.c and templates.c only. */
#ifndef CHELA_ROUTER_GROUPS_IMPL_H
#define CHELA_ROUTER_GROUPS_IMPL_H
#include "router/groups.h"

/* CLAUDE.md in the group's folder, unless there is one; the folder is made. */
int template_put(const char *home, const struct group_row *g, struct err *e) must_check;
int template_put_global(const char *home, struct err *e) must_check;

#endif
