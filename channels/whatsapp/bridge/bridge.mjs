#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The WhatsApp bridge's first step: is all there that it needs? Why apart from main.mjs: a machine
// without the packages, or with an old Node.js, is told what to do and not how imports work.
const [major] = process.versions.node.split('.').map(Number);
const stop = (why) => {
	process.stderr.write(`${new Date().toISOString()} error whatsapp-bridge ${why}\n`);
	process.exit(2);
};

if (major < 20)
	stop(`Node.js ${process.version} is too old, 20 is needed: run make bridge, see docs/whatsapp.md`);
try {
	await import('./main.mjs');
} catch (e) {
	if (e.code !== 'ERR_MODULE_NOT_FOUND') throw e;
	stop(`the bridge's packages are missing: run make bridge (${e.message.split('\n')[0]})`);
}
