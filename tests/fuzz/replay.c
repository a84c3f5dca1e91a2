// SPDX-License-Identifier: Apache-2.0
/*
 * Stands in for libFuzzer where there is no clang: gives each file named on the command line to
 * the target once. A crash is the only way to fail; the file's name is printed before, so that the
 * last line tells which one it was.
 */
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

#define INPUT_MAX ((size_t)4 << 20)

static int replay(const char *file)
{
	_cleanup_fclose_ FILE *f = fopen(file, "rbe");
	_cleanup_free_ uint8_t *data = NULL;
	uint8_t *exact;
	size_t n;

	if (!f) {
		perror(file);
		return -1;
	}
	data = xmalloc(INPUT_MAX);
	n = fread(data, 1, INPUT_MAX, f);
	if (ferror(f)) {
		perror(file);
		return -1;
	}
	/* memory of just this size, so that ASan sees the first byte read too far */
	exact = malloc(n ? n : 1);
	if (!exact)
		abort();
	for (size_t i = 0; i < n; i++)
		exact[i] = data[i];
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		printf("%s\n", argv[i]);
		fflush(stdout);
		if (replay(argv[i]))
			return 1;
	}
	return 0;
}
