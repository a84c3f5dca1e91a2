// SPDX-License-Identifier: Apache-2.0
/*
 * Durability: a child writes and is killed with SIGKILL somewhere; what it was told is durable must be there on reopen, and
 * what is there must be whole. Where it is killed follows from the seed: after so many reports, each one byte in a pipe.
 */
#include "store_rig.h"
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 50

static int report_fd;

static void report(void *ctx)
{
	if (write(report_fd, ctx, 1) != 1)
		_exit(3);
}

/* Each turn: one to four messages with one outbox row for the last, then a commit, then one byte. */
static void writer(struct rig *r, uint32_t seed)
{
	struct err e = ERR_INIT;

	for (;;) {
		int n;

		seed = seed * 1664525u + 1013904223u;
		n = 1 + (int)(seed >> 30);
		for (int i = 0; i < n; i++)
			put_in(r);
		put_out(r, "to be sent");
		store_after_commit(r->st, report, (char[]){(char)n});
		if (store_commit(r->st, &e) < 0)
			_exit(4);
	}
}

static void kill_one(struct rig *r, uint32_t seed, int reports)
{
	int fd[2], status, sum = 0, turns = 0;
	int64_t had = peek(r, "SELECT count(*) FROM messages WHERE dir = 0");
	int64_t rows = peek(r, "SELECT count(*) FROM outbox"), now_in, now_out;
	unsigned char n;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fd[0]);
		report_fd = fd[1];
		rig_reopen(r);
		r->number = (int)had;
		writer(r, seed);
	}
	close(fd[1]);
	while (read(fd[0], &n, 1) == 1) {
		sum += n;
		if (++turns == reports)
			kill(pid, SIGKILL);
	}
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

	rig_reopen(r);
	now_in = peek(r, "SELECT count(*) FROM messages WHERE dir = 0");
	now_out = peek(r, "SELECT count(*) FROM outbox");
	/* All that was reported, and at most the one turn whose report was cut off. */
	assert_in_range(now_in, had + sum, had + sum + 4);
	assert_in_range(now_out, rows + turns, rows + turns + 1);
	assert_int_equal(now_out - rows > turns, now_in - had > sum);
	store_close(steal_ptr(&r->st));
}

static void what_was_reported_survives_a_kill(void **state)
{
	struct rig *r = *state;
	uint32_t seed = 20;

	store_close(steal_ptr(&r->st));
	for (int i = 0; i < ROUNDS; i++) {
		seed = seed * 1664525u + 1013904223u;
		kill_one(r, seed, 1 + (int)(seed >> 16) % 12);
	}
	assert_int_equal(peek(r, "SELECT count(*) FROM pragma_integrity_check"
				 " WHERE integrity_check <> 'ok'"),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_reported_survives_a_kill, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
