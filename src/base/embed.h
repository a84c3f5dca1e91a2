// SPDX-License-Identifier: Apache-2.0
/*
 * A file of the source tree as a string in the program, so that an installed server has it as a checkout does. Paths start at the top of the tree; the
 * Makefile names each file as a dependency of who embeds it.
 */
#ifndef CHELA_BASE_EMBED_H
#define CHELA_BASE_EMBED_H

/* const char name[], NUL-ended. */
#define EMBED(name, file)                                                                          \
	extern const char name[];                                                                  \
	__asm__(".pushsection .rodata\n"                                                           \
		".hidden " #name "\n.type " #name ", @object\n" #name ":\n"                        \
		".incbin \"" file "\"\n.byte 0\n"                                                  \
		".size " #name ", . - " #name "\n.popsection\n")

#endif
