// SPDX-License-Identifier: Apache-2.0
// The websocket server of PROTOCOL.md: who may speak, in which form, and the flow of events. Why:
// everything that depends on the connection lies here; what a request does lies in requests.mjs.
// Must never: say a word about WhatsApp before the token was right.
import crypto from 'node:crypto';
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { log } from './log.mjs';

export const VERSION = 1;
const MAX_FRAME = 1 << 20;
const MAX_WAITING = 8;
const MAX_OPEN = 64;
const MAX_BACKLOG = 8 << 20;
const CLOSE = {
	hello_timeout: 4001,
	bad_frame: 4002,
	bad_token: 4003,
	bad_version: 4004,
	replaced: 4009,
	slow: 4010,
};

const same = (a, b) => {
	const h = (s) => crypto.createHash('sha256').update(s).digest();
	return crypto.timingSafeEqual(h(a), h(b));
};

export class Wire {
	// spool: the events. ask(request): Promise of the answer without its id; it never rejects.
	// greet(): the state and me for a welcome.
	constructor({
		token,
		spool,
		ask,
		greet,
		name,
		helloMs = 5000,
		pingMs = 15000,
		idleMs = 45000,
		window = 256,
	}) {
		Object.assign(this, { token, spool, ask, greet, name, helloMs, pingMs, idleMs, window });
		this.waiting = new Set();
		this.client = null;
		spool.onEvent = () => this.pump();
	}

	// Resolves with the port.
	listen(host, port) {
		this.server = http.createServer((req, res) => {
			res.writeHead(req.headers.origin ? 403 : 426);
			res.end();
		});
		this.server.maxHeadersCount = 64;
		this.wss = new WebSocketServer({
			noServer: true,
			maxPayload: MAX_FRAME,
			perMessageDeflate: false,
		});
		this.server.on('upgrade', (req, socket, head) => this.upgrade(req, socket, head));
		this.pinger = setInterval(() => this.ping(), this.pingMs);
		return new Promise((resolve, reject) => {
			this.server.once('error', reject);
			this.server.listen(port, host, () => resolve(this.server.address().port));
		});
	}

	upgrade(req, socket, head) {
		const refuse = (status, words) =>
			socket.end(
				`HTTP/1.1 ${status} ${words}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
			);
		socket.on('error', () => socket.destroy());
		if (req.headers.origin !== undefined) return refuse(403, 'Forbidden');
		if (req.url !== '/') return refuse(404, 'Not Found');
		if (this.waiting.size >= MAX_WAITING) return refuse(503, 'Service Unavailable');
		this.wss.handleUpgrade(req, socket, head, (ws) => this.arrive(ws));
	}

	arrive(ws) {
		const link = { ws, sent: 0, open: 0, heard: Date.now(), welcomed: false };
		this.waiting.add(link);
		link.timer = setTimeout(
			() => this.turnAway(link, 'hello_timeout', 'no hello in time'),
			this.helloMs,
		);
		ws.on('message', (data, binary) => {
			link.heard = Date.now();
			if (!link.over) this.frame(link, data, binary);
		});
		ws.on('pong', () => {
			link.heard = Date.now();
		});
		ws.on('ping', () => {
			link.heard = Date.now();
		});
		ws.on('error', (e) => log('warn', 'connection', { err: e.message }));
		ws.on('close', (code) => {
			clearTimeout(link.timer);
			link.over = true;
			this.waiting.delete(link);
			if (this.client === link) {
				this.client = null;
				log('info', 'client left', { code });
			}
		});
	}

	turnAway(link, code, text, more = {}) {
		if (link.over) return;
		link.over = true;
		clearTimeout(link.timer);
		this.waiting.delete(link);
		log('warn', 'client turned away', { code, text });
		link.ws.send(JSON.stringify({ error: { code, text, ...more } }));
		link.ws.close(CLOSE[code], code);
		// who does not answer the close is cut off
		setTimeout(() => link.ws.terminate(), this.helloMs).unref();
		if (this.client === link) this.client = null;
	}

	frame(link, data, binary) {
		let f;
		try {
			f = binary ? null : JSON.parse(data.toString('utf8'));
		} catch {
			/* not JSON */
		}
		if (!f || typeof f !== 'object' || Array.isArray(f))
			return this.turnAway(link, 'bad_frame', 'not a JSON object in a text frame');
		if (!link.welcomed) return this.hello(link, f.hello);
		if ('ack' in f) return this.ack(link, f.ack);
		if (
			typeof f.id !== 'string' ||
			!/^[A-Za-z0-9_-]{1,64}$/.test(f.id) ||
			typeof f.op !== 'string'
		)
			return this.turnAway(link, 'bad_frame', 'neither a request nor an ack');
		this.request(link, f);
		return undefined;
	}

	hello(link, hello) {
		if (!hello || typeof hello !== 'object' || typeof hello.token !== 'string')
			return this.turnAway(link, 'bad_frame', 'the first frame is not a hello');
		if (hello.version !== VERSION)
			return this.turnAway(link, 'bad_version', 'another version of the protocol', {
				versions: [VERSION],
			});
		if (!same(hello.token, this.token)) return this.turnAway(link, 'bad_token', 'wrong token');
		clearTimeout(link.timer);
		this.waiting.delete(link);
		if (this.client) this.turnAway(this.client, 'replaced', 'another client has come');
		this.client = link;
		link.welcomed = true;
		link.sent = this.spool.acked;
		log('info', 'client', {
			name: String(hello.client ?? '').slice(0, 60),
			unacked: this.spool.seq - this.spool.acked,
		});
		this.send(link, {
			welcome: {
				version: VERSION,
				bridge: this.name,
				session: this.spool.session,
				seq: this.spool.seq,
				acked: this.spool.acked,
				window: this.window,
				...this.greet(),
			},
		});
		this.pump();
	}

	ack(link, seq) {
		if (!Number.isSafeInteger(seq) || seq < 0 || seq > link.sent)
			return this.turnAway(link, 'bad_frame', 'an ack of what was not sent');
		this.spool.ack(seq);
		this.pump();
	}

	async request(link, f) {
		const { id, ...request } = f;
		if (link.open >= MAX_OPEN) {
			this.send(link, {
				id,
				error: {
					code: 'limited',
					text: 'too many requests at once',
					retryable: true,
					retry_ms: 1000,
				},
			});
			return;
		}
		link.open++;
		const answer = await this.ask(id, request);
		link.open--;
		this.send(link, { id, ...answer });
	}

	// An event that is not kept.
	tell(event) {
		if (this.client) this.send(this.client, { event });
	}

	send(link, frame) {
		if (link.ws.readyState !== 1 || link.over) return;
		const text = typeof frame === 'string' ? frame : JSON.stringify(frame);
		if (text.length > MAX_FRAME / 4 && Buffer.byteLength(text) > MAX_FRAME)
			log('error', 'a frame is too large', { bytes: Buffer.byteLength(text) });
		else if (link.ws.bufferedAmount > MAX_BACKLOG) this.turnAway(link, 'slow', 'does not read');
		else link.ws.send(text);
	}

	pump() {
		const link = this.client;
		if (!link) return;
		const room = this.window - (link.sent - this.spool.acked);
		for (const { seq, text } of room > 0 ? this.spool.after(link.sent, room) : []) {
			link.sent = seq;
			this.send(link, text);
		}
	}

	ping() {
		const link = this.client;
		if (!link) return;
		if (Date.now() - link.heard > this.idleMs) return link.ws.terminate();
		link.ws.ping();
	}

	async close() {
		clearInterval(this.pinger);
		for (const ws of this.wss?.clients ?? []) {
			ws.close(1001);
			setTimeout(() => ws.terminate(), 500).unref();
		}
		if (this.server) await new Promise((r) => this.server.close(r));
	}
}
