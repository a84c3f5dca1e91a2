// SPDX-License-Identifier: Apache-2.0
// Stands in for Baileys' socket (socket.mjs), so that a test can be WhatsApp. It emits what the
// test tells it and asks the test what each call does, over a Unix socket on which the test listens
// (CHELA_WA_DRIVER, or standin.mjs?driver=PATH), as JSON lines:
//   here -> test: {"open":n} a new socket n; {"call":id,"name":"sendMessage","args":[...]}; {"end":n}
//   test -> here: {"emit":["messages.upsert",{...}]}, {"ws":["CB:ack,class:message",{...}]}, {"user":{...}},
//                 {"mark":n} is answered with {"heard":n} once all before it is emitted,
//                 {"done":id,"result":...}, {"done":id,"error":{"message","status"}}
// Bytes are {"type":"Buffer","data":"base64"}, as in Baileys' own files. Shapes:
// node_modules/baileys/lib/Types. Must never: be more clever than Baileys.
import { EventEmitter } from 'node:events';
import net from 'node:net';
import readline from 'node:readline';
import { Readable } from 'node:stream';

export const name = 'standin/1';

const replacer = (_, v) => {
	if (v?.type === 'Buffer' && Array.isArray(v.data))
		return { type: 'Buffer', data: Buffer.from(v.data).toString('base64') };
	return v instanceof Uint8Array
		? { type: 'Buffer', data: Buffer.from(v).toString('base64') }
		: v;
};
const reviver = (_, v) =>
	v?.type === 'Buffer' && typeof v.data === 'string' ? Buffer.from(v.data, 'base64') : v;

export const codec = {
	newCreds: () => ({ registered: false }),
	replacer,
	reviver,
	thaw: (_, v) => v,
};

const driver = net.connect(
	process.env.CHELA_WA_DRIVER ?? new URL(import.meta.url).searchParams.get('driver'),
);
driver.on('error', (e) => process.stderr.write(`standin: ${e.message}\n`));
const say = (o) => driver.write(JSON.stringify(o, replacer) + '\n');
const waiting = new Map();
let current = null;
let number = 0;
let calls = 0;

readline.createInterface({ input: driver }).on('line', (line) => {
	const o = JSON.parse(line, reviver);
	if (o.emit) current?.ev.emit(o.emit[0], booms(o.emit[1]));
	else if (o.ws) current?.ws.emit(...o.ws);
	else if (o.mark) say({ heard: o.mark });
	else if (o.done !== undefined) waiting.get(o.done)?.(o);
});

function ask(what, args) {
	return new Promise((resolve, reject) => {
		const id = ++calls;
		waiting.set(id, (o) => {
			waiting.delete(id);
			if (!o.error) return resolve(o.result);
			return reject(
				Object.assign(
					new Error(o.error.message),
					o.error.status && { output: { statusCode: o.error.status } },
					o.error.data && { data: o.error.data },
				),
			);
		});
		say({ call: id, name: what, args });
	});
}

const boom = (code, words) => Object.assign(new Error(words), { output: { statusCode: code } });

// What a test gives as {statusCode, message} becomes a Boom.
function booms(data) {
	const error = data?.lastDisconnect?.error;
	if (error)
		data.lastDisconnect.error = error.statusCode
			? boom(error.statusCode, error.message ?? 'closed')
			: new Error(error.message);
	return data;
}

// Baileys' event emitter is an object with emit and on; emit reaches those who listen.
function emitter() {
	const inner = new EventEmitter();
	return {
		emit: (...a) => inner.emit(...a),
		on: (...a) => inner.on(...a),
		off: (...a) => inner.off(...a),
	};
}

export function open({ auth, contentOf, version }) {
	const n = ++number;
	const sock = { ev: emitter(), ws: new EventEmitter(), user: auth.creds.me };
	for (const what of [
		'sendPresenceUpdate',
		'groupMetadata',
		'groupFetchAllParticipating',
		'requestPairingCode',
		'logout',
		'updateMediaMessage',
	])
		sock[what] = (...args) => ask(what, args);
	sock.sendMessage = async (jid, content, options) => {
		if (current !== sock) throw boom(428, 'Connection Closed');
		await ask('sendMessage', [
			jid,
			content,
			{ ...options, retryContent: contentOf(options.messageId) },
		]);
		return {
			key: { remoteJid: jid, fromMe: true, id: options.messageId },
			message: { conversation: JSON.stringify(content) },
		};
	};
	sock.end = () => {
		if (current === sock) current = null;
		say({ end: n });
	};
	current = sock;
	say({ open: n, linked: !!auth.creds.account, version });
	return sock;
}

export const encode = (message) => Buffer.from(JSON.stringify(message)).toString('base64');
export const freshVersion = async () => [2, 3000, 42];
export const download = async (_, ref) =>
	Readable.from([Buffer.from((await ask('download', [ref])).data)]);
