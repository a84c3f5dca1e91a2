// SPDX-License-Identifier: Apache-2.0
/* The insides of the fetching of files: attach.c (one file) and attach_wait.c (one message). */
#ifndef CHELA_ROUTER_ATTACH_H
#define CHELA_ROUTER_ATTACH_H
#include "router/inbox.h"
#include "runtime/sync.h"

enum job_state {
	JOB_QUEUED,
	JOB_PAUSED,  /* until the next try */
	JOB_RUNNING, /* in the channel's hands */
	JOB_SPOKEN,  /* there, and its words are to be found */
	JOB_HEARING, /* they are being found */
	JOB_SYNCING, /* whole; the disk has it soon */
	JOB_DONE
};

/* One file. */
struct job {
	struct job *next;
	struct waiter *w;
	enum job_state state;
	int tries;
	struct file_row f; /* its strings are ours */
	char leaf[128];
	struct saved_file file;
	struct timer *timer; /* limit, or pause */
	struct transcript *hearing;
	struct sync *sync;
};

/* One message that waits for files. */
struct waiter {
	struct waiter *next;
	struct attach *a;
	struct channel *chan;
	struct group_row group;
	int64_t message_id;
	struct job *jobs;
	size_t left;
};

struct attach {
	struct router *r;
	struct files_settings set;
	struct waiter *list, **tail;
	int running[CHANNELS_MAX]; /* by the channel's place in router.chans */
	int hearing;
	bool armed;
};

/* attach.c: starts what can be started. */
void attach_run(void *ctx);
/* How many fetches of the job's channel are under way. */
int *attach_running(const struct job *j);
/* The same as attach_run, soon. */
void attach_arm(struct attach *a);
/* The last thing that happens to a job; its waiter may be gone after it. */
void attach_job_done(struct job *j, enum file_state state, const char *note);
void attach_job_free(struct job *j);
/* A job's timer: the limit of a try, or the end of a pause. */
void attach_job_timer(void *ctx);

/* attach_wait.c: all files of a message are there or given up: it is written, and the message goes on. */
void attach_waiter_finish(struct waiter *w);
void attach_waiter_free(struct waiter *w);

#endif
