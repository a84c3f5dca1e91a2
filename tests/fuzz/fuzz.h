// SPDX-License-Identifier: Apache-2.0
/*
 * What every fuzz target includes. A target is tests/fuzz/fuzz_<name>.c with this one function;
 * its seeds are tests/fuzz/corpus/<name>/, to which each crash that was found and fixed is added.
 */
#ifndef CHELA_TESTS_FUZZ_H
#define CHELA_TESTS_FUZZ_H
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A property that must hold; a failure is a crash, which libFuzzer and replay report. */
#define fuzz_check(cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

#endif
