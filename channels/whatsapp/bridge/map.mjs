// SPDX-License-Identifier: Apache-2.0
// From Baileys' messages to the events of PROTOCOL.md. Why: the shapes of WhatsApp's protobuf stop
// here. Pure but for what `people` learns. Must never: throw for a message that it does not know.
import { isGroup, plainJid } from './people.mjs';

const MAX_TEXT = 65_536;
const MAX_QUOTE = 4_096;
// proto.Message.ProtocolMessage.Type; a test compares them with Baileys' own
export const REVOKE = 0;
export const MESSAGE_EDIT = 14;
// envelopes around the content
const WRAPS = [
	'ephemeralMessage',
	'viewOnceMessage',
	'viewOnceMessageV2',
	'viewOnceMessageV2Extension',
	'documentWithCaptionMessage',
	'editedMessage',
	'lottieStickerMessage',
	'groupMentionedMessage',
	'botInvokeMessage',
	'associatedChildMessage',
	'deviceSentMessage',
];
const MEDIA = {
	imageMessage: 'image',
	videoMessage: 'video',
	ptvMessage: 'video',
	audioMessage: 'audio',
	documentMessage: 'document',
	stickerMessage: 'sticker',
};
// what says nothing to a person
const SILENT = new Set([
	'senderKeyDistributionMessage',
	'fastRatchetKeySenderKeyDistributionMessage',
	'messageContextInfo',
	'protocolMessage',
	'reactionMessage',
	'encReactionMessage',
	'pollUpdateMessage',
	'keepInChatMessage',
	'pinInChatMessage',
	'albumMessage',
	'call',
	'callLogMesssage',
	'encEventResponseMessage',
	'secretEncryptedMessage',
	'stickerSyncRmrMessage',
	'placeholderMessage',
	'encCommentMessage',
	'chat',
	'requestPhoneNumberMessage',
	'messageHistoryBundle',
	'messageHistoryNotice',
	'statusNotificationMessage',
	'bcallMessage',
]);

export const number = (v) =>
	(typeof v?.toNumber === 'function' ? v.toNumber() : Number(v ?? 0)) || 0;

export function clip(text, max) {
	text = String(text ?? '')
		.replace(/\u0000/g, '')
		.toWellFormed();
	if (Buffer.byteLength(text) <= max) return text;
	const bytes = Buffer.from(text);
	let end = max;
	while ((bytes[end] & 0xc0) === 0x80) end--;
	return bytes.toString('utf8', 0, end);
}

export function unwrap(message) {
	for (let i = 0; i < 6; i++) {
		const wrap = WRAPS.find((w) => message?.[w]?.message);
		if (!wrap) break;
		message = message[wrap].message;
	}
	return message ?? {};
}

function poll(p) {
	return (
		`Poll: ${p.name ?? ''}\n` +
		(p.options ?? []).map((o) => `- ${o.optionName ?? ''}`).join('\n')
	);
}

function place(l) {
	return [
		'Location:',
		l.name,
		l.address,
		`${l.degreesLatitude}, ${l.degreesLongitude}`,
		l.caption ?? l.comment,
	]
		.filter(Boolean)
		.join(' ');
}

// How each kind of content reads.
const TEXTS = {
	conversation: (c) => c,
	extendedTextMessage: (c) => c.text,
	imageMessage: (c) => c.caption,
	videoMessage: (c) => c.caption,
	ptvMessage: (c) => c.caption,
	documentMessage: (c) => c.caption,
	audioMessage: () => '',
	stickerMessage: () => '',
	contactMessage: (c) => `Contact: ${c.displayName ?? ''}\n${c.vcard ?? ''}`,
	contactsArrayMessage: (c) =>
		(c.contacts ?? [])
			.map((x) => `Contact: ${x.displayName ?? ''}\n${x.vcard ?? ''}`)
			.join('\n'),
	locationMessage: place,
	liveLocationMessage: place,
	pollCreationMessage: poll,
	pollCreationMessageV2: poll,
	pollCreationMessageV3: poll,
	eventMessage: (c) => `Event: ${c.name ?? ''}\n${c.description ?? ''}`,
	groupInviteMessage: (c) => `Invitation to the group ${c.groupName ?? ''}. ${c.caption ?? ''}`,
	buttonsResponseMessage: (c) => c.selectedDisplayText ?? c.selectedButtonId,
	templateButtonReplyMessage: (c) => c.selectedDisplayText ?? c.selectedId,
	listResponseMessage: (c) => c.title ?? c.singleSelectReply?.selectedRowId,
};

// The kind of content and the content; kind '' = nothing for a person.
export function contentOf(message) {
	const m = unwrap(message);
	const kinds = Object.keys(m).filter((k) => m[k] !== null && m[k] !== undefined && m[k] !== '');
	const kind = kinds.find((k) => TEXTS[k]) ?? kinds.find((k) => !SILENT.has(k)) ?? '';
	return { kind, content: m[kind], all: m };
}

function textOf(kind, content, max) {
	const text = TEXTS[kind]
		? TEXTS[kind](content)
		: kind &&
			`[a message of a kind that cannot be read here: ${kind.replace(/Message.*/, '')}]`;
	return clip(text, max);
}

const hex = (v) =>
	v ? Buffer.from(v, typeof v === 'string' ? 'base64' : undefined).toString('hex') : '';
const b64 = (v) =>
	v ? Buffer.from(v, typeof v === 'string' ? 'base64' : undefined).toString('base64') : '';

// [what the event tells, how to fetch it] or null.
function mediaOf(kind, c, key) {
	if (!MEDIA[kind]) return null;
	const hash = hex(c.fileSha256);
	const known = hash.length === 64 && c.mediaKey && (c.directPath || c.url);
	const told = {
		...(known && { hash }),
		size: c.fileLength === undefined || c.fileLength === null ? -1 : number(c.fileLength),
		mime: clip(c.mimetype, 200),
		name: clip(c.fileName, 255),
		kind: kind === 'audioMessage' && c.ptt ? 'voice' : MEDIA[kind],
		...(c.seconds && { seconds: number(c.seconds) }),
	};
	const ref = known
		? {
				kind,
				type: MEDIA[kind],
				mediaKey: b64(c.mediaKey),
				directPath: c.directPath ?? '',
				url: c.url ?? '',
				mime: told.mime,
				key,
			}
		: null;
	return [told, ref];
}

export class Mapper {
	// people: People. me(): {pn, lid} in plain form, or null. subject(jid): a group's name or ''.
	// ours(id): the bridge itself sent it.
	constructor({ people, me, subject, ours }) {
		Object.assign(this, { people, me, subject, ours });
	}

	isMe(jid) {
		const me = this.me();
		jid = plainJid(jid);
		return (
			!!me &&
			!!jid &&
			(jid === me.pn || jid === me.lid || this.people.same(jid, me.pn ?? me.lid))
		);
	}

	meIdentity() {
		const me = this.me();
		return me ? this.people.identity(me.pn ?? me.lid) : { jid: '' };
	}

	learn(wm) {
		const k = wm.key;
		if (k.participant) this.people.learn(k.participant, k.participantAlt);
		else if (!k.fromMe || !this.isMe(k.remoteJidAlt))
			// of one's own message the other name may be one's own
			this.people.learn(k.remoteJid, k.remoteJidAlt);
		if (wm.pushName && !k.fromMe)
			this.people.learnName(k.participant || k.remoteJid, wm.pushName);
	}

	chat(key) {
		const jid = plainJid(key.remoteJid);
		if (isGroup(jid)) {
			const subject = this.subject(jid);
			return { jid, group: true, ...(subject && { subject }) };
		}
		return { ...this.people.identity(jid), group: false };
	}

	sender(key) {
		if (key.fromMe) return this.meIdentity();
		return this.people.identity(key.participant || key.remoteJid);
	}

	// type: Baileys' upsert type. Returns {event, media} (media: [hash, ref] or undefined), or null
	// when there is nothing to tell.
	message(wm, type) {
		const key = wm?.key;
		const chat = plainJid(key?.remoteJid);
		if (
			!key?.id ||
			!/@(s\.whatsapp\.net|lid|g\.us)$/.test(chat) ||
			!wm.message ||
			wm.category === 'peer'
		)
			return null;
		if (isGroup(chat) && !key.fromMe && !key.participant) return null;
		this.learn(wm);
		if (key.fromMe && this.ours(key.id)) return null;
		const common = {
			id: key.id,
			chat: this.chat(key),
			sender: this.sender(key),
			from_me: !!key.fromMe,
			ts: number(wm.messageTimestamp) * 1000,
		};
		return this.change(wm, common) ?? this.spoken(wm, common, type);
	}

	// Edit, delete and reaction are messages about a message.
	change(wm, common) {
		const { all } = contentOf(wm.message);
		const p = all.protocolMessage;
		if (p && number(p.type) === REVOKE && p.key?.id)
			return { event: { type: 'delete', ...common, target: p.key.id } };
		if (p && number(p.type) === MESSAGE_EDIT && p.key?.id) {
			const { kind, content } = contentOf(p.editedMessage);
			return {
				event: {
					type: 'edit',
					...common,
					target: p.key.id,
					text: textOf(kind, content, MAX_TEXT),
				},
			};
		}
		const r = all.reactionMessage;
		if (r?.key?.id)
			return {
				event: {
					type: 'reaction',
					...common,
					target: r.key.id,
					target_from_me: !!r.key.fromMe || this.ours(r.key.id),
					emoji: clip(r.text, 64),
				},
			};
		return null;
	}

	spoken(wm, common, type) {
		const { kind, content } = contentOf(wm.message);
		if (!kind) return null;
		const info = content?.contextInfo ?? {};
		const mentions = (info.mentionedJid ?? [])
			.slice(0, 256)
			.map((j) => this.people.identity(j))
			.filter((i) => i.jid);
		const event = {
			type: 'message',
			...common,
			text: textOf(kind, content, MAX_TEXT),
			mentions,
			mentioned_me: mentions.some((i) => this.isMe(i.jid)),
			reply_to_me:
				!!info.stanzaId && (this.isMe(info.participant) || this.ours(info.stanzaId)),
			forwarded: !!info.isForwarded,
			media: [],
			history: type === 'append',
		};
		if (info.stanzaId) {
			const q = contentOf(info.quotedMessage);
			event.quote = {
				id: info.stanzaId,
				text: textOf(q.kind, q.content, MAX_QUOTE),
				sender: this.people.identity(info.participant || wm.key.remoteJid),
			};
		}
		const media = mediaOf(kind, content, {
			remoteJid: wm.key.remoteJid,
			fromMe: !!wm.key.fromMe,
			id: wm.key.id,
			participant: wm.key.participant ?? undefined,
		});
		if (media) event.media.push(media[0]);
		return { event, media: media?.[1] && [media[0].hash, media[1]] };
	}
}
