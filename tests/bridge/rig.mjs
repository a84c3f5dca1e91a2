// SPDX-License-Identifier: Apache-2.0
// What the bridge's tests share: WhatsApp (the driver of standin.mjs), the bridge as a process, and
// a client of PROTOCOL.md. Everything waits for what happens, never for time to pass.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
export const BRIDGE = path.join(HERE, '../../channels/whatsapp/bridge');
const { WebSocket } = createRequire(path.join(BRIDGE, 'bridge.mjs'))('ws');

export const TOKEN = 'a-token-of-the-tests-0123456789';
export const ME = {
	id: '4915119999999:7@s.whatsapp.net',
	lid: '199999999999999:7@lid',
	name: 'Chela',
};
export const ANN = { pn: '4915110000001@s.whatsapp.net', lid: '100000000000001@lid' };
export const BOB = { pn: '4915110000002@s.whatsapp.net', lid: '100000000000002@lid' };
export const GROUP = '120363000000000001@g.us';

export const within = (promise, what, ms = 15_000) => {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`waited for ${what}`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

// A queue on which one can wait for the first item that fits; what was passed over stays.
export class Inbox {
	constructor() {
		this.items = [];
		this.waiters = [];
	}

	put(item) {
		this.items.push(item);
		for (const w of [...this.waiters]) w();
	}

	take(fits = () => true, what = fits.toString()) {
		return within(
			new Promise((resolve) => {
				const look = () => {
					const i = this.items.findIndex(fits);
					if (i < 0) return;
					this.waiters.splice(this.waiters.indexOf(look), 1);
					resolve(this.items.splice(i, 1)[0]);
				};
				this.waiters.push(look);
				look();
			}),
			what,
		);
	}
}

// WhatsApp, as the test plays it.
export class WhatsApp {
	constructor() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chela-wa-'));
		this.sockets = new Inbox(); // {open, linked}
		this.calls = new Inbox(); // sendMessage and others that the test wants to see
		this.sent = []; // every sendMessage
		this.answers = {}; // name -> (args) => result; an Error with status refuses
		this.autoAck = true;
		this.number = 0;
	}

	async listen() {
		this.server = net.createServer((c) => {
			this.conn = c;
			c.on('error', () => {});
			readline
				.createInterface({ input: c })
				.on('error', () => {})
				.on('line', (l) => this.line(JSON.parse(l)));
		});
		await new Promise((r) => this.server.listen(this.path(), r));
	}

	path() {
		return path.join(this.dir, 'driver');
	}

	say(o) {
		this.conn.write(JSON.stringify(o) + '\n');
	}

	emit(name, data) {
		this.say({ emit: [name, data] });
	}

	line(o) {
		if (o.open) this.sockets.put(o);
		else if (o.call) this.called(o);
	}

	called({ call, name, args }) {
		this.calls.put({ name, args });
		const own = this.answers[name];
		let result = own
			? own(...args)
			: ({ groupFetchAllParticipating: {}, requestPairingCode: 'ABCD1234' }[name] ?? null);
		if (result === 'later') return;
		if (name === 'sendMessage')
			this.sent.push({
				jid: args[0],
				content: args[1],
				id: args[2].messageId,
				quoted: args[2].quoted,
			});
		if (result instanceof Error)
			return this.say({
				done: call,
				error: { message: result.message, status: result.status, data: result.data },
			});
		this.say({ done: call, result });
		if (name === 'sendMessage' && this.autoAck) this.ack(args[2].messageId);
	}

	ack(id, more = {}) {
		this.say({
			ws: [
				'CB:ack,class:message',
				{ tag: 'ack', attrs: { id, class: 'message', t: '1790000000', ...more } },
			],
		});
	}

	close(statusCode, message) {
		this.emit('connection.update', {
			connection: 'close',
			lastDisconnect: { error: { statusCode, message }, date: new Date() },
		});
	}

	// The account is linked and the connection stands.
	up() {
		this.emit('creds.update', { account: { details: 'x' }, me: ME });
		this.emit('connection.update', { connection: 'open' });
	}

	// A message as Baileys tells it; key fields and content over a plain one.
	message({ key = {}, message, type = 'notify', ...more }) {
		const id = key.id ?? `3A${String(++this.number).padStart(18, '0')}`;
		this.emit('messages.upsert', {
			type,
			messages: [
				{
					key: { remoteJid: ANN.pn, fromMe: false, id, ...key },
					messageTimestamp: 1_790_000_000,
					pushName: 'Ann',
					message,
					...more,
				},
			],
		});
		return id;
	}

	stop() {
		this.conn?.destroy();
		this.server.close();
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

// The bridge as a process.
export class Bridge {
	constructor(dir, driver, env = {}) {
		this.stderr = '';
		this.proc = spawn(
			process.execPath,
			[path.join(BRIDGE, 'bridge.mjs'), '--dir', dir, '--supervised', ...(env.ARGS ?? [])],
			{
				env: {
					PATH: process.env.PATH,
					CHELA_WA_TOKEN: TOKEN,
					CHELA_WA_SOCKET: path.join(HERE, 'standin.mjs'),
					CHELA_WA_DRIVER: driver,
					CHELA_WA_SPEED: '50',
					...env,
					ARGS: '',
				},
			},
		);
		this.proc.stderr.on('data', (d) => {
			this.stderr += d;
		});
		this.stdout = readline.createInterface({ input: this.proc.stdout });
		this.ended = new Promise((r) => this.proc.on('exit', (code, signal) => r(signal ?? code)));
	}

	async ready() {
		const line = await within(
			Promise.race([
				new Promise((r) => this.stdout.once('line', r)),
				this.ended.then((code) => {
					throw new Error(`the bridge ended with ${code}: ${this.stderr}`);
				}),
			]),
			'the bridge',
		);
		this.hello = JSON.parse(line);
		assert.equal(this.hello.chela_bridge, 1);
		assert.equal(this.hello.pid, this.proc.pid);
		return this;
	}

	async kill(signal = 'SIGKILL') {
		this.proc.kill(signal);
		return within(this.ended, 'the end');
	}
}

// A client of the wire.
export class Client {
	constructor(port, { headers, url = '/' } = {}) {
		this.inbox = new Inbox();
		this.ws = new WebSocket(`ws://127.0.0.1:${port}${url}`, { headers });
		this.closed = new Promise((r) => this.ws.on('close', (code) => r(code)));
		this.opened = new Promise((resolve, reject) => {
			this.ws.on('open', resolve);
			this.ws.on('error', reject);
			this.ws.on('unexpected-response', (_, res) =>
				reject(Object.assign(new Error('refused'), { status: res.statusCode })),
			);
		});
		this.ws.on('message', (d) => this.inbox.put(JSON.parse(d.toString())));
		this.number = 0;
	}

	send(o) {
		this.ws.send(typeof o === 'string' || Buffer.isBuffer(o) ? o : JSON.stringify(o));
	}

	async hello(over = {}) {
		await within(this.opened, 'the connection');
		this.send({ hello: { version: 1, token: TOKEN, client: 'test', ...over } });
		return (await this.inbox.take((f) => f.welcome, 'welcome')).welcome;
	}

	// One request; a repeat has the same id.
	async ask(op, members = {}, id = `t${++this.number}`) {
		this.send({ id, op, ...members });
		return this.inbox.take((f) => f.id === id, `the answer to ${op}`);
	}

	event(type) {
		return this.inbox.take(
			(f) => f.event && (!type || f.event.type === type),
			`an event ${type ?? ''}`,
		);
	}

	async state(state) {
		return (
			await this.inbox.take(
				(f) => f.event?.type === 'state' && f.event.state === state,
				`state ${state}`,
			)
		).event;
	}

	ack(seq) {
		this.send({ ack: seq });
	}

	end() {
		this.ws.terminate();
	}
}

// All three, up and linked unless told otherwise; everything ends with the test.
export async function rig(t, { linked = true, env } = {}) {
	const wa = new WhatsApp();
	await wa.listen();
	const dir = path.join(wa.dir, 'bridge');
	const r = { wa, dir, clients: [], bridges: [] };
	r.start = async (more = {}) => {
		r.bridge = new Bridge(dir, wa.path(), { ...env, ...more });
		r.bridges.push(r.bridge);
		await r.bridge.ready();
		return r.bridge;
	};
	r.client = async (options) => {
		const c = new Client(r.bridge.hello.port, options);
		c.opened.catch(() => {});
		r.clients.push(c);
		return c;
	};
	// a client with its welcome
	r.join = async () => {
		const c = await r.client();
		c.welcome = await c.hello();
		if (linked && c.welcome.state.state !== 'up') await c.state('up');
		return c;
	};
	// the bridge starts again with the same directory, and WhatsApp takes it back
	r.again = async () => {
		await r.start();
		await wa.sockets.take((s) => s.linked, 'the socket');
		wa.up();
	};
	t.after(async () => {
		for (const c of r.clients) c.end();
		for (const b of r.bridges) await b.kill();
		wa.stop();
	});
	if (linked) {
		fs.mkdirSync(path.join(dir, 'keys'), { recursive: true });
		fs.writeFileSync(
			path.join(dir, 'keys/creds.json'),
			JSON.stringify({ account: { details: 'x' }, me: ME }),
		);
	}
	await r.start();
	if (linked) {
		await wa.sockets.take();
		wa.up();
	}
	return r;
}
