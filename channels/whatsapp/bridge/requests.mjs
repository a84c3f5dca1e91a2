// SPDX-License-Identifier: Apache-2.0
// The requests of PROTOCOL.md: their forms, their order within a chat, and that each is carried out
// once. Must never: do a request twice because it was asked twice, or keep an answer that was a
// failure.
import { Failure, failure } from './outgoing.mjs';
import { CHUNK, MAX_FILE } from './media.mjs';
import { digest, Sent } from './sent.mjs';
import { log } from './log.mjs';
import { isGroup, plainJid } from './people.mjs';

const MAX_TEXT = 65_536;
const text = (least, most) => (v) =>
	typeof v === 'string' &&
	Buffer.byteLength(v) >= least &&
	Buffer.byteLength(v) <= most &&
	!v.includes('\0');
const match = (re) => (v) => typeof v === 'string' && re.test(v);
const jid = match(/^[0-9]{5,20}(-[0-9]{5,20})?@(s\.whatsapp\.net|lid|g\.us)$/);
const hash = match(/^[0-9a-f]{64}$/);
const mid = match(/^[A-Za-z0-9_-]{1,64}$/);
const bool = (v) => typeof v === 'boolean';
const count = (most) => (v) => Number.isSafeInteger(v) && v >= 0 && v <= most;
const jids = (v) => Array.isArray(v) && v.length <= 256 && v.every(jid);
const name = (v) => text(1, 255)(v) && !/[/\u0000-\u001f\u007f]/.test(v);
const quote = (v) =>
	!!v &&
	typeof v === 'object' &&
	mid(v.id) &&
	(v.sender === undefined || jid(v.sender)) &&
	(v.text === undefined || text(0, 4096)(v.text));

// op -> [must have, may have]
const FORMS = {
	send: [
		{ to: jid, text: text(1, MAX_TEXT) },
		{ quote, mentions: jids },
	],
	edit: [{ chat: jid, target: mid, text: text(1, MAX_TEXT) }, {}],
	react: [
		{ chat: jid, target: mid, emoji: text(0, 64) },
		{ sender: jid, from_me: bool },
	],
	send_media: [
		{
			to: jid,
			hash,
			mime: match(/^[a-z0-9.+-]{1,60}\/[A-Za-z0-9.+-]{1,100}(; ?[\w=.,+-]{1,80})?$/),
			name,
		},
		{ caption: text(1, MAX_TEXT), voice: bool, quote },
	],
	put: [
		{
			hash,
			size: count(Number.MAX_SAFE_INTEGER),
			offset: count(MAX_FILE),
			data: match(/^[A-Za-z0-9+/]*={0,2}$/),
		},
		{},
	],
	fetch: [{ hash, offset: count(MAX_FILE) }, { max: count(CHUNK) }],
	typing: [{ chat: jid, on: bool }, {}],
	group: [{ jid }, {}],
	link: [{}, { phone: match(/^[0-9]{6,15}$/), force: bool }],
	logout: [{}, {}],
	ping: [{}, {}],
};
const ONCE = new Set(['send', 'edit', 'react', 'send_media']);

function check(r) {
	const form = Object.hasOwn(FORMS, r.op) && FORMS[r.op];
	if (!form) throw new Failure('bad_request', `no op ${r.op.slice(0, 30)}`);
	for (const [key, ok] of Object.entries(form[0]))
		if (!ok(r[key])) throw new Failure('bad_request', `${r.op}: ${key} is missing or wrong`);
	for (const [key, ok] of Object.entries(form[1]))
		if (r[key] !== undefined && !ok(r[key]))
			throw new Failure('bad_request', `${r.op}: ${key} is wrong`);
}

export class Requests {
	constructor({ session, outgoing, sent, media, spool }) {
		Object.assign(this, { session, outgoing, sent, media, spool });
		this.running = new Map(); // id -> {digest, promise}
		this.tails = new Map(); // chat -> the last request's end
	}

	// The answer to a request, without its id. Never rejects.
	async ask(id, r) {
		try {
			check(r);
			return ONCE.has(r.op) ? await this.once(id, r) : { ok: true, ...(await this[r.op](r)) };
		} catch (e) {
			const f = failure(e, false);
			if (f.error.code === 'internal')
				log('error', 'a request failed', { op: r.op, err: f.error.text });
			return { error: f.error };
		}
	}

	async once(id, r) {
		const mark = digest(r);
		const before = this.sent.get(id) ?? this.running.get(id);
		if (before) {
			if (before.digest !== mark)
				throw new Failure('bad_request', 'the id was used with another content');
			const answer = before.answer ?? (await before.promise);
			return answer.ok ? { ...answer, repeat: true } : answer;
		}
		const promise = this.inOrder(r.to ?? r.chat, () => this.carryOut(id, mark, r))
			.catch((e) => ({ error: failure(e, false).error }))
			.finally(() => this.running.delete(id));
		this.running.set(id, { digest: mark, promise });
		return promise;
	}

	// One after the other within a chat.
	inOrder(chat, work) {
		const { people } = this.session;
		const key = isGroup(chat) ? chat : people.identity(plainJid(chat)).jid;
		const mine = (this.tails.get(key) ?? Promise.resolve()).then(work);
		const tail = mine
			.catch(() => {})
			.then(() => {
				if (this.tails.get(key) === tail) this.tails.delete(key);
			});
		this.tails.set(key, tail);
		return mine;
	}

	async carryOut(id, mark, r) {
		const { content, ...done } = await this.outgoing[r.op](r, Sent.waId(id));
		const answer = { ok: true, ...done };
		try {
			await this.sent.keep(id, mark, answer, content);
		} catch (e) {
			throw new Failure('internal', `sent, but not kept: ${e.message}`, { unsure: true });
		}
		return answer;
	}

	put(r) {
		return { have: this.media.put(r.hash, r.size, r.offset, Buffer.from(r.data, 'base64')) };
	}

	fetch(r) {
		return this.media.get(r.hash, r.offset, r.max || CHUNK, this.session.now.state === 'up');
	}

	typing(r) {
		return this.outgoing.typing(r);
	}

	group(r) {
		return this.outgoing.group(r);
	}

	async link(r) {
		try {
			return { state: await this.session.link(r.phone, r.force) };
		} catch (e) {
			throw new Failure('bad_request', e.message);
		}
	}

	logout() {
		return this.session.logout();
	}

	ping() {
		return {
			state: this.session.told(),
			seq: this.spool.seq,
			acked: this.spool.acked,
			now: Date.now(),
		};
	}
}
