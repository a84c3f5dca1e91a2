// SPDX-License-Identifier: Apache-2.0
/*
 * Outgoing rows: text, edits, reactions, files and questions. It exists to make each row arrive once if the platform lets us know
 * at all: Telegram has no key to look for and no way to look, so a sendMessage whose answer was lost is reported as unsure, and
 * nothing is tried again here except what was refused for a reason that we can mend (markup, a topic that is gone).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/telegram/telegram.h"

#define CALL_MS	       60000
#define UPLOAD_IDLE_MS 120000 /* from the last byte of a file to the verdict */

enum upload {
	AS_DOCUMENT,
	AS_PHOTO,
	AS_VOICE,
};
struct tg_job {
	TAILQ_ENTRY(tg_job) link;
	struct telegram *t;
	struct tg_call *call; /* NULL = waits for its time */
	int64_t id;
	enum outbound_kind kind;
	char chat[TG_ID_CAP], thread[TG_ID_CAP], target[TG_ID_CAP], sent_id[TG_ID_CAP];
	char *body, *emoji, *markup, *path, *name, *mime;
	enum upload as;
	bool answer;	 /* a text that is no notice */
	bool plain;	 /* the markup was refused */
	bool no_thread;	 /* the topic is gone */
	bool caption_on; /* files: the caption goes, or went, with the file */
	bool on_file;	 /* an edit of a file's caption */
	bool tail;	 /* files: the file is there, the caption follows as a message */
};

static void start(struct tg_job *j);

static void job_free(struct tg_job *j)
{
	TAILQ_REMOVE(&j->t->jobs, j, link);
	tg_cancel(j->call);
	free(j->body);
	free(j->emoji);
	free(j->markup);
	free(j->path);
	free(j->name);
	free(j->mime);
	free(j);
}

static void report(struct tg_job *j, const struct sent *s)
{
	struct channel *c = j->t->c;
	int64_t id = j->id;

	job_free(j);
	channel_on_sent(c, id, s);
}

static void done(struct tg_job *j, const char *platform_id)
{
	char id[TG_ID_CAP];

	str_copy(id, sizeof(id), platform_id);
	report(j, &(struct sent){.platform_id = id});
}

static bool makes_new(const struct tg_job *j)
{
	return j->kind == OUTBOUND_FILE || j->kind == OUTBOUND_ASK ||
	       (j->kind == OUTBOUND_TEXT && !j->target[0]);
}

static void refused(struct tg_job *j, const struct tg_reply *r)
{
	struct telegram *t = j->t;
	struct err why = r->why;
	char moved[TG_ID_CAP] = "";
	struct sent s = {.why = &why, .retry_ms = r->retry_ms};

	if (r->code == 429)
		pace_hold(&t->pace, j->chat, loop_now(t->c->loop),
			  loop_now(t->c->loop) + r->retry_ms);
	/* a token that is refused, a certificate, a torn answer: no fault of this row */
	if (why.code == E_AUTH || why.code == E_PROTO || (!r->code && why.code == E_LIMIT))
		why.code = E_TEMP;
	if (makes_new(j))
		s.unsure = r->unsure || j->tail; /* the file of a lost caption is there */
	if (r->moved_to) {
		str_copy(moved, sizeof(moved), r->moved_to);
		s.moved_to = moved;
	}
	report(j, &s);
}

/* What can be mended; true: go once more. */
static bool mend(struct tg_job *j, const struct tg_reply *r)
{
	if (r->code != 400 || r->moved_to)
		return false;
	if (strstr(r->text, "can't parse entities") && !j->plain) {
		log_warn("telegram", "markup refused, sent as plain text", "id=%lld err=\"%s\"",
			 (long long)j->id, r->why.msg);
		return j->plain = true;
	}
	if (strstr(r->text, "thread not found") && j->thread[0] && !j->no_thread)
		return j->no_thread = true;
	if (j->kind == OUTBOUND_TEXT && j->target[0] &&
	    (strstr(r->text, "message to edit not found") ||
	     strstr(r->text, "message can't be edited") || strstr(r->text, "MESSAGE_ID_INVALID"))) {
		j->target[0] = '\0'; /* the draft was deleted by somebody */
		return true;
	}
	if (j->kind == OUTBOUND_EDIT && strstr(r->text, "no text in the message") && !j->on_file)
		return j->on_file = true;
	if (j->kind == OUTBOUND_FILE && j->as != AS_DOCUMENT && !j->tail && r->why.code != E_GONE) {
		j->as = AS_DOCUMENT; /* no picture or no voice in Telegram's eyes */
		return true;
	}
	return false;
}

static void on_reply(void *ctx, const struct tg_reply *r)
{
	struct tg_job *j = ctx;

	j->call = NULL;
	if (r->result) {
		if (makes_new(j) && !j->tail)
			tg_id_text(j->sent_id, r->result, "message_id");
		if (j->kind == OUTBOUND_FILE && *j->body && !j->caption_on && !j->tail) {
			j->tail = true;
			start(j);
			return;
		}
		done(j, makes_new(j) ? j->sent_id : j->target);
	} else if (!makes_new(j) && strstr(r->text, "message is not modified")) {
		done(j, j->target);
	} else if (mend(j, r)) {
		start(j);
	} else {
		refused(j, r);
	}
}

/* --- requests ------------------------------------------------------------------------------ */

static const char *thread_of(const struct tg_job *j)
{
	return j->no_thread ? "" : j->thread;
}

/* The body's plain text; the links' targets stay only while it fits. */
static char *plain_of(const struct tg_job *j, size_t max)
{
	char *s = tg_plain(j->body, true);

	if (tg_units(s) <= max)
		return s;
	free(s);
	return tg_plain(j->body, false);
}

static void put_body(const struct tg_job *j, struct tg_body *b)
{
	_cleanup_free_ char *plain = j->plain ? plain_of(j, TG_TEXT_MAX) : NULL;

	tg_put_str(b, j->on_file ? "caption" : "text", plain ? plain : j->body);
	if (!plain)
		tg_put_str(b, "parse_mode", "HTML");
}

static const char *put_text(const struct tg_job *j, struct tg_body *b)
{
	bool edit = j->kind != OUTBOUND_FILE && j->target[0];

	/* an edit stays in its topic by itself, and refuses the member */
	tg_json(b, j->chat, edit ? "" : thread_of(j));
	if (edit)
		tg_put_raw(b, "message_id", j->target);
	put_body(j, b);
	if (j->markup)
		tg_put_raw(b, "reply_markup", j->markup);
	tg_json_end(b);
	if (j->on_file)
		return "editMessageCaption";
	return edit ? "editMessageText" : "sendMessage";
}

static const char *put_reaction(const struct tg_job *j, struct tg_body *b)
{
	tg_json(b, j->chat, "");
	tg_put_raw(b, "message_id", j->target);
	if (j->emoji) {
		_cleanup_(buf_free) struct buf list = {0};

		buf_puts(&list, "[{\"type\":\"emoji\",\"emoji\":");
		json_put_str(&list, j->emoji, strlen(j->emoji));
		buf_puts(&list, "}]");
		tg_put_raw(b, "reaction", list.p);
	} else {
		tg_put_raw(b, "reaction", "[]");
	}
	tg_json_end(b);
	return "setMessageReaction";
}

static int open_file(const struct tg_job *j, int *fd, int64_t *len, struct err *e)
{
	struct stat st;

	*fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, &st) < 0)
		return err_set(e, E_INVAL, "cannot read the file to be sent: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return err_set(e, E_INVAL, "the file to be sent is %s",
			       S_ISREG(st.st_mode) ? "empty, which Telegram refuses"
						   : "no regular file");
	if (st.st_size > TG_FILE_MAX)
		return err_set(e, E_INVAL,
			       "the file is larger than the 50 MB that Telegram takes from bots");
	*len = st.st_size;
	return 0;
}

static const char *put_file(struct tg_job *j, struct tg_body *b, struct err *e)
{
	static const char *const methods[] = {"sendDocument", "sendPhoto", "sendVoice"};
	static const char *const fields[] = {"document", "photo", "voice"};
	_cleanup_free_ char *plain = j->plain ? plain_of(j, TG_CAPTION_MAX) : NULL;
	const char *caption = plain ? plain : j->body;
	struct out_file f = {.name = j->name, .mime = j->mime};
	_cleanup_close_ int fd = -1;
	int64_t len = 0;

	if (open_file(j, &fd, &len, e) < 0)
		return NULL;
	if (j->as == AS_PHOTO && len > TG_PHOTO_MAX)
		j->as = AS_DOCUMENT;
	tg_form(b);
	tg_form_field(b, "chat_id", j->chat);
	if (*thread_of(j) && !streq(thread_of(j), "1"))
		tg_form_field(b, "message_thread_id", thread_of(j));
	j->caption_on = *caption && tg_units(caption) <= TG_CAPTION_MAX;
	if (j->caption_on) {
		tg_form_field(b, "caption", caption);
		if (!plain)
			tg_form_field(b, "parse_mode", "HTML");
	}
	tg_form_file(b, fields[j->as], &f, steal_fd(&fd), len);
	return methods[j->as];
}

static void start(struct tg_job *j)
{
	bool file = j->kind == OUTBOUND_FILE && !j->tail;
	struct tg_opts o = {.idle_ms = file ? UPLOAD_IDLE_MS : 0, .total_ms = file ? 0 : CALL_MS};
	struct tg_body b = {.fd = -1};
	struct tg_reply r = {.text = ""};
	const char *method;

	if (file)
		method = put_file(j, &b, &r.why);
	else if (j->kind == OUTBOUND_REACTION)
		method = put_reaction(j, &b);
	else
		method = put_text(j, &b);
	if (method)
		j->call = tg_call(j->t, method, &b, &o, on_reply, j, &r.why);
	if (!j->call)
		refused(j, &r);
}

/* --- the queue ----------------------------------------------------------------------------- */

static bool paced(const struct tg_job *j)
{
	return j->kind != OUTBOUND_REACTION;
}

void tg_send_run(struct telegram *t)
{
	int64_t now = loop_now(t->c->loop), next = 0;

	if (t->due)
		timer_stop(t->due);
	for (struct tg_job *j = TAILQ_FIRST(&t->jobs), *after; j; j = after) {
		int64_t when = now;

		after = TAILQ_NEXT(j, link);
		if (j->call || tg_draft_busy(t, j->chat, j->thread))
			continue;
		if (paced(j))
			when = pace_when(&t->pace, j->chat, now);
		if (when <= now) {
			if (paced(j))
				pace_take(&t->pace, j->chat, now);
			start(j);
		} else if (!next || when < next) {
			next = when;
		}
		if (pace_all(&t->pace, now) > now) {
			/* nobody may go now: the rest need not be asked */
			next = pace_all(&t->pace, now);
			break;
		}
	}
	/* an outcome told above may have brought a new row, which is due at once */
	if (next && !timer_active(t->due))
		timer_start(t->due, next - now, 0);
}

static char *keyboard(const struct outbound *o)
{
	struct buf b = {0};

	buf_puts(&b, "{\"inline_keyboard\":[");
	for (size_t i = 0; i < o->n_buttons; i++) {
		buf_puts(&b, i ? ",[{\"text\":" : "[{\"text\":");
		json_put_str(&b, o->buttons[i].label, strlen(o->buttons[i].label));
		buf_puts(&b, ",\"callback_data\":");
		json_put_str(&b, o->buttons[i].value, strlen(o->buttons[i].value));
		buf_puts(&b, "}]");
	}
	buf_puts(&b, "]}");
	return buf_steal(&b);
}

/* The message itself, for ids that name an edit or a reaction of it too. */
static bool bare_id(char out[TG_ID_CAP], const char *id)
{
	size_t n = strcspn(id, "/");

	if (n >= TG_ID_CAP)
		return false;
	memcpy(out, id, n);
	out[n] = '\0';
	return !n || tg_is_id(out);
}

static int check(struct tg_job *j, const struct outbound *o, struct err *e)
{
	if (!tg_is_id(o->chat) || !str_copy(j->chat, sizeof(j->chat), o->chat))
		return err_set(e, E_INVAL, "\"%.40s\" is no chat id of Telegram (a number)",
			       o->chat);
	if (!bare_id(j->thread, o->thread) || !bare_id(j->target, o->target))
		return err_set(e, E_INVAL, "no message or topic of Telegram (a number): \"%.40s\"",
			       bare_id(j->thread, o->thread) ? o->target : o->thread);
	if ((o->kind == OUTBOUND_EDIT || o->kind == OUTBOUND_REACTION) && !j->target[0])
		return err_set(e, E_INVAL, "which message? It has no id");
	for (size_t i = 0; i < o->n_buttons; i++)
		if (strlen(o->buttons[i].value) > 64)
			return err_set(e, E_INVAL, "a button's value is longer than 64 bytes");
	if (o->kind == OUTBOUND_REACTION && *o->emoji && !tg_reaction(o->emoji))
		return err_set(
			e, E_INVAL,
			"Telegram has no reaction %.40s: it takes only those of its own list, such "
			"as 👍 👎 ❤ 🔥 🎉 👏 🤔 👀 👌 🙏 😁 😢 💯",
			o->emoji);
	return 0;
}

static enum upload upload_as(const char *mime)
{
	if (streq(mime, "image/jpeg") || streq(mime, "image/png") || streq(mime, "image/webp"))
		return AS_PHOTO;
	return streq(mime, "audio/ogg") ? AS_VOICE : AS_DOCUMENT;
}

bool tg_send_adopt(struct telegram *t, const char *chat, const char *thread, const char *msg)
{
	struct tg_job *j = TAILQ_FIRST(&t->jobs);

	while (j && (j->call || !j->answer || j->target[0] || !streq(j->chat, chat) ||
		     !streq(j->thread, thread)))
		j = TAILQ_NEXT(j, link);
	if (j)
		str_copy(j->target, sizeof(j->target), msg);
	return j;
}

static void on_due(void *ctx)
{
	tg_send_run(ctx);
}

int tg_send(struct channel *c, const struct outbound *o, struct err *e)
{
	struct telegram *t = c->priv;
	struct tg_job *j = xcalloc(1, sizeof(*j));

	if (check(j, o, e) < 0) {
		free(j);
		return -1;
	}
	j->t = t;
	j->id = o->id;
	j->kind = o->kind;
	j->body = xstrdup(o->body ? o->body : "");
	if (o->kind == OUTBOUND_REACTION && *o->emoji)
		j->emoji = xstrdup(tg_reaction(o->emoji));
	if (o->kind == OUTBOUND_ASK)
		j->target[0] = '\0';
	if (o->kind == OUTBOUND_ASK && o->n_buttons)
		j->markup = keyboard(o);
	if (o->kind == OUTBOUND_FILE) {
		j->path = xstrdup(o->file->path);
		j->name = xstrdup(*o->file->name ? o->file->name : "file");
		j->mime = xstrdup(o->file->mime);
		j->as = upload_as(j->mime);
		j->target[0] = '\0';
	}
	j->answer = o->kind == OUTBOUND_TEXT && !o->notice;
	if (j->answer)
		tg_draft_used(t, j->chat, j->thread);
	TAILQ_INSERT_TAIL(&t->jobs, j, link);
	if (!t->due)
		t->due = timer_new(c->loop, "telegram send", on_due, t);
	timer_start(t->due, 0, 0);
	return 0;
}

void tg_send_close(struct telegram *t)
{
	while (!TAILQ_EMPTY(&t->jobs))
		job_free(TAILQ_FIRST(&t->jobs));
}
