// SPDX-License-Identifier: Apache-2.0
/*
 * The channels' links to their platforms: opened at start, tried again with back-off when they fall, and told to the operator
 * once when a person has to act. It exists so that no channel has a reconnection policy of its own, and none can stop the server.
 */
#include <string.h>
#include "base/backoff.h"
#include "base/log.h"
#include "base/str.h"
#include "router/impl.h"

#define LEAST_MS  500
#define MOST_MS	  60000
#define STUCK_MS  600000 /* how often to look whether somebody has mended it */
#define STEADY_MS 10000	 /* up for so long: the next fall begins with short waits again */

static void link_try(void *ctx)
{
	struct link *k = ctx;

	k->tries++; /* here: a link may tell of one fall in many words */
	k->channel->ops->connect(k->channel);
}

static void link_down(struct link *k, enum channel_state st, int64_t retry_ms)
{
	int64_t wait = st == CHANNEL_STUCK ? STUCK_MS : backoff_ms(k->tries, LEAST_MS, MOST_MS);

	if (wait < retry_ms)
		wait = retry_ms;
	k->retry_at = loop_now(k->r->loop) + wait;
	k->not_before = loop_now(k->r->loop) + retry_ms;
	timer_start(k->retry, wait, 0);
}

void link_state(struct router *r, struct channel *c, enum channel_state st, const char *reason,
		int64_t retry_ms)
{
	static const char *const states[] = {"up", "down", "stuck"};
	struct link *k = c->router;
	int64_t now = loop_now(r->loop);
	char words[sizeof(k->reason)];
	bool news;

	notice_words(words, sizeof(words), reason);
	reason = words;
	news = k->state != st || !streq(k->reason, reason);

	if (st == CHANNEL_UP)
		log_info("channel", "up", "name=%s", c->ops->name);
	else if (news)
		log_warn("channel", states[st], "name=%s reason=\"%s\"", c->ops->name, reason);
	if (k->state == CHANNEL_UP && now - k->since_ms > STEADY_MS)
		k->tries = 0;
	if (k->state != st)
		k->since_ms = now;
	k->state = st;
	snprintf(k->reason, sizeof(k->reason), "%s", reason);
	if (st == CHANNEL_UP) {
		timer_stop(k->retry);
		if (k->told_stuck)
			notice_main(r, "%s works again.", c->ops->name);
		k->told_stuck = false;
		delivery_channel_ready(r, c);
		return;
	}
	if (st == CHANNEL_STUCK && !k->told_stuck) {
		k->told_stuck = true;
		notice_main(r, "%s is not connected: %s", c->ops->name, reason);
	}
	link_down(k, st, retry_ms);
}

int links_open(struct router *r, struct err *e)
{
	if (channels_configure(r->o.cfg, r->chans, &r->n_chans, e) < 0)
		return -1;
	for (size_t i = 0; i < r->n_chans; i++) {
		struct channel *c = &r->chans[i];
		struct link *k = &r->links[i];

		*k = (struct link){
			.r = r, .channel = c, .state = CHANNEL_DOWN, .since_ms = loop_now(r->loop)};
		k->retry = timer_new(r->loop, "channel retry", link_try, k);
		c->loop = r->loop;
		c->clk = r->o.clk;
		c->up = &r->up;
		c->up_ctx = r;
		c->router = k;
		str_copy(k->reason, sizeof(k->reason), "starting");
		if (store_out_recover(r->store, c->ops->name, e) < 0 || c->ops->open(c, e) < 0)
			return err_wrap(e, "opening channel %s", c->ops->name);
	}
	return 0;
}

void links_connect(struct router *r)
{
	for (size_t i = 0; i < r->n_chans; i++)
		r->chans[i].ops->connect(&r->chans[i]);
}

void links_close(struct router *r)
{
	for (size_t i = 0; i < r->n_chans; i++) {
		timer_free(r->links[i].retry);
		r->links[i].retry = NULL;
	}
	channels_close(r->chans, &r->n_chans);
}

static struct link *link_of(struct router *r, const char *name, struct err *e)
{
	_cleanup_(buf_free) struct buf all = {0};
	char word[48];

	for (size_t i = 0; i < r->n_chans; i++) {
		const char *own = r->chans[i].ops->name;

		if (strcasecmp(own, name) == 0)
			return &r->links[i];
		buf_putf(&all, "%s%s", i ? ", " : "", own);
	}
	err_set(e, E_GONE, "there is no channel \"%s\" here; there are: %s",
		str_one_line(word, sizeof(word), name), all.p ? all.p : "none");
	return NULL;
}

int router_retry_channel(struct router *r, const char **name, struct err *e)
{
	struct link *k = link_of(r, *name, e);
	int64_t now = loop_now(r->loop);

	if (!k)
		return -1;
	*name = k->channel->ops->name;
	if (k->state == CHANNEL_UP)
		return err_set(e, E_INVAL, "%s is up; there is nothing to try", *name);
	if (!timer_active(k->retry))
		return err_set(e, E_TEMP, "%s is being tried right now", *name);
	if (k->not_before > now)
		return err_set(e, E_TEMP, "%s has asked us to wait; it is tried in %lld s", *name,
			       (long long)(k->retry_at - now + 999) / 1000);
	log_info("channel", "retry", "name=%s", *name);
	k->tries = 0;
	timer_start(k->retry, 0, 0);
	return 0;
}

void router_each_channel(struct router *r, channel_status_fn *fn, void *ctx)
{
	static const char *const words[] = {"up", "down", "stuck"};

	for (size_t i = 0; i < r->n_chans; i++) {
		const struct link *k = &r->links[i];
		struct channel_status st = {
			.channel = k->channel,
			.name = k->channel->ops->name,
			.state = words[k->state],
			.reason = k->state == CHANNEL_UP ? "" : k->reason,
			.since_ms = loop_now(r->loop) - k->since_ms,
			.retry_ms = k->state == CHANNEL_UP ? -1 : k->retry_at - loop_now(r->loop),
		};

		fn(ctx, &st);
	}
}
