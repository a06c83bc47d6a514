#!/usr/bin/env python3
"""Holds the source tree to its rules: layers, include cycles, self-contained headers, sizes, words,
tests that docs/testing.md tells of, and what slotgate-migrate tells an operator to do.

Usage: structure.py [ROOT]. Prints one line per finding and exits 1 if any is an error.
What is checked here is what a reviewer would otherwise have to count.
"""

import os
import re
import subprocess
import sys

# A room may include itself and what stands here behind it.
ROOMS = {
    "base": [],
    "resp": ["base"],
    "net": ["base", "resp"],
    "cluster": ["base", "resp", "net"],
    "proxy": ["base", "resp", "net", "cluster"],
    "migrate": ["base", "resp", "net", "cluster"],
}
# Files that think and do no I/O: no socket, no clock, nothing of net/, not even through a header.
THINKING = re.compile(r"^(base|resp)/|^migrate/(rdb_|crc64|lzf)"
                      r"|^cluster/(keyslot|command|keys|slotmap|redirect|topology|echo|zone|read_choice|replication)")
IO_HEADERS = re.compile(r"^(net/.*|uv\.h|uv/.*|sys/socket\.h|sys/epoll\.h|poll\.h|netdb\.h)$")

SOURCE_WARN, SOURCE_MAX, TEST_SOURCE_MAX = 500, 600, 1000
HEADER_MAX = 120
FUNCTION_MAX, SWITCH_FUNCTION_MAX = 80, 120

UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
SLEEP = re.compile(r"\b(sleep|usleep|nanosleep|uv_sleep)\(")

errors = []
warnings = []


def error(path, line, text):
    errors.append(f"{path}:{line}: {text}")


def find_files(root):
    """Paths of all .c and .h files of rooms and tests, relative to root."""
    found = []
    for top in [*ROOMS, "test"]:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = [f for f in folders if not f.startswith(("build", "."))]
            for name in names:
                if name.endswith((".c", ".h")):
                    found.append(os.path.relpath(os.path.join(folder, name), root))
    return sorted(found)


def includes_of(text):
    """(line number, name, whether it is quoted) of each #include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(2), match.group(1) == '"'


def room_of(path):
    room = path.split("/", 1)[0]
    return room if room in ROOMS else None


def check_layers(files):
    for path, text in files.items():
        room = room_of(path)
        for number, name, quoted in includes_of(text):
            if quoted and name not in files and room is not None:
                error(path, number, f'"{name}" is not a file of this tree; name it from the top')
            other = room_of(name) if quoted else None
            if room and other and other != room and other not in ROOMS[room]:
                error(path, number, f"{room}/ must not know {other}/ (\"{name}\")")
            if room and quoted and name.startswith("test/"):
                error(path, number, "a room must not include from test/")


def reachable(files, start):
    """Every include that a file sees, with the chain of headers that leads to it."""
    seen = {}
    waiting = [(start, [start])]
    while waiting:
        path, chain = waiting.pop()
        for _, name, quoted in includes_of(files[path]):
            if name in seen:
                continue
            seen[name] = chain
            if quoted and name in files:
                waiting.append((name, chain + [name]))
    return seen


def check_thinking(files):
    for path in files:
        if not THINKING.match(path):
            continue
        for name, chain in reachable(files, path).items():
            if IO_HEADERS.match(name):
                error(path, 1, f"thinks without I/O, but sees <{name}> through {' > '.join(chain)}")


def check_cycles(files):
    done = set()

    def visit(path, chain):
        if path in chain:
            loop = chain[chain.index(path):] + [path]
            error(path, 1, "include cycle: " + " > ".join(loop))
            return
        if path in done:
            return
        for _, name, quoted in includes_of(files[path]):
            if quoted and name in files:
                visit(name, chain + [path])
        done.add(path)

    for path in files:
        visit(path, [])


def check_headers_alone(root, files):
    """Compiles each header of a room by itself."""
    compiler = os.environ.get("CC", "gcc")
    flags = ["-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-I", root, "-x", "c"]
    try:
        found = subprocess.run(["pkg-config", "--cflags", "libuv"], capture_output=True, text=True)
        flags += found.stdout.split()
    except OSError:
        pass  # without pkg-config libuv is hopefully where the compiler looks anyway
    for path in files:
        if path.endswith(".h") and room_of(path):
            result = subprocess.run([compiler, *flags, os.path.join(root, path)],
                                    capture_output=True, text=True)
            if result.returncode != 0:
                first = next((l for l in result.stderr.splitlines() if "error" in l), "")
                error(path, 1, "does not compile alone: " + first)


def check_header_form(files):
    for path, text in files.items():
        if not path.endswith(".h"):
            continue
        guard = re.sub(r"[^A-Z0-9]", "_", path.upper())
        if f"#ifndef {guard}\n#define {guard}\n" not in text and room_of(path):
            error(path, 1, f"include guard {guard} expected")
        bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        lines = [l for l in bare.splitlines() if l.strip() and not l.startswith("#")]
        if not lines and not re.search(r"^#\s*define\s+\w+[ (]", bare, re.M):
            error(path, 1, "only includes others; include what you use instead of an umbrella")


def without_tables(lines):
    """The number of lines outside of constant tables and enums, which are as long as what they list."""
    count, inside = 0, False
    for line in lines:
        if not inside and re.match(r"(static )?const .*= \{$|enum \w* ?\{", line) and "}" not in line:
            inside = True
        count += not inside
        if inside and line.startswith("};"):
            inside = False
    return count


def check_functions(path, lines):
    """clang-format puts the braces of a function, and only those, alone into the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            body = lines[start - 1:number]
            cases = sum(1 for l in body if re.match(r"\s+(case |default:)", l))
            limit = SWITCH_FUNCTION_MAX if cases >= 10 else FUNCTION_MAX
            if len(body) > limit:
                error(path, start, f"a function of {len(body)} lines; at most {limit}")
            start = None


def check_sizes(files):
    for path, text in files.items():
        lines = text.splitlines()
        size = without_tables(lines)
        if path.endswith(".h"):
            if room_of(path) and size > HEADER_MAX:
                error(path, 1, f"a header of {size} lines; at most {HEADER_MAX}")
            continue
        limit = SOURCE_MAX if room_of(path) else TEST_SOURCE_MAX
        if size > limit:
            error(path, 1, f"a source of {size} lines; at most {limit}")
        elif room_of(path) and size > SOURCE_WARN:
            warnings.append(f"{path}:1: a source of {size} lines; better at most {SOURCE_WARN}")
        if room_of(path):
            check_functions(path, lines)


def check_words(files):
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if UNFINISHED.search(line):
                error(path, number, "a note of unfinished work; finish it or open an issue")
            if re.match(r"\s*//(?! clang-format o)", line):
                error(path, number, "comments are /* */; is this code that was switched off?")
            if re.match(r"\s*#\s*if\s+0\b", line):
                error(path, number, "code that is switched off; remove it")
            if line != line.rstrip() or "\t" in line:
                error(path, number, "blanks at the end, or a tab")


def check_tests(root, files):
    with open(os.path.join(root, "docs/testing.md"), encoding="utf-8") as f:
        told = f.read()
    for path, text in files.items():
        if path.startswith("test/integration/test_") and f"`{os.path.basename(path)}`" not in told:
            error(path, 1, "docs/testing.md does not say what it checks")
        if path.startswith(("test/integration/", "test/unit/")):
            for number, line in enumerate(text.splitlines(), 1):
                if SLEEP.search(line):
                    error(path, number, "await a condition (wait_until); rest_us where time is what is tested")


# What a function or field of migrate/ takes that ends as the reason of a logged error. Wrong usage and
# --dry-run are not among them.
REASON = re.compile(r"(?<![\w.])(apply_failed|apply_fail|source_fail|fail_with|fail|target_fail|give_up|"
                    r"sync_give_up|sync_give_up_file|probe_again|set_error|put_back|copy_failed|tell_failed|"
                    r"admin_refuse|cutover_stop|tell_not_loaded)\(|->(?:error|why|unable) = ")
LOGGED = re.compile(r"\blog_(warn|error)\(")
NO_REASONS = re.compile(r"migrate/(config|options|key_owner|databases|url|filter|fence|repair_batch)\.c$")


def literals(code):
    """The string literals of a statement, their pieces put together; without those that are names."""
    code = re.sub(r"SPAN\([^)]*\)|strerror\([^;]*?\)", "", code)
    for match in re.finditer(r'(?:"(?:[^"\\]|\\.)*"\s*)+', code):
        text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match.group()))
        if len(text) > 8 and " " in text and text != "value type":
            yield text


def statements(text, start):
    """(line number, statement) of each place where the pattern begins one, or the head of a function."""
    for match in start.finditer(text):
        code = text[match.start():text.find(";\n", match.start())]
        yield text.count("\n", 0, match.start()) + 1, code.split("\n{\n")[0]


def check_advice_rows(table):
    rows = re.findall(r'^    \{ "([^"]+)", "((?:[^"\\]|\\.)*)" \},$', table, re.M)
    for i, (why, what) in enumerate(rows):
        if len(what) > 200:
            error("migrate/advice.c", 1, f"too long: {what}")
        for other, _ in rows[:i]:
            if why.startswith(other):
                error("migrate/advice.c", 1, f'"{why}" stands behind "{other}", which hides it')
    return [why for why, _ in rows]


def check_advice(files):
    """An operator learns what to do: each error and warning says it, and each reason has its row."""
    if "migrate/advice.c" not in files:
        return
    rows = check_advice_rows(files["migrate/advice.c"])
    for path, text in files.items():
        if not path.startswith("migrate/") or not path.endswith(".c"):
            continue
        for number, code in statements(text, LOGGED):
            if "action=%s" not in code:
                error(path, number, "does not say what to do (action=, advice.h)")
        for number, code in statements(text, REASON) if not NO_REASONS.match(path) else []:
            for reason in literals(code):
                if not any(reason.startswith(why) for why in rows):
                    error(path, number, f'no advice for "{reason}" (advice.c)')


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else
                           os.path.join(os.path.dirname(__file__), ".."))
    files = {}
    for path in find_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            files[path] = f.read()
    if not files:
        error(root, 0, "no sources found")
    check_layers(files)
    check_thinking(files)
    check_cycles(files)
    check_header_form(files)
    check_sizes(files)
    check_words(files)
    check_tests(root, files)
    check_advice(files)
    check_headers_alone(root, files)
    for line in warnings:
        print("warning:", line)
    for line in errors:
        print("error:", line)
    print(f"structure: {len(files)} files, {len(errors)} errors, {len(warnings)} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
