// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the warden's process share: one sandbox's life, the pieces that its container
 * is built from, and the checks on it. Nobody outside src/warden includes this.
 */
#ifndef CHELA_WARDEN_SANDBOX_H
#define CHELA_WARDEN_SANDBOX_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "policy/config.h"
#include "runtime/packets.h"
#include "warden/engine.h"
#include "warden/wire.h"

/* ---- agent.c: what runs inside ---- */
#define AGENT_ARGS_MAX 40
#define AGENT_ENV_MAX  32
struct agent_cmd {
	const char *argv[AGENT_ARGS_MAX]; /* NULL-ended; points into the request or to constants */
	/* NULL-ended NAME=value; nothing secret: all of it is visible inside */
	const char *env[AGENT_ENV_MAX];
	char retries[48];
};
void agent_cmd(const struct sandbox_request *r, int64_t model_retries, struct agent_cmd *out);

/* ---- mounts.c: the folders ---- */
struct mount {
	char source[PATH_CAP + 160]; /* on the host */
	const char *target;	     /* inside */
	bool writable;
};
struct mounts {
	struct mount list[5];
	size_t n;
};
/* Makes the folders where absent and checks each step: real folders below home, no symbolic link, owned by the agent's
 * user (skills: by anybody else). The request was checked. E_PERM names the folder and the fix. */
int mounts_prepare(const char *home, const struct sandbox_request *r, uid_t agent_uid,
		   struct mounts *m, struct err *e) must_check;
/* Removes the folders of tasks that in_use does not know. 1: there is more to remove, call again; -1: one cannot be removed. */
int mounts_sweep(const char *home, bool (*in_use)(void *ctx, const char *id), void *ctx,
		 struct err *e) must_check;
/* Whom the agent runs as: 10001, or the server's own user when that is not root (it could not
 * give files away). */
uid_t mounts_agent_uid(void);

/* ---- spec.c: the container as the engine wants it; pure ---- */
struct spec {
	const char *instance; /* UUID */
	const char *run;      /* UUID of this warden's life */
	const char *image;    /* sha256:... */
	const struct sandbox_request *req;
	const struct sandbox_policy *policy;
	const struct mounts *mounts;
	uid_t agent_uid;
	int64_t model_retries;
	const char *seccomp; /* profile text (JSON) */
};
/* The body of POST /containers/create. The caller frees it. */
char *spec_json(const struct spec *s);
/* The memory limit as the kernel will keep it: whole pages. */
int64_t spec_memory(const struct sandbox_policy *p);
/* How many tasks the host grants it: under gVisor more than those that may be inside. */
int64_t spec_pids(const struct sandbox_policy *p);
const char *spec_kind_word(enum sandbox_kind k);
/* container/seccomp.json, put into the binary at build time; NUL-ended. */
extern const char seccomp_profile[];

/* ---- limits.c: are they in force? ---- */
/* Reads the cgroup of process pid (v1 or v2) below root ("" in the server) and fails with E_PERM when
 * the memory limit, swap limit or pids limit is not the one of the policy. */
int limits_check(const char *root, pid_t pid, const struct sandbox_policy *p,
		 struct err *e) must_check;

/* True when process pid has ended or is about to: it closes its files before it is gone. */
bool limits_exiting(const char *root, pid_t pid);
/* The folder of the memory cgroup of pid; "" when it cannot be told. */
void limits_where(const char *root, pid_t pid, char *dst, size_t cap);
/* True when the kernel has killed a process of that cgroup for want of memory. The engine says so only of a
 * container that has ended, and not always in time. */
bool limits_oom(const char *dir);

/* ---- sandbox.c: one container's life ---- */
struct warden_process;

enum sandbox_state {
	WAITING,   /* for the engine, or for an older sandbox of the same group to go */
	CREATING,  /* POST create */
	ATTACHING, /* attach and wait are on their way */
	STARTING,  /* POST start */
	CHECKING,  /* GET json, limits */
	RUNNING,   /* the server has the descriptor */
	ENDING,	   /* GET json: how did it end? */
	REMOVING,  /* DELETE */
};

struct sandbox {
	struct warden_process *w;
	struct sandbox *next;
	uint64_t id;
	struct sandbox_request req;
	struct sandbox_policy policy;
	enum sandbox_state state;
	char name[128]; /* container name, ours alone: known before create returns */
	char image[80];
	char cid[65]; /* "" until created */
	int64_t begun_ms;
	struct attach *attach;
	struct engine_call call; /* create, start, json, delete: one at a time */
	struct http_call *wait;
	int door_fd;
	pid_t pid; /* the engine's word for the container's first process; 0 = not known */
	char memory_dir[PATH_CAP]; /* its memory cgroup */
	bool oom;		   /* the kernel killed in it for want of memory */
	bool wait_ready;
	bool asked; /* the server wants it gone */
	bool was_running;
	bool failed;
	struct err why; /* when failed */
	int how, code;
	char detail[256];
};

/* Starts the life; the outcome goes to warden_tell. Never fails synchronously. */
struct sandbox *sandbox_new(struct warden_process *w, uint64_t id, const struct sandbox_request *r);
void sandbox_begin(struct sandbox *s); /* once the engine is known to be fit */
void sandbox_fail(struct sandbox *s, const struct err *why);
void sandbox_stop(struct sandbox *s);
bool sandbox_stopping(const struct sandbox *s);

/* ---- process.c: what a sandbox asks of its process ---- */
struct warden_process {
	const struct config *cfg;
	struct loop *loop;
	struct engine engine;
	struct sandbox *list;
	struct packets pair;
	struct watch *watch;
	struct timer *deadline; /* of the clean-up after the pair has closed */
	struct timer *sweep;	/* of folders whose sandbox is gone */
	struct probe *probe;	/* probe.c */
	uid_t agent_uid;
	char run[37];	/* UUID of this process's life, a label of its containers */
	bool started;	/* the first look at the engine is over */
	bool closing;	/* the server is gone: stop everything, then end */
	bool made;	/* a container was asked for: there is something to remove */
	bool admitting; /* warden_admit is on its way */
};
/* Serves the pair until it closes; returns the exit code. */
int warden_process_run(const struct config *cfg, int fd);
/* Checks an ask of kind ASK_START field by field. */
int warden_check_ask(const struct wire_ask *a, struct sandbox_request *r, struct err *e) must_check;
/* Queues an answer; door_fd (or -1) is taken. */
void warden_tell(struct warden_process *w, const struct wire_tell *t, int door_fd);
/* A sandbox is gone and its memory is about to go. */
void warden_forget(struct warden_process *w);
/* The look around is over; why is NULL when sandboxes can be started. */
void warden_probed(struct warden_process *w, const struct err *why);

/* ---- probe.c: what is there, and what must go ---- */
struct probe *probe_new(struct warden_process *w);
void probe_free(struct probe *p);
/* Looks at the engine and the image and removes our containers that no sandbox of the list owns.
 * Then answers status if asked, and begins or fails the sandboxes that wait. */
void probe_run(struct probe *p, bool want_status);
/* True when the engine was fit at the last look and nothing of ours is left over. */
bool probe_clean(const struct probe *p);
/* Something went wrong with the engine: look again before the next start. */
void probe_dirty(struct probe *p);

#endif
