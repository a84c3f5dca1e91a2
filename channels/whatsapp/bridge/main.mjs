// SPDX-License-Identifier: Apache-2.0
// The bridge's household: arguments, the lock of its directory, and the parts put together. Why it
// exists: PROTOCOL.md. Must never: print anything but its one line on standard output, or outlive
// its parent when it has one.
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { parseArgs } from 'node:util';
import qrcode from 'qrcode-terminal';
import { Keys } from './keys.mjs';
import { log } from './log.mjs';
import { Media } from './media.mjs';
import { Outgoing } from './outgoing.mjs';
import { People, Recent } from './people.mjs';
import { Requests } from './requests.mjs';
import { Sent } from './sent.mjs';
import { Session } from './session.mjs';
import { Spool } from './spool.mjs';
import { VERSION, Wire } from './wire.mjs';

const PATIENCE_MS = 4000; // more than a bridge takes to end

const end = (status, why) => {
	log(status ? 'error' : 'info', why);
	process.exit(status);
};

function settings() {
	let values;
	try {
		({ values } = parseArgs({
			options: {
				dir: { type: 'string' },
				host: { type: 'string', default: '127.0.0.1' },
				port: { type: 'string', default: '0' },
				'token-file': { type: 'string' },
				supervised: { type: 'boolean' },
			},
		}));
	} catch (e) {
		end(2, e.message);
	}
	if (!values.dir || !/^\d{1,5}$/.test(values.port))
		end(
			2,
			'usage: bridge.mjs --dir DIR [--host H] [--port N] [--token-file FILE] [--supervised]',
		);
	return { ...values, token: token(values['token-file']) };
}

function token(file) {
	let t = process.env.CHELA_WA_TOKEN;
	delete process.env.CHELA_WA_TOKEN;
	if (file) {
		try {
			if (fs.statSync(file).mode & 0o077)
				end(2, 'the token file can be read by others: chmod 600');
			t = fs.readFileSync(file, 'utf8').trim();
		} catch (e) {
			end(2, `the token file: ${e.message}`);
		}
	}
	if (!/^[\x21-\x7e]{16,256}$/.test(t ?? ''))
		end(2, 'no token of 16 to 256 printable characters in CHELA_WA_TOKEN or --token-file');
	return t;
}

// One bridge to a directory: two would fight for the session. A name in Linux' abstract space goes
// with its process, however that ends.
function lock(dir) {
	const { dev, ino } = fs.statSync(dir);
	const mark = crypto.createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32);
	const name = `\0chela-whatsapp-${mark}`;
	const late = setTimeout(() => end(3, 'another bridge uses this directory'), PATIENCE_MS);
	return new Promise((resolve) => {
		const s = net.createServer((c) => c.on('error', () => {}).resume());
		const take = () => s.listen(name, () => resolve(clearTimeout(late)));
		// The one that has it may be just about to end (its parent was killed): its end is awaited.
		s.on('error', (e) => {
			if (e.code !== 'EADDRINUSE') end(1, e.message);
			log('info', 'waits for the end of another bridge');
			net.connect(name)
				.on('error', () => {})
				.on('close', take);
		});
		take();
	});
}

async function main() {
	process.umask(0o077);
	const opts = settings();
	fs.mkdirSync(opts.dir, { recursive: true, mode: 0o700 });
	await lock(opts.dir);
	const standIn = process.env.CHELA_WA_SOCKET;
	const socket = await import(standIn ?? './socket.mjs');
	const speed = standIn ? Number(process.env.CHELA_WA_SPEED ?? 1) : 1;
	const pace = standIn ? Number(process.env.CHELA_WA_PACE ?? 1) : 1; // of the wire's own waits

	let session;
	let wire;
	const people = new People(opts.dir);
	const recent = new Recent(opts.dir);
	const sent = new Sent(opts.dir);
	const limits =
		standIn && process.env.CHELA_WA_SPOOL
			? { maxEvents: Number(process.env.CHELA_WA_SPOOL) }
			: {};
	const spool = new Spool(opts.dir, {
		...limits,
		onTrouble: (e) => session?.pause(!!e, `the disk does not take events: ${e?.message}`),
	});
	const media = new Media(opts.dir, { download: (ref) => socket.download(session.sock, ref) });
	for (const part of [people, recent, sent, media]) part.open();
	await spool.open();
	session = new Session(
		{ keys: new Keys(opts.dir, socket.codec), socket, people, recent, sent, spool, media },
		{
			tell: (event) => wire.tell(event),
			drawQr: (qr, done) => qrcode.generate(qr, { small: true }, done),
			speed,
		},
	);
	const requests = new Requests({
		session,
		outgoing: new Outgoing(session, speed),
		sent,
		media,
		spool,
	});
	wire = new Wire({
		token: opts.token,
		spool,
		ask: (id, r) => requests.ask(id, r),
		name: `chela-whatsapp/1.0 ${socket.name}`,
		greet: () => ({
			state: session.told(),
			...(session.told().me && { me: session.told().me }),
		}),
		...(standIn && { helloMs: 5000 / Math.min(pace, 2), pingMs: 15000 / pace, idleMs: 45000 / pace }),
	});
	let ending = false;
	const stop = async (why) => {
		if (ending) return;
		ending = true;
		setTimeout(() => end(0, `${why} (in haste)`), 3000);
		session.stop();
		await wire.close();
		for (const part of [spool, sent, people, recent]) await part.journal.settle();
		end(0, why);
	};
	process.on('SIGTERM', () => stop('asked to end'));
	process.on('SIGINT', () => stop('asked to end'));
	if (opts.supervised) {
		process.stdin.on('end', () => stop('the parent is gone'));
		process.stdin.on('error', () => stop('the parent is gone'));
		process.stdin.resume();
	}
	const port = await wire.listen(opts.host, Number(opts.port));
	process.stdout.write(JSON.stringify({ chela_bridge: VERSION, port, pid: process.pid }) + '\n');
	session.start();
}

// Baileys leaves promises behind when its socket ends; that is no reason to end with it.
process.on('unhandledRejection', (e) =>
	log('warn', 'a promise of nobody failed', { err: e?.message ?? String(e) }),
);
process.on('uncaughtException', (e) =>
	end(1, `uncaught: ${e?.stack?.split('\n').slice(0, 3).join(' ') ?? e}`),
);
main().catch((e) => end(e.code === 'ERR_MODULE_NOT_FOUND' ? 4 : 1, e.message));
