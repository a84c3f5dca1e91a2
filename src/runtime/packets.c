// SPDX-License-Identifier: Apache-2.0
/*
 * Packets between two processes of ours, with descriptors (SCM_RIGHTS). It knows nothing of what they mean.
 */
#include "runtime/packets.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/mem.h"

struct packet {
	struct packet *next;
	int fd;
	unsigned char msg[];
};

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

void packets_init(struct packets *p, int fd, size_t size)
{
	p->fd = fd;
	p->size = size;
	p->head = NULL;
	p->tail = &p->head;
	p->n = 0;
}

static void pop(struct packets *p)
{
	struct packet *q = p->head;

	p->head = q->next;
	if (!p->head)
		p->tail = &p->head;
	p->n--;
	if (q->fd >= 0)
		close(q->fd);
	free(q);
}

void packets_fini(struct packets *p)
{
	while (p->head)
		pop(p);
}

void packets_add(struct packets *p, const void *msg, int fd)
{
	struct packet *q = xcalloc(1, sizeof(*q) + p->size);

	memcpy(q->msg, msg, p->size);
	q->fd = fd;
	*p->tail = q;
	p->tail = &q->next;
	p->n++;
}

static ssize_t send_one(const struct packets *p, struct packet *q)
{
	union control ctl;
	struct iovec iov = {.iov_base = q->msg, .iov_len = p->size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (q->fd >= 0) {
		struct cmsghdr *c;

		memset(&ctl, 0, sizeof(ctl));
		m.msg_control = &ctl;
		m.msg_controllen = sizeof(ctl);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &q->fd, sizeof(int));
	}
	return sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void packets_flush(struct packets *p)
{
	while (p->head) {
		if (send_one(p, p->head) >= 0) {
			pop(p);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			packets_fini(p); /* nobody is there to read them */
		} else if (errno != EINTR) {
			if (errno != EAGAIN)
				log_error("packets", "cannot send", "why=\"%s\"", strerror(errno));
			return;
		}
	}
}

ssize_t packets_recv(struct packets *p, void *msg, size_t cap, int *fd)
{
	union control ctl;
	struct iovec iov = {.iov_base = msg, .iov_len = cap};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = fd ? &ctl : NULL,
			   .msg_controllen = fd ? sizeof(ctl) : 0};
	ssize_t n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 && fd ? CMSG_FIRSTHDR(&m) : NULL;

	if (fd)
		*fd = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n;
}
