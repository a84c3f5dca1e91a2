# SPDX-License-Identifier: Apache-2.0
"""The fake of Telegram does what it says: it refuses, delivers, misbehaves and records."""
import asyncio
import ssl

import aiohttp
import pytest

import fake_client
import telegram_markup
import testca

ALICE, FAMILY, WORK, PROJECT = "1001", "-2001", "-1003001", "-1003002"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return testca.make(str(tmp_path_factory.mktemp("telegram-ca")))


@pytest.fixture(scope="module")
def shared(certs):
    fake = fake_client.Telegram(certs)
    yield fake
    fake.stop(check=False)


@pytest.fixture
def fake(shared):
    shared.call("reset")
    return shared


class Bot:
    def __init__(self, fake):
        self.fake = fake
        self.root = f"{fake.url}/bot{fake.hello['bot_token']}"

    async def __aenter__(self):
        trust = ssl.create_default_context(cafile=f"{self.fake.certs}/ca.pem")
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))
        return self

    async def __aexit__(self, *_):
        await self.http.close()

    async def post(self, method, data=None, **args):
        body = {"data": data} if data is not None else {"json": args}
        async with self.http.post(f"{self.root}/{method}", **body) as r:
            return r.status, await r.json(content_type=None)

    async def ok(self, method, data=None, **args):
        status, body = await self.post(method, data, **args)
        assert status == 200 and body["ok"], body
        return body["result"]

    async def error(self, method, data=None, **args):
        status, body = await self.post(method, data, **args)
        assert not body["ok"] and body["error_code"] == status
        return body["description"]

    async def updates(self, offset=0, timeout=5, **more):
        return await self.ok("getUpdates", offset=offset, timeout=timeout, **more)


def run(fake, what):
    async def body():
        async with Bot(fake) as bot:
            return await what(bot)
    return asyncio.run(body())


def whats(fake):
    return [v["what"] for v in fake.call("violations", clear=True)["violations"]]


def test_a_conversation(fake):
    async def talk(bot):
        assert (await bot.ok("getMe"))["username"] == fake.hello["username"]
        mid, = fake.inject(do="message", chat=ALICE, text="/new hi @chela_fake_bot")
        u, = await bot.updates()
        assert u["message"]["message_id"] == int(mid)
        assert [e["type"] for e in u["message"]["entities"]] == ["bot_command", "mention"]
        sent = await bot.ok("sendMessage", chat_id=ALICE, text="<b>yes</b> &lt;3",
                            parse_mode="HTML", reply_parameters={"message_id": int(mid)})
        assert sent["text"] == "yes <3" and sent["entities"][0]["type"] == "bold"
        assert sent["reply_to_message"]["message_id"] == int(mid)
        args = {"chat_id": int(ALICE), "message_id": sent["message_id"], "text": "no"}
        await bot.ok("editMessageText", **args)
        assert "not modified" in await bot.error("editMessageText", **args)
        await bot.ok("setMessageReaction", chat_id=ALICE, message_id=int(mid),
                     reaction=[{"type": "emoji", "emoji": "👍"}])
        await bot.ok("sendChatAction", chat_id=ALICE, action="typing")
        await bot.ok("sendMessageDraft", chat_id=ALICE, draft_id=7, text="so far")
        await bot.ok("setMyCommands", commands=[{"command": "new", "description": "Start over"}])
        return mid
    mid = run(fake, talk)
    m, = fake.wait(**{"from": "bot"})
    assert (m["text"], m["reply_to"], m["edits"][0]["text"]) == ("no", mid, "<b>yes</b> &lt;3")
    fake.wait(id=mid, reaction="👍")
    assert [s["kind"] for s in fake.call("signs")["signs"]] == ["typing", "draft"]
    assert whats(fake) == []


def test_the_offset_confirms_what_is_before_it(fake):
    async def poll(bot):
        fake.inject(*({"do": "message", "chat": ALICE, "text": str(i)} for i in range(5)))
        first = await bot.updates(limit=3)
        again = await bot.updates(limit=3)
        assert first == again and len(first) == 3  # nothing was confirmed
        rest = await bot.updates(first[-1]["update_id"] + 1)
        assert [u["message"]["text"] for u in rest] == ["3", "4"]
        assert fake.call("stats")["pending"] == 2
        assert not fake.call("wait", what="idle", timeout=0.1)["ok"]
        last = rest[-1]["update_id"]
        assert (await bot.updates(-1))[0]["update_id"] == last
        assert await bot.updates(last + 1, timeout=0) == []
        fake.wait(what="idle")
        waiting = asyncio.ensure_future(bot.updates(last + 1, timeout=20))
        await asyncio.get_running_loop().run_in_executor(
            None, lambda: fake.wait(what="waiting"))
        fake.inject(do="message", chat=ALICE, text="woken")
        assert (await waiting)[0]["message"]["text"] == "woken"
    run(fake, poll)
    assert whats(fake) == []


def test_two_pollers_are_in_conflict(fake):
    async def poll(bot):
        first = asyncio.ensure_future(bot.post("getUpdates", timeout=20))
        await asyncio.get_running_loop().run_in_executor(None, lambda: fake.wait(
            what="waiting"))
        second = asyncio.ensure_future(bot.post("getUpdates", timeout=20))
        assert (await first)[0] == 409
        fake.inject(do="message", chat=ALICE, text="x")
        assert (await second)[0] == 200
        fake.call("wire", do="conflict", count=2)
        assert [(await bot.post("getUpdates"))[0] for _ in range(3)] == [409, 409, 200]
        fake.call("wire", do="webhook")
        assert "webhook" in await bot.error("getUpdates")
        await bot.ok("deleteWebhook", drop_pending_updates=False)
        assert len(await bot.updates()) == 1
    run(fake, poll)
    assert whats(fake) == []


@pytest.mark.parametrize("args, words", [
    ({"text": "<b>x", "parse_mode": "HTML"}, "can't parse entities"),
    ({"text": "a & b", "parse_mode": "HTML"}, "can't parse entities"),
    ({"text": "<h1>x</h1>", "parse_mode": "HTML"}, "unsupported start tag"),
    ({"text": "x", "parse_mode": "MarkdownV2"}, "parse_mode"),
    ({"text": "😀" * 2049}, "too long"),
    ({"text": " \n"}, "empty"),
    ({"text": 5}, "text must be"),
    ({"text": "x", "thread": 1}, "unknown"),
    ({"text": "x", "message_thread_id": 7}, "thread not found"),
    ({"text": "x", "message_thread_id": "7"}, "must be int"),
    ({"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "b", "callback_data":
                                                          "x" * 65}]]}}, "BUTTON_DATA_INVALID"),
    ({}, "required"),
])
def test_a_wrong_message_is_refused_and_recorded(fake, args, words):
    assert words in run(fake, lambda bot: bot.error("sendMessage", chat_id=ALICE, **args))
    assert len(whats(fake)) == 1


def test_4096_units_after_parsing_are_allowed(fake):
    text = "<b>" + "😀" * 2047 + "</b>&lt;&gt;"
    run(fake, lambda bot: bot.ok("sendMessage", chat_id=ALICE, text=text, parse_mode="HTML"))
    assert whats(fake) == []


def test_other_rules(fake):
    async def tries(bot):
        assert "not found" in await bot.error("sendMessage", chat_id="4711", text="x")
        assert "PEER" in await bot.error("sendMessageDraft", chat_id=WORK, draft_id=1, text="x")
        mid, = fake.inject(do="message", chat=ALICE, text="x")
        for emoji, words in (("🥔", "REACTION_INVALID"), ("👍", None)):
            args = {"chat_id": ALICE, "message_id": int(mid),
                    "reaction": [{"type": "emoji", "emoji": emoji}]}
            if words:
                assert words in await bot.error("setMessageReaction", **args)
            else:
                await bot.ok("setMessageReaction", **args)
        assert "to be replied" in await bot.error("sendMessage", chat_id=ALICE, text="x",
                                                  reply_parameters={"message_id": 9999})
        assert await bot.error("sendNothing") == "Not Found"
        bot.root = fake.url + "/bot1:wrong"
        assert await bot.error("getMe") == "Unauthorized"
    run(fake, tries)
    assert len(whats(fake)) == 3


def test_groups_topics_and_moves(fake):
    fake.call("limits", privacy=True)

    async def talk(bot):
        assert not (await bot.ok("getMe"))["can_read_all_group_messages"]
        fake.inject({"do": "message", "chat": WORK, "text": "not for us"},
                    {"do": "message", "chat": WORK, "text": "for us", "mention": True},
                    {"do": "command", "chat": PROJECT, "thread": "11", "command": "/new@chela_fake_bot"})
        one, two = await bot.updates()
        assert one["message"]["text"] == "@chela_fake_bot for us"
        topic = two["message"]
        assert topic["message_thread_id"] == 11 and topic["is_topic_message"]
        assert "forum_topic_created" in topic["reply_to_message"]
        await bot.ok("sendMessage", chat_id=PROJECT, message_thread_id=11, text="there")
        to, = fake.inject(do="migrate", chat=FAMILY)
        status, body = await bot.post("sendMessage", chat_id=FAMILY, text="x")
        assert status == 400 and body["parameters"]["migrate_to_chat_id"] == int(to)
        await bot.ok("sendMessage", chat_id=to, text="x")
        fake.call("chat", id=WORK, state="kicked")
        status, body = await bot.post("sendMessage", chat_id=WORK, text="x")
        assert status == 403
        got = await bot.updates(two["update_id"] + 1)
        assert "my_chat_member" in got[-1]
    run(fake, talk)
    assert whats(fake) == []


def test_reactions_come_when_asked_for(fake):
    async def talk(bot):
        mid, = fake.inject(do="message", chat=ALICE, text="x")
        fake.inject(do="react", chat=ALICE, id=mid, emoji="👍")
        u, = await bot.updates()
        await bot.updates(u["update_id"] + 1, timeout=0,
                          allowed_updates=["message", "message_reaction", "callback_query"])
        fake.inject(do="react", chat=ALICE, id=mid, emoji="🔥")
        fake.inject(do="edit", chat=ALICE, id=mid, text="not asked for")
        r, = await bot.updates(u["update_id"] + 1)
        assert r["message_reaction"]["new_reaction"][0]["emoji"] == "🔥"
        assert r["message_reaction"]["old_reaction"][0]["emoji"] == "👍"
    run(fake, talk)


def test_files_and_buttons(fake):
    async def carry(bot):
        fake.inject(do="message", chat=ALICE, text="see", files=[
            {"kind": "photo", "base64": "aGV5"}, {"kind": "document", "name": "a.txt",
                                                  "text": "body"}])
        photo, doc = (u["message"] for u in await bot.updates())
        assert photo["caption"] == "see" and photo["media_group_id"] == doc["media_group_id"]
        for ref, body in ((photo["photo"][-1]["file_id"], b"hey"),
                          (doc["document"]["file_id"], b"body")):
            path = (await bot.ok("getFile", file_id=ref))["file_path"]
            url = f"{fake.url}/file/bot{fake.hello['bot_token']}/{path}"
            async with bot.http.get(url) as r:
                assert await r.read() == body
        form = aiohttp.FormData()
        form.add_field("chat_id", ALICE)
        form.add_field("caption", "<i>out</i>")
        form.add_field("parse_mode", "HTML")
        form.add_field("reply_markup", '{"inline_keyboard":[[{"text":"Go","callback_data":"g"}]]}')
        form.add_field("document", b"12345", filename="out.bin", content_type="text/plain")
        sent = await bot.ok("sendDocument", form)
        fake.inject(do="press", chat=ALICE, id=str(sent["message_id"]), label="Go")
        got = (await bot.updates())[-1]["callback_query"]
        assert got["data"] == "g"
        await bot.ok("answerCallbackQuery", callback_query_id=got["id"])
        assert "required" in await bot.error("sendPhoto", chat_id=ALICE)
    run(fake, carry)
    m, = fake.wait(file="out.bin")
    assert m["plain"] == "out" and fake.file(m["files"][0]["id"]) == b"12345"
    assert len(whats(fake)) == 1


def test_rates_and_faults(fake):
    fake.call("limits", burst=2)

    async def suffer(bot):
        got = [await bot.post("sendMessage", chat_id=ALICE, text=str(i)) for i in range(3)]
        assert [g[0] for g in got] == [200, 200, 429]
        assert got[2][1]["parameters"]["retry_after"] == 1
        assert (await bot.post("sendMessage", chat_id="1002", text="x"))[0] == 200
        fake.call("limits", burst=100)
        fake.call("fault", method="sendMessage", do="lost")
        fake.call("fault", method="getUpdates", do="conflict")
        fake.call("fault", method="getMe", do="error", error="x", description="Unauthorized")
        assert (await bot.post("getMe"))[0] == 401
        with pytest.raises(aiohttp.ClientError):
            await bot.post("sendMessage", chat_id="1002", text="lost reply")
        assert (await bot.post("getUpdates"))[0] == 409
        waiting = asyncio.ensure_future(bot.post("getUpdates", timeout=20))
        await asyncio.get_running_loop().run_in_executor(None, lambda: fake.wait(what="waiting"))
        fake.call("wire", do="drop")
        with pytest.raises(aiohttp.ClientError):
            await waiting
    run(fake, suffer)
    assert len(fake.messages(chat="1002", text="lost reply")) == 1
    assert whats(fake) == []


def test_ten_thousand_updates(fake):
    async def drain(bot):
        ids = fake.inject(*({"do": "message", "chat": ALICE, "text": f"m{i}"}
                            for i in range(10000)))
        offset, seen = 0, []
        while len(seen) < 10000:
            got = await bot.updates(offset)
            seen += [str(u["message"]["message_id"]) for u in got]
            offset = got[-1]["update_id"] + 1
        assert seen == ids
        await bot.updates(offset, timeout=0)
    run(fake, drain)
    fake.wait(what="idle")
    assert whats(fake) == []


@pytest.mark.parametrize("text, plain", [
    ("<b>b</b> <i>i<u>u</u></i>", "b iu"), ("&lt;&amp;&gt;&quot;&#39;&#x41;", "<&>\"'A"),
    ('<pre><code class="language-c">x</code></pre>', "x"), ('<a href="https://x.y">l</a>', "l"),
    ("<blockquote><b>q</b></blockquote>", "q"),
])
def test_markup_shows(text, plain):
    got = telegram_markup.parse(text)
    assert got.plain == plain and not got.loose


@pytest.mark.parametrize("text", ["<b>", "</b>", "<b><i></b></i>", "<x>x</x>", "a < b", "<br>",
                                  "<code><b>x</b></code>", "<b style=\"x\">x</b>", "&#0;",
                                  "<blockquote><blockquote>x</blockquote></blockquote>"])
def test_markup_refuses(text):
    with pytest.raises(telegram_markup.CannotParse):
        telegram_markup.parse(text)


@pytest.mark.parametrize("text", ["a & b", "a > b", "&nbsp;", "<b><code>x</code></b>",
                                  "<b><b>x</b></b>", '<a href="x">y</a>'])
def test_markup_is_loose(text):
    assert telegram_markup.parse(text).loose
