// SPDX-License-Identifier: Apache-2.0
// Files by the SHA-256 of their content: what came (with how to fetch it from WhatsApp) and what is
// to be sent. Why: a name from outside never becomes a path, and a chunk that is lost can be asked
// for again. Must never: hand out bytes whose hash it has not seen.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Transform } from 'node:stream';
import { log } from './log.mjs';
import { writeWhole } from './journal.mjs';

export const MAX_FILE = 100 << 20;
const MAX_STORE = 512 << 20;
const MAX_REFS = 20_000;
export const CHUNK = 196_608;

export class MediaError extends Error {
	constructor(code, text) {
		super(text);
		this.code = code;
	}
}

export class Media {
	// download(ref): Promise of a readable stream of the plain content.
	constructor(dir, { download, maxFile = MAX_FILE, maxStore = MAX_STORE } = {}) {
		Object.assign(this, { dir: path.join(dir, 'media'), download, maxFile, maxStore });
		this.fetching = new Map();
		this.newRefs = 0;
	}

	open() {
		fs.mkdirSync(this.dir, { recursive: true, mode: 0o700 });
		for (const name of fs.readdirSync(this.dir))
			if (name.endsWith('.tmp') || name.endsWith('.new'))
				fs.rmSync(path.join(this.dir, name), { force: true });
		this.trim();
	}

	file(hash, end = '') {
		return path.join(this.dir, hash + end);
	}

	whole(hash) {
		try {
			return fs.statSync(this.file(hash)).size;
		} catch {
			return -1;
		}
	}

	// How a file of an event can be fetched later; kept before the event is told. Not synced: the
	// event's sync comes after, and a crash of the machine in between costs this file, not the
	// message.
	keepRef(hash, ref) {
		writeWhole(this.file(hash, '.ref'), JSON.stringify(ref), false);
		if (++this.newRefs % 1000 === 0) this.trim();
	}

	ref(hash) {
		try {
			return JSON.parse(fs.readFileSync(this.file(hash, '.ref'), 'utf8'));
		} catch {
			return null;
		}
	}

	// One chunk of an upload; returns how many bytes are held.
	put(hash, size, offset, data) {
		if (size > this.maxFile)
			throw new MediaError('too_large', `a file is at most ${this.maxFile} bytes`);
		const done = this.whole(hash);
		if (done >= 0) {
			if (done !== size)
				throw new MediaError('bad_request', 'the size is not that of the hash');
			this.touch(hash);
			return done;
		}
		const part = this.file(hash, '.part');
		let have = 0;
		try {
			have = fs.statSync(part).size;
		} catch {
			/* nothing yet */
		}
		if (have > size) {
			// an earlier upload told another size
			fs.rmSync(part);
			have = 0;
		}
		if (data.length && offset === have) {
			if (have + data.length > size)
				throw new MediaError('bad_request', 'more bytes than size');
			fs.appendFileSync(part, data, { mode: 0o600 });
			have += data.length;
		}
		if (have === size) this.finish(hash, part, data.length === 0 && size === 0);
		return have;
	}

	finish(hash, part, empty) {
		if (empty) fs.writeFileSync(part, '', { mode: 0o600 });
		const sum = crypto.createHash('sha256');
		const fd = fs.openSync(part, 'r+');
		try {
			const buf = Buffer.alloc(1 << 20);
			for (let n; (n = fs.readSync(fd, buf)) > 0;) sum.update(buf.subarray(0, n));
			fs.fsyncSync(fd);
		} finally {
			fs.closeSync(fd);
		}
		if (sum.digest('hex') !== hash) {
			fs.rmSync(part);
			throw new MediaError('bad_request', 'the content has another hash');
		}
		fs.renameSync(part, this.file(hash));
		this.trim(hash);
	}

	// A chunk of a file that is, or can be, here.
	async get(hash, offset, max, online) {
		let size = this.whole(hash);
		if (size < 0) {
			if (!this.ref(hash)) throw new MediaError('not_found', 'no such media');
			if (!online)
				throw new MediaError('offline', 'not here yet, and no session to fetch it');
			if (!this.fetching.has(hash))
				this.fetching.set(
					hash,
					this.pull(hash).finally(() => this.fetching.delete(hash)),
				);
			await this.fetching.get(hash);
			size = this.whole(hash);
		}
		if (offset > size) throw new MediaError('bad_request', 'an offset behind the end');
		if (!offset) this.touch(hash);
		const data = Buffer.alloc(Math.min(max, size - offset));
		const fd = fs.openSync(this.file(hash), 'r');
		try {
			fs.readSync(fd, data, 0, data.length, offset);
		} finally {
			fs.closeSync(fd);
		}
		return {
			size,
			offset,
			data: data.toString('base64'),
			mime: this.ref(hash)?.mime ?? '',
			end: offset + data.length >= size,
		};
	}

	async pull(hash) {
		const tmp = this.file(hash, '.tmp');
		const sum = crypto.createHash('sha256');
		let size = 0;
		const most = this.maxFile;
		const meter = new Transform({
			transform(chunk, _, done) {
				size += chunk.length;
				sum.update(chunk);
				done(
					size > most
						? new MediaError('too_large', `a file is at most ${most} bytes`)
						: null,
					chunk,
				);
			},
		});
		try {
			await pipeline(
				await this.download(this.ref(hash)),
				meter,
				fs.createWriteStream(tmp, { mode: 0o600 }),
			);
			if (sum.digest('hex') !== hash)
				throw new MediaError('not_found', 'WhatsApp gave another content than announced');
			fs.renameSync(tmp, this.file(hash));
		} catch (e) {
			fs.rmSync(tmp, { force: true });
			throw e;
		}
		this.trim(hash);
	}

	touch(hash) {
		const now = new Date();
		fs.utimesSync(this.file(hash), now, now);
	}

	// Keeps the store within its bounds: the longest unused go first. keep: a hash that stays.
	trim(keep = '') {
		const all = fs
			.readdirSync(this.dir)
			.map((name) => {
				const s = fs.statSync(path.join(this.dir, name), { throwIfNoEntry: false });
				return {
					name,
					size: s?.size ?? 0,
					at: s?.mtimeMs ?? 0,
					ref: name.endsWith('.ref'),
				};
			})
			.sort((a, b) => a.at - b.at);
		let bytes = all.reduce((n, f) => n + f.size, 0);
		let refs = all.filter((f) => f.ref).length;
		for (const f of all) {
			if (f.ref ? refs <= MAX_REFS : bytes <= this.maxStore) continue;
			if (keep && f.name.startsWith(keep)) continue;
			fs.rmSync(path.join(this.dir, f.name), { force: true });
			bytes -= f.size;
			refs -= f.ref ? 1 : 0;
			if (!f.ref) log('info', 'a file made room', { bytes: f.size });
		}
	}
}
