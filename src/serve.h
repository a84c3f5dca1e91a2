// SPDX-License-Identifier: Apache-2.0
/*
 * `chela serve`: three processes. The supervisor forks the warden and the front, waits, and starts both anew when one of them dies: a warden
 * can only be forked from a process that has read nothing from the network, so the front can never make its own.
 */
#ifndef CHELA_SERVE_H
#define CHELA_SERVE_H
#include "admin/cli.h"

int cmd_serve(const struct cli *c);

/* front.c: runs the network-facing server until it is told to stop. Returns the exit status of its process. */
int front_run(const struct config *cfg, int warden_fd, int ready_fd);
#define FRONT_RESTART                                                                              \
	75 /* exit status: start me again (the warden is gone, or the store is at odds) */

#endif
