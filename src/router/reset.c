// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a conversation: by a person who asks for a new one, by new settings, or because its transcript has grown too large. See reset.h. Nothing is lost by
 * it: what was said stays in the history, in the archive, and in short with the next session.
 */
#include "router/reset.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "router/inbox.h"

/* Past some 55 MB the agent cannot resume a session any more. */
#define TRANSCRIPT_MAX ((int64_t)40 << 20)

void session_key_of(struct router *r, int64_t group_id, int64_t chat_id, const char *thread,
		    char out[65])
{
	inbox_session_key(settings_get(r, group_id), chat_id, thread, out);
}

/* --- begun anew --------------------------------------------------------------------------- */

static int forget_session(struct router *r, const struct group_row *g, const char *key,
			  int64_t chat_id, const char *archive, struct err *e)
{
	_cleanup_free_ char *text = opening_carry(r, g, chat_id, archive, e);

	if (!text || store_session_set(r->store, g->id, key, "", e) < 0)
		return -1;
	return store_carry_set(r->store, g->id, key, text, e);
}

static int renew_one(struct router *r, const struct group_row *g, const char *key, int64_t chat_id,
		     struct renewed *out, struct err *e)
{
	struct session *s = session_find(r, g->id, key);

	if (s && (s->turn_id || s->out_armed)) {
		s->renew = s->refresh = true;
		out->when = REFRESH_LATER;
		return 0;
	}
	if (!out->archive[0])
		archive_note(r, g, out->archive);
	if (forget_session(r, g, key, chat_id, out->archive, e) < 0)
		return -1;
	if (!s)
		return 0;
	s->rebuild = false;
	if (s->state == SESSION_READY || s->state == SESSION_STARTING) {
		session_stop_sandbox(s);
		if (out->when == REFRESH_NONE)
			out->when = REFRESH_NOW;
	}
	return 0;
}

struct session_keys {
	char (*list)[65];
	size_t n;
};

static void note_key(void *ctx, const char *key)
{
	struct session_keys *q = ctx;

	q->list = xrealloc(q->list, (q->n + 1) * sizeof(*q->list));
	str_copy(q->list[q->n++], sizeof(*q->list), key);
}

int session_renew(struct router *r, const struct group_row *g, const char *key, int64_t chat_id,
		  struct renewed *out, struct err *e)
{
	struct session_keys q = {.n = 0};
	int rc;

	*out = (struct renewed){.when = REFRESH_NONE};
	if (key)
		return renew_one(r, g, key, chat_id, out, e);
	rc = store_session_each(r->store, g->id, note_key, &q, e);
	for (size_t i = 0; i < q.n && rc == 0; i++)
		rc = renew_one(r, g, q.list[i], chat_id, out, e);
	free(q.list);
	return rc;
}

bool session_leaves(struct session *s)
{
	struct err e = ERR_INIT;
	char archive[ARCHIVE_NAME];

	if (!s->refresh)
		return false;
	s->refresh = false;
	if (s->renew) {
		s->renew = false;
		archive_note(s->r, &s->group, archive);
		if (forget_session(s->r, &s->group, s->key, s->chat_id, archive, &e) < 0)
			router_fatal(s->r, &e);
	}
	session_stop_sandbox(s);
	return true;
}

/* --- grown too large ---------------------------------------------------------------------- */

/* The agent's own folder: only looked at, and no link followed. -1 = there is none. */
static int64_t transcript_size(const struct session *s, const char *id)
{
	_cleanup_close_ int home = open(s->r->o.cfg->home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dir = -1;
	char path[160], leaf[48];
	struct stat st;

	snprintf(path, sizeof(path), "sessions/%s/projects/-workspace", s->group.name);
	snprintf(leaf, sizeof(leaf), "%s.jsonl", id);
	dir = home < 0 ? -1 : fd_open_beneath(home, path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0 || fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return st.st_size;
}

void session_check_size(struct session *s, char id[37])
{
	struct err e = ERR_INIT;
	int64_t size = id[0] ? transcript_size(s, id) : -1;
	int64_t chat;
	char thread[128], archive[ARCHIVE_NAME];

	if (size <= TRANSCRIPT_MAX)
		return;
	log_warn("session", "too large to be resumed", "group=%s bytes=%lld", s->group.name,
		 (long long)size);
	archive_note(s->r, &s->group, archive);
	if (store_session_set(s->r->store, s->group.id, s->key, "", &e) < 0) {
		router_fatal(s->r, &e);
		return;
	}
	if (session_waiting_chat(s, &chat, thread, sizeof(thread)))
		delivery_notice(s->r, chat, s->group.id, thread,
				"Our session has grown too large to go on with. I start a new one "
				"and take the recent messages along.");
	id[0] = '\0';
	s->rebuild = true;
}
