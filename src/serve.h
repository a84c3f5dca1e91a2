// SPDX-License-Identifier: Apache-2.0
/*
 * `chela serve`: three processes. The supervisor forks the warden and the front, waits, and starts both anew when one of them dies: a warden
 * can only be forked from a process that has read nothing from the network, so the front can never make its own.
 */
#ifndef CHELA_SERVE_H
#define CHELA_SERVE_H
#include "admin/cli.h"
#include "runtime/notify.h"

int cmd_serve(const struct cli *c);

struct front_start {
	int warden_fd;
	int ready_fd;		     /* told when all is ready; -1 = nobody waits */
	const struct notify *notify; /* the service manager */
	char told[240];		     /* main hears it once the server is up; "" = nothing */
};
/* front.c: runs the network-facing server until it is told to stop: SIGTERM lets the running turns end, a second one or SIGUSR2 does not. Returns the exit
 * status of its process. */
int front_run(const struct config *cfg, const struct front_start *st);
/* Exit statuses that ask for something. */
#define FRONT_RESTART 75 /* start me again (the warden is gone, or the store is at odds) */
#define FRONT_RENEW   76 /* the operator said `restart`: read the configuration anew and begin */
#define FRONT_NOW     SIGUSR2

#endif
