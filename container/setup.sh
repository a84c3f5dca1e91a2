#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a bare Debian 12 machine ready: Debian packages, by group, and a Docker
# engine that answers and knows gVisor's `runsc` when that is installed.
#
#   container/setup.sh [build] [run] [check] [engine] [all]
#
#   build    what compiles the server and the runner
#   run      the engine, both container runtimes, what makes the image
#   check    what the tests, the formatter, the fuzzers and valgrind need
#   engine   start the engine when none answers (`run` and `check` include it)
#   all      everything; the same as no argument
#
# Says each step in one line with the elapsed time, is silent about what is there
# already, and can be run again at any time: nothing missing costs one dpkg-query and
# one ping. Uses sudo when it is not root.
#
# It must never change an engine that is already running: somebody else's containers
# live there. Engines that *it* starts get runsc through /etc/docker/daemon.json.

set -u
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

# An item is `package`, or `command=package`: not wanted when the command is there from
# another source (Docker's or Node's own packages). A leading `?` marks what the server
# can live without; its absence is said, not fatal.
BUILD="gcc make pkg-config libc6-dev libuv1-dev libcurl4-openssl-dev libcjson-dev
	libsqlite3-dev libyaml-dev libnghttp2-dev libhttp-parser-dev libedit-dev
	libseccomp-dev libwebsockets-dev libwebsockets-evlib-uv libssl-dev
	libmd4c-dev libglib2.0-dev libpcre2-dev"
RUN="dockerd=docker.io ?runsc iptables mmdebstrap npm=npm python3 curl ca-certificates
	tzdata"
CHECK="libcmocka-dev clang-14 clang-format-14 libclang-rt-14-dev llvm-14 valgrind
	python3-pytest python3-aiohttp python3-h2 python3-cryptography python3-yaml openssl
	sqlite3 strace"

SOCKET=/var/run/docker.sock
ENGINE_LOG=/var/log/dockerd.log
DAEMON_JSON=/etc/docker/daemon.json
ENGINE_WAIT_S=30

start_us=${EPOCHREALTIME/./}

say() {
	local us=$((${EPOCHREALTIME/./} - start_us))
	printf '[%3d.%ds] %s\n' $((us / 1000000)) $((us / 100000 % 10)) "$*" >&2
}

# die WHAT WHY FIX: the one line a person needs.
die() {
	say "$1: $2; fix: $3"
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo --preserve-env=DEBIAN_FRONTEND,LC_ALL "$@"
	else
		die "setup" "not root, and sudo is not installed" "run this as root: $0 ${groups[*]}"
	fi
}

# missing_of ITEM...: fills the arrays `missing` and `optional` with package names.
missing_of() {
	local item cmd package may state name have=" "
	local -A optional_set=()
	local -a wanted=()
	missing=() optional=()
	for item in "$@"; do
		may=${item#\?}
		package=${may#*=} cmd=${may%%=*}
		[ "$cmd" != "$may" ] && command -v "$cmd" >/dev/null && continue
		[ "$may" != "$item" ] && optional_set[$package]=1
		wanted+=("$package")
	done
	while read -r state name; do # no <(...): a bare chroot has no /dev/fd
		[ "$state" = ii ] && have+="$name "
	done <<<"$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null)"
	for package in "${wanted[@]}"; do
		[[ $have == *" $package "* ]] && continue
		if [ -n "${optional_set[$package]:-}" ]; then
			optional+=("$package")
		else
			missing+=("$package")
		fi
	done
}

apt_install() {
	local log=$1
	shift
	as_root apt-get install -y -q --no-install-recommends \
		-o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null
}

packages() {
	local log list why
	local -a missing optional

	[ $# = 0 ] && return
	command -v apt-get >/dev/null ||
		die "packages" "this is not a Debian machine (no apt-get)" \
			"install by hand the packages that container/setup.sh names"
	missing_of "$@"
	[ ${#missing[@]} = 0 ] && [ ${#optional[@]} = 0 ] && return

	log=$(mktemp) || exit 1
	trap 'rm -f "$log"' RETURN
	say "packages: reading the archive's lists"
	as_root apt-get update -q >"$log" 2>&1 </dev/null ||
		die "packages" "apt-get update failed ($(reason "$log"))" \
			"check the network and /etc/apt/sources.list, then: sudo apt-get update"

	if [ ${#missing[@]} != 0 ]; then
		list=$(printf ', %s' "${missing[@]}")
		say "packages: installing ${#missing[@]} (${list:2})"
		apt_install "$log" "${missing[@]}" || {
			why=$(reason "$log")
			die "packages" "apt-get install failed ($why)" \
				"sudo apt-get install --no-install-recommends ${missing[*]}"
		}
	fi
	for name in ${optional[@]+"${optional[@]}"}; do
		say "packages: installing $name (optional)"
		apt_install "$log" "$name" ||
			say "packages: $name stays missing ($(reason "$log")); the default runtime serves without it"
	done
	say "packages: done"
}

# reason LOG: the first error that a tool reported, on one line.
reason() {
	local line
	line=$(grep -m1 -E '^(E|dpkg): |rror|failed' "$1") || line=$(tail -n 1 "$1")
	printf '%s' "${line:0:200}"
}

# ping: 0 when an engine answers. Asks the socket itself: the docker client takes longer.
ping_engine() {
	local answer
	answer=$(as_user_of_socket curl -s --max-time 5 --unix-socket "$SOCKET" \
		http://engine/_ping 2>/dev/null) && [ "$answer" = OK ]
}

as_user_of_socket() {
	if [ -w "$SOCKET" ] || [ ! -S "$SOCKET" ]; then
		"$@"
	else
		as_root "$@"
	fi
}

# runsc_register: engines started from here know gVisor. `--network=none` is runsc's own
# flag: sandboxes have loopback only, and without it runsc of Debian 12 takes Docker's empty
# network namespace for the host's on newer kernels and refuses to start. `--oci-seccomp` makes
# it hold our seccomp profile; an entry of ours from before that is brought up to date.
runsc_register() {
	local path
	path=$(command -v runsc) || return 0
	as_root /usr/bin/python3 - "$DAEMON_JSON" "$path" <<-'PY' ||
		import json, os, sys
		path, runsc = sys.argv[1:]
		try:
		    conf = json.load(open(path)) if os.path.exists(path) and os.path.getsize(path) else {}
		    runtimes = conf.setdefault("runtimes", {})
		except (ValueError, AttributeError, TypeError):
		    sys.exit(1)
		ours = {"path": runsc, "runtimeArgs": ["--network=none", "--oci-seccomp"]}
		before = dict(ours, runtimeArgs=["--network=none"])
		if runtimes.get("runsc", before) == before:
		    runtimes["runsc"] = ours
		    os.makedirs(os.path.dirname(path), exist_ok=True)
		    with open(path + ".new", "w") as f:
		        json.dump(conf, f, indent=2)
		        f.write("\n")
		    os.replace(path + ".new", path)
	PY
		say "engine: runsc is not registered ($DAEMON_JSON is no JSON object); fix: repair that file, then restart the engine"
}

# runsc_note: one line when the engine that answers does not know an installed runsc.
runsc_note() {
	command -v runsc >/dev/null || return 0
	as_user_of_socket curl -s --max-time 5 --unix-socket "$SOCKET" http://engine/info |
		grep -q '"runsc":' && return 0
	say "engine: runsc is installed but not registered; fix: $0 runsc, which adds it to $DAEMON_JSON and has the running engine re-read that file"
}

# wait_ready: until the engine answers; 1 when $1 (a pid, or empty) is gone or time is up.
wait_ready() {
	local pid=$1 end=$((SECONDS + ENGINE_WAIT_S))
	while ! ping_engine; do
		[ -n "$pid" ] && [ ! -d "/proc/$pid" ] && return 1
		[ $SECONDS -ge $end ] && return 1
		sleep 0.1
	done
}

# dockerd_spawn FLAG...: dockerd apart from this shell; its pid in dockerd_pid.
dockerd_spawn() {
	local pidfile=/var/run/chela-dockerd.pid
	log_from=$(($(as_root cat "$ENGINE_LOG" 2>/dev/null | wc -l) + 1))
	as_root sh -c 'log=$1 pidfile=$2; shift 2
		setsid "$@" >>"$log" 2>&1 </dev/null & echo $! >"$pidfile"' \
		sh "$ENGINE_LOG" "$pidfile" dockerd "$@"
	dockerd_pid=$(cat "$pidfile")
}

# cgroups_mount: a machine without systemd may have no cgroup tree; dockerd wants one.
cgroups_mount() {
	[ -e /sys/fs/cgroup/cgroup.controllers ] && return
	[ -d /sys/fs/cgroup/memory ] && return
	as_root mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
}

engine() {
	local dockerd_pid log_from=1 t0
	command -v curl >/dev/null || packages curl
	if ping_engine; then
		runsc_note
		return
	fi
	command -v dockerd >/dev/null || PATH=$PATH:/usr/sbin:/sbin
	command -v dockerd >/dev/null ||
		die "engine" "no engine answers on $SOCKET and dockerd is not installed" "$0 run"
	runsc_register
	t0=${EPOCHREALTIME/./}
	if [ -d /run/systemd/system ]; then
		say "engine: starting docker.service"
		as_root systemctl start docker.service && wait_ready "" ||
			die "engine" "docker.service does not answer on $SOCKET" \
				"sudo journalctl -u docker.service, then: sudo systemctl restart docker.service"
	else
		say "engine: starting dockerd (log in $ENGINE_LOG)"
		cgroups_mount
		dockerd_spawn
		if ! wait_ready "$dockerd_pid" && [ ! -d "/proc/$dockerd_pid" ]; then
			# Small machines lack the kernel's bridge or NAT; sandboxes use neither.
			say "engine: dockerd gave up ($(engine_reason)); again without bridge and iptables"
			dockerd_spawn --iptables=false --ip6tables=false --bridge=none
			wait_ready "$dockerd_pid"
		fi
		ping_engine || die "engine" "dockerd does not answer ($(engine_reason))" \
			"see $ENGINE_LOG, then: sudo dockerd"
	fi
	say "engine: ready after $(((${EPOCHREALTIME/./} - t0) / 1000)) ms"
	runsc_note
}

engine_reason() {
	local line
	line=$(as_root tail -n "+$log_from" "$ENGINE_LOG" | grep -E 'level=fatal|^failed|^unable|rror' |
		tail -n 1)
	line=${line##*msg=}
	printf '%s' "${line:-it left no message}" | cut -c1-200
}

# runsc_reload: the one step that touches a running engine, only when asked for by name.
runsc_reload() {
	command -v runsc >/dev/null || packages runsc
	runsc_register
	if [ -d /run/systemd/system ]; then
		as_root systemctl reload docker.service
	else
		as_root kill -HUP "$(cat /var/run/docker.pid)"
	fi || die "engine" "the running engine did not take the reload" "restart it by hand"
	say "engine: told to re-read $DAEMON_JSON"
}

groups=("$@")
[ $# = 0 ] && groups=(all)
items="" want_engine=0
for group in "${groups[@]}"; do
	case $group in
	build) items+=" $BUILD" ;;
	run) items+=" $RUN" want_engine=1 ;;
	check) items+=" $CHECK" want_engine=1 ;;
	packages) items+=" $BUILD $RUN $CHECK" ;;
	engine) want_engine=1 ;;
	all) items+=" $BUILD $RUN $CHECK" want_engine=1 ;;
	runsc) want_engine=2 ;;
	*)
		die "setup" "unknown group '$group'" "$0 [build] [run] [check] [engine] [packages] [runsc] [all]"
		;;
	esac
done

# shellcheck disable=SC2086 # the lists are words
packages $items
case $want_engine in
1) engine ;;
2) runsc_reload ;;
esac
exit 0
