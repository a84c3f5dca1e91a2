// SPDX-License-Identifier: Apache-2.0
/*
 * Other people's words within our own Markdown. Names, file names and commands must stand as they are, whatever marks they hold.
 */
#ifndef CHELA_ROUTER_MARKDOWN_H
#define CHELA_ROUTER_MARKDOWN_H
#include "base/buf.h"

/* Appends text, in the middle of a line, with Markdown's marks escaped (CommonMark 0.30, § 2.4); line ends become spaces. */
void markdown_put_plain(struct buf *b, const char *text);

#endif
