# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzz targets.

run.py --seconds N NAME...    libFuzzer, each target for N seconds. New inputs go to
                              build/fuzz/corpus/NAME, crashes to build/fuzz/crash-NAME-*.
run.py --replay DIR NAME...   each file of tests/fuzz/corpus/NAME once through DIR/NAME.
"""
import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")


def seeds(name):
    return sorted(p for p in (HERE / "corpus" / name).rglob("*") if p.is_file())


def replay(directory, name):
    files = seeds(name)
    if not files:
        print(f"  FAIL {name}: tests/fuzz/corpus/{name} holds no seed")
        return False
    done = subprocess.run([directory / name, *files], env=ENV, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                          check=False)
    if done.returncode:
        print(done.stdout.decode("utf-8", "replace")[-6000:])
    print(f"  {'FAIL' if done.returncode else 'ok':4} {name} ({len(files)} inputs)")
    return done.returncode == 0


def fuzz(name, seconds):
    found = pathlib.Path("build/fuzz/corpus") / name
    found.mkdir(parents=True, exist_ok=True)
    command = [f"build/fuzz/bin/{name}", f"-max_total_time={seconds}", "-timeout=10",
               "-rss_limit_mb=2048", "-max_len=65536", f"-artifact_prefix=build/fuzz/crash-{name}-",
               "-print_final_stats=1", str(found), str(HERE / "corpus" / name)]
    words = HERE / f"{name}.dict"
    if words.exists():
        command.insert(1, f"-dict={words}")
    log = pathlib.Path(f"build/fuzz/{name}.log")
    with open(log, "wb") as out:
        code = subprocess.run(command, env=ENV, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, check=False).returncode
    lines = log.read_text("utf-8", "replace").splitlines()
    runs = next((l.split()[-1] for l in lines if "number_of_executed_units" in l), "?")
    if code:
        print("\n".join(lines[-60:]))
    print(f"  {'FAIL' if code else 'ok':4} {name} ({runs} runs in {seconds} s)")
    return code == 0


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=int, default=60)
    args.add_argument("--replay", type=pathlib.Path)
    args.add_argument("names", nargs="*")
    args = args.parse_args()
    if not args.names:
        print("no fuzz targets")
        return 1
    good = [replay(args.replay, n) if args.replay else fuzz(n, args.seconds) for n in args.names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
