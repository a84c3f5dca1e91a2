#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the image's bill of materials: SPDX 2.3 JSON.

    image_sbom.py OUT IMAGE_ID ARCH BASE_LAYER CLAUDE_PURL_NAME CLAUDE_VERSION CLAUDE_NOTES RUNNER

Reads what is installed from the base layer's own dpkg database and copyright files, so it
cannot differ from what is in the image. Called by build-image.sh only; deterministic: no
clock (SOURCE_DATE_EPOCH), no random document name.
"""

import hashlib
import json
import os
import re
import sys
import tarfile
import time
from urllib.parse import quote

NONE = "NOASSERTION"
# Debian's short names of single licences, where SPDX has exactly that licence. Anything
# else, and any expression, stays NOASSERTION: a wrong licence is worse than none.
SPDX_OF = {
    "apache-2.0": "Apache-2.0", "artistic": "Artistic-1.0-Perl", "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause", "bsl-1.0": "BSL-1.0", "cc0-1.0": "CC0-1.0",
    "expat": "MIT", "mit": "MIT", "isc": "ISC", "curl": "curl", "zlib": "Zlib",
    "gpl-1+": "GPL-1.0-or-later", "gpl-2": "GPL-2.0-only", "gpl-2.0": "GPL-2.0-only",
    "gpl-2+": "GPL-2.0-or-later", "gpl-2.0+": "GPL-2.0-or-later", "gpl-3": "GPL-3.0-only",
    "gpl-3.0": "GPL-3.0-only", "gpl-3+": "GPL-3.0-or-later", "gpl-3.0+": "GPL-3.0-or-later",
    "lgpl-2": "LGPL-2.0-only", "lgpl-2+": "LGPL-2.0-or-later", "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-2.1+": "LGPL-2.1-or-later", "lgpl-3": "LGPL-3.0-only",
    "lgpl-3+": "LGPL-3.0-or-later", "mpl-2.0": "MPL-2.0", "openldap-2.8": "OLDAP-2.8",
}
CLAUDE_LICENSE = "LicenseRef-Claude-Code"


def stanzas(text):
    """Debian control format: a list of {field: value}, continuation lines joined."""
    for block in re.split(r"\n\s*\n", text):
        fields, last = {}, None
        for line in block.split("\n"):
            if line[:1] in (" ", "\t") and last:
                fields[last] += "\n" + line.strip()
            elif ":" in line and not line.startswith("#"):
                last, value = line.split(":", 1)
                fields[last] = value.strip()
        if fields:
            yield fields


def license_of(copyright_text):
    """The SPDX name of the licence of `Files: *`, or NOASSERTION."""
    if not copyright_text.lstrip().startswith("Format:"):
        return NONE
    for fields in stanzas(copyright_text):
        if fields.get("Files", "").split() == ["*"]:
            return SPDX_OF.get(fields.get("License", "").split("\n")[0].strip().lower(), NONE)
    return NONE


def read_base(path):
    """The dpkg status text and {package: copyright text} of the layer. A copyright path
    may be a link to another package's folder; those are followed once."""
    status, texts, links = None, {}, {}
    with tarfile.open(path) as tar:
        for member in tar:
            name = member.name[2:] if member.name.startswith("./") else member.name
            if name == "var/lib/dpkg/status":
                status = tar.extractfile(member).read().decode()
                continue
            match = re.fullmatch(r"usr/share/doc/([^/]+)(/copyright)?", name)
            if not match:
                continue
            if member.issym():
                target = member.linkname.split("/")
                links[match[1]] = target[1] if target[0] == ".." else target[0]
            elif match[2] and member.isreg():
                texts[match[1]] = tar.extractfile(member).read().decode(errors="replace")
    if status is None:
        sys.exit(f"{path}: no dpkg database in the base layer; fix: build with --refresh")
    for package, target in links.items():
        if package not in texts and target in texts:
            texts[package] = texts[target]
    return status, texts


def spdx_id(*parts):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(parts))


def package(ident, name, version, licence, purl=None, sha256=None, supplier=NONE, **more):
    out = {
        "SPDXID": ident, "name": name, "versionInfo": version, "supplier": supplier,
        "downloadLocation": NONE, "filesAnalyzed": False, "licenseConcluded": NONE,
        "licenseDeclared": licence, "copyrightText": NONE, **more,
    }
    if purl:
        out["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                "referenceLocator": purl}]
    if sha256:
        out["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return out


def debian_packages(base_layer):
    status, texts = read_base(base_layer)
    for fields in sorted(stanzas(status), key=lambda f: (f["Package"], f["Architecture"])):
        if fields["Status"] != "install ok installed":
            continue
        name, version, arch = fields["Package"], fields["Version"], fields["Architecture"]
        source = fields.get("Source", name).split()[0]
        yield package(
            spdx_id("deb", name, arch), name, version, license_of(texts.get(name, "")),
            f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={arch}&distro=debian-12",
            supplier="Organization: Debian", sourceInfo=f"built from the source package {source}")


def main(out_path, image_id, arch, base_layer, claude_name, claude_version, claude_notes, runner):
    created = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))
    with open(claude_notes) as source:
        claude = json.load(source)
    with open(runner, "rb") as source:
        runner_sha256 = hashlib.sha256(source.read()).hexdigest()
    digest = image_id.partition(":")[2]
    image = package("SPDXRef-Image", "chela-sandbox", digest[:12], NONE, sha256=digest,
                    primaryPackagePurpose="CONTAINER")
    contents = list(debian_packages(base_layer)) + [
        package("SPDXRef-Claude-Code", claude_name, claude_version, CLAUDE_LICENSE,
                f"pkg:npm/{quote(claude_name, safe='/')}@{quote(claude_version)}",
                claude["sha256"], "Organization: Anthropic PBC",
                packageFileName="/usr/local/bin/claude"),
        package("SPDXRef-Runner", "chela-runner", runner_sha256[:12], "Apache-2.0", None,
                runner_sha256, packageFileName="/usr/local/bin/runner"),
    ]
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"chela-sandbox-{arch}", "documentNamespace": f"urn:chela:sbom:sha256:{digest}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", created),
                         "creators": ["Tool: chela-image"]},
        "packages": [image] + contents,
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                           "relatedSpdxElement": "SPDXRef-Image"}] + [
            {"spdxElementId": "SPDXRef-Image", "relationshipType": "CONTAINS",
             "relatedSpdxElement": p["SPDXID"]} for p in contents],
        "hasExtractedLicensingInfos": [{
            "licenseId": CLAUDE_LICENSE, "name": "Claude Code",
            "extractedText": claude.get("license", "The package has no licence text.")}],
    }
    with open(out_path + ".new", "w") as out:
        json.dump(document, out, indent=1, sort_keys=True)
        out.write("\n")
    os.replace(out_path + ".new", out_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
