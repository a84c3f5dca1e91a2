#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs as mmdebstrap's customize hook over the new root ($1), called by image-base.sh.
# Adds the sandbox's users and mount points, and takes out what differs between two
# builds (logs, caches, compiled Python, back-up files) or has no use in a sandbox
# (documentation, set-uid bits, world-writable folders). It must not read the clock or
# the machine, and leaves /etc/apt to mmdebstrap, which tidies that up itself.

set -eu
cd "$1"

# By hand: useradd writes back-up files and today's date.
printf '%s\n' 'agent:x:10001:10001:agent:/workspace:/bin/bash' \
	'runner:x:10002:10002:runner:/:/usr/sbin/nologin' >>etc/passwd
printf '%s\n' 'agent:x:10001:' 'runner:x:10002:' >>etc/group
printf '%s\n' 'agent:!:1::::::' 'runner:!:1::::::' >>etc/shadow
printf '%s\n' 'agent:!::' 'runner:!::' >>etc/gshadow

# Where the warden mounts the group's folder, the session, and what all groups share.
mkdir workspace session global skills
chmod 0755 workspace session global skills
chown 10001:10001 workspace session

rm -f etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/subuid- etc/subgid- etc/.pwd.lock
rm -f etc/hostname etc/resolv.conf etc/machine-id var/lib/dpkg/*-old
: >etc/apt/sources.list
find var/cache var/log -mindepth 1 ! -path var/cache/apt ! -path 'var/cache/apt/*' \
	! -path var/log/apt ! -path 'var/log/apt/*' ! -type d -delete
find usr -depth -type d -name __pycache__ -exec rm -rf {} +
find usr/share/doc -mindepth 2 ! -name copyright ! -type d -delete
find usr/share/doc -depth -mindepth 1 -type d -empty -delete

find . -xdev ! -type l -perm /6000 -exec chmod ug-s {} +
find . -xdev -type d -perm -0002 ! -path ./tmp -exec chmod 0755 {} +
