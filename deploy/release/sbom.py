#!/usr/bin/env python3
"""Prints the bill of materials of a release as SPDX 2.3 JSON: our files, and what they are linked with.

Usage: sbom.py VERSION DATE PROGRAM FILE... The libraries of PROGRAM are named as the Debian packages of this machine.
"""

import hashlib
import json
import os
import subprocess
import sys


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def libraries(program):
    """(package, version, licence file) of each shared library, sorted."""
    names = set()
    for line in output_of("ldd", program).splitlines():
        path = next((w for w in line.split() if w.startswith("/")), None)
        if path is None:
            continue
        for candidate in (path, os.path.realpath(path), path.removeprefix("/usr")):
            found = subprocess.run(["dpkg-query", "-S", candidate], capture_output=True, text=True)
            if found.returncode == 0:
                names.add(found.stdout.split(":")[0])
                break
        else:
            sys.exit(f"no package has {path}")
    for name in sorted(names):
        yield name, output_of("dpkg-query", "-W", "-f", "${Version}", name)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def package(name, version, **more):
    return {"SPDXID": "SPDXRef-" + name.replace("+", "-plus"), "name": name, "versionInfo": version,
            "downloadLocation": "NOASSERTION", "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
            "copyrightText": "NOASSERTION", "filesAnalyzed": False} | more


def document(version, date, program, paths):
    ours = package("slotgate", version, licenseDeclared="Apache-2.0", licenseConcluded="Apache-2.0")
    linked = [package(name, v, externalRefs=[{
        "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
        "referenceLocator": f"pkg:deb/debian/{name}@{v}"}]) for name, v in libraries(program)]
    files = [{"SPDXID": f"SPDXRef-File-{i}", "fileName": "./" + os.path.basename(path),
              "checksums": [{"algorithm": "SHA256", "checksumValue": sha256(path)}],
              "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION"} for i, path in enumerate(paths)]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", ours["SPDXID"])]
    relations += [(ours["SPDXID"], "DYNAMIC_LINK", p["SPDXID"]) for p in linked]
    relations += [(ours["SPDXID"], "CONTAINS", f["SPDXID"]) for f in files]
    digest = hashlib.sha256("".join(f["checksums"][0]["checksumValue"] for f in files).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"slotgate-{version}",
        "documentNamespace": f"urn:slotgate:sbom:{version}:{digest[:16]}",
        "creationInfo": {"created": date, "creators": ["Tool: deploy/release/sbom.py"]},
        "packages": [ours, *linked], "files": files,
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }


def main():
    version, date, program, *paths = sys.argv[1:]
    json.dump(document(version, date, program, paths), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
