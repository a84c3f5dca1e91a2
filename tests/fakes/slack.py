#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A strict fake of Slack (Web API, Socket Mode, files) in a process of its own.

Owns: the listening sockets and the method table. Why: the channel needs a Slack that refuses what
the real one refuses, and misbehaves when told to. Must never: connect to anything, or accept a
request that slack_check.py cannot explain.

Start: slack.py [--cert C --key K] [--control-token T] [--port 0] [--control-port 0] [--stdin]
                [--bot-token xoxb-...] [--app-token xapp-...] [--seed N]
It prints one line when it listens, and ends on SIGTERM or (--stdin) with its standard input:
  {"port":N, "control":M, "url":"https://localhost:N/api", "page":"http://127.0.0.1:M/?token=T",
   "bot_token":"xoxb-...", "app_token":"xapp-...", "bot_user":"U0CHELABOT", "team":"T0FAKETEAM"}
`url` is channels.slack.api_url (http without --cert); Python: fake_client.py (Slack(), .call(...)).

THE CONTROL API (the same for all fakes; owner: fake_base.py)
  POST http://127.0.0.1:M/<order> with a JSON object, header x-control-token: T. 200 and a JSON
  object; 400 {"error":...} for an unknown order, key or value.
 A message is always told as {"n" (a number over all chats, in order of birth), "chat", "id" (ts),
  "thread" ("" or ts), "from":"bot"|"user", "user", "name", "text" (as sent, raw markup), "plain"
  (what is seen), "time", "edits":[{"time","text"}] (older texts, oldest first), "deleted":bool,
  "reactions":{"name":["user",...]}, "files":[{"id","name","mime","size","sha256"}],
  "buttons":[{"label","value"}], "reply_to", "key" (metadata.event_payload.key or ""),
  "streaming":bool, "method" (that made it)}. A sign is {"n","time","chat","thread","kind":
  "typing"|"status"|"draft","text"}. A call: {"n","time","method","chat","args","status","error",
  "fault"}.
 messages {FILTERS}                      -> {"messages":[...]} in order
 signs {chat?, thread?, kind?, text?}    -> {"signs":[...]} the last 5,000
 calls {method?, chat?, since? (n), fault?} -> {"calls":[...]} the last 20,000
    FILTERS: chat, from, thread, id, user, text (part of text), regex, plain (part of plain), key,
    edited (bool), deleted (bool; default false), reaction (name), file (name), button (label),
    since (n greater than)
 wait {what?, count? (1), timeout? (30 s), FILTERS} -> {"ok":bool, "count":N, "messages"|"signs"|
    "calls":[...]}: returns once so many match, or with ok false at the timeout. what: "messages",
    "signs", "calls", "ready" (Chela listens: a live socket here, a poll in Telegram), "sockets"
    (count live ones), "idle" (all that was injected is acknowledged or given up), "chat" (filters
    match chats)
 inject {"events":[EVENT,...]} or one EVENT -> {"ids":[...]} (ts of each, for a message). EVENTS:
    {"do":"message","chat","user"?,"text","thread"?,"mention"? (bool: <@bot> before the text),
     "files"?:[{"name","mime"?,"text"|"base64"|"size" (that many bytes)}],"quiet"? (bool: it exists
     and is never delivered, as after an outage: back-fill must find it),"id"? (else made)}
    {"do":"edit","chat","id","text"}  {"do":"delete","chat","id"}
    {"do":"react","chat","id","user"?,"emoji" (name, no colons),"remove"?}
    {"do":"press","chat","id","user"?,"label"|"value"}
    {"do":"command","chat","user"?,"command","text"?}
    {"do":"raw","type"? ("events_api"),"payload":{...}} an envelope with this payload
    text is sent as given (write &amp; yourself). Without "user" it is the chat's first member.
 chat {"id"?, "kind": channel|private|im|mpim, "name"?, "user"? (im), "member"? (the bot is in it;
    true), "archived"?, "count"? (so many, named name-1 ...)} -> {"ids":[...]}; with a known id: changes
 user {"id"?, "name"} -> {"id"}     chats {} -> {"chats":[...]}
 fault {"method" ("*" = any; "download", "upload" and "link" (the websocket) count as methods), "do",
    "count"? (1; 0 = until clear), "after"? (0: lets so many pass first), "chat"?, ...}. do:
    "limit" {retry_after?=1} 429 | "http" {status?=500, body?} | "garbage" (200, no JSON, not done) |
    "error" {error, description?} (ok:false, not done) | "slow" {seconds} (done, answered late) |
    "stall" (no answer, not done, until clear) | "drop" (closed, not done) |
    "lost" (DONE, closed before the answer) | "torn" (DONE, half an answer) |
    "redirect" (download only: to another host of ours, which reports a token as a violation)
 chaos {"seed", "profile":"off"|"short"|"long"} or {"seed", "rates":{"METHOD"|"*":{"do":p,...}},
    "wire":{"do":p per envelope,...}}: the same faults with probabilities
 wire {"do", "socket"? ("all"), "count"?, "seconds"?}: "all"|"oldest"|"newest". do: "drop" (TCP
    reset) | "close" (close frame) | "half_open" (no word more, no close, acks unread) | "refresh"
    (refresh_requested; closes after 10 s/speed) | "warning" (then refresh_requested's close) |
    "link_disabled" (and opening fails until clear) | "too_many" (too_many_websockets, closes) |
    "torn" (half a frame, reset) | "garbage" (a text frame that is no JSON) | "binary" |
    "redeliver" (the last `count` envelopes again) | "shuffle" (the next `count` in reverse order) |
    "hold" (envelopes wait) | "release" | "rate_limited" (app_rate_limited: no inner event)
 limits {"speed"? (1: divides what follows but ack_s), "per_chat_s"? (1.0), "burst"? (4), "tiers"?
    (true: 20/50/100 a minute and twice that at once), "ack_s"? (3.0), "retry_s"? ([0,60,300]: when an
    unacknowledged event comes again; then it is lost), "window"? (1000 unacknowledged a socket),
    "ping_s"? (10), "life_s"? (0 = no end; else refresh after so long), "ticket_s"? (30), "echo"?
    (true: our own posts come back as events), "streams"? (true; false = startStream is refused)}
 violations {clear?}  -> {"violations":[{"n","time","method","what","args"}]}: tests assert none
 stats {}  -> {"sockets","unacked","queued","lost_events","delivered","redelivered","acks","opens",
    "calls":{method:n},"errors":{...},"limited","messages":{"bot","user"},"violations","faults":{do:n}}
 clear {}  faults, chaos, gates, wire orders end       reset {}  and the world is as at the start
 GET /?token=T  the page to type in     GET /events?token=T  what happens, as server-sent events
WORLD at the start: users U0000ALICE, U0000000BOB; channels C00GENERAL (general), C000RANDOM (random),
 private C000SECRET (secret), im D0000ALICE and D000000BOB. The bot is a member of all of them.
Bodies of files: GET http://127.0.0.1:M/file/<id>?token=T gives the bytes of any file, either side's.
"""
