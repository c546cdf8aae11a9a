#!/usr/bin/env python3
"""Runs clang-tidy on the C++ files that changed against the merge base with the upstream branch, or on all.

usage: tidy.py --tidy PROGRAM --build FOLDER [--all] [--budget SECONDS] [--jobs N]

A file that passed is not looked at again until it, a header of ours it includes, or .clang-tidy changes: stamps are
kept in the user's cache folder. Newest changes come first, so that a budget cuts off what was looked at longest ago.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STAMPS = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "trireme-tidy"
OWN = ("trireme/", "chips/", "cli/", "examples/", "bench/", "tests/")


def git(*arguments):
    run = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
    return run.stdout.split() if run.returncode == 0 else []


def changed():
    base = git("merge-base", "HEAD", "@{upstream}") or git("merge-base", "HEAD", "origin/main") or ["HEAD"]
    return set(git("diff", "--name-only", base[0])) | set(git("ls-files", "--others", "--exclude-standard"))


def by_age():
    """Files in the order of their last commit, newest first."""
    return {name: i for i, name in reversed(list(enumerate(git("log", "--format=", "--name-only", "-n", "400"))))}


def included(path, seen):
    """The file and every header of ours that it reaches."""
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(errors="replace"), re.M):
        for folder in (ROOT, path.parent):
            included(folder / name, seen)
    return seen


def stamp_of(path, version):
    digest = hashlib.sha256(version + (ROOT / ".clang-tidy").read_bytes())
    for file in sorted(included(path, set())):
        digest.update(file.read_bytes())
    return STAMPS / digest.hexdigest()


def apart(commands):
    """The commands with each unity file replaced by the files it includes."""
    result = []
    for command in commands:
        unity = pathlib.Path(command["file"])
        members = [unity]
        if "/Unity/unity_" in command["file"]:
            members = re.findall(r'^#include "([^"]+)"', unity.read_text(), re.M)
        for member in members:
            text = command["command"].replace(command["file"], str(member))
            result.append({**command, "file": str(member), "command": text})
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tidy", default="clang-tidy")
    parser.add_argument("--build", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--budget", type=float, default=float("inf"))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    commands = apart(json.loads((ROOT / options.build / "compile_commands.json").read_text()))
    for command in commands:  # clang cannot read g++'s precompiled headers
        command["command"] = re.sub(r"-Winvalid-pch|-include \S+/cmake_pch\.hxx", "", command["command"])
    database = ROOT / options.build / "tidy"
    database.mkdir(exist_ok=True)
    (database / "compile_commands.json").write_text(json.dumps(commands))
    names = {os.path.relpath(c["file"], ROOT) for c in commands}
    names = {n for n in names if n.startswith(OWN)}
    if not options.all:
        names &= changed()
    age = by_age()
    version = subprocess.run([options.tidy, "--version"], capture_output=True).stdout
    STAMPS.mkdir(parents=True, exist_ok=True)
    work = [(n, stamp_of(ROOT / n, version)) for n in sorted(names, key=lambda n: (age.get(n, -1), n))]
    work = [(n, s) for n, s in work if not s.exists()]
    end = time.monotonic() + options.budget

    def tidy(item):
        name, stamp = item
        if time.monotonic() > end:
            return name, None, ""
        run = subprocess.run([options.tidy, "--quiet", "-p", database, "--extra-arg=-Wno-unknown-warning-option", name],
                             cwd=ROOT, capture_output=True, text=True)
        if run.returncode == 0:
            stamp.touch()
        return name, run.returncode, run.stdout + (run.stderr if run.returncode else "")

    failed = left = done = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, code, output in pool.map(tidy, work):
            left += code is None
            done += code is not None
            if code:
                failed += 1
                print(f"{name}:\n{output}", flush=True)
    print(f"clang-tidy: {len(names)} files, {len(names) - len(work)} known good, {done} checked, {failed} with findings"
          + (f", {left} left for the next run (budget spent)" if left else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
