// SPDX-License-Identifier: Apache-2.0
/*
 * The bench's agent: stands where Claude Code stands in the sandbox's image and speaks as much of
 * its stream-json as the server reads. It exists to put a clock at the agent's standard input: the
 * answer to each line is the CLOCK_MONOTONIC time, in ns, at which that line had been read. It
 * must do nothing else, or it would measure itself.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UUID "\"uuid\":\""

static char in[1 << 20], out[1 << 20];
static size_t n_out;

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int flush(void)
{
	for (size_t done = 0; done < n_out;) {
		ssize_t k = write(1, out + done, n_out - done);

		if (k <= 0)
			return -1;
		done += (size_t)k;
	}
	n_out = 0;
	return 0;
}

static __attribute__((format(printf, 1, 2))) void put(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	n_out += (size_t)vsnprintf(out + n_out, sizeof(out) - n_out, fmt, ap);
	va_end(ap);
}

/* What the real one says of a line: queued, started, the result, and that it is done with it. */
static void answer(const char *line, const char *session, long long at)
{
	const char *uuid = strstr(line, UUID);

	if (!uuid)
		return;
	uuid += sizeof(UUID) - 1;
	for (int i = 0; i < 2; i++)
		put("{\"type\":\"command_lifecycle\",\"command_uuid\":\"%.36s\",\"state\":\"%s\","
		    "\"session_id\":\"%.36s\"}\n",
		    uuid, i ? "started" : "queued", session);
	put("{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"%lld\","
	    "\"session_id\":\"%.36s\",\"user_message_uuids\":[\"%.36s\"]}\n",
	    at, session, uuid);
	put("{\"type\":\"command_lifecycle\",\"command_uuid\":\"%.36s\",\"state\":\"completed\","
	    "\"session_id\":\"%.36s\"}\n",
	    uuid, session);
}

int main(int argc, char **argv)
{
	const char *session = "";
	size_t have = 0;

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--session-id") || !strcmp(argv[i], "--resume"))
			session = argv[i + 1];
	for (;;) {
		ssize_t n = read(0, in + have, sizeof(in) - 1 - have);
		long long at = now_ns();
		char *line = in, *end;

		if (n <= 0)
			return n < 0;
		have += (size_t)n;
		in[have] = '\0';
		while ((end = strchr(line, '\n'))) {
			*end = '\0';
			answer(line, session, at);
			line = end + 1;
			if (n_out > sizeof(out) / 2 && flush() < 0)
				return 1;
		}
		if (flush() < 0)
			return 1;
		have -= (size_t)(line - in);
		memmove(in, line, have);
		if (have == sizeof(in) - 1)
			return 2;
	}
}
