// SPDX-License-Identifier: Apache-2.0
/*
 * The warden: the only code that can start a container. A process of its own, forked before
 * anything is read from the network. It alone opens the Docker socket, the image lock and the policy files; it takes
 * small typed requests over a SOCK_SEQPACKET pair (group, kind, session id: never a path, never a flag of
 * Docker's), builds the container spec itself from policy, attaches before start and hands the attached
 * descriptor back by SCM_RIGHTS. This header is the server's side; warden/process.c is the other.
 */
#ifndef CHELA_WARDEN_WARDEN_H
#define CHELA_WARDEN_WARDEN_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/mem.h"
#include "policy/config.h"
#include "runtime/loop.h"

/* Forks the warden (call before loop_new and before any thread). *fd is our end of the pair (CLOEXEC,
 * non-blocking). The child never returns: it runs until the pair closes, then removes its
 * containers and exits. The child reads policy and lock files itself from the paths in cfg. It keeps no descriptor but
 * the pair and 2, where its log goes, and ignores SIGINT, SIGTERM and SIGHUP: the end of the pair is its end. */
pid_t warden_fork(const struct config *cfg, int *fd, struct err *e) must_check;

/* GROUP: one at a time for a group, its folder at /workspace, its agent's state at /session. TASK: any number; an agent with a fresh /workspace and /session of its
 * own, which are removed when it has ended (on the host: <home>/tasks/<session_id>/workspace and .../session), the group's folder read-only at /group. TOOL: as TASK, but `bash -s` in
 * place of the agent: the agent's stream is its standard input and output. */
enum sandbox_kind {
	SANDBOX_GROUP,
	SANDBOX_TASK,
	SANDBOX_TOOL
};
#define SKILLS_CAP 65

struct sandbox_request {
	char group[65]; /* a name, checked again by the warden */
	enum sandbox_kind kind;
	char session_id[37]; /* UUID of the agent's session */
	bool resume;	     /* --resume instead of --session-id */
	char model
		[64]; /* "" = the agent's default; [A-Za-z0-9._-[\]] only, checked by the warden */
	/* Which skills, "" = none: 64 hexadecimal digits, the name of a folder in <home>/skillsets, mounted read-only. One folder, for under gVisor each
	 * mount costs some five threads of the sandbox's limit. None for a TOOL. */
	char skills[SKILLS_CAP];
};

enum sandbox_end {
	SANDBOX_STOPPED, /* we asked for it */
	SANDBOX_EXITED,	 /* the runner ended by itself; code says how */
	SANDBOX_OOM,
	SANDBOX_KILLED, /* a signal from outside */
};

struct warden_status {
	bool engine_up;
	char engine[128];   /* version, or why not */
	char runtimes[128]; /* comma separated */
	bool image_ok;
	char image[80];	     /* sha256:..., */
	char image_why[200]; /* what is wrong and the fix, when !image_ok */
	int running;
};

struct warden_events {
	/* Running; door_fd is the callee's: Docker's attach stream, framed, nothing read from it yet. */
	void (*started)(void *ctx, uint64_t id, int door_fd);
	/* Could not start. why->code E_TEMP/E_LIMIT: engine or image missing now, worth a retry with back-off (msg says what and
	 * the fix); E_PERM/E_INVAL/E_BUG: do not retry. The id is gone. */
	void (*failed)(void *ctx, uint64_t id, const struct err *why);
	/* A started sandbox ended and was removed. detail is one line for a person. The id is gone. */
	void (*ended)(void *ctx, uint64_t id, enum sandbox_end how, int code, const char *detail);
	void (*status)(void *ctx, const struct warden_status *s);
	/* The warden itself is gone: nothing can be started any more; all ids are gone. */
	void (*lost)(void *ctx, const struct err *why);
};

struct warden;
struct warden *warden_new(struct loop *l, int fd, const struct warden_events *ev, void *ctx);
void warden_free(struct warden *w);
/* Asks for a sandbox; the outcome comes as started or failed with the id. 0 = could not even ask. */
uint64_t warden_start(struct warden *w, const struct sandbox_request *r, struct err *e) must_check;
/* Stops and removes. The outcome comes as ended, also when it had not started yet; a started that crosses this call is
 * swallowed and its descriptor closed. A sandbox whose memory had run out is told as SANDBOX_OOM all the same: that is
 * most often why it is being stopped. */
void warden_stop(struct warden *w, uint64_t id);
/* Asks for a status report; comes as an event. */
void warden_ask_status(struct warden *w);

#endif
