#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The WhatsApp bridge's first step: is all there that it needs? Why apart from main.mjs: a machine
// without the packages, or with an old Node.js, is told what to do and not how imports work.
const major = Number(process.versions.node.split('.')[0]);
const stop = (status, why) => {
	process.stderr.write(`${new Date().toISOString()} error whatsapp-bridge ${why}\n`);
	process.exit(status);
};

if (major < 20)
	stop(
		5,
		`Node.js ${process.version} is too old, 20 is needed: run make bridge, see docs/whatsapp.md`,
	);
import('./main.mjs').catch((e) => {
	const why = e.message.split('\n')[0];
	if (e.code === 'ERR_MODULE_NOT_FOUND')
		stop(4, `the bridge's packages are missing: run make bridge (${why})`);
	stop(1, why);
});
