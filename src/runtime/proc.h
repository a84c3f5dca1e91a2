// SPDX-License-Identifier: Apache-2.0
/*
 * Child processes: clean signal mask and dispositions, only the named descriptors, no shell,
 * death signal to follow the parent. Exit comes as an event.
 */
#ifndef CHELA_RUNTIME_PROC_H
#define CHELA_RUNTIME_PROC_H
#include <stdbool.h>
#include <sys/types.h>
#include "runtime/loop.h"

struct proc;
struct proc_spec {
	const char *const *argv; /* argv[0] is looked up in PATH when it has no slash */
	const char *const *env;	 /* NULL-ended; NULL = a minimal PATH, LANG, HOME */
	const char *cwd;	 /* NULL = as is */
	int fds[3]; /* stdin, stdout, stderr: a descriptor to give (not consumed), or -1 = /dev/null */
	bool new_session; /* setsid */
	bool outlive;	  /* no death signal */
	bool gentle;	  /* SIGTERM where it would be SIGKILL: it has something to put away */
};
typedef void proc_exit_fn(void *ctx, int code, int signo); /* signo 0 when it exited */
struct proc *proc_spawn(struct loop *l, const char *what, const struct proc_spec *s,
			proc_exit_fn *fn, void *ctx, struct err *e) must_check;
pid_t proc_pid(const struct proc *p);
void proc_kill(struct proc *p, int signo);
/* Forgets it (no up-call); a running child is killed with SIGKILL (gentle: SIGTERM) and reaped later. */
void proc_free(struct proc *p);

#endif
