// SPDX-License-Identifier: Apache-2.0
/*
 * Archives from anywhere: whatever the bytes are, each entry that comes out has a name that stays inside, no more bytes than it says, and an end that is told or refused.
 */
#include "fuzz.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "runtime/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct tar_entry t;
	struct tar_reader r = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
	struct err e = ERR_INIT;
	char chunk[700];
	int rc, entries = 0;

	fuzz_check(r.fd >= 0 && write(r.fd, data, n) == (ssize_t)n &&
		   lseek(r.fd, 0, SEEK_SET) == 0);
	while ((rc = tar_next(&r, &t, &e)) > 0) {
		int64_t seen = 0;
		ssize_t k;

		fuzz_check(++entries <= (int)(n / 512));
		fuzz_check(tar_name_ok(t.name));
		fuzz_check(memchr(t.target, '\0', sizeof(t.target)));
		fuzz_check(t.size >= 0 && (t.type == TAR_FILE || t.size == 0));
		fuzz_check((t.mode & ~0777U) == 0);
		if (entries % 3 == 0)
			continue; /* skipped by the next */
		while ((k = tar_read(&r, chunk, sizeof(chunk), &e)) > 0)
			seen += k;
		if (k < 0)
			break;
		fuzz_check(seen == t.size);
	}
	if (rc < 0)
		fuzz_check(e.code != E_NONE && e.msg[0]);
	close(r.fd);
	return 0;
}
