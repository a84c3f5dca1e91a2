// SPDX-License-Identifier: Apache-2.0
//
// The attacker of the runner's tests: runs as the agent and tries what a hostile agent would try
// against PID 1 and the launcher. Prints "name ok" or "name BAD detail" a line, then every process it
// sees as "proc PID uid caps nnp", then waits for the end of stdin, so that the test can look too.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

static void say(const char *name, int bad, const char *detail)
{
	printf("%s %s %s\n", name, bad ? "BAD" : "ok", detail);
}

static void try_fds(int pid)
{
	char path[64], name[64];
	for (int fd = 0; fd < 16; fd++) {
		for (int how = 0; how < 2; how++) {
			snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
			snprintf(name, sizeof name, "open-%d-fd-%d-%s", pid, fd, how ? "w" : "r");
			int got = open(path, (how ? O_WRONLY : O_RDONLY) | O_NONBLOCK);
			say(name, got >= 0, got >= 0 ? "" : strerror(errno));
			if (got >= 0)
				close(got);
		}
	}
}

static void show_processes(void)
{
	DIR *d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));) {
		int pid = atoi(e->d_name);
		char path[64], line[256];
		if (pid <= 0)
			continue;
		snprintf(path, sizeof path, "/proc/%d/status", pid);
		FILE *f = fopen(path, "r");
		while (f && fgets(line, sizeof line, f))
			if (!strncmp(line, "Uid:", 4) || !strncmp(line, "Gid:", 4) ||
			    !strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) ||
			    !strncmp(line, "Groups", 6))
				printf("proc %d %s", pid, line);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
}

int main(void)
{
	char buf[16];
	setvbuf(stdout, NULL, _IOLBF, 0);
	int open_fds = 0;
	for (int fd = 0; fd < 1024; fd++)
		open_fds += fcntl(fd, F_GETFD) >= 0;
	say("only-stdio", open_fds != 3, "");
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	int blocked = 0;
	for (int s = 1; s < 32; s++)
		blocked += sigismember(&mask, s) == 1 || signal(s, SIG_DFL) == SIG_IGN;
	say("clean-signals", blocked != 0, "");
	say("session-leader", getsid(0) != getpid(), "");
	say("not-root", getuid() == 0 || geteuid() == 0, "");
	say("setuid-0", setresuid(0, 0, 0) == 0, strerror(errno));
	say("setuid-runner", setresuid(10002, 10002, 10002) == 0, strerror(errno));
	say("kill-1", kill(1, 0) == 0, strerror(errno));
	say("ptrace-1", ptrace(PTRACE_ATTACH, 1, 0, 0) == 0, strerror(errno));
	struct iovec l = {buf, sizeof buf}, m = {(void *)4096, sizeof buf};
	ssize_t n = process_vm_readv(1, &l, 1, &m, 1, 0);
	say("memory-1", n >= 0 || errno == EFAULT, strerror(errno)); // EFAULT: it was let through
	int fd = open("/proc/1/environ", O_RDONLY);
	say("environ-1", fd >= 0 && read(fd, buf, sizeof buf) > 0, "");
	fd = open("/proc/1/mem", O_RDWR);
	say("mem-file-1", fd >= 0, strerror(errno));
	try_fds(1);
	try_fds(getppid());
	show_processes();
	printf("done\n");
	while (read(0, buf, sizeof buf) > 0)
		;
	return 0;
}
