// SPDX-License-Identifier: Apache-2.0
/*
 * Mapped pages of programs and libraries. It exists because most of what a small server has mapped
 * was only touched to start it: the dynamic linker and the libraries' own set-up.
 */
#ifndef CHELA_BASE_PAGES_H
#define CHELA_BASE_PAGES_H

/* Unmaps the read-only pages of the program and its libraries. What is needed again comes back from
 * the page cache at its next use, for a minor fault. To be called once, when a start is over. */
void pages_give_back(void);

#endif
