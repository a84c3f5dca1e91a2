// SPDX-License-Identifier: Apache-2.0
/*
 * How much later the first byte of a model's answer comes because the gateway stands between:
 * the same request, as large as Claude Code's, to the same upstream, in turn directly and through
 * src/gateway, each on a connection that stays open. Three processes: upstream, gateway, and this
 * one as the client. Prints one JSON object a line: {"name","value","unit"}.
 *
 * usage: gateway_bench
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include "base/log.h"
#include "base/str.h"
#include "gateway/gateway.h"
#include "runtime/conn.h"

#define WARM	   100
#define ROUNDS	   1000
#define BODY	   (48 << 10)
#define KEY	   "bench-key-0123456789"
#define EVENTS	   40
#define FIRST	   "event: message_start"
#define LAST_CHUNK "\r\n0\r\n\r\n"

static void quit(const char *what)
{
	fprintf(stderr, "gateway_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k <= 0)
			quit("sending");
		p += k;
		n -= (size_t)k;
	}
}

static void no_delay(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
		quit("TCP_NODELAY");
}

/* --- the upstream: answers each request on a connection with one stream of events --- */

static void chunk(struct buf *b, const char *event, const char *data)
{
	_cleanup_free_ char *text = xasprintf("event: %s\ndata: %s\n\n", event, data);

	buf_putf(b, "%zx\r\n%s\r\n", strlen(text), text);
}

static void answer(int fd)
{
	_cleanup_(buf_free) struct buf head = {0}, rest = {0};

	buf_puts(&head, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
			"transfer-encoding: chunked\r\n\r\n");
	chunk(&head, "message_start",
	      "{\"type\":\"message_start\",\"message\":{\"model\":\"bench\",\"usage\":"
	      "{\"input_tokens\":12000,\"output_tokens\":1}}}");
	send_all(fd, head.p, head.len);
	for (int i = 0; i < EVENTS; i++)
		chunk(&rest, "content_block_delta",
		      "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
		      "{\"type\":\"text_delta\",\"text\":\"some words of an answer \"}}");
	chunk(&rest, "message_delta",
	      "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":99}}");
	buf_puts(&rest, LAST_CHUNK + 2);
	send_all(fd, rest.p, rest.len);
}

/* One process a connection; the request's length is all that is read of it. */
static void converse(int fd)
{
	static char in[BODY * 2];
	size_t have = 0;

	no_delay(fd);
	for (;;) {
		ssize_t n = read(fd, in + have, sizeof(in) - 1 - have);
		char *end, *length;

		if (n <= 0)
			exit(0);
		have += (size_t)n;
		in[have] = '\0';
		end = strstr(in, "\r\n\r\n");
		length = strcasestr(in, "content-length:");
		if (!end)
			continue;
		if (!length || length > end)
			quit("a request without a length");
		size_t whole = (size_t)(end + 4 - in) + strtoul(length + 15, NULL, 10);
		if (have < whole)
			continue;
		answer(fd);
		have = 0;
	}
}

static void upstream(int listener)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			quit("accept");
		if (fork() == 0)
			converse(fd);
		close(fd);
	}
}

/* --- the gateway, as the server runs it, behind a loopback port --- */

struct served {
	struct loop *loop;
	struct gateway *g;
};

static void on_conn(void *ctx, int fd, uid_t uid)
{
	struct served *s = ctx;

	(void)uid;
	no_delay(fd);
	gateway_serve(s->g, conn_new(s->loop, "bench", fd), s);
}

static void gateway(int up_port, int tell)
{
	struct err e = ERR_INIT;
	struct secret key = {0};
	_cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d", up_port);
	struct gateway_opts o = {.base_url = url, .key = &key};
	struct served s = {0};
	int port = 0;

	if (secret_set(&key, "bench", KEY, &e) < 0)
		die(e.msg);
	s.loop = loop_new(&e);
	if (!s.loop)
		die(e.msg);
	s.g = gateway_new(s.loop, &o);
	if (!listener_tcp(s.loop, "bench", &port, on_conn, &s, &e))
		die(e.msg);
	if (write(tell, &port, sizeof(port)) != sizeof(port))
		quit("telling the port");
	loop_run(s.loop);
	exit(0);
}

/* --- the client --- */

static int dial(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		quit("connecting");
	no_delay(fd);
	return fd;
}

/* One exchange; returns ms from the request's first byte to the first byte of its answer's body. */
static double ask(int fd, const struct buf *request)
{
	static char in[1 << 16];
	size_t have = 0;
	double begun = now_ms(), first = 0;

	send_all(fd, request->p, request->len);
	for (;;) {
		ssize_t n = read(fd, in + have, sizeof(in) - 1 - have);

		if (n <= 0) {
			fprintf(stderr, "gateway_bench: not a whole answer: %.200s\n", in);
			exit(1);
		}
		have += (size_t)n;
		in[have] = '\0';
		if (first == 0 && strstr(in, FIRST))
			first = now_ms() - begun;
		if (have > strlen(LAST_CHUNK) && streq(in + have - strlen(LAST_CHUNK), LAST_CHUNK))
			break;
	}
	if (!str_starts(in, "HTTP/1.1 200 ") || first == 0) {
		fprintf(stderr, "gateway_bench: not the answer: %.200s\n", in);
		exit(1);
	}
	return first;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void make_request(struct buf *b)
{
	static char body[BODY + 1];

	memset(body, 'x', BODY);
	buf_putf(b,
		 "POST /v1/messages?beta=true HTTP/1.1\r\nhost: 127.0.0.1\r\n"
		 "content-type: application/json\r\nanthropic-version: 2023-06-01\r\n"
		 "x-api-key: none\r\ncontent-length: %d\r\n\r\n%s",
		 BODY, body);
}

static void print(const char *name, double value)
{
	printf("{\"name\":\"%s\",\"value\":%.4f,\"unit\":\"ms\"}\n", name, value);
}

static pid_t spawn(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		quit("fork");
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
		exit(1);
	return pid;
}

int main(void)
{
	static double direct[WARM + ROUNDS], through[WARM + ROUNDS];
	_cleanup_(buf_free) struct buf request = {0};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0, tell[2];
	struct log_opts lo = {.fd = 2, .level = LOG_ERROR};

	signal(SIGPIPE, SIG_IGN);
	log_init(&lo);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, len) || listen(listener, 16) ||
	    getsockname(listener, (struct sockaddr *)&a, &len) || pipe(tell))
		quit("listening");
	pid_t up = spawn();
	if (up == 0)
		upstream(listener);
	pid_t gw = spawn();
	if (gw == 0)
		gateway(ntohs(a.sin_port), tell[1]);
	close(tell[1]);
	if (read(tell[0], &port, sizeof(port)) != sizeof(port))
		quit("the gateway did not start");
	int straight = dial(ntohs(a.sin_port)), around = dial(port);
	make_request(&request);
	for (int i = 0; i < WARM + ROUNDS; i++) {
		direct[i] = ask(straight, &request);
		through[i] = ask(around, &request);
	}
	kill(gw, SIGKILL);
	kill(up, SIGKILL);
	qsort(direct + WARM, ROUNDS, sizeof(double), by_size);
	qsort(through + WARM, ROUNDS, sizeof(double), by_size);
	double d = direct[WARM + ROUNDS / 2], t = through[WARM + ROUNDS / 2];
	print("gateway_ttfb_added_ms", t - d);
	print("gateway_ttfb_direct_ms", d);
	return 0;
}
