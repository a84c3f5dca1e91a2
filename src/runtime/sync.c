// SPDX-License-Identifier: Apache-2.0
/*
 * See sync.h. One that nobody waits for any more still ends on its thread, so it outlives its owner, and the loop is held until then. It must never call fsync on
 * the loop's own thread.
 */
#include "runtime/sync.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <uv.h>
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/loop_internal.h"

struct sync {
	uv_fs_t req;
	struct loop *loop;
	sync_fn *fn; /* NULL: cancelled */
	void *ctx;
	int fds[2]; /* the file, then its folder; -1 = none */
	int at;
};

static void on_synced(uv_fs_t *req)
{
	struct sync *s = req->data;
	struct loop *l = s->loop;
	struct err e = ERR_INIT;
	int status = (int)req->result;
	uint64_t start = loop_enter(l);

	uv_fs_req_cleanup(req);
	if (status == 0 && s->at == 0 && s->fds[1] >= 0)
		status = uv_fs_fsync(loop_uv(l), &s->req, s->fds[++s->at], on_synced);
	else
		s->at = 2;
	if (status < 0)
		err_set(&e, E_IO, "cannot put a file on the disk: %s", uv_strerror(status));
	if (status < 0 || s->at == 2) {
		if (s->fn)
			s->fn(s->ctx, status < 0 ? &e : NULL);
		close(s->fds[0]);
		if (s->fds[1] >= 0)
			close(s->fds[1]);
		free(s);
		loop_hold(l, -1);
	}
	loop_leave(l, "sync", start);
}

struct sync *sync_start(struct loop *l, int fd, int folder, sync_fn *fn, void *ctx, struct err *e)
{
	_cleanup_close_ int a = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_close_ int b = folder >= 0 ? fcntl(folder, F_DUPFD_CLOEXEC, 3) : -1;
	struct sync *s;
	int rc;

	if (a < 0 || (folder >= 0 && b < 0)) {
		err_sys(e, errno, "cannot sync a file");
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	*s = (struct sync){.loop = l, .fn = fn, .ctx = ctx, .fds = {a, b}};
	s->req.data = s;
	rc = uv_fs_fsync(loop_uv(l), &s->req, a, on_synced);
	if (rc < 0) {
		err_set(e, E_IO, "cannot sync a file: %s", uv_strerror(rc));
		free(s);
		return NULL;
	}
	(void)steal_fd(&a);
	(void)steal_fd(&b);
	loop_hold(l, 1);
	return s;
}

void sync_cancel(struct sync *s)
{
	if (s)
		s->fn = NULL;
}
