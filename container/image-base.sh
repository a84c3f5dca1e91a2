#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the Debian layer of the sandbox's image as one tar on standard output:
#
#   SOURCE_DATE_EPOCH=N image-base.sh ARCH SUITE PACKAGE...
#
# Runs as root. The same packages must give the same bytes: mmdebstrap fixes the order and
# the times, image-strip.sh takes out the rest. build-image.sh keys the cached layer on the
# text of both files. APT_SOURCES may name a sources.list to use in place of
# mmdebstrap's default.

set -eu
here=$(dirname "$(readlink -f "$0")")
arch=$1 suite=$2
shift 2
packages=$(printf ',%s' "$@")

exec mmdebstrap --quiet --mode=root --variant=essential --format=tar \
	--architectures="$arch" --include="${packages#,}" \
	--dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/lintian/*' \
	--dpkgopt='path-exclude=/usr/share/bug/*' \
	--dpkgopt='path-exclude=/usr/share/bash-completion/*' \
	--customize-hook="$here/image-strip.sh" \
	--skip=output/dev \
	"$suite" - ${APT_SOURCES:+"$APT_SOURCES"}
