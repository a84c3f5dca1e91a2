#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the sandbox's image and loads it into the Docker engine:
#
#   container/build-image.sh [RUNNER] [options]
#
#   RUNNER                the static runner binary; default build/runner/runner
#   --refresh             make the Debian layer anew (today's security updates)
#   --check-reproducible  build twice from nothing, apart, and compare the ids; loads nothing
#   --out DIR             where layers, lock and SBOM go; default build/image
#   --lock FILE           what to build from; default container/image.lock
#   --no-load             build, but leave the engine alone
#
# Three layers, so that a change costs no more than it must: Debian, Claude Code, runner.
# Each is cached in DIR under a name that holds the hash of all its inputs. Beside them:
#
#   image.lock       what was built: flat YAML, read by the server's warden, which starts
#                    no sandbox from any other image
#   sbom.spdx.json   SPDX bill of materials of exactly that image
#
# Nothing changed and the engine still has the image: no work. The engine lost it: only
# the load. Set-up (packages, engine) is container/setup.sh's work, not done here.

set -u -o pipefail
export LC_ALL=C

here=$(dirname "$(readlink -f "$0")")
top=$(dirname "$here")
SOCKET=/var/run/docker.sock

runner=$top/build/runner/runner
out=$top/build/image
lock=$here/image.lock
refresh=0 reproducible=0 load=1

start_us=${EPOCHREALTIME/./}

say() {
	local us=$((${EPOCHREALTIME/./} - start_us))
	printf '[%3d.%ds] image: %s\n' $((us / 1000000)) $((us / 100000 % 10)) "$*" >&2
}

# die WHAT-AND-WHY FIX
die() {
	say "$1; fix: $2"
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

engine() { # engine METHOD PATH [curl argument...]
	local method=$1 path=$2 run=
	shift 2
	[ -w "$SOCKET" ] || [ ! -S "$SOCKET" ] || run=as_root
	$run curl -s --unix-socket "$SOCKET" -X "$method" "$@" "http://engine$path"
}

# engine_id NAME: the id under which the engine has this image; nothing when it has not.
engine_id() {
	engine GET "/images/$1/json" | sed -n 's/^{"Id":"\([^"]*\)".*/\1/p'
}

lock_get() { # lock_get FILE KEY: the value of one line `KEY: value`, quotes off
	sed -n "s/^${2//./\\.}:[[:space:]]*//p" "$1" 2>/dev/null | sed 's/^"\(.*\)"$/\1/'
}

lock_need() {
	local value
	value=$(lock_get "$lock" "$1")
	[ -n "$value" ] || die "$lock: $1: missing" "write the line '$1: VALUE'"
	printf '%s' "$value"
}

hash_of() { # hash_of WORD... : of the words and, for those that are files, of their bytes
	local word
	for word in "$@"; do
		if [ -f "$word" ]; then sha256sum <"$word"; else printf '%s\n' "$word"; fi
	done | sha256sum | cut -c1-16
}

# claim KIND KEY: sets `layer` to DIR/KIND-KEY.tar; 0 when it is there already. Otherwise
# the layers of that kind with other keys go, since they are large.
claim() {
	layer=$out/$1-$2.tar
	[ -s "$layer.sha256" ] && [ -s "$layer" ] && return
	rm -f "$out/$1"-*.tar "$out/$1"-*.tar.*
	return 1
}

make_base() {
	local packages
	packages=$(lock_need packages) || exit 1
	[ $refresh = 1 ] && rm -f "$out"/base-*
	claim base "$(hash_of "$here/image-base.sh" "$here/image-strip.sh" "$arch" "$suite" \
		"$epoch" "$packages")" && return
	command -v mmdebstrap >/dev/null ||
		die "mmdebstrap is missing" "container/setup.sh run"
	say "making the Debian layer ($suite, $arch; about 30 s)"
	# shellcheck disable=SC2086 # the packages are words
	as_root env SOURCE_DATE_EPOCH="$epoch" ${APT_SOURCES:+APT_SOURCES="$APT_SOURCES"} \
		"$here/image-base.sh" "$arch" "$suite" $packages >"$layer.new" 2>"$out/base.log" ||
		die "mmdebstrap failed ($(grep -m1 -E '^E:|^W:' "$out/base.log"))" \
			"see $out/base.log, check the network, then: make image"
	sha256sum <"$layer.new" >"$layer.sha256"
	mv "$layer.new" "$layer"
}

# claude_wants: sets what Claude Code's layer is made of, and `layer`; 0 when it is there.
claude_wants() {
	local version
	claude_key=claude.integrity.$arch
	integrity=$(lock_need "$claude_key") && name=$(lock_need "claude.package.$arch") &&
		version=$(lock_need claude.version) || exit 1
	claude_spec=$name@$version
	tgz=$out/download/$(printf '%s' "$name" | tr -d @ | tr / -)-$version.tgz
	claim claude "$(hash_of "$here/image_layers.py" "$integrity" "$claude_spec" "$epoch")"
}

# fetch_claude: the package into $tgz; runs beside mmdebstrap, which leaves the network idle.
fetch_claude() {
	claude_wants && return
	[ -s "$tgz" ] && return
	command -v npm >/dev/null || die "npm is missing" "container/setup.sh run"
	rm -rf "$out/download"
	mkdir -p "$out/download/new"
	say "fetching Claude Code: $claude_spec (about 175 MB)"
	(cd "$out/download/new" && npm pack --silent --pack-destination . "$claude_spec") \
		>"$out/npm.log" 2>&1 </dev/null || die \
		"npm could not fetch $claude_spec ($(grep -m1 -i error "$out/npm.log"))" \
		"see $out/npm.log, check the network and claude.version in $lock, then: make image"
	mv "$out/download/new/"*.tgz "$tgz" || exit 1
}

make_claude() {
	claude_wants && return
	say "checking and packing Claude Code: $claude_spec"
	"$here/image_layers.py" claude "$tgz" "$layer" "$lock" "$claude_key" "$integrity" || exit 1
}

make_runner() {
	[ -f "$runner" ] || die "there is no runner at $runner" "make runner"
	claim runner "$(hash_of "$here/image_layers.py" "$runner" "$epoch")" && return
	"$here/image_layers.py" runner "$runner" "$layer" || exit 1
}

# make_image: all layers, the config, the SBOM; sets config_id and the layers' paths.
make_image() {
	local fetch
	fetch_claude &
	fetch=$!
	make_base && base=$layer || exit 1
	wait $fetch || exit 1
	make_claude && claude=$layer || exit 1
	make_runner && runner_layer=$layer || exit 1
	config_id=$("$here/image_layers.py" config "$out/config.json" "$arch" \
		"$base" "$claude" "$runner_layer") || exit 1
	"$here/image_sbom.py" "$out/sbom.spdx.json" "$config_id" "$arch" "$base" \
		"$(lock_need "claude.package.$arch")" "$(lock_need claude.version)" \
		"$claude.json" "$runner" || exit 1
}

# load_image: sets image_id. An engine that has the big layers from the image before
# needs only the small one: that is tried first, and seen to have worked or not.
load_image() {
	local tag omit id
	tag=chela-sandbox:$(printf '%s' "${config_id#sha256:}" | cut -c1-12)
	image_id=$(engine_id "$config_id")
	[ -n "$image_id" ] && return
	for omit in 2 0; do
		[ $omit = 2 ] && [ -z "$(engine_id "$(lock_get "$out/image.lock" image)")" ] && continue
		[ $omit = 0 ] && say "loading the image into the engine"
		"$here/image_layers.py" archive "$out/config.json" "$tag" $omit \
			"$base" "$claude" "$runner_layer" |
			engine POST "/images/load?quiet=1" -H 'Content-Type: application/x-tar' \
				-T - -o "$out/load.log"
		id=$(engine_id "$config_id")
		# Engines with containerd's image store name an image by its manifest instead.
		[ -z "$id" ] && [ $omit = 0 ] && id=$(engine_id "$tag")
		[ -n "$id" ] && image_id=$id && return
	done
	die "the engine did not take the image ($(head -c 200 "$out/load.log" 2>/dev/null))" \
		"container/setup.sh engine, then: make image"
}

write_lock() {
	cat >"$out/image.lock.new" <<-END
		# Written by container/build-image.sh; what it was built from is in container/image.lock.
		image: $image_id
		config: $config_id
		inputs: $inputs
		arch: $arch
		claude.version: $(lock_need claude.version)
		claude.sha256: $(sed -n 's/.*"sha256": "\([0-9a-f]*\)".*/\1/p' "$claude.json")
		runner.sha256: $(sha256sum <"$runner" | cut -d' ' -f1)
		layer.base: sha256:$(cut -d' ' -f1 "$base.sha256")
		layer.claude: sha256:$(cut -d' ' -f1 "$claude.sha256")
		layer.runner: sha256:$(cut -d' ' -f1 "$runner_layer.sha256")
		sbom.sha256: $(sha256sum <"$out/sbom.spdx.json" | cut -d' ' -f1)
	END
	mv "$out/image.lock.new" "$out/image.lock"
}

# check_reproducible: two builds at once, since one leaves a core idle; prints the id.
check_reproducible() {
	local dir=$out n
	local -a ids sums jobs
	for n in 1 2; do
		rm -rf "$dir/twice-$n"
		mkdir -p "$dir/twice-$n/download"
		# What was fetched is checked against the lock each time: once will do.
		cp -l "$dir"/download/*.tgz "$dir/twice-$n/download/" 2>/dev/null
		(
			out=$dir/twice-$n
			make_image
			printf '%s\n' "$config_id" >"$out/id"
			say "build $n of 2 is $config_id"
		) &
		jobs[n]=$!
	done
	wait "${jobs[1]}" && wait "${jobs[2]}" || exit 1
	for n in 1 2; do
		ids[n]=$(cat "$dir/twice-$n/id")
		sums[n]=$(sha256sum <"$dir/twice-$n/sbom.spdx.json")
	done
	[ "${ids[1]}" = "${ids[2]}" ] && [ "${sums[1]}" = "${sums[2]}" ] || die \
		"two builds differ: ${ids[1]} and ${ids[2]}" \
		"compare the layers in $dir/twice-1 and twice-2; teach container/image-strip.sh what differs"
	rm -rf "$dir/twice-1" "$dir/twice-2"
	echo "${ids[1]}"
}

while [ $# != 0 ]; do
	case $1 in
	--refresh) refresh=1 ;;
	--check-reproducible) reproducible=1 ;;
	--no-load) load=0 ;;
	--out) out=$(mkdir -p "$2" && readlink -f "$2") && shift ;;
	--lock) lock=$2 && shift ;;
	-*) die "unknown option $1" "see the top of $0" ;;
	*) runner=$1 ;;
	esac
	shift
done

case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) die "no Claude Code binary for $(uname -m)" "use an x86-64 or arm64 machine" ;;
esac
suite=$(lock_need suite) && epoch=$(lock_need epoch) || exit 1
export SOURCE_DATE_EPOCH=$epoch
mkdir -p "$out" || exit 1
exec 9>"$out/.busy"
flock 9 # two makes at once: the second finds the work done

if [ $reproducible = 1 ]; then
	check_reproducible
	exit
fi

inputs=$(hash_of "$lock" "$0" "$here"/image-base.sh "$here"/image-strip.sh \
	"$here"/image_layers.py "$here"/image_sbom.py "$runner" "$arch")
if [ $refresh = 0 ] && [ -s "$out/sbom.spdx.json" ] &&
	[ "$(lock_get "$out/image.lock" inputs)" = "$inputs" ] &&
	{ [ $load = 0 ] || [ -n "$(engine_id "$(lock_get "$out/image.lock" image)")" ]; }; then
	exit 0
fi

make_image
if [ $load = 1 ]; then
	load_image
else
	image_id=$config_id
fi
write_lock
say "ready: $image_id"
