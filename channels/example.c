// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest legal channel, to copy from: its platform is a named pipe that people write lines into ("CHAT TEXT") and a file to which
 * answers are appended. It shows the life of a channel (configure, open, connect, close), an up-call with its outcome, and a send
 * whose outcome comes later. It is compiled and tested, but not in the array of registry.c: a real channel needs one line there.
 * What it lacks, a platform with a network has: a way to tell the platform what is stored, and trouble to report as CHANNEL_DOWN.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/lines.h"
#include "base/str.h"
#include "base/yaml.h"
#include "channels/channel.h"

#define LINE_MAX_BYTES ((size_t)64 << 10)

/* A row that is written, whose outcome is not told yet. */
struct done {
	struct done *next;
	int64_t id;
	bool failed;
	struct err why;
};
struct example {
	struct channel *c;
	char in[PATH_CAP], out[PATH_CAP]; /* the settings */
	int in_fd, out_fd;
	struct watch *watch;
	struct line_reader lines;
	struct done *done;
	struct timer *tell;
};

static int example_configure(struct yaml_node *section, const char *home, void **priv,
			     struct err *e)
{
	struct example *x = xcalloc(1, sizeof(*x));

	x->in_fd = x->out_fd = -1;
	/* Every key is asked for, also when the channel is off: what nobody asks for is refused as a misspelt setting. */
	if (yaml_path(section, "in", "", home, x->in, sizeof(x->in), e) < 0 ||
	    yaml_path(section, "out", "", home, x->out, sizeof(x->out), e) < 0) {
		free(x);
		return -1;
	}
	if (x->in[0] && x->out[0])
		*priv = x;
	else
		free(x); /* not asked for: *priv stays NULL */
	return 0;
}

/* What one call of channel_on_message comes to. A platform that waits for a sign (an ack, an offset) gets it from here. */
static void on_stored(void *ctx maybe_unused, int64_t message_id maybe_unused,
		      bool duplicate maybe_unused, const struct err *why maybe_unused)
{
}

static void on_line(void *ctx, const char *line, size_t n)
{
	struct example *x = ctx;
	const char *space = memchr(line, ' ', n);
	char chat[64], id[37];
	struct inbound m = {
		.kind = INBOUND_MESSAGE,
		.chat = chat,
		.chat_title = chat,
		.direct = true,
		.thread = "",
		.id = id, /* a real platform's own id: a message that comes again is known by it */
		.target = "",
		.quote = "",
		.sender = "somebody",
		.sender_name = "Somebody",
		.sender_alt = "",
		.sent_ms = clock_wall(x->c->clk),
		.addressed = true,
	};

	if (!space || space == line || (size_t)(space - line) >= sizeof(chat))
		return;
	memcpy(chat, line, (size_t)(space - line));
	chat[space - line] = '\0';
	str_uuid4(id);
	m.text = space + 1;
	m.text_len = n - (size_t)(m.text - line);
	channel_on_message(x->c, &m, on_stored, NULL);
}

static void on_readable(void *ctx, int events maybe_unused)
{
	struct example *x = ctx;
	uint8_t bytes[4096];
	bool dead = false;
	ssize_t n = read(x->in_fd, bytes, sizeof(bytes));

	if (n > 0)
		line_feed(&x->lines, bytes, (size_t)n, on_line, x, &dead);
}

static void tell_done(void *ctx)
{
	struct example *x = ctx;
	struct done *d;

	while ((d = x->done)) {
		struct sent s = {.platform_id = d->failed ? NULL : "",
				 .why = d->failed ? &d->why : NULL};

		x->done = d->next;
		channel_on_sent(x->c, d->id, &s);
		free(d);
	}
}

static int example_open(struct channel *c, struct err *e)
{
	struct example *x = c->priv;

	x->c = c;
	x->in_fd = open(x->in, O_RDWR | O_NONBLOCK |
				       O_CLOEXEC); /* RDWR: a pipe without writers is no end */
	if (x->in_fd < 0)
		return err_sys(e, errno, "cannot open the pipe %s", x->in);
	x->out_fd = open(x->out, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (x->out_fd < 0)
		return err_sys(e, errno, "cannot open %s", x->out);
	x->lines.max = LINE_MAX_BYTES;
	x->tell = timer_new(c->loop, "example sent", tell_done, x);
	return 0;
}

static void example_connect(struct channel *c)
{
	struct example *x = c->priv;

	if (!x->watch) {
		x->watch = watch_new(c->loop, "example in", x->in_fd, on_readable, x);
		watch_set(x->watch, WATCH_READ);
	}
	channel_on_state(c, CHANNEL_UP, "", 0);
}

static void example_close(struct channel *c)
{
	struct example *x = c->priv;
	struct done *d;

	c->priv = NULL;
	while ((d = x->done)) {
		x->done = d->next;
		free(d);
	}
	timer_free(x->tell);
	watch_free(x->watch);
	buf_free(&x->lines.buf);
	if (x->in_fd >= 0)
		close(x->in_fd);
	if (x->out_fd >= 0)
		close(x->out_fd);
	free(x);
}

static int example_send(struct channel *c, const struct outbound *o, struct err *e maybe_unused)
{
	struct example *x = c->priv;
	struct done *d = xcalloc(1, sizeof(*d)), **p = &x->done;
	_cleanup_free_ char *line = xasprintf("%s %s\n", o->chat, o->body);
	ssize_t n = write(x->out_fd, line, strlen(line));

	d->id = o->id;
	if (n != (ssize_t)strlen(line)) {
		d->failed = true;
		err_sys(&d->why, n < 0 ? errno : ENOSPC, "cannot write to %s", x->out);
		d->why.code = E_TEMP; /* again later may work */
	}
	while (*p)
		p = &(*p)->next;
	*p = d;
	timer_start(x->tell, 0, 0); /* never from inside this call */
	return 0;
}

extern const struct channel_ops example_ops; /* a real channel has a header for this */
const struct channel_ops example_ops = {
	.name = "example",
	.caps = 0, /* no threads, no edits, no files: the core then never asks for them */
	.max_text = 1000,
	.unit = UNIT_BYTES,
	.format = FORMAT_PLAIN,
	.configure = example_configure,
	.open = example_open,
	.connect = example_connect,
	.close = example_close,
	.send = example_send,
};
