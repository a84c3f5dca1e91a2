// SPDX-License-Identifier: Apache-2.0
/*
 * Child processes: exit codes and signals, programs that do not start, and above all what a child
 * does not inherit. A child that must stay writes a line when it is ready.
 */
#include "runtime_fix.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "runtime/proc.h"

struct child {
	struct fix *f;
	struct proc *p;
	int exits, code, signo;
	bool free_in_exit;
};

static void on_exit_told(void *ctx, int code, int signo)
{
	struct child *c = ctx;

	c->exits++;
	c->code = code;
	c->signo = signo;
	if (c->free_in_exit) {
		proc_free(c->p);
		c->p = NULL;
	}
	loop_stop(c->f->l);
}

static void start(struct child *c, struct fix *f, const struct proc_spec *s)
{
	struct err e = ERR_INIT;

	*c = (struct child){.f = f};
	c->p = proc_spawn(f->l, "test child", s, on_exit_told, c, &e);
	if (!c->p)
		fail_msg("proc_spawn: %s", e.msg);
	assert_true(proc_pid(c->p) > 1);
}

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"/bin/sh", "-c", script, NULL                                                      \
	}

/* Runs a script to its end; returns what it wrote, which the caller frees. */
static char *output_of(struct fix *f, struct proc_spec s, struct child *c)
{
	struct buf b = {0};
	char part[4096];
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	s.fds[1] = fds[1];
	start(c, f, &s);
	close(fds[1]);
	while ((n = read(fds[0], part, sizeof(part))) > 0)
		buf_put(&b, part, (size_t)n);
	close(fds[0]);
	loop_run(f->l);
	proc_free(c->p);
	return buf_steal(&b);
}

static void exit_codes_and_signals(void **state)
{
	struct child c;

	start(&c, *state, &(struct proc_spec){.argv = SH("exit 7"), .fds = {-1, -1, -1}});
	loop_run(c.f->l);
	assert_true(c.exits == 1 && c.code == 7 && c.signo == 0);
	proc_kill(c.p, SIGKILL); /* of the dead: nothing */
	proc_free(c.p);
	start(&c, *state, &(struct proc_spec){.argv = SH("kill -USR1 $$"), .fds = {-1, -1, -1}});
	c.free_in_exit = true;
	loop_run(c.f->l);
	assert_true(c.exits == 1 && c.code == -1 && c.signo == SIGUSR1);
}

static void kill_reaches_it(void **state)
{
	struct child c;

	start(&c, *state,
	      &(struct proc_spec){.argv = (const char *const[]){"sleep", "1000", NULL},
				  .fds = {-1, -1, -1}});
	proc_kill(c.p, SIGTERM);
	loop_run(c.f->l);
	assert_true(c.exits == 1 && c.signo == SIGTERM);
	proc_free(c.p);
	proc_free(NULL);
}

static void forgotten_child_is_killed_and_reaped(void **state)
{
	struct fix *f = *state;
	struct child c;
	pid_t pid;

	start(&c, f,
	      &(struct proc_spec){.argv = (const char *const[]){"sleep", "1000", NULL},
				  .fds = {-1, -1, -1}});
	pid = proc_pid(c.p);
	proc_free(c.p);
	timer_free(f->dog);
	loop_free(f->l); /* waits for it: nothing else may be left */
	assert_int_equal(c.exits, 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	f->l = NULL;
	f->dog = NULL;
}

static void what_does_not_start(void **state)
{
	struct fix *f = *state;
	struct child c = {.f = f};
	struct err e = ERR_INIT;
	const struct {
		struct proc_spec s;
		enum err_code code;
		const char *text;
	} table[] = {
		{{.argv = (const char *const[]){"no-such-program-here", NULL}, .fds = {-1, -1, -1}},
		 E_GONE,
		 "not found in PATH"},
		{{.argv = (const char *const[]){"/no/such/file", NULL}, .fds = {-1, -1, -1}},
		 E_GONE,
		 "/no/such/file: exec"},
		{{.argv = (const char *const[]){"/etc/passwd", NULL}, .fds = {-1, -1, -1}},
		 E_IO,
		 "exec: Permission denied"},
		{{.argv = SH("exit 0"), .cwd = "/no/such/folder", .fds = {-1, -1, -1}},
		 E_GONE,
		 "chdir"},
		{{.argv = SH("exit 0"), .fds = {-1, 9999, -1}}, E_IO, "descriptor 9999"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_null(proc_spawn(f->l, "none", &table[i].s, on_exit_told, &c, &e));
		assert_error_is(&e, table[i].code, table[i].text);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(c.exits, 0);
}

static void nothing_leaks_into_the_child(void **state)
{
	struct fix *f = *state;
	struct child c;
	sigset_t set;
	_cleanup_free_ char *fds = NULL;
	_cleanup_free_ char *env = NULL;
	_cleanup_free_ char *signals = NULL;
	int open_one = open("/etc/passwd", O_RDONLY); /* without CLOEXEC, on purpose */
	int high = fcntl(open_one, F_DUPFD, 200);

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setenv("CHELA_TEST_SECRET", "s3cret", 1);
	/* The listing opens its own descriptor for the folder, which is the 3. */
	fds = output_of(
		f,
		(struct proc_spec){.argv = (const char *const[]){"ls", "/proc/self/fd", NULL},
				   .fds = {-1, -1, -1}},
		&c);
	assert_int_equal(c.code, 0);
	assert_string_equal(fds, "0\n1\n2\n3\n");
	env = output_of(
		f,
		(struct proc_spec){.argv = (const char *const[]){"env", NULL}, .fds = {-1, -1, -1}},
		&c);
	assert_null(strstr(env, "CHELA_TEST_SECRET"));
	assert_non_null(strstr(env, "LANG=C.UTF-8\n"));
	signals = output_of(
		f,
		(struct proc_spec){.argv = (const char *const[]){"grep", "-E", "^Sig(Blk|Ign):",
								 "/proc/self/status", NULL},
				   .fds = {-1, -1, -1}},
		&c);
	assert_string_equal(signals, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	close(open_one);
	close(high);
}

static void the_three_descriptors(void **state)
{
	struct fix *f = *state;
	struct child c;
	const char *const env[] = {"A=b c", NULL};
	_cleanup_free_ char *out = NULL;
	int in[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(write(in[1], "typed\n", 6), 6);
	close(in[1]);
	out = output_of(
		f,
		(struct proc_spec){.argv = SH("read x; echo \"$x $A\"; pwd; echo lost >&2; "
					      "read pid comm s ppid pgrp sid rest </proc/$$/stat; "
					      "echo \"$pid $sid\""),
				   .env = env,
				   .cwd = "/usr",
				   .new_session = true,
				   .fds = {in[0], -1, -1}},
		&c);
	close(in[0]);
	assert_true(strncmp(out, "typed b c\n/usr\n", 15) == 0);
	assert_int_equal(strtol(out + 15, NULL, 10), strtol(strchr(out + 15, ' '), NULL, 10));
}

/* A child's child must die with the child when it was spawned to do so. */
static void die_with_the_parent(bool gentle, int signo)
{
	char text[16] = "";
	int fds[2];
	pid_t middle, grandchild;
	int status;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	middle = fork();
	if (middle == 0) {
		struct err e = ERR_INIT;
		struct loop *l = loop_new(&e);
		struct proc *p =
			proc_spawn(l, "grandchild",
				   &(struct proc_spec){.argv = SH("echo $$; exec sleep 1000"),
						       .fds = {-1, fds[1], -1},
						       .gentle = gentle},
				   NULL, NULL, &e);
		if (!p)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	grandchild = (pid_t)strtol(text, NULL, 10);
	assert_true(grandchild > 1);
	kill(middle, SIGKILL);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_int_equal(waitpid(grandchild, &status, 0), grandchild); /* ours by subreaper */
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signo);
	close(fds[0]);
	close(fds[1]);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void the_parents_death_is_followed(void **state)
{
	(void)state;
	die_with_the_parent(false, SIGKILL);
	die_with_the_parent(true, SIGTERM);
}

static int teardown(void **state)
{
	struct fix *f = *state;

	if (f->l)
		return fix_teardown(state);
	rmdir(f->dir);
	free(f);
	return 0;
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fix_setup, teardown)
	const struct CMUnitTest tests[] = {
		T(exit_codes_and_signals),
		T(kill_reaches_it),
		T(forgotten_child_is_killed_and_reaped),
		T(what_does_not_start),
		T(nothing_leaks_into_the_child),
		T(the_three_descriptors),
		T(the_parents_death_is_followed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
