// SPDX-License-Identifier: Apache-2.0
// From a request to Baileys' calls, and from its many ways to fail to the codes of PROTOCOL.md.
// Why: what is "sent" is what WhatsApp's server has acknowledged, while Baileys is content once the
// bytes have left. Must never: call an unsure end a failure.
import { isGroup, plainJid } from './people.mjs';
import { MediaError } from './media.mjs';

const ACK_MS = 60_000;
const MEDIA_MS = 300_000;

export class Failure extends Error {
	constructor(code, text, more = {}) {
		super(text);
		this.error = {
			code,
			text: String(text).slice(0, 300),
			retryable: ['offline', 'limited', 'timeout', 'internal'].includes(code),
			...more,
		};
	}
}

// What Baileys or WhatsApp threw, as a Failure. begun: it may have been carried out.
export function failure(e, begun) {
	if (e instanceof Failure) return e;
	if (e instanceof MediaError) return new Failure(e.code, e.message);
	// an error of WhatsApp's in an answer is in data, under a status of 500
	const code = Number(typeof e?.data === 'number' ? e.data : (e?.output?.statusCode ?? 0));
	const words = e?.message ?? String(e);
	if (code === 429) return new Failure('limited', words, { retry_ms: 60_000 });
	if ([403, 404, 406, 410].includes(code)) return new Failure('gone', words);
	if ([401, 408, 428, 440, 500, 503, 515].includes(code))
		return begun
			? new Failure('timeout', words, { unsure: true })
			: new Failure('offline', words);
	if (code >= 400 && code < 500) return new Failure('refused', words);
	return new Failure('internal', words, begun ? { unsure: true } : {});
}

// An error that WhatsApp's server put into its acknowledgement.
function refusal(code) {
	if (code === '463')
		return new Failure(
			'refused',
			'WhatsApp does not let this account begin new chats at present (463)',
		);
	if (code === '429')
		return new Failure('limited', 'WhatsApp limits this account (429)', { retry_ms: 60_000 });
	if (['401', '403', '404', '406', '410'].includes(code))
		return new Failure('gone', `WhatsApp says that the chat is not there for us (${code})`);
	if (/^5/.test(code))
		return new Failure('internal', `WhatsApp failed (${code})`, { retry_ms: 5000 });
	return new Failure('refused', `WhatsApp refused it (${code})`);
}

export class Outgoing {
	constructor(session, speed = 1) {
		this.session = session;
		this.speed = speed;
	}

	offline() {
		const { state, retry_ms: retryMs } = this.session.told();
		return new Failure(
			'offline',
			`the session is ${state}`,
			retryMs ? { retry_ms: retryMs } : {},
		);
	}

	// Sends and waits for the server's acknowledgement. Returns {wa_id, ts, content}.
	async submit(jid, content, waId, options = {}, most = ACK_MS) {
		const { session } = this;
		if (session.now.state !== 'up') throw this.offline();
		let timer;
		const acked = new Promise((resolve, reject) => {
			session.acks.set(waId, (attrs) => {
				if (attrs.lost)
					reject(new Failure('timeout', 'the connection broke off', { unsure: true }));
				else if (attrs.error) reject(refusal(String(attrs.error)));
				else resolve(attrs);
			});
			timer = setTimeout(
				() => reject(new Failure('timeout', 'WhatsApp does not answer', { unsure: true })),
				most / this.speed,
			);
		});
		acked.catch(() => {});
		try {
			const sending = session.sock.sendMessage(jid, content, { ...options, messageId: waId });
			const sent = await Promise.race([sending, acked.then(() => sending)]);
			const attrs = await acked;
			return {
				wa_id: waId,
				ts: attrs.t ? Number(attrs.t) * 1000 : Date.now(),
				content: sent?.message ? session.socket.encode(sent.message) : undefined,
			};
		} catch (e) {
			throw failure(e, true);
		} finally {
			clearTimeout(timer);
			session.acks.delete(waId);
		}
	}

	// The exact key of a message of this chat, if it was seen.
	keyOf(chat, id) {
		if (this.session.sent.ours.has(id)) return { remoteJid: chat, fromMe: true, id };
		const seen = this.session.recent.get(id);
		if (!seen || !this.session.people.same(seen.chat, chat)) return null;
		return {
			remoteJid: seen.chat,
			fromMe: seen.mine,
			id,
			...(seen.by && { participant: seen.by }),
		};
	}

	// Baileys' `quoted`: the message answered to, in as much as is known.
	quoted(chat, quote) {
		if (!quote) return {};
		const seen = this.session.recent.get(quote.id);
		const key = this.keyOf(chat, quote.id) ?? {
			remoteJid: chat,
			fromMe: false,
			id: quote.id,
			...(isGroup(chat) && { participant: quote.sender }),
		};
		if (isGroup(chat) && !key.fromMe && !key.participant) return {}; // without its author a quote cannot be shown
		return { quoted: { key, message: { conversation: quote.text ?? seen?.text ?? '' } } };
	}

	send(r, waId) {
		const to = plainJid(r.to);
		const mentions = r.mentions?.length ? { mentions: r.mentions } : {};
		return this.submit(
			to,
			{ text: r.text, linkPreview: null, ...mentions },
			waId,
			this.quoted(to, r.quote),
		);
	}

	edit(r, waId) {
		const chat = plainJid(r.chat);
		if (!this.session.sent.ours.has(r.target))
			throw new Failure('not_found', 'not a message of ours');
		return this.submit(
			chat,
			{
				text: r.text,
				linkPreview: null,
				edit: { remoteJid: chat, fromMe: true, id: r.target },
			},
			waId,
		);
	}

	react(r, waId) {
		const chat = plainJid(r.chat);
		const told =
			r.from_me !== undefined || r.sender !== undefined
				? {
						remoteJid: chat,
						fromMe: !!r.from_me,
						id: r.target,
						...(isGroup(chat) && r.sender && { participant: r.sender }),
					}
				: null;
		const key = this.keyOf(chat, r.target) ?? told;
		if (!key) throw new Failure('not_found', 'the message is not known (any more)');
		return this.submit(chat, { react: { text: r.emoji, key } }, waId);
	}

	send_media(r, waId) {
		const to = plainJid(r.to);
		const { media } = this.session;
		if (media.whole(r.hash) < 0) throw new Failure('not_found', 'put the file first');
		media.touch(r.hash);
		const url = { url: media.file(r.hash) };
		const caption = r.caption ? { caption: r.caption } : {};
		const kind = r.mime.split(';')[0];
		let content = { document: url, mimetype: r.mime, fileName: r.name, ...caption };
		if (/^image\/(jpeg|png|webp)$/.test(kind))
			content = { image: url, mimetype: kind, ...caption };
		else if (/^video\/(mp4|3gpp)$/.test(kind))
			content = { video: url, mimetype: kind, ...caption };
		else if (kind.startsWith('audio/'))
			content = {
				audio: url,
				mimetype: r.voice && kind === 'audio/ogg' ? 'audio/ogg; codecs=opus' : kind,
				ptt: !!r.voice && kind === 'audio/ogg',
			};
		return this.submit(to, content, waId, this.quoted(to, r.quote), MEDIA_MS);
	}

	async typing(r) {
		if (this.session.now.state === 'up')
			this.session.sock
				.sendPresenceUpdate(r.on ? 'composing' : 'paused', plainJid(r.chat))
				.catch(() => {});
	}

	async group(r) {
		if (this.session.now.state !== 'up') throw this.offline();
		const { people } = this.session;
		const g = await this.session.group(plainJid(r.jid)).catch((e) => {
			throw failure(e, false);
		});
		const most = 1024;
		const participants = (g?.participants ?? [])
			.slice(0, most)
			.map((p) => ({ ...people.identity(p.id), admin: !!p.admin }));
		return {
			group: {
				jid: g.id,
				subject: g.subject ?? '',
				participants,
				...(g.participants?.length > most && { truncated: true }),
			},
		};
	}
}
