"""The package that workers install: the code that is running here, with its templates, fonts and weights.

It is made from the packages as they are imported, so that it is the same from a checkout and from an
installation, and holds neither tests nor whatever else lies beside them.
"""

import atexit
import shutil
import tempfile
from importlib import import_module, metadata, util
from pathlib import Path

from jobs.exit_codes import CommandError, ExitCode

PACKAGES = ("segmentation", "model", "pipeline", "jobs")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "fonts")  # fonts render samples, workers do not
_SETUP = '''"""Made by formscribe for the workers of one job."""

from setuptools import find_packages, setup

setup(
    name="formscribe",
    version={version!r},
    python_requires=">=3.11,<3.13",
    packages=find_packages(),
    package_data={{"": ["*", "*/*"]}},
    install_requires={requirements!r},
)
'''


def stage_package() -> Path:
    """Writes a folder with a ``setup.py``, which is deleted when the process ends.

    Returns:
        The ``setup.py``, for Beam's ``--setup_file``.

    Raises:
        CommandError: Beam could not make a package of it.
    """
    if util.find_spec("setuptools") is None:
        raise CommandError(
            ExitCode.USAGE, "the package for the workers needs setuptools: pip install setuptools"
        )
    folder = Path(tempfile.mkdtemp(prefix="formscribe-package-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in PACKAGES:
        (place,) = import_module(name).__path__
        shutil.copytree(place, folder / name, ignore=_LEFT_OUT)
    setup = folder / "setup.py"
    setup.write_text(_SETUP.format(version=_version(), requirements=requirements()), "utf-8")
    return setup


def _version() -> str:
    return metadata.version("formscribe")


def requirements() -> list[str]:
    """What reading needs, without the extras."""
    return [text for text in metadata.requires("formscribe") or [] if "extra ==" not in text]
