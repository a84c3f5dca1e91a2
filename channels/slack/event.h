// SPDX-License-Identifier: Apache-2.0
/* Between parse.c and event.c. */
#ifndef CHELA_CHANNELS_SLACK_EVENT_H
#define CHELA_CHANNELS_SLACK_EVENT_H
#include "channels/slack/slack.h"

/* Reads one event of the Events API, which lies in ev->root, into ev. event may be NULL: nothing. */
void slack_event_read(struct slack_event *ev, const cJSON *event, const struct slack_self *self);

#endif
