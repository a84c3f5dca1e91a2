// SPDX-License-Identifier: Apache-2.0
/*
 * Measures the door as it is used: the real runner in a real container, attached through the
 * Docker engine, with src/door at this end and a small program as the agent. Prints one JSON
 * object a line: {"name","value","unit"}. Exits 77 with a reason when no engine or image answers.
 *
 * usage: door_bench IMAGE [RUNTIME]     (IMAGE: an id such as sha256:...; RUNTIME: runc, runsc)
 * Build: cc -D_GNU_SOURCE -Isrc door_bench.c libdoor.a libruntime.a libbase.a -luv -lnghttp2 ...
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "door/door.h"

#define ENGINE	    "/var/run/docker.sock"
#define SKIP	    77
#define RTT_WARM    500
#define RTT_COUNT   5000
#define RTT_BYTES   64
#define FLOW_BYTES  (256ll << 20)
#define FLOW_ROUNDS 3

static void quit(int code, const char *what, const char *more)
{
	fprintf(stderr, "door_bench: %s%s%s\n", what, more ? ": " : "", more ? more : "");
	exit(code);
}

/* --- the engine, over its socket, one connection a request --- */

static int engine_dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = ENGINE};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		quit(SKIP, "skipped: no Docker engine answers at " ENGINE, strerror(errno));
	return fd;
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);
		if (k <= 0)
			quit(1, "writing to the engine", strerror(errno));
		p += k;
		n -= (size_t)k;
	}
}

/* One answer's head, to the byte: what follows it belongs to the attach stream. */
static int read_head(int fd)
{
	char head[4096];
	size_t n = 0;

	while (n < sizeof(head) - 1 && read(fd, head + n, 1) == 1) {
		head[++n] = '\0';
		if (n >= 4 && streq(head + n - 4, "\r\n\r\n"))
			return (int)strtol(head + 9, NULL, 10);
	}
	quit(1, "the engine's answer is cut short", NULL);
	return 0;
}

/* Returns the connection after the answer's head; *status is its code. */
static int engine_ask(const char *method, const char *path, const char *body, bool upgrade,
		      int *status)
{
	_cleanup_(buf_free) struct buf b = {0};
	int fd = engine_dial();

	buf_putf(&b, "%s /v1.41%s HTTP/1.1\r\nHost: docker\r\nContent-Length: %zu\r\n", method,
		 path, strlen(body));
	buf_puts(&b, upgrade ? "Connection: Upgrade\r\nUpgrade: tcp\r\n" : "Connection: close\r\n");
	buf_putf(&b, "Content-Type: application/json\r\n\r\n%s", body);
	send_all(fd, b.p, b.len);
	*status = read_head(fd);
	return fd;
}

static void rest_of(int fd, char *text, size_t cap)
{
	size_t n = 0;
	ssize_t k;

	while (n < cap - 1 && (k = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)k;
	text[n] = '\0';
	close(fd);
}

static void must(const char *what, int fd, int status)
{
	char text[2048];

	rest_of(fd, text, sizeof(text));
	if (status / 100 != 2)
		quit(status == 404 ? SKIP : 1, what, text);
}

struct box {
	char id[65];
	int fd; /* the attach stream */
};

static void box_start(struct box *b, const char *image, const char *runtime, const char *agent)
{
	_cleanup_free_ char *spec = xasprintf(
		"{\"Image\":\"%s\",\"Entrypoint\":[\"/usr/local/bin/runner\"],\"User\":\"0:0\","
		"\"Cmd\":[\"--uid\",\"10001\",\"--runner-uid\",\"10002\",\"--port\",\"2435\",\"--cwd\","
		"\"/tmp\",\"--\",\"sh\",\"-c\",\"%s\"],\"OpenStdin\":true,\"StdinOnce\":true,"
		"\"AttachStdin\":true,\"AttachStdout\":true,\"AttachStderr\":true,\"HostConfig\":{"
		"\"NetworkMode\":\"none\",\"ReadonlyRootfs\":true,\"CapDrop\":[\"ALL\"],"
		"\"CapAdd\":[\"SETUID\",\"SETGID\"],\"SecurityOpt\":[\"no-new-privileges\"],"
		"\"LogConfig\":{\"Type\":\"none\"},\"Tmpfs\":{\"/tmp\":\"\"},\"AutoRemove\":true,\"Runtime\":\"%s\"}}",
		image, agent, runtime);
	char text[2048], path[256];
	int status, fd;

	fd = engine_ask("POST", "/containers/create", spec, false, &status);
	rest_of(fd, text, sizeof(text));
	const char *id = strstr(text, "\"Id\":\"");
	if (status == 404)
		quit(SKIP, "skipped: the image is not there (make image)", image);
	if (status != 201 || !id)
		quit(1, "creating the container", text);
	snprintf(b->id, sizeof(b->id), "%.64s", id + 6);
	snprintf(path, sizeof(path),
		 "/containers/%s/attach?stream=1&stdin=1&stdout=1&stderr=1&logs=0", b->id);
	b->fd = engine_ask("POST", path, "", true, &status);
	if (status != 101 && status != 200)
		quit(1, "attaching", NULL);
	snprintf(path, sizeof(path), "/containers/%s/start", b->id);
	fd = engine_ask("POST", path, "", false, &status);
	must("starting the container", fd, status);
}

/* Waits until it is gone, so that its end does not disturb the next measure. When this program dies,
 * the end of the attach ends the container, and the engine removes it by itself. */
static void box_remove(struct box *b)
{
	char path[256], text[2048];
	int status, fd;

	snprintf(path, sizeof(path), "/containers/%s?force=1&v=1", b->id);
	fd = engine_ask("DELETE", path, "", false, &status);
	rest_of(fd, text, sizeof(text));
	if (status / 100 != 2 && status != 404 && status != 409)
		quit(1, "removing the container", text);
}

/* --- one run: a box, a door, a measure --- */

enum measure {
	RTT,
	DOWN,
	UP
};

struct run {
	struct loop *l;
	struct door *door;
	struct duplex *agent;
	enum measure what;
	bool done;
	int64_t start_us, end_us;
	int64_t moved; /* bytes */
	size_t got;    /* of the present round trip */
	int round;
	int64_t rtt_us[RTT_COUNT];
};

static int64_t now_us(void)
{
	return clock_mono(&clock_system);
}

static void finish(struct run *r)
{
	r->end_us = now_us();
	r->done = true;
	loop_stop(r->l);
}

static void say(struct run *r, const void *p, size_t n)
{
	struct err e = ERR_INIT;

	if (duplex_write(r->agent, p, n, &e))
		quit(1, "writing to the agent", e.msg);
}

static void ping(struct run *r)
{
	static const char text[RTT_BYTES] = "ping";

	r->got = 0;
	r->start_us = now_us();
	say(r, text, sizeof(text));
}

static void push(struct run *r)
{
	static const char block[65536];

	while (r->moved < FLOW_BYTES && duplex_pending(r->agent) <= r->agent->high_water) {
		say(r, block, sizeof(block));
		r->moved += (int64_t)sizeof(block);
	}
}

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct run *r = ctx;

	(void)p;
	duplex_consumed(r->agent, n);
	r->got += n;
	switch (r->what) {
	case RTT:
		if (r->got < RTT_BYTES)
			return;
		if (r->round >= RTT_WARM)
			r->rtt_us[r->round - RTT_WARM] = now_us() - r->start_us;
		if (++r->round == RTT_WARM + RTT_COUNT)
			finish(r);
		else
			ping(r);
		break;
	case DOWN: /* first "ready", then, when it has read all, "done" */
		if (r->moved == 0) {
			r->start_us = now_us();
			push(r);
		} else if (r->moved == FLOW_BYTES) {
			finish(r);
		}
		break;
	case UP:
		if (r->moved == 0)
			r->start_us = now_us();
		r->moved += (int64_t)n;
		if (r->moved >= FLOW_BYTES && !r->done)
			finish(r);
	}
}

static void on_eof(void *ctx)
{
	struct run *r = ctx;

	if (!r->done)
		quit(1, "the agent ended before the measure", NULL);
}

static void on_drained(void *ctx)
{
	push(ctx);
}

static void on_stream_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	(void)why;
}

static void on_agent(void *ctx, struct duplex *d)
{
	static const struct duplex_events ev = {on_data, on_eof, on_drained, on_stream_closed};
	struct run *r = ctx;

	r->agent = d;
	d->ev = &ev;
	d->ctx = r;
	if (r->what == RTT)
		ping(r);
}

static void on_exit_status(void *ctx, int code, int signo)
{
	(void)ctx;
	(void)code;
	(void)signo;
}

static void on_connection(void *ctx, struct duplex *d)
{
	(void)ctx;
	duplex_reset(d);
}

static void on_log(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "door_bench: sandbox: %s\n", line);
}

static void on_closed(void *ctx, const struct err *why)
{
	(void)ctx;
	quit(1, "the door closed", why->msg);
}

static void run(struct run *r, enum measure what, const char *image, const char *runtime)
{
	static const struct door_events ev = {on_agent, on_exit_status, on_connection, on_log,
					      on_closed};
	static const char *const agents[] = {
		[RTT] = "exec cat",
		[DOWN] = "echo ready; head -c 268435456 >/dev/null; echo done; cat >/dev/null",
		[UP] = "head -c 268435456 /dev/zero; cat >/dev/null",
	};
	struct err e = ERR_INIT;
	struct box b;

	memset(r, 0, sizeof(*r));
	r->what = what;
	box_start(&b, image, runtime, agents[what]);
	r->l = loop_new(&e);
	if (!r->l)
		quit(1, "no loop", e.msg);
	r->door = door_new(r->l, b.fd, NULL, &ev, r);
	loop_run(r->l);
	door_free(r->door);
	loop_free(r->l);
	box_remove(&b);
	if (!r->done)
		quit(1, "the loop ended early", NULL);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print(const char *name, double value, const char *unit)
{
	printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
	fflush(stdout);
}

/* The median of three runs in MB (10^6 bytes) a second. */
static double flow(struct run *r, enum measure what, const char *image, const char *runtime)
{
	int64_t us[FLOW_ROUNDS];

	for (int i = 0; i < FLOW_ROUNDS; i++) {
		run(r, what, image, runtime);
		us[i] = r->end_us - r->start_us;
	}
	qsort(us, FLOW_ROUNDS, sizeof(us[0]), by_size);
	return (double)FLOW_BYTES / (double)us[FLOW_ROUNDS / 2];
}

int main(int argc, char **argv)
{
	_cleanup_free_ struct run *r = xcalloc(1, sizeof(*r));
	const char *runtime = argc > 2 ? argv[2] : "runc";

	if (argc < 2)
		quit(2, "usage: door_bench IMAGE [RUNTIME]", NULL);
	signal(SIGPIPE, SIG_IGN);
	run(r, RTT, argv[1], runtime);
	qsort(r->rtt_us, RTT_COUNT, sizeof(r->rtt_us[0]), by_size);
	print("door_rtt_p50_ms", (double)r->rtt_us[RTT_COUNT / 2] / 1000, "ms");
	print("door_rtt_p99_ms", (double)r->rtt_us[RTT_COUNT * 99 / 100] / 1000, "ms");
	print("door_down_mb_s", flow(r, DOWN, argv[1], runtime), "MB/s");
	print("door_up_mb_s", flow(r, UP, argv[1], runtime), "MB/s");
	return 0;
}
