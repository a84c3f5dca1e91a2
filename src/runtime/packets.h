// SPDX-License-Identifier: Apache-2.0
/*
 * A SOCK_SEQPACKET pair between two processes of ours: one message a packet, of one size a direction, a descriptor with it where there is one to hand
 * over. What the kernel does not take at once waits in order; nothing is lost while both live.
 */
#ifndef CHELA_RUNTIME_PACKETS_H
#define CHELA_RUNTIME_PACKETS_H
#include <stddef.h>
#include <sys/types.h>

struct packet;
struct packets {
	int fd;	     /* not owned */
	size_t size; /* of what is sent */
	struct packet *head, **tail;
	size_t n; /* that wait */
};
void packets_init(struct packets *p, int fd, size_t size);
/* Drops what waits. */
void packets_fini(struct packets *p);
/* Queues a copy of msg; fd (or -1) is taken. packets_flush is to follow. */
void packets_add(struct packets *p, const void *msg, int fd);
/* Sends what the kernel takes. What waits for a pair that is broken is dropped: its reader sees the end. What is left is p->n: then watch for WATCH_WRITE. */
void packets_flush(struct packets *p);
/* One packet of at most cap bytes: its true length, 0 at the end of the pair, or -1 with errno. Never blocks.
 * *fd is the descriptor that came with it, or -1; NULL: none is taken. */
ssize_t packets_recv(struct packets *p, void *msg, size_t cap, int *fd);

#endif
