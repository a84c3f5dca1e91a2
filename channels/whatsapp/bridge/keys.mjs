// SPDX-License-Identifier: Apache-2.0
// The session's keys on disk, a file each, written whole or not at all. Why not Baileys'
// useMultiFileAuthState: it writes in place, and a kill in mid-write of creds.json logs the account
// out. Must never: delete keys that may still be good (they are set aside).
import fs from 'node:fs';
import path from 'node:path';
import { log } from './log.mjs';
import { writeWhole } from './journal.mjs';

export class Keys {
	// codec: {newCreds(), replacer, reviver, thaw(type, value)}
	constructor(dir, codec) {
		this.dir = path.join(dir, 'keys');
		this.codec = codec;
	}

	file(name) {
		return path.join(this.dir, `${encodeURIComponent(name)}.json`);
	}

	read(name) {
		try {
			return JSON.parse(fs.readFileSync(this.file(name), 'utf8'), this.codec.reviver);
		} catch (e) {
			if (e.code !== 'ENOENT')
				log('error', 'a key is unreadable', { name: name.split('-')[0], err: e.message });
			return null;
		}
	}

	write(name, value, sync) {
		writeWhole(this.file(name), JSON.stringify(value, this.codec.replacer), sync);
	}

	// What Baileys wants as `auth`, and save() for creds.update.
	load() {
		fs.mkdirSync(this.dir, { recursive: true, mode: 0o700 });
		const creds = this.read('creds') ?? this.codec.newCreds();
		const get = async (type, ids) =>
			Object.fromEntries(
				ids.map((id) => {
					const value = this.read(`${type}-${id}`);
					return [id, value === null ? value : this.codec.thaw(type, value)];
				}),
			);
		const set = async (data) => {
			if (this.creds !== creds) return; // a socket of an earlier set of keys
			for (const [type, values] of Object.entries(data))
				for (const [id, value] of Object.entries(values))
					if (value) this.write(`${type}-${id}`, value, false);
					else fs.rmSync(this.file(`${type}-${id}`), { force: true });
		};
		this.creds = creds;
		const save = () => {
			if (this.creds === creds) this.write('creds', creds, true);
		};
		return { state: { creds, keys: { get, set } }, save };
	}

	// Whether a device was linked with them.
	linked() {
		return !!this.read('creds')?.account;
	}

	me() {
		return (this.creds ?? this.read('creds'))?.me;
	}

	// Makes place for new ones; the last set is kept for a look.
	setAside() {
		const old = this.dir + '.old';
		this.creds = undefined;
		if (!fs.existsSync(this.dir)) return;
		fs.rmSync(old, { recursive: true, force: true });
		fs.renameSync(this.dir, old);
	}

	// After a logout they are worth nothing to anybody but a thief.
	clear() {
		this.creds = undefined;
		for (const dir of [this.dir, this.dir + '.old'])
			fs.rmSync(dir, { recursive: true, force: true });
	}
}
