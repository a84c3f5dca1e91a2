// SPDX-License-Identifier: Apache-2.0
/*
 * A group's folder, groups/<name> below home, which is /workspace in its sandbox. The agent owns it and may change it at any moment: every step is taken
 * from a descriptor, beneath it, and without following a link. Inside src/router only.
 */
#ifndef CHELA_ROUTER_WORKSPACE_H
#define CHELA_ROUTER_WORKSPACE_H
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/mem.h"

/* The user that the agent is on this machine. */
uid_t workspace_agent_uid(void);
/* The folder itself; made when absent and `make` is set. A descriptor, or -1. */
int workspace_open(const char *home, const char *group, bool make, struct err *e) must_check;
/* A folder in it, the agent's as well. E_PERM when what has that name is no folder. */
int workspace_folder(int dir, const char *name, bool make, struct err *e) must_check;
/* A new file in a folder, ours (0600) until workspace_give; errno EEXIST when the name is taken. */
int workspace_create(int dir, const char *name);
/* From now on the agent may read and write it. */
int workspace_give(int fd, struct err *e) must_check;

#endif
