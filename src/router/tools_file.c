// SPDX-License-Identifier: Apache-2.0
/*
 * The tool send_file: a file of the group's folder, copied into the spool piece by piece so that no file holds up the loop, then posted. The folder
 * belongs to the agent, which may be hostile: the path is resolved beneath the folder without symbolic links, only a regular file is read, and
 * never more than was there when it was opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "router/format.h"
#include "router/tools.h"

#define PIECE	    ((size_t)256 << 10) /* copied in one turn of the loop */
#define CAPTION_MAX 1000		/* units of rendered text: the least of the platforms */

struct sending {
	struct sending *next;
	struct session *s;
	struct mcp_call *call;
	struct timer *step;
	struct sync *sync;
	int in, out;
	char *path; /* in the spool; NULL = not made yet */
	char *name;
	char *caption; /* Markdown */
	char *body;    /* the same, rendered */
	int64_t size, done;
	int64_t chat_id, turn_id;
	char *thread;
};

static void sending_free(struct sending *f)
{
	struct sending **p = &f->s->sendings;

	while (*p && *p != f)
		p = &(*p)->next;
	if (*p)
		*p = f->next;
	if (f->in >= 0)
		close(f->in);
	if (f->out >= 0)
		close(f->out);
	if (f->path)
		spool_release(f->s->r, f->path);
	timer_free(f->step);
	sync_cancel(f->sync);
	free(f->path);
	free(f->name);
	free(f->caption);
	free(f->body);
	free(f->thread);
	free(f);
}

/* --- the file ----------------------------------------------------------------------------- */

/* Opens for reading what the agent calls /workspace/<rel>. */
static int open_file(const struct session *s, const char *rel, int *fd, struct err *e)
{
	_cleanup_free_ char *groups = xasprintf("%s/groups", s->r->o.cfg->home);
	_cleanup_close_ int top = -1, dir = -1;

	top = open(groups, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top >= 0)
		dir = openat(top, s->group.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "the group's folder cannot be read");
	*fd = fd_open_beneath(dir, rel, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (*fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return err_set(e, E_GONE, "there is no file /workspace/%.150s", rel);
	case ELOOP:
		return err_set(e, E_PERM,
			       "/workspace/%.100s is, or is behind, a symbolic link: give the file "
			       "itself",
			       rel);
	case EXDEV:
		return err_set(e, E_PERM, "%.100s may lie outside of /workspace: no \"..\" here",
			       rel);
	default:
		return err_sys(e, errno, "/workspace/%.100s cannot be read", rel);
	}
}

/* The path beneath /workspace, or NULL. */
static const char *relative(const char *path)
{
	if (str_starts(path, "/workspace/"))
		path += strlen("/workspace/");
	return path[0] && path[0] != '/' ? path : NULL;
}

static int file_open(struct sending *f, const char *path, int64_t max, struct err *e)
{
	const char *rel = relative(path);
	struct stat st;

	if (!rel)
		return err_set(e, E_PERM, "%.100s is no file of /workspace", path);
	if (open_file(f->s, rel, &f->in, e) < 0)
		return -1;
	if (fstat(f->in, &st) < 0)
		return err_sys(e, errno, "/workspace/%.100s cannot be read", rel);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_INVAL, "/workspace/%.100s is no regular file%s", rel,
			       S_ISDIR(st.st_mode) ? " but a folder: pack it first" : "");
	if (!st.st_size)
		return err_set(e, E_INVAL, "/workspace/%.100s is empty", rel);
	if (st.st_size > max)
		return err_set(e, E_LIMIT,
			       "/workspace/%.100s has %lld bytes, and %lld is the most here", rel,
			       (long long)st.st_size, (long long)max);
	f->size = st.st_size;
	return 0;
}

/* As people will see it: one path component without anything that a platform or a file system could misread. */
static char *shown_name(const char *name)
{
	const char *slash = strrchr(name, '/');
	char *out = xstrdup(slash ? slash + 1 : name);

	for (char *p = out; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '\\')
			*p = '_';
	}
	if (!str_is_utf8(out, strlen(out)) || !out[0] || streq(out, ".") || streq(out, "..")) {
		free(out);
		return xstrdup("file");
	}
	if (strlen(out) > 200)
		out[str_utf8_floor(out, 200)] = '\0';
	return out;
}

static const char *mime_of(const char *name)
{
	static const char *const types[][2] = {
		{"txt", "text/plain"},	      {"md", "text/markdown"},
		{"csv", "text/csv"},	      {"html", "text/html"},
		{"json", "application/json"}, {"pdf", "application/pdf"},
		{"zip", "application/zip"},   {"gz", "application/gzip"},
		{"png", "image/png"},	      {"jpg", "image/jpeg"},
		{"jpeg", "image/jpeg"},	      {"gif", "image/gif"},
		{"webp", "image/webp"},	      {"svg", "image/svg+xml"},
		{"mp3", "audio/mpeg"},	      {"ogg", "audio/ogg"},
		{"wav", "audio/wav"},	      {"m4a", "audio/mp4"},
		{"mp4", "video/mp4"},	      {"webm", "video/webm"},
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++) {
		if (strcasecmp(dot + 1, types[i][0]) == 0)
			return types[i][1];
	}
	return "application/octet-stream";
}

/* --- copying ------------------------------------------------------------------------------ */

static void give_up(struct sending *f, const char *why)
{
	struct mcp_call *c = f->call;

	sending_free(f);
	tool_refuse(c, "Not sent: %s.", why);
}

static char *file_args(const struct sending *f)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject();
	cJSON *file = cJSON_AddObjectToObject(args, "file");

	cJSON_AddStringToObject(file, "path", f->path);
	cJSON_AddStringToObject(file, "name", f->name);
	cJSON_AddStringToObject(file, "mime", mime_of(f->name));
	cJSON_AddNumberToObject(file, "size", (double)f->size);
	return json_print(args);
}

static void post(struct sending *f)
{
	struct session *s = f->s;
	_cleanup_free_ char *args = file_args(f);
	_cleanup_free_ char *text =
		xasprintf("[file: %s]%s%s", f->name, f->caption[0] ? " " : "", f->caption);
	char reply[400];
	int64_t id;

	s->spoke = true;
	id = delivery_post(s->r, &(struct out_new){
					 .chat_id = f->chat_id,
					 .group_id = s->group.id,
					 .turn_id = f->turn_id,
					 .thread = f->thread,
					 .text = text,
					 .body = f->body,
					 .kind = OUT_TOOL,
					 .op = OUTBOUND_FILE,
					 .args = args,
				 });
	snprintf(reply, sizeof(reply),
		 "Queued %s (%lld bytes) as message %lld of this chat; it is sent in order, and "
		 "again if the platform fails.",
		 f->name, (long long)f->size, (long long)id);
	free(steal_ptr(&f->path)); /* the row's now */
	struct mcp_call *c = f->call;
	sending_free(f);
	mcp_reply_text(c, reply, false);
}

/* One piece. */
static int copy_piece(struct sending *f, struct err *e)
{
	size_t left = (size_t)(f->size - f->done), want = left < PIECE ? left : PIECE;
	_cleanup_free_ char *piece = xmalloc(PIECE);
	ssize_t n = pread(f->in, piece, want, (off_t)f->done);

	if (n < 0)
		return err_sys(e, errno, "the file cannot be read");
	if (n == 0)
		return err_set(e, E_TEMP, "the file became shorter while it was read");
	for (ssize_t at = 0; at < n;) {
		ssize_t w = pwrite(f->out, piece + at, (size_t)(n - at), (off_t)(f->done + at));

		if (w <= 0)
			return err_sys(e, w < 0 ? errno : EIO, "the file cannot be copied");
		at += w;
	}
	f->done += n;
	return 0;
}

/* Only now may the outbox name it. */
static void on_kept(void *ctx, const struct err *why)
{
	struct sending *f = ctx;

	f->sync = NULL;
	if (f->turn_id != f->s->turn_id)
		give_up(f, "the turn is over");
	else if (why)
		give_up(f, why->msg);
	else
		post(f);
}

static void step(void *ctx)
{
	struct sending *f = ctx;
	struct err e = ERR_INIT;

	if (f->turn_id != f->s->turn_id) {
		give_up(f, "the turn is over");
	} else if (copy_piece(f, &e) < 0) {
		give_up(f, e.msg);
	} else if (f->done < f->size) {
		timer_start(f->step, 0, 0);
	} else {
		f->sync = spool_keep(f->s->r, f->out, on_kept, f, &e);
		if (!f->sync)
			give_up(f, e.msg);
	}
}

/* --- the call ----------------------------------------------------------------------------- */

struct caption {
	char *body;
	size_t parts;
};

static bool take_caption(void *ctx, const char *body, size_t n)
{
	struct caption *c = ctx;

	if (c->parts++ == 0)
		c->body = xstrndup(body, n);
	return c->parts < 2;
}

static int render_caption(struct sending *f, const struct channel_ops *ops, struct err *e)
{
	struct format_limits limits = {ops->format, ops->unit, CAPTION_MAX};
	struct caption c = {0};

	if (ops->format == FORMAT_MARKDOWN) {
		f->body = xstrdup(f->caption);
		return 0;
	}
	format_render(f->caption, strlen(f->caption), &limits, take_caption, &c);
	f->body = c.body ? c.body : xstrdup("");
	if (c.parts > 1)
		return err_set(e, E_LIMIT,
			       "the caption is too long for this platform: send the text by "
			       "send_message");
	return 0;
}

void tool_send_file(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const char *path = json_peek_str(args, "path");
	const char *name = json_peek_str(args, "name");
	const char *caption = json_peek_str(args, "caption");
	struct tool_place place;
	struct sending *f;
	struct err e = ERR_INIT;

	if (!tool_begin(s, c, CHAN_FILES, "way to send files", &place))
		return;
	f = xcalloc(1, sizeof(*f));
	f->next = s->sendings;
	s->sendings = f;
	f->s = s;
	f->call = c;
	f->in = f->out = -1;
	f->chat_id = s->chat_id;
	f->turn_id = s->turn_id;
	f->thread = xstrdup(s->thread ? s->thread : "");
	f->name = shown_name(name ? name : path);
	f->caption = xstrdup(caption ? caption : "");
	agent_strip_internal(f->caption);
	f->step = timer_new(s->r->loop, "send_file", step, f);
	if (file_open(f, path, place.chan->ops->max_file, &e) < 0 ||
	    render_caption(f, place.chan->ops, &e) < 0 ||
	    spool_make(s->r, f->size, &f->path, &f->out, &e) < 0) {
		give_up(f, e.msg);
		return;
	}
	timer_start(f->step, 0, 0);
}

void tool_send_file_cancelled(void *peer, struct mcp_call *c)
{
	struct session *s = peer;

	for (struct sending *f = s->sendings; f; f = f->next) {
		if (f->call == c) {
			sending_free(f);
			return;
		}
	}
}
