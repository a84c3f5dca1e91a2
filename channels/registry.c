// SPDX-License-Identifier: Apache-2.0
/* Every channel, in the order in which status lists them. */
#include <stddef.h>
#include "channels/channel.h"
#include "channels/console.h"
#include "channels/slack/slack.h"
#include "channels/telegram/telegram.h"
#include "channels/whatsapp/whatsapp.h"

const struct channel_ops *const channel_registry[] = {
	&console_ops, &slack_ops, &telegram_ops, &whatsapp_ops, NULL,
};
