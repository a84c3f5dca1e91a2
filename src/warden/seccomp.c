// SPDX-License-Identifier: Apache-2.0
/*
 * container/seccomp.json as bytes of the binary: the engine wants the text in every create call, and a
 * profile that lies in a file beside the server could be swapped. The path is relative to the
 * source tree's root, where the compiler is called.
 */
#include "warden/sandbox.h"

__asm__(".section .rodata\n"
	".balign 8\n"
	".globl seccomp_profile\n"
	".hidden seccomp_profile\n"
	".type seccomp_profile, @object\n"
	"seccomp_profile:\n"
	".incbin \"container/seccomp.json\"\n"
	".byte 0\n"
	".size seccomp_profile, . - seccomp_profile\n"
	".previous\n");
