// SPDX-License-Identifier: Apache-2.0
// Baileys, and nothing of ours. Why: tests put a stand-in of the same shape in this module's place
// (CHELA_WA_SOCKET), so all that the bridge uses of Baileys is visible here. Must never: hold
// state.
import makeWASocket, {
	Browsers,
	BufferJSON,
	downloadContentFromMessage,
	fetchLatestWaWebVersion,
	initAuthCreds,
	proto,
} from 'baileys';
import { quietLogger } from './log.mjs';

export const name = 'baileys/7.0.0-rc14';

// How keys look on disk.
export const codec = {
	newCreds: initAuthCreds,
	replacer: BufferJSON.replacer,
	reviver: BufferJSON.reviver,
	thaw: (type, value) =>
		type === 'app-state-sync-key' ? proto.Message.AppStateSyncKeyData.fromObject(value) : value,
};

// contentOf(id): base64 of a message that we sent, for retries. groupOf(jid): its metadata, if
// known.
export function open({ auth, contentOf, groupOf, version, url }) {
	return makeWASocket({
		auth,
		logger: quietLogger(),
		browser: Browsers.ubuntu('Chrome'),
		...(version && { version }),
		...(url && { waWebSocketUrl: url }), // tests
		markOnlineOnConnect: false, // the phone goes on to ring
		syncFullHistory: false,
		shouldSyncHistoryMessage: () => false, // what was before the link is not ours
		emitOwnEvents: false,
		generateHighQualityLinkPreview: false,
		shouldIgnoreJid: (jid) => /@(broadcast|newsletter)$/.test(jid ?? ''),
		getMessage: async (key) => {
			const content = contentOf(key.id);
			return content ? proto.Message.decode(Buffer.from(content, 'base64')) : undefined;
		},
		cachedGroupMetadata: async (jid) => groupOf(jid),
	});
}

export const encode = (message) =>
	Buffer.from(proto.Message.encode(message).finish()).toString('base64');

export async function freshVersion() {
	const { version, isLatest } = await fetchLatestWaWebVersion({});
	return isLatest ? version : undefined;
}

const upright = (url) => {
	try {
		const u = new URL(url);
		return u.protocol === 'https:' && /(^|\.)whatsapp\.net$/.test(u.hostname) && !u.port;
	} catch {
		return false;
	}
};

// The plain content of media as a stream. The URL comes from the sender: only WhatsApp's own hosts
// are asked.
export async function download(sock, ref) {
	const get = ({ directPath, url }) => {
		const path = /^\/[^/\\]/.test(directPath ?? '') ? directPath : undefined;
		const safe = upright(url) ? url : undefined;
		if (!path && !safe)
			throw Object.assign(new Error('the message names no place of WhatsApp'), {
				output: { statusCode: 404 },
			});
		return downloadContentFromMessage(
			{ mediaKey: Buffer.from(ref.mediaKey, 'base64'), directPath: path, url: safe },
			ref.type,
			{},
		);
	};
	try {
		return await get(ref);
	} catch (e) {
		if (![404, 410].includes(e?.output?.statusCode ?? e?.status)) throw e;
		// gone from WhatsApp's store: the sender's phone is asked to put it there again
		const again = await sock.updateMediaMessage({
			key: ref.key,
			message: {
				[ref.kind]: {
					mediaKey: Buffer.from(ref.mediaKey, 'base64'),
					directPath: ref.directPath,
					url: ref.url,
				},
			},
		});
		return get(again.message[ref.kind]);
	}
}
