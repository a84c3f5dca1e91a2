// SPDX-License-Identifier: Apache-2.0
/*
 * What every unit test includes: cmocka with the headers it forgets, and two checks that it lacks.
 * A test is tests/unit/<floor>_<what>.c with its own main; <floor> names what it is linked with.
 */
#ifndef CHELA_TESTS_UNIT_H
#define CHELA_TESTS_UNIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/err.h"

/* Where a test's folders lie: in memory where there is room, for each commit waits for the disk, and on a busy one
 * that is most of a test's time. */
static __attribute__((unused)) const char *unit_tmp(void)
{
	struct statvfs v;
	bool roomy = statvfs("/dev/shm", &v) == 0 && v.f_bavail * v.f_frsize >= 512ul << 20;

	return roomy && access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

/* Under valgrind a test takes thirty times as long: what is only repeated may be repeated less there. */
static __attribute__((unused)) bool under_valgrind(void)
{
	const char *with = getenv("LD_PRELOAD");

	return with && strstr(with, "valgrind");
}

/* A call that must work: shows the error's text when it does not. */
#define assert_ok(call, e)                                                                         \
	do {                                                                                       \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s: %s", #call, err_word((e)->code), (e)->msg);              \
	} while (0)
/* A call that must fail with this code and a message that holds this text. */
#define assert_err(call, e, want, text)                                                            \
	do {                                                                                       \
		*(e) = (struct err)ERR_INIT;                                                       \
		if ((call) != -1)                                                                  \
			fail_msg("%s: expected an error", #call);                                  \
		assert_error_is(e, want, text);                                                    \
	} while (0)
#define assert_error_is(e, want, text)                                                             \
	do {                                                                                       \
		if ((e)->code != (want) || !strstr((e)->msg, (text)))                              \
			fail_msg("expected %s \"%s\", got %s \"%s\"", err_word(want), (text),      \
				 err_word((e)->code), (e)->msg);                                   \
	} while (0)

#endif
