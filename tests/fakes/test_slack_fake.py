# SPDX-License-Identifier: Apache-2.0
"""The fake of Slack does what it says: it refuses, delivers, redelivers, misbehaves and records."""
import asyncio
import json
import ssl

import aiohttp
import pytest

import fake_client
import slack_markup
import testca

GENERAL, ALICE_DM, ALICE = "C00GENERAL", "D0000ALICE", "U0000ALICE"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return testca.make(str(tmp_path_factory.mktemp("slack-ca")))


@pytest.fixture(scope="module")
def shared(certs):
    fake = fake_client.Slack(certs)
    yield fake
    fake.stop(check=False)


@pytest.fixture
def fake(shared):
    shared.call("reset")
    return shared


class Bot:
    """A careful client, or a careless one where a test wants that."""

    def __init__(self, fake):
        self.fake = fake

    async def __aenter__(self):
        trust = ssl.create_default_context(cafile=f"{self.fake.certs}/ca.pem")
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))
        return self

    async def __aexit__(self, *_):
        await self.http.close()

    async def post(self, method, token="bot", form=None, headers=None, **args):
        auth = {"Authorization": "Bearer " + self.fake.hello[token + "_token"]} if token else {}
        body = {"data": form} if form is not None else {"json": args}
        async with self.http.post(f"{self.fake.url}/{method}", headers={**auth, **(headers or {})},
                                  **body) as r:
            return r.status, await r.json(content_type=None), r.headers

    async def ok(self, method, token="bot", **args):
        status, body, _ = await self.post(method, token, **args)
        assert status == 200 and body["ok"], body
        return body

    async def error(self, method, **args):
        return (await self.post(method, **args))[1]["error"]

    async def link(self):
        url = (await self.ok("apps.connections.open", "app"))["url"]
        ws = await self.http.ws_connect(url)
        hello = await ws.receive_json()
        assert hello["type"] == "hello" and hello["connection_info"]["app_id"]
        return ws


async def envelope(ws, ack=True):
    got = await asyncio.wait_for(ws.receive_json(), 10)
    if ack:
        await ws.send_json({"envelope_id": got["envelope_id"]})
    return got


def run(fake, what):
    async def body():
        async with Bot(fake) as bot:
            return await what(bot)
    return asyncio.run(body())


def whats(fake):
    return [v["what"] for v in fake.call("violations", clear=True)["violations"]]


def test_a_conversation(fake):
    async def talk(bot):
        ws = await bot.link()
        ts, = fake.inject(do="message", chat=GENERAL, user=ALICE, text="hi", mention=True)
        first, second = await envelope(ws), await envelope(ws)
        kinds = {e["payload"]["event"]["type"] for e in (first, second)}
        assert kinds == {"message", "app_mention"}
        assert first["payload"]["event"]["ts"] == ts == second["payload"]["event"]["ts"]
        assert first["payload"]["event_id"] != second["payload"]["event_id"]
        meta = {"event_type": "chela_out", "event_payload": {"key": "k1"}}
        sent = await bot.ok("chat.postMessage", channel=GENERAL, thread_ts=ts, metadata=meta,
                            text="*yes* &lt;3")
        echo = await envelope(ws)
        assert echo["payload"]["event"]["bot_id"]
        m, = fake.wait(chat=GENERAL, thread=ts, **{"from": "bot"})
        assert m["plain"] == "yes <3" and m["key"] == "k1" and m["id"] == sent["ts"]
        await bot.ok("chat.update", channel=GENERAL, ts=sent["ts"], text="no")
        assert (await envelope(ws))["payload"]["event"]["subtype"] == "message_changed"
        form = {"channel": GENERAL, "ts": ts, "include_all_metadata": "true"}
        thread = (await bot.ok("conversations.replies", form=form))["messages"]
        assert [t["ts"] for t in thread] == [ts, sent["ts"]]
        assert thread[1]["metadata"] == meta
        top = (await bot.ok("conversations.history", form={"channel": GENERAL}))["messages"]
        assert [t["ts"] for t in top] == [ts] and top[0]["reply_count"] == 1
    run(fake, talk)
    m, = fake.wait(edited=True)
    assert m["text"] == "no" and m["edits"][0]["text"] == "*yes* &lt;3"
    fake.wait(what="idle")
    assert whats(fake) == []


@pytest.mark.parametrize("args, error", [
    ({"channel": GENERAL, "text": "a < b"}, "invalid_arguments"),
    ({"channel": GENERAL, "text": "a & b"}, "invalid_arguments"),
    ({"channel": GENERAL, "text": "x" * 40001}, "msg_too_long"),
    ({"channel": GENERAL}, "no_text"),
    ({"text": "x"}, "invalid_arguments"),
    ({"channel": GENERAL, "text": 5}, "invalid_arguments"),
    ({"channel": GENERAL, "text": "x", "chat": "y"}, "invalid_arguments"),
    ({"channel": GENERAL, "text": "x", "thread_ts": "1.2"}, "invalid_arguments"),
    ({"channel": GENERAL, "text": "x", "thread_ts": "1700000000.000001"}, "thread_not_found"),
    ({"channel": GENERAL, "text": "x", "metadata": {"event_type": "a"}},
     "invalid_metadata_format"),
    ({"channel": GENERAL, "text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
    ({"channel": GENERAL, "blocks": [{"type": "section", "text": {
        "type": "mrkdwn", "text": "x" * 3001}}]}, "invalid_blocks"),
    ({"channel": GENERAL, "markdown_text": "x", "text": "x"}, "markdown_text_conflict"),
])
def test_a_wrong_post_is_refused_and_recorded(fake, args, error):
    assert run(fake, lambda bot: bot.error("chat.postMessage", **args)) == error
    assert len(whats(fake)) == 1


def test_tokens_and_forms(fake):
    async def tries(bot):
        assert await bot.error("auth.test", token="app") == "not_allowed_token_type"
        assert await bot.error("auth.test", token=None) == "not_authed"
        assert await bot.error("apps.connections.open", token="bot") == "not_allowed_token_type"
        assert await bot.error("chat.postMessage", token=None, channel=GENERAL, text="x",
                               headers={"Authorization": "Bearer xoxb-other"}) == "invalid_auth"
        assert await bot.error("conversations.history", channel=GENERAL) == "invalid_arguments"
        assert await bot.error("chat.remove") == "unknown_method"
        assert await bot.error("chat.postMessage", channel="C0UNKNOWN00", text="x") == (
            "channel_not_found")
        form = {"filename": "a.txt", "length": "x"}
        assert await bot.error("files.getUploadURLExternal", form=form) == "invalid_arguments"
    run(fake, tries)
    assert len(whats(fake)) == 6  # a wrong token and an unknown channel may happen to anybody


def test_redelivery_and_acknowledgements(fake):
    fake.call("limits", ack_s=0.2, retry_s=[0.1, 0.1])

    async def deaf(bot):
        ws = await bot.link()
        fake.inject(do="message", chat=ALICE_DM, text="once")
        tries = [await envelope(ws, ack=False) for _ in range(3)]
        assert [t.get("retry_attempt", 0) for t in tries] == [0, 1, 2]
        assert tries[1]["retry_reason"] == "timeout"
        assert len({t["payload"]["event_id"] for t in tries}) == 1
        fake.wait(what="idle")
        assert fake.call("stats")["lost_events"] == 1
        await ws.send_json({"envelope_id": "never-sent"})
        fake.inject(do="message", chat=ALICE_DM, text="answered")
        got = await envelope(ws)
        await ws.send_json({"envelope_id": got["envelope_id"]})
        fake.call("wait", what="calls", method="none", timeout=0.2)
        other = await bot.link()
        await other.close()
        await ws.close()
    run(fake, deaf)
    assert whats(fake) == ["acknowledges an unknown envelope",
                           "acknowledges an envelope more often than it came"]


def test_events_without_a_socket_come_later_or_never(fake):
    fake.call("limits", retry_s=[0, 0.3, 0.3])
    fake.inject(do="message", chat=ALICE_DM, text="early")

    async def late(bot):
        ws = await bot.link()
        got = await envelope(ws)
        assert got["payload"]["event"]["text"] == "early" and got["retry_attempt"]
    run(fake, late)
    fake.inject(do="message", chat=ALICE_DM, text="unseen", quiet=True)
    fake.inject(do="message", chat=ALICE_DM, text="lost")
    fake.wait(what="idle")
    assert fake.call("stats")["lost_events"] == 1
    seen = run(fake, lambda bot: bot.ok("conversations.history", form={"channel": ALICE_DM}))
    assert [m["text"] for m in seen["messages"]] == ["lost", "unseen", "early"]
    assert whats(fake) == []


def test_the_wire_misbehaves_as_told(fake):
    fake.call("limits", speed=20, ack_s=0.3)

    async def suffer(bot):
        old = await bot.link()
        fake.call("wire", do="refresh")
        assert (await old.receive_json())["reason"] == "refresh_requested"
        new = await bot.link()
        assert (await asyncio.wait_for(old.receive(), 5)).type == aiohttp.WSMsgType.CLOSE
        fake.call("wire", do="garbage")
        with pytest.raises(ValueError):
            await new.receive_json()
        fake.call("wire", do="shuffle", count=3)
        ids = fake.inject(*({"do": "message", "chat": ALICE_DM, "text": str(i)} for i in range(3)))
        got = [(await envelope(new))["payload"]["event"]["ts"] for _ in ids]
        assert got == ids[::-1]
        fake.call("wire", do="redeliver", count=2)
        assert [(await envelope(new))["payload"]["event"]["ts"] for _ in range(2)] == got[1:]
        fake.call("wire", do="half_open", seconds=1)
        fake.inject(do="message", chat=ALICE_DM, text="into the dark")
        third = await bot.link()
        assert (await envelope(third))["payload"]["event"]["text"] == "into the dark"
        fake.call("wire", do="torn", socket="newest")
        assert (await asyncio.wait_for(third.receive(), 5)).type in (
            aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)
        fake.call("wire", do="link_disabled")
        assert await bot.error("apps.connections.open", token="app") == "link_disabled"
        fake.call("clear")
        await bot.link()
    run(fake, suffer)
    assert whats(fake) == []


def test_faults_of_calls(fake):
    async def suffer(bot):
        post = {"channel": GENERAL, "text": "x"}
        for fault in ({"do": "limit", "retry_after": 1}, {"do": "http", "status": 503},
                      {"do": "error", "error": "msg_too_long"}):
            fake.call("fault", method="chat.postMessage", **fault)
        status, body, headers = await bot.post("chat.postMessage", **post)
        assert (status, body["error"], headers["Retry-After"]) == (429, "ratelimited", "1")
        other = {"channel": ALICE_DM, "text": "x"}
        with pytest.raises(ValueError):
            assert (await bot.post("chat.postMessage", **other))[0] == 503
        assert await bot.error("chat.postMessage", **other) == "msg_too_long"
        fake.call("fault", method="chat.postMessage", do="drop")
        fake.call("fault", method="chat.postMessage", do="lost")
        fake.call("fault", method="chat.postMessage", do="torn")
        for _ in range(3):
            with pytest.raises(aiohttp.ClientError):
                await bot.post("chat.postMessage", **other)
    run(fake, suffer)
    fake.wait(what="calls", fault="torn")
    assert len(fake.messages(chat=ALICE_DM)) == 2  # what "lost" and "torn" did stands there
    assert whats(fake) == []


def test_the_pace_of_a_channel(fake):
    fake.call("limits", burst=2)

    async def hurry(bot):
        done = [await bot.post("chat.postMessage", channel=GENERAL, text=str(i)) for i in range(4)]
        assert [d[0] for d in done] == [200, 200, 429, 429]
        assert (await bot.post("chat.postMessage", channel=ALICE_DM, text="x"))[0] == 200
    run(fake, hurry)
    assert len(whats(fake)) == 1  # the fourth did not wait as it was told


def test_files_both_ways(fake):
    ts, = fake.inject(do="message", chat=ALICE_DM, text="see", files=[{"name": "a.txt",
                                                                      "text": "body"}])

    async def carry(bot):
        seen = (await bot.ok("conversations.history", form={"channel": ALICE_DM}))["messages"]
        url = seen[0]["files"][0]["url_private_download"]
        auth = {"Authorization": "Bearer " + fake.hello["bot_token"]}
        async with bot.http.get(url, headers=auth) as r:
            assert (await r.read(), r.content_type) == (b"body", "text/plain")
        async with bot.http.get(url) as r:
            assert (r.status, r.content_type) == (200, "text/html")
        form = {"filename": "out.png", "length": "5"}
        up = await bot.ok("files.getUploadURLExternal", form=form)
        async with bot.http.post(up["upload_url"], data=b"12345") as r:
            assert r.status == 200
        await bot.ok("files.completeUploadExternal", channel_id=ALICE_DM, thread_ts=ts,
                     files=[{"id": up["file_id"], "title": "t"}])
        assert await bot.error("files.completeUploadExternal", channel_id=ALICE_DM,
                               files=[{"id": up["file_id"]}]) == "file_not_found"
        info = await bot.ok("files.info", form={"file": up["file_id"]})
        assert info["file"]["shares"]["private"][ALICE_DM][0]["thread_ts"] == ts
    run(fake, carry)
    m, = fake.wait(file="out.png")
    assert m["files"][0]["size"] == 5 and fake.file(m["files"][0]["id"]) == b"12345"
    assert len(whats(fake)) == 1


def test_buttons_streams_reactions_status(fake):
    ts, = fake.inject(do="message", chat=ALICE_DM, text="ask me")

    async def play(bot):
        ws = await bot.link()
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "Sure?"}},
                  {"type": "actions", "elements": [
                      {"type": "button", "action_id": "a1", "value": "v1",
                       "text": {"type": "plain_text", "text": "Yes"}}]}]
        sent = await bot.ok("chat.postMessage", channel=ALICE_DM, text="Sure?", blocks=blocks)
        await envelope(ws)
        fake.inject(do="press", chat=ALICE_DM, id=sent["ts"], label="Yes")
        pressed = await envelope(ws)
        assert pressed["type"] == "interactive"
        assert pressed["payload"]["actions"][0]["value"] == "v1"
        fake.inject(do="command", chat=ALICE_DM, command="/chela", text="new")
        assert (await envelope(ws))["type"] == "slash_commands"
        s = await bot.ok("chat.startStream", channel=ALICE_DM, thread_ts=ts, markdown_text="a")
        await bot.ok("chat.appendStream", channel=ALICE_DM, ts=s["ts"], markdown_text="b")
        assert await bot.error("chat.update", channel=ALICE_DM, ts=s["ts"],
                               text="x") == "streaming_state_conflict"
        await bot.ok("chat.stopStream", channel=ALICE_DM, ts=s["ts"], markdown_text="c")
        assert await bot.error("chat.appendStream", channel=ALICE_DM, ts=s["ts"],
                               markdown_text="d") == "message_not_in_streaming_state"
        assert await bot.error("chat.startStream", channel=GENERAL,
                               thread_ts=ts) == "missing_recipient_user_id"
        await bot.ok("reactions.add", channel=ALICE_DM, timestamp=ts, name="thumbsup")
        assert await bot.error("reactions.add", channel=ALICE_DM, timestamp=ts,
                               name="thumbsup") == "already_reacted"
        await bot.ok("assistant.threads.setStatus", channel_id=ALICE_DM, thread_ts=ts,
                     status="is thinking")
        await ws.close()
    run(fake, play)
    m, = fake.wait(text="abc")
    assert not m["streaming"] and m["thread"] == ts
    fake.wait(reaction="thumbsup", id=ts)
    fake.wait(what="signs", kind="status", text="thinking")
    assert len(whats(fake)) == 2


def test_old_messages_are_forgotten_when_asked(fake):
    fake.call("limits", keep=100, retry_s=[])
    fake.inject(*({"do": "message", "chat": ALICE_DM, "text": f"m{i}"} for i in range(1000)))
    left = [m["text"] for m in fake.messages()]
    assert 100 <= len(left) <= 126 and left[-1] == "m999"
    assert fake.call("stats")["messages"]["user"] == 1000


def test_chaos_comes_again_with_its_seed(fake):
    def faults(seed):
        fake.call("reset")
        fake.call("limits", burst=1000)
        fake.call("chaos", seed=seed, rates={"chat.postMessage": {"http": 0.5}})

        async def posts(bot):
            out = []
            for _ in range(30):
                async with bot.http.post(fake.url + "/chat.postMessage", headers={
                        "Authorization": "Bearer " + fake.hello["bot_token"]},
                        json={"channel": GENERAL, "text": "x"}) as r:
                    out.append(r.status)
            return out
        return run(fake, posts)
    one, two, other = faults(7), faults(7), faults(8)
    assert one == two != other and {200, 500} == set(one)


def test_control_is_guarded_and_strict(fake):
    assert fake.raw("fault", {"method": "x", "do": "nothing"})[0] == 400
    assert fake.raw("limits", {"burst": "many"})[0] == 400
    assert fake.raw("wait", {"what": "luck"})[0] == 400
    assert fake.raw("messages", {"colour": "red"})[0] == 400
    assert fake.raw("inject", {"do": "message", "chat": "C0NOWHERE0", "text": "x"})[0] == 400
    assert not fake.call("wait", chat=GENERAL, timeout=0.1)["ok"]


def test_the_page_and_what_it_is_told(fake):
    async def look(bot):
        root, _, query = fake.hello["page"].partition("?")
        async with bot.http.get(fake.hello["page"]) as r:
            assert r.status == 200 and "<html" in await r.text()
        async with bot.http.get(root) as r:
            assert r.status == 403
        async with bot.http.get(f"{root}events?{query}") as r:
            async def event():
                kind = (await r.content.readline()).decode().removeprefix("event: ").strip()
                data = (await r.content.readline()).decode().removeprefix("data: ")
                assert await r.content.readline() == b"\n"
                return kind, json.loads(data)
            kind, world = await event()
            assert kind == "world" and GENERAL in [c["id"] for c in world["chats"]]
            assert world["users"][ALICE] == "alice"
            await bot.ok("chat.postMessage", channel=GENERAL, text="&lt;b&gt; *bold*")
            kind, m = await event()
            assert (kind, m["from"], m["plain"]) == ("message", "bot", "<b> bold")
            assert (await event())[1]["method"] == "chat.postMessage"
    run(fake, look)


def test_ten_thousand_messages(fake):
    fake.call("limits", echo=False)

    async def drain(bot):
        ws = await bot.link()
        many = [{"do": "message", "chat": GENERAL, "text": f"m{i}"} for i in range(10000)]
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(None, lambda: fake.inject(*many))
        seen = set()
        while len(seen) < len(many):
            got = json.loads((await ws.receive()).data)
            seen.add(got["payload"]["event"]["ts"])
            await ws.send_str('{"envelope_id": "%s"}' % got["envelope_id"])
        assert seen == set(await asked)
        await loop.run_in_executor(None, lambda: fake.wait(what="idle"))
    run(fake, drain)
    assert len(fake.messages(chat=GENERAL)) == 10000
    assert whats(fake) == []


@pytest.mark.parametrize("text, plain", [
    ("*b* _i_ ~s~ `c`", "b i s c"), ("a_b_c 2*3*4", "a_b_c 2*3*4"), ("&lt;&amp;&gt;", "<&>"),
    ("<https://x.y/?a&amp;b|la &gt; bel>", "la > bel"), ("<https://x.y>", "https://x.y"),
    ("> quote\n> more", " quote\n more"), ("```a * b * c```", "a * b * c"), ("*a _b_ c*", "a b c"),
])
def test_markup_shows(text, plain):
    assert slack_markup.parse(text).plain == plain


@pytest.mark.parametrize("text", ["a & b", "&nbsp;", "a < b", "a > b", "<b>x</b>", "```x", "\0",
                                  "<https://x.y|>", "<javascript:x|y>", "<@lower>"])
def test_markup_refuses(text):
    with pytest.raises(slack_markup.Refused):
        slack_markup.parse(text)
