"""The parts of a Flink cluster for one machine: fetched once, checked by hash, kept in a cache folder.

Flink's jars come from its PyPI package, Beam's job server for it from Maven's repository, as the libraries
that Beam publishes: a jar with nothing in it but a list of them starts the job server.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.exit_codes import CommandError, ExitCode
from pipeline.options import file_sha256

FLINK = "1.19"
FLINK_PACKAGE = "apache-flink-libraries==1.19.3"
FLINK_SHA256 = "4a58e3a1fb7d83340bc96b6c080624c6d792d69fae5d294b96224775204a9c60"
# The newest version of which every library could be had when it was pinned. Beam speaks to its workers in one
# protocol across versions; tests/test_flink.py shows that this job server serves the Python SDK of setup.py.
JOB_SERVER_BEAM = "2.62.0"
JOB_SERVER_SHA256 = "e3756fbe6cbcd86afbdc9edc4e9f7aea7d94d0419933a18a6685f91290722dab"
_JOB_SERVER_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>formscribe</groupId>
  <artifactId>flink-job-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.beam</groupId>
      <artifactId>beam-runners-flink-{FLINK}</artifactId>
      <version>{JOB_SERVER_BEAM}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.30</version>
    </dependency>
  </dependencies>
</project>
"""
_COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_MAIN_CLASS = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_CLUSTER_JARS = ("flink-dist", "log4j")  # the others are for SQL

# What Flink and Beam reach into, and Java 17 keeps closed without a word.
OPENED = tuple(
    f"java.base/{package}"
    for package in (
        "java.lang",
        "java.lang.invoke",
        "java.lang.reflect",
        "java.io",
        "java.net",
        "java.nio",
        "java.text",
        "java.time",
        "java.util",
        "java.util.concurrent",
        "java.util.concurrent.atomic",
        "java.util.concurrent.locks",
        "sun.nio.ch",
        "sun.net.util",
    )
)


def cache_folder() -> Path:
    """Where downloaded parts are kept: ``$FORMSCRIBE_CACHE``, else ``~/.cache/formscribe``."""
    named = os.environ.get("FORMSCRIBE_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "formscribe"


def missing_programs(programs: Sequence[str]) -> list[str]:
    """Those of the programs that are not on the path."""
    return [name for name in programs if shutil.which(name) is None]


def parts_are_cached(cache: Path) -> bool:
    """Whether nothing has to be fetched any more."""
    return _flink_folder(cache).is_dir() and _job_server_folder(cache).is_dir()


def _flink_folder(cache: Path) -> Path:
    return cache / "flink" / FLINK_PACKAGE.replace("==", "-")


def _job_server_folder(cache: Path) -> Path:
    return cache / "flink" / f"beam-{JOB_SERVER_BEAM}-flink-{FLINK}"


def flink_jars(cache: Path) -> list[Path]:
    """The jars of a Flink cluster, fetched if they are not in the cache.

    Raises:
        CommandError: they cannot be had, or are not those that were pinned.
    """
    folder = _flink_folder(cache)
    if not folder.is_dir():
        _fill(folder, _fetch_flink)
    return sorted(folder.glob("*.jar"))


def job_server_jar(cache: Path) -> Path:
    """The jar that ``--flink_job_server_jar`` takes, made if it is not in the cache.

    Raises:
        CommandError: its libraries cannot be had, or are not those that were pinned.
    """
    folder = _job_server_folder(cache)
    if not folder.is_dir():
        _fill(folder, _fetch_job_server)
    return folder / "job-server.jar"


def _fill(folder: Path, fetch: Callable[[Path], None]) -> None:
    """Fetches beside the folder and renames at the end, so that what stands under its name is whole."""
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        fetch(part)
        if not folder.is_dir():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fetch_flink(folder: Path) -> None:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{FLINK_PACKAGE} --hash=sha256:{FLINK_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    _call([*pip, "--dest", str(folder), "-r", str(wanted)], FLINK_PACKAGE)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if path.match("deps/lib/*.jar") and path.name.startswith(_CLUSTER_JARS):
                packed = tar.extractfile(member)
                if packed is not None:
                    with packed, (folder / path.name).open("wb") as jar:
                        shutil.copyfileobj(packed, jar)
    archive.unlink()
    wanted.unlink()


def _fetch_job_server(folder: Path) -> None:
    what = f"Beam's job server {JOB_SERVER_BEAM} for Flink {FLINK}"
    (folder / "pom.xml").write_text(_JOB_SERVER_POM)
    maven = [
        "mvn",
        "--batch-mode",
        "--quiet",
        "-Dstyle.color=never",
        "--file",
        str(folder / "pom.xml"),
        _COPY_JARS,
    ]
    _call([*maven, "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"], what)
    jars = sorted((folder / "lib").glob("*.jar"))
    found = hash_of_set(jars)
    if found != JOB_SERVER_SHA256:
        raise CommandError(
            ExitCode.JOB_FAILED,
            f"{what}: its {len(jars)} libraries are not those that were pinned (SHA-256 {found}, not "
            f"{JOB_SERVER_SHA256}). Empty Maven's local repository and try again.",
        )
    write_launcher(folder / "job-server.jar", [f"lib/{jar.name}" for jar in jars])


def hash_of_set(files: Sequence[Path]) -> str:
    """SHA-256 over the lines ``HASH  NAME`` of all files in order of their names."""
    lines = (f"{file_sha256(path)}  {path.name}\n" for path in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_launcher(jar: Path, class_path: Sequence[str]) -> None:
    """Writes a jar without classes that starts the job server from libraries beside it."""
    headers = {
        "Manifest-Version": "1.0",
        "Main-Class": _MAIN_CLASS,
        "Add-Opens": " ".join(OPENED),
        "Class-Path": " ".join(class_path),
    }
    manifest = "".join(_folded(f"{name}: {value}") for name, value in headers.items())
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"{manifest}\r\n")


def _folded(line: str) -> str:
    """A manifest's lines hold at most 72 bytes; the next goes on after a space."""
    parts = [line[:72], *(f" {line[i : i + 71]}" for i in range(72, len(line), 71))]
    return "".join(f"{part}\r\n" for part in parts)


def _call(words: Sequence[str], what: str) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        remedy = "sudo apt install maven" if words[0] == "mvn" else f"install {words[0]}"
        raise CommandError(ExitCode.USAGE, f"{words[0]} is missing: {remedy}.") from None
    except subprocess.CalledProcessError as error:
        told = [line for line in (error.stdout + error.stderr).splitlines() if "ERROR" in line.upper()]
        reason = told[0].strip() if told else f"{words[0]} ended with {error.returncode}"
        raise CommandError(ExitCode.JOB_FAILED, f"{what}: could not be fetched. {reason}") from None
