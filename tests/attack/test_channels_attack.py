# SPDX-License-Identifier: Apache-2.0
"""Attacks over the platforms, on a server with all three of them on strict fakes: by people who write to it, by files that
are sent to it, by an agent that was talked into helping, and by a platform that echoes secrets."""
import http.server
import os
import re
import shutil
import threading
import time

import platforms
import pytest
from attacker import SANITIZED
from platforms import FROM_BOT, newest

GENERAL, ALICE, CAROL, DAVE = "C00GENERAL", "D0000ALICE", "1001", "1002"
GROUPS = {"family": [f"slack:{GENERAL}", f"slack:{ALICE}", f"telegram:{CAROL}"]}


class House:
    """The platforms, their server, and what is sent to neither."""

    def __init__(self, world, server):
        self.world, self.server = world, server
        self.slack, self.telegram = world.slack, world.telegram
        self.ts = int(time.time())

    def secrets(self):
        return [self.slack.hello["bot_token"], self.slack.hello["app_token"],
                self.telegram.hello["bot_token"], self.world.whatsapp.hello["token"]]

    def event(self, **more):
        """A message to the bot, as Slack would put it."""
        self.ts += 1
        ts = f"{self.ts}.000100"
        event = {"type": "message", "channel": ALICE, "channel_type": "im", "user": "U0000ALICE",
                 "ts": ts, "event_ts": ts, "text": "look", **more}
        self.slack.inject(do="raw", payload={"type": "event_callback", "event": event})

    def answered(self, fake, chat, text, wait):
        mark = newest(fake, chat)
        fake.inject(do="message", chat=chat, text=text)
        return fake.wait(chat=chat, since=mark, plain=wait, timeout=60, **FROM_BOT)[0]


@pytest.fixture(scope="module")
def house(sandboxes, tmp_path_factory):
    import server as servers
    folder = tmp_path_factory.mktemp("channels")
    world = platforms.Platforms(folder, folder / "home", speed=20)
    server = servers.Server(folder / "home", world.config(), {"runtime": "runc"})
    try:
        server.start()
        platforms.link(server, GROUPS)
        world.ready()
        yield House(world, server)
        log = server.log_path.read_text("utf-8")
        store = b"".join(p.read_bytes() for p in server.home.glob("chela.db*"))
        for token in House(world, server).secrets():
            assert token not in log, "a token is in the log"
            assert token.encode() not in store, "a token is in the store"
    finally:
        try:
            server.close()
        finally:
            world.close()


@pytest.fixture
def thief():
    """A web server that wants the token; notes who comes."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, dict(self.headers)))
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"gift")

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    httpd.seen = seen
    yield httpd
    httpd.shutdown()
    thread.join(10)
    httpd.server_close()


# --- tokens

def test_the_token_goes_to_no_other_host(house, thief):
    port = thief.server_address[1]
    root = house.slack.hello["url"].removesuffix("/api")
    bare = root.removeprefix("https://")
    before = house.slack.call("stats")["calls"].get("auth.revoke", 0)
    for url in (f"http://127.0.0.1:{port}/files.slack.com/x", f"https://slack.com@127.0.0.1:{port}/x",
                f"{root}@127.0.0.1:{port}/x", f"http://{bare}.evil.example/x",
                f"{root}/api/auth.revoke?x=1", f"{root}/files-pri/../api/auth.revoke"):
        mark = newest(house.slack, ALICE)
        house.event(subtype="file_share", files=[
            {"id": "F0000EVIL1", "name": "x.txt", "mimetype": "text/plain", "size": 4,
             "url_private": url, "url_private_download": url}])
        house.slack.wait(chat=ALICE, since=mark, regex="could not be fetched", timeout=60, **FROM_BOT)
    assert thief.seen == []
    assert house.slack.call("stats")["calls"].get("auth.revoke", 0) == before


def test_a_platform_that_echoes_the_token_is_not_repeated(house):
    """Refusals that quote the token reach neither the log, nor the store, nor a person."""
    telegram, token = house.telegram, house.telegram.hello["bot_token"]
    telegram.call("fault", method="sendMessage", do="error", error=400,
                  description=f"Bad Request: no such thing as {token}")
    telegram.inject(do="message", chat=CAROL, text="hear me")
    house.server.wait_log(r"given up.*channel=telegram", 60)
    slack, bot = house.slack, house.slack.hello["bot_token"]
    slack.call("fault", method="chat.postMessage", do="error", error=bot)
    slack.inject(do="message", chat=ALICE, text="hear me too")
    house.server.wait_log(r"given up.*channel=slack", 60)
    shown = "".join(house.server.cli(*words).stdout for words in
                    (("outbox",), ("outbox", "all"), ("channels",), ("chats",), ("status",)))
    shown += str(slack.messages(**FROM_BOT)) + str(telegram.messages(**FROM_BOT))
    for secret in house.secrets():
        assert secret not in shown
    assert "Bad Request: no such thing as" in shown


# --- an agent that was talked into something

def test_no_answer_wakes_a_workspace(house):
    slack = house.slack
    mark = newest(slack, GENERAL)
    slack.inject(do="message", chat=GENERAL, mention=True,
                 text="&lt;!channel&gt; &lt;!here|x&gt; &lt;@U00000BOB&gt; [all](!channel) "
                      "[all](&lt;!everyone&gt;) @channel @everyone end")
    sent = slack.wait(chat=GENERAL, since=mark, regex="echo: .*end", timeout=60, **FROM_BOT)[0]
    assert "<!" not in sent["text"] and "<@" not in sent["text"], sent["text"]
    assert "&lt;!channel&gt;" in sent["text"]


def test_an_inbox_that_leads_elsewhere_is_not_followed(house):
    """The agent owns its folder: it may put a link, a pipe or a file in the place of inbox/."""
    folder, away = house.server.home / "groups/family", house.server.home / "secrets"
    house.answered(house.telegram, CAROL, "!bash mkdir -p inbox; echo ok", "result:")
    had = sorted(os.listdir(away))

    def put(what):
        if os.path.islink(folder / "inbox") or not os.path.isdir(folder / "inbox"):
            os.unlink(folder / "inbox")
        else:
            shutil.rmtree(folder / "inbox")
        what(folder / "inbox")

    for what in (lambda p: os.symlink("../../secrets", p), lambda p: os.symlink(str(away), p),
                 lambda p: os.mkfifo(p), lambda p: p.write_text("a file")):
        put(what)
        mark = newest(house.telegram, CAROL)
        house.telegram.inject(do="message", chat=CAROL, text="take this", files=[
            {"name": "gift.txt", "mime": "text/plain", "text": "gift"}])
        house.telegram.wait(chat=CAROL, since=mark, regex="is not a folder", timeout=60, **FROM_BOT)
    assert sorted(os.listdir(away)) == had
    put(lambda p: p.mkdir())
    os.chown(folder / "inbox", folder.stat().st_uid, folder.stat().st_gid)
    mark = newest(house.telegram, CAROL)
    house.telegram.inject(do="message", chat=CAROL, text="take this", files=[
        {"name": "../../../secrets/gift.txt", "mime": "text/plain", "text": "gift"}])
    house.telegram.wait(chat=CAROL, since=mark, regex=r"\[file: inbox/\d+-gift\.txt", timeout=60,
                        **FROM_BOT)
    assert sorted(os.listdir(away)) == had


def test_a_button_counts_in_its_own_chat_only(house):
    slack = house.slack
    mark = newest(slack, ALICE)
    slack.inject(do="message", chat=ALICE, text='!tool ask_user {"question": "Pay Mallory?",'
                                                ' "options": ["Pay", "Keep"]}')
    question = slack.wait(chat=ALICE, since=mark, button="Pay", timeout=60, **FROM_BOT)[0]
    value = next(b["value"] for b in question["buttons"] if b["label"] == "Pay")
    house.ts += 1
    slack.inject(do="raw", type="interactive", payload={
        "type": "block_actions", "user": {"id": "U00000BOB"}, "channel": {"id": GENERAL},
        "container": {"type": "message", "message_ts": question["id"], "channel_id": GENERAL},
        "actions": [{"type": "button", "value": value, "action_ts": f"{house.ts}.000200"}]})
    slack.wait(chat=GENERAL, plain="no longer open", timeout=30, **FROM_BOT)
    assert slack.messages(chat=ALICE, id=question["id"])[0]["buttons"]
    slack.inject(do="press", chat=ALICE, id=question["id"], label="Keep")
    slack.wait(chat=ALICE, since=question["n"], regex="result:.*Keep", timeout=30, **FROM_BOT)


# --- floods

def test_a_flood_of_strangers_fills_nothing(house):
    """1,500 chats that nobody linked, each with its own topics; the household is answered all the while."""
    telegram, now = house.telegram, int(time.time())
    for i in range(1500):
        telegram.inject(do="raw", update={"message": {
            "message_id": 1, "date": now, "message_thread_id": i + 2, "is_topic_message": True,
            "chat": {"id": -1009000000000 - i, "type": "supergroup", "title": f"room {i}\x1b[2J"},
            "from": {"id": 90000 + i, "is_bot": False, "first_name": "x" * 60},
            "text": "let me in"}})
    house.answered(telegram, CAROL, "still there?", "echo: still there?")
    telegram.wait(what="idle", timeout=60)
    rows = house.server.rows
    assert rows("SELECT count(*) FROM chats c WHERE NOT EXISTS (SELECT 1 FROM group_chats g"
                " WHERE g.chat_id = c.id)")[0][0] <= 1001
    assert rows("SELECT count(*) FROM messages WHERE text LIKE '%let me in%'")[0][0] == 0
    assert rows("SELECT count(*) FROM senders WHERE platform_id LIKE '90%'")[0][0] == 0
    assert "\x1b" not in house.server.cli("chats").stdout


def test_a_monstrous_event_holds_nobody_up(house):
    """A megabyte of text with thousands of mentions and files: it is taken in what is allowed of it."""
    slow, mark = len(house.server.log_lines("slow callback")), newest(house.slack, ALICE)
    house.event(subtype="file_share", text="".join(f"<@U{i:07d}> " for i in range(80000)),
                     files=[{"id": f"F{i:08d}", "name": "x", "size": 1, "mimetype": "a/b",
                             "url_private": "https://evil.example/x"} for i in range(3000)])
    house.answered(house.telegram, CAROL, "and you?", "echo: and you?")
    house.slack.wait(chat=ALICE, since=mark, regex="could not be fetched", timeout=60, **FROM_BOT)
    text = house.server.rows("SELECT text FROM messages WHERE text LIKE '@U0000000 @U0000001 %'")[0][0]
    assert len(text) <= 262144 and text.count("[file: ") <= 20
    took = [int(re.search(r"us=(\d+)", line).group(1))
            for line in house.server.log_lines("slow callback")[slow:]]
    assert max(took, default=0) < 100000 or SANITIZED, took
