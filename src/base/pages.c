// SPDX-License-Identifier: Apache-2.0
/*
 * See pages.h. Only segments that were never writable are touched: they are as in the file, so that nothing
 * can be lost. It must never touch what the dynamic linker has written to (RELRO).
 */
#include "base/pages.h"
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"

#define SEGMENTS_MAX 32

static int give_back(struct dl_phdr_info *o, size_t size maybe_unused, void *ctx maybe_unused)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	size_t n = o->dlpi_phnum < SEGMENTS_MAX ? o->dlpi_phnum : SEGMENTS_MAX;
	ElfW(Phdr) h[SEGMENTS_MAX]; /* a copy: the table lies in the pages that go */

	memcpy(h, o->dlpi_phdr, n * sizeof(h[0]));
	for (size_t i = 0; i < n; i++) {
		uintptr_t from = (o->dlpi_addr + h[i].p_vaddr) & ~(page - 1);
		uintptr_t to = o->dlpi_addr + h[i].p_vaddr + h[i].p_memsz;

		/* It is only advice: a kernel that refuses it has lost us nothing. */
		if (h[i].p_type == PT_LOAD && !(h[i].p_flags & PF_W))
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void pages_give_back(void)
{
	dl_iterate_phdr(give_back, NULL);
}
