#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A strict fake of Telegram's Bot API in a process of its own.

Owns: the listening sockets and the method table. Why: the channel needs a Telegram that refuses
what the real one refuses, and misbehaves when told to. Must never: connect to anything, or accept
a request that telegram_check.py cannot explain.

Start: telegram.py [--cert C --key K] [--control-token T] [--port 0] [--control-port 0] [--stdin]
                   [--bot-token 123456:ABC...] [--seed N] [--privacy]
It prints one line when it listens, and ends on SIGTERM or (--stdin) with its standard input:
  {"port":N, "control":M, "url":"https://localhost:N", "page":"http://127.0.0.1:M/?token=T",
   "bot_token":"...", "bot_user":"700000001", "username":"chela_fake_bot"}
`url` is channels.telegram.api_url; Python: fake_client.py (Telegram(), .call(...)).

THE CONTROL API is that of slack.py (read its docstring: messages, signs, calls, wait, fault, chaos,
violations, stats, clear, reset, user, chats, the page); what differs:
 ids: chat, thread (a topic's message_thread_id), id (message_id), user: decimal text. A message also
  has "parse_mode" ("" or "HTML"), "entities", "reply_to", "kind" (text|photo|document|voice|
  audio|video|sticker|service), "draft_of"; "key" is always "". The emoji of reactions is Unicode.
 signs: kind "typing" (sendChatAction; text = the action) and "draft" (sendMessageDraft; "draft_id")
 inject EVENTS:
    {"do":"message","chat","user"?,"text"?,"thread"?,"reply_to"?,"mention"? (@bot before the text),
     "files"?:[{"kind"? (document|photo|voice|audio|video|sticker),"name"?,"mime"?,"text"|"base64"|
     "size"}] (one message each; text is the caption of the first),"entities"? (else /commands,
     @mentions and URLs are marked as Telegram does),"quiet"? (not delivered),"fields"? (laid over
     the message object)}
    {"do":"edit","chat","id","text"}  {"do":"react","chat","id","user"?,"emoji","remove"?}
    {"do":"press","chat","id","user"?,"label"|"value"}   {"do":"command","chat","user"?,"command","text"?}
    {"do":"migrate","chat","to"?} the group becomes a supergroup: service messages on both sides; what is
     sent to the old id is refused with migrate_to_chat_id
    {"do":"raw","update":{...}}  {"do":"delete","chat","id"} (Telegram tells bots nothing)
 chat {"id"?, "kind": private|group|supergroup|forum|channel, "name"?, "user"? (private), "state"?:
    "ok"|"blocked"|"kicked"|"gone"|"no_rights", "count"?} -> {"ids":[...]}
 topic {"chat","id"?,"name"} -> {"id"}
 fault: also "conflict" (409; method getUpdates). "download" = file downloads.
 wire {"do","count"?,"seconds"?}: "webhook" (one is set: 409 until deleteWebhook) | "drop" (the
    waiting polls are reset) | "half_open" (the waiting polls never answer) | "conflict" (another
    poller: the waiting poll and the next `count` get 409) | "redeliver" (the last `count` confirmed updates
    come again) | "shuffle" (the next `count` updates in reverse order) | "gap" (update_id jumps by `count`)
 limits {"speed"? (1), "per_chat_s"? (1.0), "burst"? (4), "group_per_min"? (20), "overall_per_s"? (30),
    "privacy"? (bool)}. "burst" is per chat; a 429 tells retry_after in whole seconds.
 wait what: "ready" (a poll waits or came in the last 2 s), "idle" (all updates confirmed)
 stats {} -> {"pending","confirmed","polls","waiting","calls","errors","limited","messages",
    "violations","faults","offset"}
WORLD: users 1001 (Alice), 1002 (Bob); private chats 1001 and 1002; group -2001 (Family), supergroup
 -1003001 (Work), forum -1003002 (Project; topics 11 "Plans", 12 "Bugs", General without an id).
"""
