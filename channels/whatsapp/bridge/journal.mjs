// SPDX-License-Identifier: Apache-2.0
// An append-only file of JSON lines that survives kill -9 and power loss at any byte. Why: the
// spool, the sent log and the table of people all need just this. Many appends share one sync. Must
// never: say that a line is kept before it is on disk, or lose a good line because of a torn one
// behind it.
import fs from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { log } from './log.mjs';

export class Journal {
	// file: its path. retry: an append that fails (disk full) waits and tries again for ever, and
	// onTrouble(err | null) tells so; without it the append's promise rejects. sync false: a crash
	// of the machine (not of the process) may lose the end.
	constructor(file, { retry = false, sync = true, onTrouble = () => {}, retryMs = 1000 } = {}) {
		Object.assign(this, { file, retry, sync, onTrouble, retryMs });
		this.waiting = [];
		this.lines = 0;
		this.size = 0;
	}

	// Reads what is there, calling each(object) in order, and cuts a torn end off.
	load(each) {
		let bytes = Buffer.alloc(0);
		try {
			bytes = fs.readFileSync(this.file);
		} catch (e) {
			if (e.code !== 'ENOENT') throw e;
		}
		let at = 0;
		for (let nl; (nl = bytes.indexOf(10, at)) >= 0; at = nl + 1) {
			try {
				each(JSON.parse(bytes.toString('utf8', at, nl)));
				this.lines++;
			} catch (e) {
				log('error', 'a line on disk is unreadable', {
					file: path.basename(this.file),
					at,
					err: e.message,
				});
			}
		}
		this.fd = fs.openSync(this.file, fs.constants.O_CREAT | fs.constants.O_RDWR, 0o600);
		fs.ftruncateSync(this.fd, at);
		this.size = at;
		syncFolder(this.file);
	}

	// Resolves when the line is on disk.
	append(object) {
		return new Promise((resolve, reject) => {
			this.waiting.push({ line: JSON.stringify(object) + '\n', resolve, reject });
			this.kick();
		});
	}

	// Replaces the file by what lines() returns (objects) at the time its turn comes. Lines
	// appended before that may come twice in the new file: whoever loads it must not mind.
	rewrite(lines) {
		return new Promise((resolve, reject) => {
			this.waiting.push({ lines, resolve, reject });
			this.kick();
		});
	}

	kick() {
		if (!this.busy)
			this.busy = this.work().finally(() => {
				this.busy = undefined;
				if (this.waiting.length) this.kick();
			});
	}

	async work() {
		while (this.waiting.length) {
			if (this.waiting[0].lines) {
				await this.replace(this.waiting.shift());
				continue;
			}
			const stop = this.waiting.findIndex((w) => w.lines);
			const batch = this.waiting.splice(0, stop < 0 ? this.waiting.length : stop);
			await this.flush(batch);
		}
	}

	async flush(batch) {
		const bytes = Buffer.from(batch.map((w) => w.line).join(''));
		for (let tries = 0; ; tries++) {
			try {
				await this.write(bytes);
				if (tries) this.onTrouble(null);
				this.lines += batch.length;
				for (const w of batch) w.resolve();
				return;
			} catch (e) {
				log('error', 'cannot write', { file: path.basename(this.file), err: e.message });
				if (!this.retry) {
					for (const w of batch) w.reject(e);
					return;
				}
				this.onTrouble(e);
				await new Promise((r) => setTimeout(r, this.retryMs));
			}
		}
	}

	async write(bytes) {
		try {
			for (let done = 0; done < bytes.length;)
				done += await call(
					fs.write,
					this.fd,
					bytes,
					done,
					bytes.length - done,
					this.size + done,
				);
			if (this.sync) await call(fs.fdatasync, this.fd);
			this.size += bytes.length;
		} catch (e) {
			try {
				fs.ftruncateSync(this.fd, this.size); // no half line in front of what comes next
			} catch {
				/* the load at the next start cuts it off */
			}
			throw e;
		}
	}

	async replace({ lines, resolve, reject }) {
		const tmp = this.file + '.new';
		try {
			const objects = lines();
			const text = objects.map((o) => JSON.stringify(o) + '\n').join('');
			const f = await open(tmp, 'w', 0o600);
			try {
				await f.writeFile(text);
				await f.sync();
			} finally {
				await f.close();
			}
			const fd = fs.openSync(tmp, fs.constants.O_RDWR);
			fs.renameSync(tmp, this.file);
			syncFolder(this.file);
			fs.closeSync(this.fd);
			this.fd = fd;
			this.size = Buffer.byteLength(text);
			this.lines = objects.length;
			resolve();
		} catch (e) {
			log('error', 'cannot rewrite', { file: path.basename(this.file), err: e.message });
			reject(e);
		}
	}

	// Everything asked for so far is on disk (or failed).
	async settle() {
		while (this.busy) await this.busy;
	}
}

const call = (fn, ...args) =>
	new Promise((resolve, reject) => fn(...args, (e, n) => (e ? reject(e) : resolve(n))));

export function syncFolder(file) {
	const fd = fs.openSync(path.dirname(file), 'r');
	try {
		fs.fsyncSync(fd);
	} finally {
		fs.closeSync(fd);
	}
}

// Writes a small file so that a reader sees the old or the new one, never a part.
export function writeWhole(file, text, sync = true) {
	const tmp = `${file}.${process.pid}.new`;
	const fd = fs.openSync(tmp, 'w', 0o600);
	try {
		fs.writeSync(fd, text);
		if (sync) fs.fsyncSync(fd);
	} finally {
		fs.closeSync(fd);
	}
	fs.renameSync(tmp, file);
	if (sync) syncFolder(file);
}
