"""Prints the manifests of a folder as `kubectl kustomize` does, as far as the folders of deploy/ need it: resources in
files and folders, patches by operations (RFC 6902), and patches that delete."""

import sys
from pathlib import Path

import jsonpatch
import yaml


def manifests(folder):
    wanted = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = []
    for name in wanted["resources"]:
        path = folder / name
        found += manifests(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
    for patch in wanted.get("patches", []):
        target, change = patch["target"], yaml.safe_load(patch["patch"])
        hit = [m for m in found if (m["kind"], m["metadata"]["name"]) == (target["kind"], target["name"])]
        assert len(hit) == 1, f"{folder}: {len(hit)} manifests are {target}"
        found.remove(hit[0])
        if isinstance(change, list):
            found.append(jsonpatch.apply_patch(hit[0], change))
        else:
            assert change.get("$patch") == "delete", f"{folder}: only deletion is known: {change}"
    return found


print(yaml.safe_dump_all(manifests(Path(sys.argv[1]))))
